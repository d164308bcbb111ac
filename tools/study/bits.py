"""How well a small chip samples the law that it was given: bits of its converters, mismatch, and an error of its temperature.

Six clocked p-bits, all coupled, are given one problem of random couplings and biases. The total variation distance between
the states that they take and the law of the ideal problem, by enumeration, is what all the errors together make of it.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from tsu_apps.models import Boltzmann, exact
from tsu_apps.models.exact import state_numbers
from tsu_apps.report import Row
from tsu_apps.study import Axis, Point, Quantity, Study, mean_error
from tsu_emu.config import shipped
from tsu_testing.in_process import open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

CONFIG, CELLS, PLANES = "ideal-16", 6, 256
LOOKS, EVERY, BURN = 2000, 2, 50
SAMPLES = LOOKS * PLANES
STRENGTH = 0.5
"""Standard deviation of the problem's couplings and biases, kT; a larger than 1.9 is taken as that."""
PROBLEM_SEED = 20


@lru_cache
def problem() -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(pairs, couplings, biases, probabilities of the 64 states)."""
    rng, pairs = np.random.default_rng(PROBLEM_SEED), np.array(list(combinations(range(CELLS), 2)))
    J, h = (np.clip(STRENGTH * rng.standard_normal(n), -1.9, 1.9) for n in (len(pairs), CELLS))
    return pairs, J, h, exact(Boltzmann(pairs, J, h)).probabilities


def distance(counts: NDArray[np.int64]) -> float:
    """Total variation distance of counts of the states from the ideal law."""
    return float(0.5 * np.abs(counts / counts.sum() - problem()[3]).sum())


def floor() -> float:
    """What SAMPLES independent samples of the very law would show: deviations of each share are normal."""
    p = problem()[3]
    return float(0.5 * np.sqrt(2 * p * (1 - p) / (np.pi * SAMPLES)).sum())


def imprecise(point: Point) -> dict[str, object]:
    """What a chip is to be changed by to err as a point says."""
    bits, mismatch = point["bits"], point["mismatch"]
    changes: dict[str, object] = {
        f"{bank}.dac.{key}": value
        for bank in ("coupling", "bias")
        for key, value in (("bits", bits), ("element_sigma", mismatch))
    }
    return changes | {"temperature.dac.bits": 12, "coupling.gain_sigma": mismatch, "cell.slope_sigma": mismatch}


def measure(point: Point, die_seed: int) -> dict[str, float]:
    """The distance of one die."""
    changes = {"fabric.topology.cells": CELLS, "fabric.planes": PLANES} | imprecise(point)
    pairs, J, h, _ = problem()
    with open_in_process(CONFIG, die_seed=die_seed, run_seed=die_seed, changes=changes) as chip:
        chip.program_couplings((pairs, J), h)
        chip.set_temperature(1.0 + float(point["temperature_error"]))
        states = state_numbers(chip.sample(LOOKS, EVERY, BURN))
    return {"tv": distance(np.bincount(states.ravel(), minlength=1 << CELLS))}


def judge(data: xr.Dataset) -> list[Row]:
    """That few bits, mismatch and heat cost something, and that a chip without errors is near the floor; mean distances."""
    (mean, error), spread = mean_error(data["tv"]), data["tv"].std("die", ddof=1)
    bits, mismatches, heats = (data[axis.name].to_numpy() for axis in AXES)
    ideal = {"bits": max(bits), "mismatch": min(mismatches), "temperature_error": min(heats)}
    best = float(mean.sel(ideal))
    rows = [
        Row("distance that as many independent samples of the law would show", floor()),
        Row.at_most(
            "distance with most bits and no errors, in that one", best / floor(), 2.0, "", float(spread.sel(ideal)) / floor()
        ),
    ]
    for what, worse in (("bits", min(bits)), ("mismatch", max(mismatches)), ("temperature_error", max(heats))):
        where = ideal | {what: worse}
        sigmas = (float(mean.sel(where)) - best) / float(np.hypot(error.sel(where), error.sel(ideal)))
        rows.append(Row.at_least(f"{what} {worse:g} more than that, in standard errors", sigmas, 5.0))
    for heat, mismatch, few in product(heats, mismatches, bits):
        at = {"bits": few, "mismatch": mismatch, "temperature_error": heat}
        rows.append(
            Row(
                f"distance with {few} bits, mismatch {mismatch:.0%}, T {heat:+.0%}",
                float(mean.sel(at)),
                "",
                float(spread.sel(at)),
            )
        )
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """Distance against bits for each mismatch, a panel for each error of the temperature."""
    from tsu_apps.characterise.figures import COLOURS, INK, label, panels, with_errors

    mean, error = mean_error(data["tv"])
    bits, mismatches, heats = (data[axis.name].to_numpy() for axis in AXES)
    figure, axes = panels(1, len(heats), 3.6)
    for axis, heat in zip(axes, heats, strict=True):
        for colour, mismatch in zip(COLOURS, mismatches, strict=False):
            y, e = (array.sel(mismatch=mismatch, temperature_error=heat).to_numpy() for array in (mean, error))
            with_errors(axis, bits, y, e, f"mismatch {mismatch:.0%}", colour)
            axis.plot(bits, y, color=colour, linewidth=0.9)
        axis.axhline(floor(), color=INK, linewidth=0.8, linestyle=":", label="independent samples")
        axis.set_yscale("log")
        axis.set_ylim(0.5 * floor(), 2.0 * float(mean.max()))
        label(axis, f"temperature {heat:+.0%}", "bits of coupling and bias converters", "total variation distance")
    axes[-1].legend(frameon=False, fontsize=8, loc="center")
    return {"bits": figure}


AXES = (
    Axis("bits", (4, 5, 6, 7, 8, 10), "bit", "bits of coupling and bias converters"),
    Axis("mismatch", (0.0, 0.02, 0.05, 0.1), "", "relative spread of gains, slopes and unit elements"),
    Axis("temperature_error", (0.0, 0.1), "", "temperature over what it should be, less one"),
)
STUDY = Study(
    "bits",
    "Distance of a small chip's distribution from the ideal one: bits, mismatch, temperature",
    measure,
    [Quantity("tv", "", "total variation distance")],
    AXES,
    dies=8,
    files=[shipped()[CONFIG]],
    judge=judge,
    draw=draw,
)
