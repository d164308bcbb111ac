"""How often offsets have to be corrected, for how fast they drift: what corrections at an interval leave of offsets, and what a
problem's law loses by it.

Six p-bits, all coupled, that have no errors but offsets and the drift of digits-typical's, scaled. Corrections are of 20,000
samples and take back half of what they see. Offsets and the distance of the problem's law
from the law asked for are by the truth, just before each correction.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from six_cells import distance, problem

from tsu_apps.calibrate import Calibrator, Policy, Tracker, Work
from tsu_apps.report import Row
from tsu_apps.study import Axis, Point, Quantity, Study, mean_error
from tsu_emu.config import load, shipped
from tsu_testing.in_process import open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

CHIP = {
    "fabric.topology.cells": 6, "fabric.planes": 256, "coupling.dac.bits": 12, "bias.dac.bits": 12,
    "cell.offset_sigma_kt": 0.2, "trim.bits": 10, "trim.offset_full_scale_kt": 1.6,
}  # fmt: skip
KINDS = ("ou_sigma", "walk_per_sqrt_hour", "flicker_rms", "ageing")
SAMPLES, GAIN = 20_000, 0.5
CORRECTIONS, SETTLED = 24, 4
"""In all, and of them those that are not counted: offsets are then as corrections hold them."""
SCALES = (0.5, 1.0, 2.0, 4.0)
INTERVALS_S = (60.0, 240.0, 960.0, 3840.0, 15_360.0, 61_440.0)


def changes(scale: float) -> dict[str, object]:
    """The chip with so many times the drift of digits-typical."""
    drift = load("digits-typical").cell.model_dump()["offset_drift"]
    return CHIP | {f"cell.offset_drift.{name}": value * (scale if name in KINDS else 1) for name, value in drift.items()}


def measure(point: Point, die_seed: int) -> dict[str, float]:
    """One die: offsets and distance just before corrections, and before any."""
    interval = float(point["interval_s"])
    with open_in_process("ideal-16", die_seed=die_seed, run_seed=die_seed, changes=changes(float(point["scale"]))) as chip:
        work = Work.of(chip, 0.25)
        Calibrator.of(work, ["offsets"]).calibrate_all()
        tracker = Tracker(work, Policy(interval, SAMPLES, GAIN, 0.0, 0.0))
        J, h, _ = problem()
        chip.program_couplings(J, h)
        offsets, distances = [], []
        for _ in range(CORRECTIONS):
            chip.instruments.skip(interval)
            chip.run(1)
            offsets.append(float(np.mean(chip.oracle.truth("offset") ** 2)))
            distances.append(distance(chip))
            tracker.correct()
    return {"offset": float(np.sqrt(np.mean(offsets[SETTLED:]))), "distance": float(np.mean(distances[SETTLED:]))}


def judge(data: xr.Dataset) -> list[Row]:
    """Offsets and distances at the drift of digits-typical; how they grow with either axis."""
    rows = []
    for name, unit in (("offset", "kT"), ("distance", "")):
        mean, error = mean_error(data[name])
        for interval in data["interval_s"].to_numpy():
            at = {"scale": 1.0, "interval_s": interval}
            label = f"{name} at corrections each {interval:g} s"
            rows.append(Row(label, float(mean.sel(at)), unit, float(error.sel(at))))
        ends = {"interval_s": float(data["interval_s"][-1])}
        grown = float(mean.sel(ends, drop=True).sel(scale=4.0) / mean.sel(ends, drop=True).sel(scale=1.0))
        rows.append(Row.at_least(f"{name} at four times the drift over that at one, longest interval", grown, 2.0))
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """Both against the interval, a line for each strength of drift."""
    from tsu_apps.characterise.figures import COLOURS, label, panels

    figure, axes = panels(1, 2, 3.2)
    interval = data["interval_s"].to_numpy()
    for axis, name, title in zip(
        axes, ("offset", "distance"), ("rms offset  (kT)", "distance from the law asked for"), strict=True
    ):
        mean, error = mean_error(data[name])
        for colour, scale in zip(COLOURS, data["scale"].to_numpy(), strict=False):
            at = {"scale": scale}
            axis.errorbar(
                interval, mean.sel(at), yerr=error.sel(at), color=colour, marker="o", markersize=3.5, linewidth=0.9, capsize=2,
                label=f"{scale:g} times the drift",
            )  # fmt: skip
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylim(bottom=0.002)
        label(axis, "six cells, just before a correction", "time between corrections  (s)", title)
    axes[0].legend(frameon=False, fontsize=8, loc="lower right", ncols=2)
    return {"intervals": figure}


STUDY = Study(
    name="intervals",
    title="Time between corrections of offsets, against drift",
    measure=measure,
    axes=[Axis("scale", SCALES, "", "drift over that of digits-typical"), Axis("interval_s", INTERVALS_S, "s", "interval")],
    quantities=[
        Quantity("offset", "kT", "rms offset just before a correction"),
        Quantity("distance", "", "total variation distance just before a correction"),
    ],
    dies=6,
    files=[shipped()["digits-typical"], Path(__file__).with_name("calibration.py")],
    judge=judge,
    draw=draw,
)
