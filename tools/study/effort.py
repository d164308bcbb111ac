"""What a calibration leaves for the time that it may take, and where more time is of no use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from six_cells import SIX, distance

from tsu_apps.calibrate import Calibrator, Work
from tsu_apps.calibrate.cells import Offsets, Slopes
from tsu_apps.calibrate.couplers import Couplers
from tsu_apps.calibrate.procedure import rms_less
from tsu_apps.report import Row
from tsu_apps.study import Axis, Point, Quantity, Study, mean_error
from tsu_emu.config import shipped
from tsu_testing.in_process import open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

CHIPS = {
    "six": ("ideal-16", SIX),
    "typical": ("digits-typical", {"fabric.topology.visible": 8, "fabric.topology.hidden": 8}),
}
"""Six cells without drift, whose law is counted out; 16 cells with all that typical chips have."""
LEFT = ("offsets", "slopes", "couplers")
UNITS = {"offsets": "kT", "slopes": "", "couplers": ""}
FRESH = 4.0
"""Effort of the fresh measurement, in quick looks."""


def measure(point: Point, die_seed: int) -> dict[str, Any]:
    """One die, calibrated once with one effort."""
    config, changes = CHIPS[str(point["chip"])]
    with open_in_process(config, die_seed=die_seed, run_seed=die_seed, changes=changes) as chip:
        work = Work.of(chip, float(point["effort"]))
        begun, joules = chip.seconds, chip.energy().total_j
        Calibrator.of(work).calibrate_all()
        out: dict[str, Any] = {"seconds_of_chip": chip.seconds - begun, "joules": chip.energy().total_j - joules}
        fresh = Work(chip, work.calibration, FRESH)
        for name, procedure in zip(LEFT, (Offsets(), Slopes(), Couplers()), strict=True):
            out[name] = rms_less(*procedure.look(fresh))
        out["distance"] = distance(chip) if point["chip"] == "six" else np.nan
    return out


def judge(data: xr.Dataset) -> list[Row]:
    """Means at each effort; that more effort leaves less, as its root where noise is what is left, and that this ends."""
    rows = []
    efforts = data["effort"].to_numpy().tolist()
    for chip in data["chip"].to_numpy().tolist():
        for name in ("seconds_of_chip", *LEFT, "distance" if chip == "six" else "joules"):
            mean, error = mean_error(data[name].sel(chip=chip))
            unit = {"seconds_of_chip": "s", "joules": "J"}.get(name, UNITS.get(name, ""))
            for k, effort in enumerate(efforts):
                rows.append(Row(f"{chip}, effort {effort:g}: {name}", float(mean[k]), unit, float(error[k])))
        for name in LEFT:
            mean, _ = mean_error(data[name].sel(chip=chip))
            rows.append(Row.at_most(f"{chip}: {name} left with most effort, in that with least", float(mean[-1] / mean[0]), 0.7))
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """What is left over the chip time, a panel for each error and one for the law of six cells."""
    from matplotlib.ticker import LogLocator, NullFormatter

    from tsu_apps.characterise.figures import COLOURS, INK, label, panels, with_errors

    figure, axes = panels(2, 2, 2.7)
    limits = {p.name: p.limit for p in (Offsets, Slopes, Couplers)}
    for axis, name in zip(axes, (*LEFT, "distance"), strict=True):
        for colour, chip in zip(COLOURS, data["chip"].to_numpy().tolist(), strict=False):
            time = data["seconds_of_chip"].sel(chip=chip).mean("die").to_numpy()
            y, e = (x.to_numpy() for x in mean_error(data[name].sel(chip=chip)))
            if np.isfinite(y).all():
                with_errors(axis, time, y, e, chip, colour)
                axis.plot(time, y, color=colour, linewidth=0.9)
        if name in limits:
            axis.axhline(limits[name], color=INK, linewidth=0.8, linestyle=":", label="limit")
        axis.set_xscale("log")
        axis.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_formatter=NullFormatter())
        axis.set_yscale("log")
        what = f"{name} left, rms" if name in LEFT else "distance from the law asked for"
        label(axis, what, "chip time of the calibration  (s)", "kT" if name == "offsets" else "")
    axes[0].legend(frameon=False, fontsize=8)
    return {"effort": figure}


STUDY = Study(
    "effort",
    "What a calibration leaves for the time that it takes",
    measure,
    [
        Quantity("seconds_of_chip", "s", "chip time"),
        Quantity("joules", "J", "energy"),
        *(Quantity(name, UNITS[name], f"{name} left, rms") for name in LEFT),
        Quantity("distance", "", "total variation distance"),
    ],
    [Axis("chip", tuple(CHIPS)), Axis("effort", (0.02, 0.05, 0.1, 0.2, 0.5, 1.0), "", "share of the full sample sizes")],
    dies=4,
    files=[shipped()["ideal-16"], shipped()["digits-typical"], Path(__file__).resolve().parents[1] / "six_cells.py"],
    judge=judge,
    draw=draw,
)
