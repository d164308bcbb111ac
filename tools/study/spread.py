"""Offsets and slopes of the cells of many dies of digits-typical, measured through their pins, beside the truth.

Each die is measured as a laboratory would, by `tsu_apps.characterise.cells.slope_offset`; `truth.Truth` says what that would give
without errors, and the oracle what the cells themselves are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from truth import Truth

from tsu_apps.characterise import cells
from tsu_apps.characterise.lab import Lab
from tsu_apps.report import Row
from tsu_apps.study import Point, Quantity, Study
from tsu_emu.config import Pbit, load, shipped
from tsu_testing.in_process import open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

CONFIG, CELLS, EFFORT = "digits-typical", 174, 0.2
SIGMAS = 5.0
SHOWS = {"offset": "offset of a cell", "slope": "slope of a cell"}
UNITS = {"offset": "kT", "slope": ""}
MEANS = {"offset": 0.0, "slope": 1.0}
"""Of all cells of all dies, by the configuration."""


def measure(point: Point, die_seed: int) -> dict[str, NDArray[np.float64]]:
    """Each cell's offset and slope, its standard error, what it would be without errors, and the cell's own; NaN of cells that do
    not follow their bias. The first three include what couplers of code 0 and converters add."""
    with open_in_process(CONFIG, die_seed=die_seed, run_seed=die_seed) as chip:
        lab = Lab(chip, chip.instruments, EFFORT)
        lab.quiet()
        outcome = cells.slope_offset(lab)
        truth, found = Truth(chip, chip.oracle.truth, chip.config), {}
        for m in outcome.measurements:
            name, at = m.key.removeprefix("cell."), np.asarray(m.x, np.int64)
            for what, values in (
                ("", m.value),
                ("_error", m.error),
                ("_seen", truth.of(m)),
                ("_own", chip.oracle.truth(name)[at]),
            ):
                found[name + what] = np.full(CELLS, np.nan)
                found[name + what][at] = values
    return found


def jackknife(squares: NDArray[np.float64]) -> tuple[float, float]:
    """(root of the mean, its standard error) of (dies,) mean squares, leaving out one die after the other."""
    n = len(squares)
    left = np.sqrt(np.maximum((squares.sum() - squares) / max(n - 1, 1), 0.0))
    return float(np.sqrt(max(squares.mean(), 0.0))), float(left.std() * np.sqrt(n - 1))


def squares(data: xr.Dataset, name: str, what: str) -> NDArray[np.float64]:
    """(dies,) mean squares about the configuration's mean, of cells whose truth is known: not of those at a stuck coupler.

    Of measured values without the variance of the measurement.
    """
    known = data.where(data[f"{name}_seen"].notnull())
    square = ((known[name + what] - MEANS[name]) ** 2).mean("cell")
    if not what:
        square -= (known[f"{name}_error"] ** 2).mean("cell")
    return np.asarray(square.dropna("die").to_numpy(), np.float64)


def sigmas() -> dict[str, float]:
    """The configuration's spreads over all cells of all dies."""
    cell = load(CONFIG).cell
    assert isinstance(cell, Pbit)
    return {"offset": cell.offset_sigma_kt, "slope": cell.slope_sigma}


def judge(data: xr.Dataset) -> list[Row]:
    """Spreads beside the configuration's, and measurements beside their truth."""
    rows = []
    for name, sigma in sigmas().items():
        (own, own_error), (seen, seen_error), (found, error) = (jackknife(squares(data, name, w)) for w in ("_own", "_seen", ""))
        near = f"{sigma:g} within {SIGMAS * own_error:.2g}"
        rows.append(
            Row(f"sigma of {name}s, the cells' own", own, UNITS[name], own_error, near, abs(own - sigma) <= SIGMAS * own_error)
        )
        rows.append(Row(f"sigma of {name}s as the pins show it, by the truth", seen, UNITS[name], seen_error))
        rows.append(Row(f"sigma of {name}s, measured", found, UNITS[name], error))
        off = (data[name] - data[f"{name}_seen"]) / data[f"{name}_error"]
        per_die = off.mean("cell").dropna("die").to_numpy()
        mean, its_error = float(per_die.mean()), float(per_die.std(ddof=1) / np.sqrt(len(per_die)))
        rows.append(Row(f"{name}s measured less truth, in their errors: mean over cells", mean, "", its_error))
        rows.append(Row(f"{name}s measured less truth, in their errors: rms", float(np.sqrt((off**2).mean()))))
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """Each die's mean and spread over cells with errors, measured and true, and all cells beside their truth."""
    from tsu_apps.characterise.figures import INK, MEASURED, SECOND, label, panels, with_errors

    drawn = {}
    for name, what in SHOWS.items():
        figure, axes = panels(3, 1, 2.6)
        dies, seen = data["die"].to_numpy(), data[f"{name}_seen"]
        values = data[name].where(seen.notnull())
        count, unit = values.notnull().sum("cell"), f"  ({UNITS[name]})" if UNITS[name] else ""
        moments = (
            ("mean over cells", values.mean("cell"), values.std("cell") / np.sqrt(count), seen.mean("cell")),
            ("standard deviation over cells", values.std("cell"), values.std("cell") / np.sqrt(2 * count), seen.std("cell")),
        )
        for axis, (title, found, error, true) in zip(axes[:2], moments, strict=True):
            with_errors(axis, dies, found.to_numpy(), error.to_numpy(), "measured, with the standard error of 174 cells")
            axis.plot(dies, true.to_numpy(), "_", color=SECOND, markersize=8, label="truth")
            label(axis, f"{what}: {title}", "die", title + unit)
        within = sigmas()[name] * np.sqrt(1.0 - load(CONFIG).process.die)
        axes[1].axhline(within, color=INK, linewidth=0.8, linestyle=":", label="configured, less what the cells of a die share")
        axes[1].legend(frameon=False, fontsize=9, handles=axes[1].lines[-1:], loc="lower right", bbox_to_anchor=(1.0, 0.98))
        axes[0].legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2)
        axes[2].plot(seen.to_numpy().ravel(), values.to_numpy().ravel(), ".", color=MEASURED, markersize=1.5)
        ends = [float(seen.min()), float(seen.max())]
        axes[2].plot(ends, ends, color=SECOND, linewidth=0.8)
        label(axes[2], f"{what}, of all dies", "truth" + unit, "measured" + unit)
        drawn[f"spread-{name}"] = figure
    return drawn


STUDY = Study(
    "spread",
    "Offsets and slopes of the cells of many dies, through their pins",
    measure,
    [Quantity(name + what, UNITS[name], dims={"cell": CELLS}) for name in SHOWS for what in ("", "_error", "_seen", "_own")],
    dies=1000,
    files=[shipped()[CONFIG]],
    judge=judge,
    draw=draw,
)
