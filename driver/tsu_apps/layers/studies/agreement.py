"""Chip against twin: means over many draws, for each kind of cell, on a chip without errors and on a typical one."""

from __future__ import annotations

import numpy as np

from tsu_apps.layers.calibration import calibrate
from tsu_apps.layers.chip import ChipLayer
from tsu_apps.layers.laws import Floats, Law, Pbit, Pdit, Pmode, Pmog
from tsu_apps.layers.quartic import Quartic
from tsu_apps.layers.studies.study import Chips, Step, Study
from tsu_apps.report import Row

KINDS: dict[str, tuple[Law, float | None, str, str]] = {
    "p-bit": (Pbit(), 2e-7, "ideal-pbit", "x0-pbit"),
    "pdit": (Pdit(4), None, "ideal-pdit", "x0-pdit"),
    "pmode": (Pmode(1.0, 1.0), 1e-6, "ideal-pmode", "x0-pmode"),
    "pmog": (Pmog(4), 1e-5, "ideal-pmog", "x0-pmog"),
    "quartic": (Quartic(window=1.0), 1e-6, "ideal-langevin", "langevin-16"),
}
"""Of each kind: law, time constant, a chip without errors, a typical one. Slow p-bits of X0 take twice the typical time."""
SAMPLES, CALIBRATION, SETTINGS, SWING = 640, 1280, 4, 1.5
GRID, MEANS = np.linspace(-3.0, 3.0, 16), (1.5, -1.5, -0.5, 0.5)
"""Of transfer curves: drives, and the means of the modes of mixture cells."""
CALIBRATED = 0.03
"""Goal of a calibrated chip, in the unit of the output: twice what 64 units' chance makes of errors of 1 / sqrt(SAMPLES)."""


def run(chips: Chips, step: Step) -> Study:
    """All kinds."""
    rows: list[Row] = []
    data = {}
    for name, (law, tau, ideal, typical) in KINDS.items():
        step(f"{name} without errors")
        with chips(ideal) as chip:
            layer = ChipLayer(chip, law, tau)
            drive = drives(law, chip.capabilities.cells)
            rows += ideal_rows(name, layer, drive)
        step(f"{name} of {typical}")
        with chips(typical) as chip:
            layer = ChipLayer(chip, law, tau)
            drive = drives(law, chip.capabilities.cells)
            rows.append(Row(f"{name}: {typical} off its twin", off(layer, drive)))
            if name != "pmog":
                calibrate(layer, CALIBRATION)
                rows.append(Row.at_most(f"{name}: {typical} off its twin, calibrated", off(layer, drive), CALIBRATED))
            data[name] = law, *transfer(layer)
    return Study(rows, data)


def drives(law: Law, cells: int) -> Floats:
    """(SETTINGS, cells, ..) random drives, the same for a law each time."""
    return np.random.default_rng(1).uniform(-SWING, SWING, (SETTINGS, cells, *law.drive_shape))


def ideal_rows(name: str, layer: ChipLayer, drive: Floats) -> list[Row]:
    """Mean square of the deviation in standard errors: 1 if chip and twin agree, within 5 standard errors of it, and far from it
    for a twin that is driven twice as hard."""
    law = layer.law
    draws = layer.draw(drive, SAMPLES)
    error = draws.std(axis=0) / np.sqrt(SAMPLES)
    right, double = (float(np.mean(((draws.mean(axis=0) - law.mean(k * drive)) / error) ** 2)) for k in (1.0, 2.0))
    limit = 1.0 + 5.0 * np.sqrt(2.0 / error.size)
    return [
        Row.at_most(f"{name}: square deviation from the twin in standard errors", right, round(float(limit), 3)),
        Row.at_least(f"{name}: the same, twin driven twice as hard", double, round(float(limit), 3)),
    ]


def off(layer: ChipLayer, drive: Floats) -> float:
    """rms deviation of mean outputs from the twin beyond what chance gives, in the unit of the output."""
    draws = layer.draw(drive, SAMPLES)
    square = (draws.mean(axis=0) - layer.law.mean(drive)) ** 2 - draws.var(axis=0) / SAMPLES
    return float(np.sqrt(max(0.0, square.mean())))


def transfer(layer: ChipLayer) -> tuple[Floats, Floats, Floats]:
    """(drives, mean outputs, their standard errors) along GRID; of a pdit, of its first state."""
    draws = layer.draw(line(layer.law, GRID), SAMPLES)
    draws = draws[..., 0] if layer.law.output_shape else draws
    return GRID, draws.mean(axis=0), draws.std(axis=0) / np.sqrt(SAMPLES)


def line(law: Law, along: Floats) -> Floats:
    """(points, ..) drives: a number, or the first of several, the others being 0 but for the means of a mixture cell."""
    if not law.drive_shape:
        return along
    drive = np.zeros((len(along), *law.drive_shape))
    drive[:, 0] = along
    if isinstance(law, Pmog):
        drive[:, law.modes :] = MEANS
    return drive
