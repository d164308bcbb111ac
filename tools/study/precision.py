"""Bits of converters, mismatch and heat against the law of a chip: exactly of six cells, and of digits.

`six`: the stationary law of what the die's cells really hear, counted out, so that no sampling noise hides small errors;
`digits`: weights that were trained on a chip of 8 bits without errors, on digits-ideal with errors, at some of the points.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bits import imprecise
from digits_weights import deployed
from six_cells import distance

from tsu_apps.report import Row
from tsu_apps.study import Axis, Point, Quantity, Study, mean_error
from tsu_emu.config import shipped
from tsu_testing.in_process import open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

TOOLS = Path(__file__).resolve().parents[1]
DIGITS_BITS, DIGITS_MISMATCH, DIGITS_HOT_BITS = (4, 6, 8, 12), (0.0, 0.05), 8
"""Where digits are measured: at these bits with these mismatches, and hot with so many bits and no mismatch."""


def on_digits(point: Point) -> bool:
    """Whether digits are measured at a point."""
    if point["temperature_error"] != 0.0:
        return point["bits"] == DIGITS_HOT_BITS and point["mismatch"] == 0.0
    return point["bits"] in DIGITS_BITS and point["mismatch"] in DIGITS_MISMATCH


def measure(point: Point, die_seed: int) -> dict[str, Any]:
    """One die: NaN what is not measured there."""
    out = {"distance": np.nan, "nats": np.nan, "accuracy": np.nan}
    hotter = 1.0 + float(point["temperature_error"])
    changes = imprecise(point)
    if point["chip"] == "six":
        changes |= {"fabric.topology.cells": 6}
        with open_in_process("ideal-16", die_seed=die_seed, run_seed=die_seed, changes=changes) as chip:
            chip.set_temperature(hotter)
            out["distance"] = distance(chip)
    elif on_digits(point):
        with open_in_process("digits-ideal", die_seed=die_seed, run_seed=die_seed, changes=changes) as chip:
            out["nats"], out["accuracy"] = deployed(chip, hotter)
    return out


def judge(data: xr.Dataset) -> list[Row]:
    """Distances, log-likelihoods and accuracies; that mismatch and heat end what bits bring."""
    rows = []
    bits, mismatches, heats = (data[axis.name].to_numpy().tolist() for axis in AXES[1:])
    (mean, _), spread = mean_error(data["distance"].sel(chip="six")), data["distance"].sel(chip="six").std("die", ddof=1)
    for heat, mismatch, few in product(heats, mismatches, bits):
        at = {"bits": few, "mismatch": mismatch, "temperature_error": heat}
        what = f"six: distance with {few} bits, mismatch {mismatch:.0%}, T {heat:+.0%}"
        rows.append(Row(what, float(mean.sel(at)), "", float(spread.sel(at))))
    ideal = {"bits": max(bits), "mismatch": min(mismatches), "temperature_error": min(heats, key=abs)}
    best = float(mean.sel(ideal))
    rows.append(Row.at_most("six: distance with most bits and no errors", best, 0.005))
    for what, worse in (("bits", min(bits)), ("mismatch", max(mismatches)), ("temperature_error", max(heats))):
        rows.append(Row.at_least(f"six: {what} {worse:g}, in that", float(mean.sel(ideal | {what: worse})) / best, 5.0))
    return rows + _digits_rows(data.sel(chip="digits"), bits, mismatches, heats)


def _digits_rows(data: xr.Dataset, bits: list[int], mismatches: list[float], heats: list[float]) -> list[Row]:
    rows = []
    for heat, mismatch, few in product(heats, mismatches, bits):
        at = {"bits": few, "mismatch": mismatch, "temperature_error": heat}
        if on_digits(at):
            what = f"digits with {few} bits, mismatch {mismatch:.0%}, T {heat:+.0%}"
            for name, unit in (("nats", "nat"), ("accuracy", "")):
                mean, error = mean_error(data[name].sel(at))
                rows.append(Row(f"{what}: {name}", float(mean), unit, float(error)))
    calm = data["nats"].sel(temperature_error=min(heats, key=abs), mismatch=min(mismatches)).mean("die")
    rows.append(Row.at_least("digits: nats that fewest bits cost", float(calm.isel(bits=-1) - calm.isel(bits=0)), 1.0, "nat"))
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """Distance of six cells and log-likelihood of digits over bits."""
    from tsu_apps.characterise.figures import COLOURS, label, panels, with_errors

    figure, (cold, hot, digits) = panels(1, 3, 3.2)
    bits, mismatches, heats = (data[axis.name].to_numpy() for axis in AXES[1:])
    mean, error = mean_error(data["distance"].sel(chip="six"))
    for axis, heat in zip((cold, hot), heats, strict=True):
        for colour, mismatch in zip(COLOURS, mismatches, strict=False):
            y, e = (x.sel(mismatch=mismatch, temperature_error=heat).to_numpy() for x in (mean, error))
            with_errors(axis, bits, y, e, f"mismatch {mismatch:.0%}", colour)
            axis.plot(bits, y, color=colour, linewidth=0.9)
        axis.set_yscale("log")
        axis.set_ylim(float(mean.min()) / 2, 2 * float(mean.max()))
        label(axis, f"six cells, T {heat:+.0%}", "bits of converters", "distance from the law asked for")
    cold.legend(frameon=False, fontsize=8)
    nats, error = mean_error(data["nats"].sel(chip="digits"))
    for colour, mismatch in zip(COLOURS, mismatches, strict=False):
        y, e = (x.sel(mismatch=mismatch, temperature_error=heats[0]).to_numpy() for x in (nats, error))
        seen = np.isfinite(y)
        with_errors(digits, bits[seen], y[seen], e[seen], f"mismatch {mismatch:.0%}", colour)
        digits.plot(bits[seen], y[seen], color=colour, linewidth=0.9)
    label(digits, "digits, held out", "bits of converters", "log-likelihood  (nat)")
    return {"precision": figure}


AXES = (
    Axis("chip", ("six", "digits")),
    Axis("bits", (4, 5, 6, 7, 8, 10, 12), "bit", "bits of coupling and bias converters"),
    Axis("mismatch", (0.0, 0.02, 0.05, 0.1), "", "relative spread of gains, slopes and unit elements"),
    Axis("temperature_error", (0.0, 0.1), "", "temperature over what it should be, less one"),
)
STUDY = Study(
    "precision",
    "Bits, mismatch and heat: the exact law of six cells, and digits",
    measure,
    [
        Quantity("distance", "", "total variation distance"),
        Quantity("nats", "nat", "log-likelihood of held-out digits"),
        Quantity("accuracy", "", "accuracy on held-out digits"),
    ],
    AXES,
    dies=6,
    files=[
        shipped()["ideal-16"], shipped()["digits-ideal"], TOOLS / "study" / "bits.py", TOOLS / "six_cells.py",
        TOOLS / "digits_weights.py",
    ],
    judge=judge,
    draw=draw,
)  # fmt: skip
