"""Every procedure brings the truth about a chip to its limit; half of its correction, or the wrong sign, does not.

Sample sizes are a quarter of the full ones. A cell's field at rest is known to 1 / sqrt(samples), a slope, from fields of .3 to
.9 kT, to about 1.9 / sqrt(samples); five standard errors, and half a step of the trims, are allowed for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from apps.calibrating import BIPARTITE, DENSE, ERRORS, LOOSE, Floats, bench, felt, flawed, inject, rms, temperature
from serving import config
from tsu_apps.calibrate import Calibrator, Result, Work, sample_gauges
from tsu_apps.calibrate.cells import SERVO, SLOPES, Offsets
from tsu_apps.calibrate.converters import Adc
from tsu_apps.calibrate.couplers import Couplers
from tsu_apps.calibrate.temperature import Temperature
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Calibration
from tsu_driver.couplings import coupling_values
from tsu_emu.chip import Chip
from tsu_testing.in_process import InProcessChip

EFFORT = 0.25
OFFSET = 1 / np.sqrt(SERVO[-1] * EFFORT)
SLOPE = 1.9 / np.sqrt(SLOPES[-1] * EFFORT)
HALF_STEP = {"offsets": 0.5 * 0.8 / 256, "slopes": 0.5 * 0.5 / 256}


@dataclass
class Case:
    """A chip that was calibrated, and how it was before."""

    emulated: Chip
    chip: tsu.Chip
    results: dict[str, Result]
    calibration: Calibration
    before: tuple[Floats, Floats, Floats]
    good: Any

    def with_trims(self, share: float) -> tuple[Floats, Floats, Floats]:
        """What cells feel at zero codes with a share of the trims."""
        c, chip = self.calibration, self.chip
        chip.apply_calibration(c)
        chip.set_temperature(1.0)
        chip.set_trims(*(np.clip(np.rint(share * t), -256, 255).astype(np.int16) for t in (c.offset_trims, c.slope_trims)))
        chip.program_couplings(None, corrected=False)
        return felt(self.emulated, chip)


@pytest.fixture(scope="module", params=["dense", "bipartite"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """The bipartite one has a cell that is stuck, and a coupler with a bit that is."""
    with bench(flawed(DENSE if request.param == "dense" else BIPARTITE)) as (emulated, chip, oracle):
        if request.param == "bipartite":
            inject(oracle, "stuck-cell", cell=3, at="up")
            inject(oracle, "stuck-coupling-bit", coupler=50, bit=5, at=1)
        calibrator = Calibrator.of(Work.of(chip, EFFORT))
        chip.set_temperature(1.0)
        chip.program_couplings(None)
        before = felt(emulated, chip)
        calibrator.run_self_test()
        calibrator.calibrate_all()
        c = calibrator.work.calibration
        yield Case(emulated, chip, calibrator.results, c, before, c.good)


def test_every_procedure_ran_and_told_what_it_left(case: Case) -> None:
    assert list(case.results) == ["adc", "offsets", "slopes", "temperature", "couplers"]
    for name, result in case.results.items():
        assert result.cycles > 0
        assert result.left < max(0.5 * result.left_before, 3 * rms(result.errors)), name
        dead = {"offsets": ~case.good, "slopes": ~case.good}.get(name, np.zeros(len(result.ok), bool))
        if name != "couplers":
            assert np.array_equal(result.ok, ~dead)


def test_offsets(case: Case) -> None:
    """The last code that is tried is that of the last step, whose noise is that of the round before the last."""
    tolerance = 5 / np.sqrt(SERVO[-2] * EFFORT) + HALF_STEP["offsets"]
    assert rms(case.before[1][case.good]) > 0.15
    assert abs(case.with_trims(1)[1][case.good]).max() < tolerance
    for share in (0, 0.5, -1):
        assert abs(case.with_trims(share)[1][case.good]).max() > 2 * tolerance
    result = case.results["offsets"]
    assert rms(result.errors[case.good]) == pytest.approx(OFFSET, rel=0.3)


def test_slopes(case: Case) -> None:
    tolerance = 5 * SLOPE + HALF_STEP["slopes"]
    assert abs(case.with_trims(1)[2][case.good] - 1).max() < tolerance
    for share in (0, 0.5, -1):
        assert abs(case.with_trims(share)[2][case.good] - 1).max() > 2 * tolerance
    errors = case.results["slopes"].errors[case.good]
    assert rms(errors) == pytest.approx(SLOPE, rel=0.4)


def test_temperature(case: Case) -> None:
    """T against that at 1, to 5 standard errors of a gain, which six settings give to .6 of the error of one against T = 1;
    nominal codes are further off, those of the wrong sign beyond."""
    emulated, chip = case.emulated, case.chip
    tolerance = 5 * 0.6 * rms(case.results["temperature"].errors)
    half = 0.5 * chip.capabilities.temp_lsb * LSB_SCALE

    def worst(gain: float, offset: float) -> float:
        chip.apply_calibration(case.calibration.but(temperature=(gain, offset)))
        chip.set_temperature(1.0)
        unit, out = temperature(emulated, chip), 0.0
        for t in (0.5, 0.75, 1.5, 2.0, 3.0):
            said = chip.set_temperature(t)
            assert abs(said - t) < 1.1 * half
            out = max(out, abs(temperature(emulated, chip) / unit / said - 1))
        return out

    gain, offset = case.calibration.temperature
    assert gain + offset == pytest.approx(1)
    assert worst(gain, offset) < tolerance
    assert worst(1.0, 0.0) > 1.5 * worst(gain, offset)
    assert worst(2 - gain, -offset) > tolerance


def test_errors_of_temperature_are_those_of_its_values_also_of_noise_that_planes_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """T = 2 against T = 1 looked at 16 times: the variance over the stated one is 1 to 5 sqrt(2 / 15). Biases that are written
    anew with errors shake all planes alike: the stated variance, of 16 x 7 degrees of freedom, grows by more than 5 sqrt(2 / 112)
    (2.4 times was measured), where one from the spread of planes would not."""
    monkeypatch.setattr("tsu_apps.calibrate.temperature.SETTINGS", (1.0, 2.0))
    stated = []
    for noise in (0.0, 4.0):
        storage = {"leakage_tau_s": 1e3, "refresh_s": 1e-4, "refresh_noise_lsb": noise}
        dacs = {name: {"dac": {"full_scale": 4.0}} for name in ("bias", "temperature")}
        loose = {"kind": "edges", "cells": 4, "pairs": []}
        with InProcessChip(config(loose, storage=storage, slow={"epoch_cycles": 4096}, **dacs)) as chip:
            work = Work.of(chip, 0.05)
            looks = np.array([Temperature().look(work) for _ in range(16)])[:, :, 1]
        stated.append(np.mean(looks[:, 1] ** 2))
        assert abs(looks[:, 0].var(ddof=1) / stated[-1] - 1) < 5 * np.sqrt(2 / 15)
    assert stated[1] > (1 + 5 * np.sqrt(2 / 112)) * stated[0]


def test_couplers(case: Case) -> None:
    """What cells feel of couplings of +-.4 kT, in units of it: known gains and offsets leave what shrinkage expects, half a step,
    and what is left of slopes; nominal codes leave 5 % and more, the wrong sign twice that."""
    emulated, chip, t = case.emulated, case.chip, case.chip.topology
    values = 0.4 * np.random.default_rng(1).choice([-1.0, 1.0], len(t.pairs))
    wanted = coupling_values(t, (t.pairs, values))
    usable = case.good[t.target] & case.good[t.source]
    usable[case.calibration.stuck[:, 0]] = False
    assert np.array_equal(case.results["couplers"].ok, case.good[t.target] & case.good[t.source])

    def left(share: float) -> float:
        c = case.calibration
        gain = 1 + share * (c.coupler_gain - 1)
        chip.apply_calibration(c.but(coupler_gain=gain, coupler_offset=share * c.coupler_offset))
        chip.set_temperature(1.0)
        chip.program_couplings((t.pairs, values))
        return rms((felt(emulated, chip)[0] - wanted)[usable] / 0.4)

    rounding = chip.capabilities.coupling_lsb * LSB_SCALE / np.sqrt(12) / 0.4
    expected = np.sqrt(rms(case.results["couplers"].values[usable]) ** 2 + rounding**2 + SLOPE**2)
    assert left(1) < 2 * expected
    assert left(0) > 2.5 * left(1)
    assert left(0.5) > 1.3 * left(1)
    assert left(-1) > 5 * left(1)


def test_converters(case: Case) -> None:
    """Trims bring references to within the procedure's limit; without trims, or with their sign turned, they are LSB off."""
    chip, trims = case.chip, case.calibration.adc_trims.astype(int)

    def left(share: int) -> float:
        chip.set_adc_trims(share * trims[:, 0], share * trims[:, 1])
        seen = [
            np.mean(chip.adc_value(chip.convert(f"reference-{end}", n=4096, adc=k).codes, "external")) - at
            for k in range(2)
            for end, at in (("low", -0.875), ("high", 0.875))
        ]
        return rms(np.array(seen) * 512)

    assert left(1) < 0.2
    assert left(0) > 1
    assert left(-1) > 2


@pytest.mark.parametrize("offset_lsb", [0.0, 3.0])
def test_a_converter_without_noise_is_trimmed_to_the_code_and_left_there(offset_lsb: float) -> None:
    """Its references tell nothing finer: half an LSB off counts as nothing, and moves no trim."""
    quiet = {"count": 2, "bits": 10, "buffer": 8192, "offset_sigma_lsb": offset_lsb}
    with bench(flawed(DENSE, adc=quiet)) as (_, chip, _):
        work = Work.of(chip)
        result = Adc().calibrate(work)
        assert result.left == 0
        assert abs(result.values).max() <= 0.5
        assert result.left_before > offset_lsb / 3
        assert result.changes["adc_trims"].any() == (offset_lsb > 0)


@pytest.mark.parametrize(("adc", "bits"), [(0, [(6, 1)]), (2, [(6, 1), (7, 1)])])
def test_a_cell_that_hears_a_coupler_with_a_stuck_high_bit_is_trimmed_right_or_said_not_to_be(
    adc: int, bits: list[tuple[int, int]]
) -> None:
    """One bit: the coupler is set to the code nearest to 0 that it can have, and its cell's slope comes out as the others', to
    5 standard errors. Two: it gives 1 kT at best, the cell's slope trim is left alone, and it is not among those that succeeded.
    Power: without the self-test the neighbour's noise is taken for a lack of slope, and the trim is off by .1 and more.
    """
    effort = 0.04
    tolerance = 5 * 1.9 / np.sqrt(SLOPES[-1] * effort) + HALF_STEP["slopes"]
    with bench(flawed(BIPARTITE, adc=ERRORS["adc"] | {"count": adc})) as (emulated, chip, oracle):
        for bit, at in bits:
            inject(oracle, "stuck-coupling-bit", coupler=50, bit=bit, at=at)
        cell = int(chip.topology.target[50])

        def trimmed(tested: bool) -> tuple[list[Any], Floats]:
            chip.apply_calibration(None)
            calibrator = Calibrator.of(Work.of(chip, effort))
            if tested:
                calibrator.run_self_test()
            found = [calibrator.procedures[name].find(calibrator.work).ok for name in ("offsets", "slopes")]
            chip.set_temperature(1.0)
            chip.program_couplings(None, corrected=False)
            return found, felt(emulated, chip)[2]

        (ok, slopes), usable = trimmed(True), len(bits) == 1
        others = np.arange(len(slopes)) != cell
        assert all(found[others].all() and found[cell] == usable for found in ok)
        assert abs(slopes[others | usable] - 1).max() < tolerance
        assert (chip.trims()[1][cell] != 0) == usable
        assert trimmed(False)[1][cell] > 1 + max(0.1, 2 * tolerance)


def test_the_errors_of_a_quick_look_are_those_of_its_values() -> None:
    """Chi-square of 40 offsets with the truth taken off is 1 within 5 sqrt(2 / 40); power: with the truth of another die it is
    far beyond."""
    with bench(flawed(LOOSE)) as (emulated, chip, _):
        values, errors = Offsets().look(Work.of(chip))
        z = (values - felt(emulated, chip)[1]) / errors
        assert abs(np.mean(z**2) - 1) < 5 * np.sqrt(2 / 40)
        assert abs(np.mean(((values - felt(emulated, chip)[1][::-1]) / errors) ** 2) - 1) > 5


def test_a_servo_whose_trims_are_not_monotone_lands_within_its_limit() -> None:
    """Some steps go back by more than .01 kT. Each of 40 cells has a code that leaves less than half the limit; what the servo
    leaves is within the limit and five standard errors, and within it rms; half its trims leave ten times that."""
    trim = {"bits": 9, "offset_full_scale_kt": 0.8, "slope_full_scale": 0.001, "element_sigma": 0.2}
    with bench(flawed(LOOSE, trim=trim)) as (emulated, chip, _):
        chip.program_couplings(None)
        every = np.empty((512, 40))
        for k in range(512):
            chip.set_trims(k - 256)
            every[k] = felt(emulated, chip)[1]
        assert (np.diff(every, axis=0) < -0.01).any(axis=0).sum() > 10
        chip.set_trims(0)
        work = Work.of(chip)
        procedure = Offsets()
        result = procedure.calibrate(work)
        procedure.apply(work, result)
        left = felt(emulated, chip)[1]
        assert abs(every).min(axis=0).max() < 0.5 * procedure.limit
        assert abs(left).max() < procedure.limit + 5 / np.sqrt(SERVO[-1])
        assert max(rms(left), result.left) < procedure.limit
        chip.set_trims(chip.trims()[0] // 2)
        assert rms(felt(emulated, chip)[1]) > 10 * rms(left)


def test_gauges_average_offsets() -> None:
    """Two coupled cells with offsets: <s0> is not 0, but is over gauges, to five standard errors; <s0 s1> has its sign kept."""
    with bench(flawed({"kind": "edges", "cells": 4, "pairs": [[0, 1], [2, 3]]})) as (_, chip, _):
        J = np.zeros((4, 4))
        J[0, 1] = J[1, 0] = 0.5
        J[2, 3] = J[3, 2] = -0.5
        h = np.zeros(4)
        chip.program_couplings(J, h)
        plain = chip.sample(400, every=2, burn=20).mean(axis=(0, 1))
        shares: list[float] = []
        spins = sample_gauges(chip, J, h, 40, 20, every=2, seed=1, step=shares.append)
        assert (spins.shape, spins.dtype) == ((800, 64, 4), np.int8)
        assert sum(shares) == pytest.approx(1)
        means = spins.reshape(40, 20, 64, 4).mean(axis=(1, 2))
        error = means.std(axis=0, ddof=1) / np.sqrt(40)
        assert (abs(means.mean(axis=0)) < 5 * error).all()
        assert (abs(plain) > 5 * error).any()
        pairs = (spins[..., 0] * spins[..., 1]).mean(), (spins[..., 2] * spins[..., 3]).mean()
        assert pairs[0] > 0.3
        assert pairs[1] < -0.3


def test_the_level_of_couplers_is_on_their_grid() -> None:
    with bench(flawed(DENSE)) as (_, chip, _):
        level = Couplers()._level(Work.of(chip))
        steps = level / (chip.capabilities.coupling_lsb * LSB_SCALE)
        assert steps == pytest.approx(round(steps))
        assert level == pytest.approx(2 / np.sqrt(5), abs=0.01)
