"""What the lab sets arrives at the chip's pins, at the chip's time, and only there."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from bench.harness import ADC_BITS, Bench, chain, delay, level, read, write
from tsu_contract.errors import Code
from tsu_contract.program import Instruction, Opcode
from tsu_emu.chip import Chip
from tsu_emu.state import EPOCH, digest, save

HZ = 100_000_000
LAG_S = 0.1
DRIFTING = {
    "cell": {"kind": "pbit", "offset_drift": {"walk_per_sqrt_hour": 0.05, "ou_sigma": 0.1, "ou_tau_s": 100.0, "ageing": 0.01}},
    "thermal": {"r_th_k_per_w": [20, 20], "ageing_activation_ev": 0.5},
}
YEAR = 365.25 * 86400


def sensor(bench: Bench) -> float:
    """TEMP.SENSOR, K."""
    return bench.value("TEMP.SENSOR") / 64


@pytest.mark.parametrize("more", [{}, DRIFTING], ids=["still", "slow"])
def test_the_sensor_follows_the_ambient_with_its_lag(more: dict[str, object]) -> None:
    """Within a step of the sensor of the exponential on the grid of epochs; unchanged it would be 2 to 9 K off."""
    bench = Bench(chain(**more))
    bench.operate(delay(HZ))
    epoch_cycles = bench.chip.config.slow.epoch_cycles
    set_in = bench.lab("ambient", k=310.0)["cycle"] // epoch_cycles
    assert sensor(bench) == 300.0
    for wait_s in (0.02, 0.05, 0.1, 0.3):
        bench.operate(delay(round(wait_s * HZ)))
        shown, epoch = sensor(bench), bench.lab("read")["cycle"] // epoch_cycles
        expected = 310 - 10 * math.exp(-(epoch - set_in) * epoch_cycles / HZ / LAG_S)
        assert abs(shown - expected) <= 1 / 64
        assert shown > 301.5


def test_the_past_was_spent_at_the_old_setting() -> None:
    """A second passes before the change. Power: a change made behind the instruments' back rewrites the past, by 10 K."""
    honest, forged = Bench(chain()), Bench(chain())
    for bench in (honest, forged):
        bench.operate(delay(HZ))
    honest.lab("ambient", k=310.0)
    forged.chip.state.core["lab"][0, 0] = 310.0
    assert sensor(honest) == 300.0
    assert sensor(forged) > 309.5


@pytest.mark.parametrize(("psrr_db", "gain"), [(20.0, 1.1), (26.0206, 1.05), (120.0, 1.0)])
def test_twice_the_supply_raises_couplings_by_the_rejection(psrr_db: float, gain: float) -> None:
    """Through the converter, to half a step at either reading of a level of .79; .05 is 80 steps."""
    bench = Bench(chain(supply={"psrr_db": psrr_db}))
    bench.store("COUPLING", [126] * 6)
    before, nominal = level(bench.capture("COUPLING_DAC")[0]), bench.truth("J")
    bench.lab("supply", v=1.6)
    after = level(bench.capture("COUPLING_DAC")[0])
    step = 2.0 ** (1 - ADC_BITS)
    assert abs(after - gain * before) <= step
    assert np.allclose(bench.truth("J"), gain * nominal, rtol=1e-5, atol=0)
    bench.lab("supply", v=0.8)
    assert level(bench.capture("COUPLING_DAC")[0]) == before


def test_the_supply_reaches_the_fields_of_the_next_sweep() -> None:
    bench = Bench(chain(supply={"psrr_db": 20.0}))
    bench.store("COUPLING", [64] * 6)
    bench.sweeps(1)
    before = bench.truth("grid_J")
    bench.lab("supply", v=1.6)
    assert bench.truth("grid_J").tolist() == before.tolist()
    bench.sweeps(1)
    assert np.allclose(bench.truth("grid_J"), 1.1 * before, rtol=1e-4)


def test_a_capture_follows_the_source() -> None:
    """At one first cycle alone all codes are those under which the sine lies; a step higher or another phase fits none."""
    bench = Bench(chain())
    source = {"offset": 0.125, "amplitude": 0.5, "hz": 12_345.0, "phase": 0.2}
    begin, n = bench.lab("source", **source)["cycle"], 200
    codes, cap = bench.capture("EXTERNAL", n), bench.chip.capabilities
    end = bench.lab("read")["cycle"]

    def expected(first: int, phase: float, offset: float) -> np.ndarray:
        t = (first + cap.adc_cycles * np.arange(n)) / HZ
        v = offset + 0.5 * np.sin(2 * np.pi * (12_345.0 * t + phase))
        return np.floor((v + 1) * 2 ** (ADC_BITS - 1)).astype(int)

    firsts = range(begin, end - (n - 1) * cap.adc_cycles)
    found = [first for first in firsts if np.array_equal(expected(first, 0.2, 0.125), codes)]
    assert len(found) == 1
    assert not any(np.array_equal(expected(first, 0.25, 0.125), codes) for first in firsts)
    assert not any(np.array_equal(expected(first, 0.2, 0.125 + 2.0**-11), codes) for first in firsts)


def test_a_source_without_amplitude_is_steady_and_far_ones_clip() -> None:
    bench = Bench(chain())
    bench.lab("source", offset=0.25, amplitude=0.0, hz=0.0, phase=0.0)
    assert set(bench.capture("EXTERNAL").tolist()) == {5 << ADC_BITS - 3}
    for offset, code in ((-2.0, 0), (2.0, (1 << ADC_BITS) - 1)):
        bench.lab("source", offset=offset, amplitude=0.0, hz=0.0, phase=0.0)
        assert set(bench.capture("EXTERNAL").tolist()) == {code}


def test_skipping_is_a_delay() -> None:
    """Same cycles by DELAY: the same chip, bit for bit; SYS.CYCLE has moved by them."""
    skipped, delayed = Bench(chain(**DRIFTING)), Bench(chain(**DRIFTING))
    for bench in (skipped, delayed):
        bench.sweeps(20)
    before = skipped.lab("read")
    after = skipped.lab("skip", seconds=3600.0)
    delayed.operate(delay(3600 * HZ))
    assert after["cycle"] - before["cycle"] == 3600 * HZ
    assert after["seconds"] == after["cycle"] / HZ
    for bench in (skipped, delayed):
        bench.sweeps(20)
    assert skipped.digest == delayed.digest
    low, high = skipped.operate(read("SYS.CYCLE"), (1, 0x14, 0, 0, 0)).values.tolist()
    assert (high << 32 | low) > 3600 * HZ


def test_ten_years_cost_nothing_and_leave_their_mark() -> None:
    """The walk of ten years is .05 sqrt(87,660) = 15 kT rms for each cell; two sweeps moved it by less than .01."""
    bench = Bench(chain(**DRIFTING))
    bench.sweeps(2)
    before = bench.truth("drift_offset")
    began = time.thread_time()
    assert bench.lab("skip", seconds=10 * YEAR)["seconds"] > 10 * YEAR
    assert time.thread_time() - began < 1
    after = bench.truth("drift_offset")
    assert np.ptp(after - before) > 1
    held = bench.truth("offset")
    bench.sweeps(1)
    assert np.allclose(bench.truth("offset"), after, atol=1e-12)
    assert not np.allclose(held, after)


def test_time_is_not_skipped_under_a_program() -> None:
    bench = Bench(chain())
    bench.start(Instruction(Opcode.RUN, 1_000_000))
    assert "a program is running" in bench.refused("lab", "skip", seconds=1.0).message
    bench.operate(write("SEQ.CTRL", 2), delay(10_000))
    assert bench.lab("skip", seconds=1.0)["seconds"] > 1


def test_a_saved_chip_remembers_the_lab() -> None:
    bench = Bench(chain())
    bench.lab("ambient", k=333.0)
    bench.lab("source", offset=0.5, amplitude=0.1, hz=10.0, phase=0.0)
    fresh = Chip(bench.chip.config)
    fresh.restore(save(bench.chip.state))
    assert digest(fresh.state) == bench.digest
    assert fresh.state.core["lab"].tolist() == bench.chip.state.core["lab"].tolist()


def life(other: bool = False, looks: int = 0) -> str:
    """Digest after a life with changes of every setting; `looks` at everything that can be looked at in between."""
    bench = Bench(chain(**DRIFTING, supply={"psrr_db": 40.0}))
    bench.store("COUPLING", [30, -20, 10, 40, 5, -7])
    settings = [("ambient", {"k": 320.0}), ("supply", {"v": 0.9}), ("skip", {"seconds": 100.0}), ("ambient", {"k": 290.0})]
    settings += [("source", {"offset": 0.0, "amplitude": 0.5, "hz": 1e4, "phase": 0.0})]
    for verb, body in settings:
        bench.lab(verb, **body)
        for _ in range(looks):
            bench.lab("read")
            bench.lab("identify")
            bench.oracle("list")
            bench.oracle("digest")
            bench.oracle("identify")
            for name in bench.oracle("identify").body["truths"]:
                element = {"element": 1} if name in ("coupling_dac", "bias_dac", "adc_thresholds") else {}
                bench.truth(name, **element)
        bench.operate(delay(1000 + other))
        bench.sweeps(50)
        bench.capture("EXTERNAL")
    return bench.digest


def test_the_same_requests_at_the_same_time_are_the_same_life_and_looking_changes_nothing() -> None:
    assert life() == life() == life(looks=3)
    assert life() != life(other=True)


@pytest.mark.parametrize(
    ("verb", "body", "key"),
    [
        ("ambient", {"k": 199.9}, "k"),
        ("ambient", {"k": 450.1}, "k"),
        ("ambient", {"k": float("nan")}, "k"),
        ("ambient", {"k": float("inf")}, "k"),
        ("ambient", {"k": True}, "k"),
        ("ambient", {"k": "310"}, "k"),
        ("ambient", {}, "k"),
        ("ambient", {"k": 300, "v": 1}, "v"),
        ("supply", {"v": -0.01}, "v"),
        ("supply", {"v": 1.61}, "v"),
        ("source", {"offset": 2.1, "amplitude": 0, "hz": 0, "phase": 0}, "offset"),
        ("source", {"offset": 0, "amplitude": -2.1, "hz": 0, "phase": 0}, "amplitude"),
        ("source", {"offset": 0, "amplitude": 0, "hz": HZ / 2 + 1, "phase": 0}, "hz"),
        ("source", {"offset": 0, "amplitude": 0, "hz": -1, "phase": 0}, "hz"),
        ("source", {"offset": 0, "amplitude": 0, "hz": 0, "phase": 1.5}, "phase"),
        ("source", {"offset": 0, "amplitude": 0, "hz": 0}, "phase"),
        ("skip", {"seconds": -1}, "seconds"),
        ("skip", {"seconds": 101 * YEAR}, "seconds"),
        ("read", {"k": 1}, "k"),
    ],
)
def test_bad_settings_are_named_and_change_nothing(verb: str, body: dict[str, object], key: str) -> None:
    failure = Bench(chain()).refused("lab", verb, **body)
    assert failure.field == key
    assert key in failure.message
    assert failure.code in (Code.OUT_OF_RANGE, Code.BAD_OPERATION)


def test_limits_are_those_that_the_door_names() -> None:
    bench = Bench(chain())
    limits = bench.lab("identify")["limits"]
    for end in (0, 1):
        bench.lab("ambient", k=limits["ambient_k"][end])
        bench.lab("supply", v=limits["supply_v"][end])
        bench.lab("source", **{key: limits[key][end] for key in ("offset", "amplitude", "hz", "phase")})
    assert bench.lab("skip", seconds=limits["skip_s"][1])["seconds"] >= 100 * YEAR
    assert bench.lab("read")["supply_v"] == 1.6


def test_time_beyond_the_drift_or_all_time_is_refused() -> None:
    """Epochs of 2^10 cycles: 2^46 of them are 22.8 years. A clock of 4 GHz: 2^62 cycles are 36 years."""
    short = Bench(chain(slow={"epoch_cycles": 1 << 10}, **DRIFTING))
    assert short.refused("lab", "skip", seconds=23 * YEAR).field == "seconds"
    short.lab("skip", seconds=22 * YEAR)
    assert short.chip.state.time[EPOCH] == -1
    short.sweeps(1)
    fast = Bench(chain(clock={"hz": 4_000_000_000}))
    assert fast.refused("lab", "skip", seconds=40 * YEAR).code is Code.OUT_OF_RANGE
