"""Layers on a chip: the same law as the twin's, each unit its own cell and round, what it costs, calibration of errors.

Chips are ideal unless said. "chi2" is the mean square deviation of unit means in standard errors of their draws, which are
independent: 1 if the laws agree, within 5 sqrt(2 / units).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from serving import config, opened
from tsu_apps.layers import ChipLayer, Correction, Law, Pbit, Pdit, Pmode, Pmog, Quartic, calibrate
from tsu_apps.layers.laws import Floats

CELLS, PLANES = 13, 10
LOOSE: dict[str, Any] = {"kind": "edges", "cells": CELLS, "pairs": []}
BIAS = {"dac": {"bits": 10, "full_scale": 4.0}}
ADC = {"count": 4, "bits": 12}
HZ = 1e8


@dataclass(frozen=True)
class Kind:
    """A law, the chip's cells, the cycles of a tick, and a time constant."""

    law: Law
    cell: dict[str, Any]
    tick: int = 1
    tau_s: float | None = None


KINDS = {
    "pbit": Kind(Pbit(), {"kind": "pbit"}),
    "async-pbit": Kind(Pbit(), {"kind": "async-pbit", "tau_s": 1e-7, "kinetics": "glauber"}, 10, 1e-7),
    "pdit": Kind(Pdit(4), {"kind": "pdit", "states": 4}),
    "pmode": Kind(Pmode(1.5, 0.5), {"kind": "gaussian", "tau_s": 1e-6, "range": 8.0}, 25, 1e-6),
    "pmog": Kind(
        Pmog(3), {"kind": "mixture", "modes": 3, "tau_s": 1e-7, "mode_tau_s": 1e-6, "stiffness": 4.0, "range": 8.0}, 100, 1e-6
    ),
    "quartic": Kind(
        Quartic(0.5, 0.4, 1.0, 0.5), {"kind": "langevin", "tau_s": 1e-6, "rail": 8.0, "range": 4.0, "substeps": 32}, 25, 1e-6
    ),
}


def chip_of(stack: ExitStack, kind: Kind, **more: Any) -> tsu.Chip:
    timing = {"colour": kind.tick, "slot": int(kind.tau_s is None)}
    _, chip = stack.enter_context(
        opened(
            config(LOOSE, PLANES, **{"cell": kind.cell, "bias": BIAS, "adc": ADC, "clock": {"hz": HZ}, "timing": timing} | more)
        )
    )
    return chip


@pytest.fixture(scope="module")
def layers() -> Iterator[dict[str, ChipLayer]]:
    """A layer of each kind on an ideal chip."""
    with ExitStack() as stack:
        yield {name: ChipLayer(chip_of(stack, k), k.law, k.tau_s) for name, k in KINDS.items()}


def drives(law: Law, units: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(-1.5, 1.5, (units, *law.drive_shape))


def chi2(draws: Floats, mean: Floats) -> float:
    """Mean square deviation of the means of (draws, ..) from `mean`, in standard errors."""
    error = draws.std(axis=0) / np.sqrt(len(draws))
    return float(np.mean(((draws.mean(axis=0) - mean) / error) ** 2))


@pytest.mark.parametrize("name", KINDS)
def test_a_chip_draws_as_its_twin_does(layers: dict[str, ChipLayer], name: str) -> None:
    """400 draws of 60 units; the twin at 1.5 times the drive is refused, and an inverted one."""
    law, drive = KINDS[name].law, drives(KINDS[name].law, 60)
    draws = layers[name].draw(drive, 400)
    assert draws.shape == (400, 60, *law.output_shape)
    limit = 5 * np.sqrt(2 / draws[0].size)
    assert abs(chi2(draws, law.mean(drive)) - 1) < limit
    assert chi2(draws, law.mean(1.5 * drive)) > 1 + 2 * limit
    assert chi2(draws, law.mean(-drive)) > 1 + 2 * limit


@pytest.mark.parametrize("name", ["pmode", "pmog", "quartic"])
def test_values_have_the_spread_of_the_law(layers: dict[str, ChipLayer], name: str) -> None:
    """Variances of 600 draws of 39 units against the twin's of 20,000, their mean ratio within 5 standard errors of 1; of mixture
    cells the variance in a mode, all means being 0. Half the window, or twice the stiffness of modes, is refused."""
    kind = KINDS[name]
    wrong: dict[str, Law] = {
        "pmode": Pmode(1.5, 0.25),
        "pmog": Pmog(3, stiffness=8.0),
        "quartic": Quartic(0.5, 0.4, 1.0, 0.25),
    }
    drive = drives(kind.law, 39, 1)
    if name == "pmog":
        drive[:, 3:] = 0.0
    found, rng = layers[name].draw(drive, 600).var(axis=0), np.random.default_rng(2)
    ratios = []
    for law in (kind.law, wrong[name]):
        ratios.append(found / law.sample(np.repeat(drive[None], 20_000, axis=0), rng).var(axis=0))
    error = ratios[0].std() / np.sqrt(len(drive))
    assert abs(ratios[0].mean() - 1) < 5 * error
    assert abs(ratios[1].mean() - 1) > 10 * error


@pytest.mark.parametrize("name", ["pbit", "pdit", "pmode", "quartic"])
def test_every_unit_gets_its_own_drive_and_every_draw_its_place(layers: dict[str, ChipLayer], name: str) -> None:
    """A random pattern of strong drives, (3, 7) units on 13 cells, comes back in order; 23 draws of 10 planes are 3 looks."""
    law = KINDS[name].law
    rng = np.random.default_rng(3)
    if law.drive_shape:
        wanted = rng.integers(4, size=(3, 7))
        drive = 8.0 * (wanted[..., None] == np.arange(4))
        found = layers[name].draw(drive, 23).argmax(axis=-1)
    else:
        wanted = rng.choice([-1, 1], size=(3, 7))
        found = np.sign(layers[name].draw(3.9 * wanted, 23).mean(axis=0))[None]
    assert found.shape[1:] == (3, 7)
    assert np.mean(found == wanted) > 0.98


def test_average_is_the_mean_of_draws(layers: dict[str, ChipLayer]) -> None:
    """Whatever it takes to make them: the same bits on a fresh chip."""
    drive = drives(Pbit(), 200)
    with ExitStack() as stack:
        one, other = (ChipLayer(chip_of(stack, KINDS["pbit"]), Pbit()) for _ in range(2))
        np.testing.assert_allclose(one.average(drive, 37), other.draw(drive, 37).mean(axis=0), atol=1e-12)


def test_successive_looks_are_independent() -> None:
    """Correlation of one cell's spins 10 draws apart, which are successive looks at a plane: 0 within 5 / sqrt(n); if the time
    constant is said to be a tenth it is e^-.6."""
    with ExitStack() as stack:
        chip = chip_of(stack, KINDS["async-pbit"])
        found = []
        for tau_s in (1e-7, 1e-8):
            spins = ChipLayer(chip, Pbit(), tau_s).draw(np.zeros(CELLS), 100 * PLANES).reshape(100, PLANES, CELLS)
            found.append(float((spins[1:] * spins[:-1]).mean()))
        error = 1 / np.sqrt(99 * PLANES * CELLS)
        assert abs(found[0] - np.exp(-6.0)) < 5 * error
        assert found[1] > 0.3


def test_cost_counts_rounds_looks_draws_and_time(layers: dict[str, ChipLayer]) -> None:
    """40 units on 13 cells: 4 rounds; 25 draws on 10 planes: 3 looks each. Physical time is what the schedule takes: of pmodes a
    tick pinned and two let go, and a scan of 9 planes; 1 bias beyond the range."""
    with ExitStack() as stack:
        chip = chip_of(stack, KINDS["pmode"], energy={"update_aj": 1000})
        layer, drive = ChipLayer(chip, KINDS["pmode"].law, 1e-6), np.zeros(40)
        drive[7] = 9.0
        layer.average(drive, 25)
        cost, cap = layer.cost, chip.capabilities
        assert (cost.rounds, cost.looks, cost.draws, cost.clipped) == (4, 12, 1000, 1)
        scan = 9 * -(-CELLS // cap.adc_count) * cap.adc_cycles
        assert cost.physical_s == pytest.approx(12 * (3 * cap.sweep_time(9, correlate=False) + scan) / HZ)
        assert cost.chip_s > cost.physical_s
        assert cost.wall_s > 0
        assert cost.energy_j == pytest.approx(12 * 3 * 9 * CELLS * 1e-15)


ERRORS: dict[str, Any] = {"dac": {**BIAS["dac"], "gain_sigma": 0.1, "offset_sigma_lsb": 10.0}}


@pytest.mark.parametrize("name", ["pbit", "pdit"])
def test_calibration_takes_static_errors_away(name: str) -> None:
    """Gains 10 % and offsets .2 kT off: chi2 of 1,500 draws of 52 units beyond 8 before, below 2.2 after: 1 for the draws, .2 for
    the calibration's own 16 x 1,500 in two parameters, 5 sqrt(2 / 52) for chance. With half the correction it is refused."""
    kind = KINDS[name]
    cell = kind.cell | {"offset_sigma_kt": 0.2, "slope_sigma": 0.1}
    with ExitStack() as stack:
        layer = ChipLayer(chip_of(stack, kind, cell=cell, bias=ERRORS), kind.law, kind.tau_s)
        drive = drives(kind.law, 4 * CELLS, 5)
        assert chi2(layer.draw(drive, 1500), kind.law.mean(drive)) > 8
        calibrate(layer, 1500)
        found = layer.correction
        assert found is not None
        assert found.gain.shape == (CELLS, 4 if name == "pdit" else 1)
        assert chi2(layer.draw(drive, 1500), kind.law.mean(drive)) < 2.2
        layer.correction = Correction(0.5 + 0.5 * found.gain, 0.5 * found.offset)
        assert chi2(layer.draw(drive, 1500), kind.law.mean(drive)) > 2.2


def test_calibration_finds_the_gain_and_offset_of_each_cell() -> None:
    """Gaussian cells with DACs of gain g and offset o: fitted gains and offsets within 5 standard errors, and .01 for converters
    and last bits, of those that captures of the DACs' outputs give, which differ more from cell to cell."""
    kind = KINDS["pmode"]
    with ExitStack() as stack:
        chip = chip_of(stack, kind, bias=ERRORS)
        layer = ChipLayer(chip, kind.law, kind.tau_s)
        calibrate(layer, 2000)
        assert layer.correction is not None
        levels = np.array([-2.0, 2.0])
        seen = np.empty((2, CELLS))
        for k, level in enumerate(levels):
            chip.program_couplings(h=kind.law.terms(np.full(CELLS, level)))
            seen[k] = [chip.adc_value(chip.convert("bias", 2 * i, 16).codes, "bias").mean() for i in range(CELLS)]
        gain, offset = (seen[1] - seen[0]) / 4.0, seen.mean(axis=0)
        assert isinstance(kind.law, Pmode)
        stiff = _stiffness_gain(chip, kind.law)
        spread = np.sqrt(kind.law.variance / 2000 / 16) / kind.law.gain
        assert np.abs(layer.correction.gain[:, 0] - gain * stiff).max() < 5 * spread / 0.72 + 0.01
        assert np.abs(layer.correction.offset[:, 0] - offset * stiff).max() < 5 * spread + 0.01
        assert layer.correction.gain.std() > 0.05


def _stiffness_gain(chip: tsu.Chip, law: Pmode) -> Floats:
    """Gain of cells whose stiffness is what their DACs make of it, relative to that of the law."""
    a = np.array([chip.adc_value(chip.convert("bias", 2 * i + 1, 16).codes, "bias").mean() for i in range(CELLS)])
    gains: Floats = (1 - np.exp(-a * law.window)) / a / law.gain
    return gains


def test_what_a_chip_cannot_do_is_said(layers: dict[str, ChipLayer]) -> None:
    pbits, pdits, pmodes = (layers[name].chip for name in ("async-pbit", "pdit", "pmode"))
    for make, text in (
        (lambda: ChipLayer(pbits, Pdit(4)), "a Pdit layer needs cells of the kind pdit; test has async-pbit"),
        (lambda: ChipLayer(pdits, Pdit(3)), r"drives 3 terms; a cell of test has 4: h0, h1, h2, h3"),
        (lambda: ChipLayer(pbits, Pbit()), "tau_s = None; async-pbit cells live in continuous time"),
        (lambda: ChipLayer(pmodes, Pmode(1.0, 0.6), 1e-6), r"a tick is 0.25, 0.5 the nearest window"),
        (lambda: ChipLayer(pmodes, Pmode(1.0, 0.1), 1e-6), r"0.25 the nearest window"),
        (lambda: layers["pbit"].average(np.zeros(3), None), "a chip has no exact mean"),
        (lambda: layers["pbit"].draw(np.zeros(3), 0), "samples = 0"),
        (lambda: layers["pdit"].draw(np.zeros((3, 5)), 1), r"shape \(3, 5\)"),
        (lambda: calibrate(layers["pmog"], 10), "no inverse"),
    ):
        with pytest.raises(ValueError, match=text):
            make()
