"""The control loops of the C firmware, each judged by what the driver measures through the pins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import tsu_driver as tsu
from c_firmware.runs import answers, chip_at, ran
from tsu_apps.calibrate import Work
from tsu_apps.calibrate.work import field_of
from tsu_contract.bench import Request, decode_reply, encode_request
from tsu_emu.bench.instruments import Instruments
from tsu_emu.chip import Chip

LOOKS = 4000
SPREAD = {"cell_offset_sigma_kt": 0.2, "trim_bits": 9}
Q16 = 1 / 65536


def offsets(chip: tsu.Chip, looks: int = LOOKS) -> NDArray[np.float64]:
    """(cells,) offsets in kT, measured by sampled spins; their standard error is 1 / sqrt(looks x planes)."""
    work = Work.of(chip)
    work.quiet()
    work.loosen()
    return field_of(work.means(looks).mean(axis=0))


def rms(x: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(x**2)))


def test_the_servo_brings_offsets_to_zero() -> None:
    """256,000 samples of each cell: an offset is known to .002 kT, their rms over 16 cells to .0004."""
    with chip_at(**SPREAD) as (_, endpoint):
        with tsu.open(endpoint) as host:
            before = offsets(host)
        (servo,) = answers(endpoint, "servo")
        with tsu.open(endpoint) as host:
            after = offsets(host)
            trims = host.trims()[0].copy()
            host.set_trims(offsets=0 * trims)
            without = offsets(host)
    assert rms(before) > 0.1
    assert rms(after) < 0.01
    assert rms(without) > 0.1, "it is the trims that do it"
    assert abs(int(servo[2]) * Q16 - rms(before)) < 0.03, "the first round has 16,384 samples: .008 kT a cell"
    assert abs(int(servo[3]) * Q16 - rms(after)) < 0.002
    assert servo[-2:] == ["0", "0"], "every cell moves, no trim is at its end"


STATE = ("COUPLING", "BIAS", "CLAMP_MASK", "PLANE_TEMP")
REGISTERS = ("TEMP.TDAC", "TEMP.SCHEDULE", "CORR.PERIOD", "CORR.ALPHA_FREE", "CORR.CTRL.ENABLE", "SEQ.PC")


def state_of(host: tsu.Chip) -> list[object]:
    """What a host has programmed, the first instructions among it."""
    batch = host.batch()
    tickets = [batch.read_window(name) for name in STATE] + [batch.read_window("PROGRAM", 0, 8)]
    batch.execute()
    sets = [
        host.read_register(name, w) for name in ("FABRIC.PLANE_ENABLE", "CORR.FREE_PLANES", "CORR.DATA_PLANES") for w in (0, 1)
    ]
    return [*(t.value.tolist() for t in tickets), *(host.read_register(name) for name in REGISTERS), *sets]


def test_a_look_sees_the_offsets_and_leaves_everything_as_it_was() -> None:
    rng = np.random.default_rng(3)
    with chip_at(**SPREAD) as (_, endpoint):
        with tsu.open(endpoint) as host:
            truth = offsets(host)
            batch = host.batch()
            batch.write_window("COUPLING", rng.integers(-100, 100, 240).astype(np.int16))
            batch.write_window("BIAS", rng.integers(-100, 100, 16).astype(np.int16))
            batch.execute()
            host.clamp([3, 7], [1, -1])
            host.plane_temperatures(np.linspace(0.5, 2.0, 64))
            host.enable_planes(40)
            host.set_temperature(2.0)
            before = state_of(host)
        (look,) = answers(endpoint, "look 16")
        with tsu.open(endpoint) as host:
            after = state_of(host)
    assert after == before
    assert abs(int(look[2]) * Q16 - rms(truth)) < 0.003
    assert int(look[4]) == int(abs(truth).argmax())
    assert abs(int(look[3]) * Q16 - abs(truth).max()) < 0.01


def test_soft_fields_are_not_overlooked() -> None:
    with chip_at(**SPREAD) as (_, endpoint):
        with tsu.open(endpoint) as host:
            soft = np.zeros((64, 16), np.int16)
            soft[63, 15] = 5
            batch = host.batch()
            batch.write_window("SOFT", soft)
            batch.execute()
        assert ran(endpoint, "look").stdout.startswith("look busy")


def test_the_watch_trims_when_the_limit_is_passed_and_not_otherwise() -> None:
    with chip_at(**SPREAD) as (_, endpoint):
        lazy, keen, again = answers(endpoint, "watch 2 1000 60000", "watch 3 1000 655", "watch 2 1000 655")
    assert [int(a[2]) for a in (lazy, keen, again)] == [0, 1, 0], "beyond .01 kT at first, within it after the servo"
    assert int(lazy[3]) * Q16 > 0.1
    assert int(again[3]) * Q16 < 0.01


def lab(chip: Chip, verb: str, **body: float) -> None:
    """Something that the lab does to the chip."""
    assert decode_reply(Instruments(chip).handle(encode_request(Request(verb, 1, dict(body))))).failure is None


def test_the_watch_sees_offsets_that_drift() -> None:
    """A walk of .1 kT in an hour."""
    with chip_at(**SPREAD, **{"cell.offset_drift.walk_per_sqrt_hour": 0.1}) as (chip, endpoint):
        _, fresh = answers(endpoint, "servo", "watch 1 1000 655")
        lab(chip, "skip", seconds=3600)
        old, again = answers(endpoint, "watch 1 1000 655", "watch 1 1000 655")
    assert [int(a[2]) for a in (fresh, old, again)] == [0, 1, 0]
    assert 0.05 < int(old[3]) * Q16 < 0.2, "rms over 16 cells: .1 within a factor of 1.7"


def test_trims_that_are_too_small_are_told() -> None:
    """Trims that reach .125 kT: those of cells beyond it are at an end, and no others."""
    with chip_at(**SPREAD, trim_offset_full_scale_kt=0.125) as (_, endpoint):
        with tsu.open(endpoint) as host:
            beyond = int(np.sum(abs(offsets(host)) > 0.125))
        (servo,) = answers(endpoint, "servo")
    assert 3 < beyond < 16
    assert int(servo[-1]) == beyond


COEFFICIENT = 4e-3
"""Of T, per K."""
HEAT = {
    "temperature_tc_per_k": COEFFICIENT,
    "thermal_sensor_lag_s": 0.01,
    "thermal_tau_s": "[0.001, 0.005]",
    "slow_epoch_cycles": 100_000,
}


def temperature(chip: tsu.Chip) -> float:
    """T from the means under a bias of 1 kT at T = 1: the means of 16 cells and 256,000 samples each tell it to .0006."""
    work = Work.of(chip)
    chip.program_couplings(([[0, 1]], [0.0]), np.full(16, 1.0))
    return float(1.0 / np.mean(field_of(work.means(LOOKS).mean(axis=0))))


def test_temperature_is_compensated_by_the_sensor() -> None:
    """20 K more make T 8 % higher; TDAC's steps of 1/64 leave up to .8 %, the planes' multipliers nothing."""
    coefficient = round(COEFFICIENT * 2**24)
    with chip_at(**HEAT) as (chip, endpoint):
        lab(chip, "ambient", k=320.0)
        lab(chip, "skip", seconds=1.0)
        found = []
        for command in ("temp 19200 0", f"temp 19200 {coefficient}", f"temp 19200 {coefficient} 65536 1"):
            (answer,) = answers(endpoint, command)
            with tsu.open(endpoint) as host:
                found.append(temperature(host))
        (watch,) = answers(endpoint, f"watch 1 1000 655 19200 {coefficient}")
    assert abs(int(watch[4]) - 64 / 1.08) < 0.6 + 64 * 0.01, "the watch compensates too"
    assert abs(int(answer[2]) / 64 - 320.0) < 0.5, "the sensor"
    assert abs(found[0] - 1.08) < 0.003, "not compensated"
    assert abs(found[1] - 1.0) < 0.5 / 64 + 0.003
    assert abs(found[2] - 1.0) < 0.003
