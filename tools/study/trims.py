"""How fine trims have to be, and how far they have to reach: offsets of cells after the servo, by the truth.

Sixteen p-bits with offsets of .2 kT, of which the die shares a part, and trims with the mismatch of small devices. A cell is good
if its true offset, as the servo leaves it, is within .01 kT; a die if all its cells are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binomtest, norm
from six_cells import fields_of

from tsu_apps.calibrate import Work
from tsu_apps.calibrate.cells import Offsets
from tsu_apps.report import Row
from tsu_apps.study import Axis, Point, Quantity, Study, mean_error
from tsu_emu.config import shipped
from tsu_testing.in_process import open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

CONFIG, CELLS, SIGMA, GOOD = "ideal-16", 16, 0.2, 0.01
CHANGES = {
    "cell.offset_sigma_kt": SIGMA, "trim.element_sigma": 0.05, "trim.gain_sigma": 0.02, "process.die": 0.3, "process.white": 0.7,
    "process.gradient": 0.0, "process.field": 0.0,
}  # fmt: skip


def measure(point: Point, die_seed: int) -> dict[str, Any]:
    """True offsets of one die's cells after the servo."""
    changes = CHANGES | {"trim.bits": point["bits"], "trim.offset_full_scale_kt": point["range"]}
    with open_in_process(CONFIG, die_seed=die_seed, run_seed=die_seed, changes=changes) as chip:
        work, servo = Work.of(chip), Offsets()
        before = fields_of(chip)[1]
        servo.apply(work, servo.find(work))
        return {"before": before, "left": fields_of(chip)[1]}


def expected(bits: int, reach: float) -> float:
    """Share of good cells with trims without mismatch, a servo without noise, and normal offsets: those within GOOD of what one
    of the codes makes up for."""
    step, half = 2.0 * reach / 2.0**bits, 1 << bits - 1
    centres = step * np.arange(-half, half)
    ends = np.stack([centres - GOOD, centres + GOOD])
    ends[1, :-1] = np.minimum(ends[1, :-1], ends[0, 1:])
    return float(np.diff(norm.cdf(ends / SIGMA), axis=0).sum())


def shares(data: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """(share of good cells of each die, whether all are)."""
    good = abs(data["left"]) <= GOOD
    return good.mean("cell"), good.all("cell")


def judge(data: xr.Dataset) -> list[Row]:
    """Cells, dies and rms of what is left at each point, with goals where the arithmetic of steps decides."""
    cells, dies = shares(data)
    mean, error = mean_error(cells)
    rows = []
    for reach in data["range"].to_numpy().tolist():
        for bits in data["bits"].to_numpy().tolist():
            at = {"bits": bits, "range": reach}
            value, model = float(mean.sel(at)), float(expected(bits, reach))
            rows.append(Row(f"{bits} bits over {reach:g} kT: share of cells within {GOOD:g} kT", value, "", float(error.sel(at))))
            rows.append(Row(f"{bits} bits over {reach:g} kT: the same without mismatch, by arithmetic", model))
            rows.append(Row(f"{bits} bits over {reach:g} kT: share of dies with all cells within", float(dies.sel(at).mean())))
    whole, fine = data["range"].to_numpy().max(), data["bits"].to_numpy().max()
    best = float(mean.sel(bits=fine, range=0.8 if 0.8 in data["range"] else whole))
    rows.append(Row.at_least("share of cells within, most bits over .8 kT", best, 0.99))
    rows.append(Row.at_most("share of cells within, fewest bits over the widest range", float(mean.isel(bits=0, range=-1)), 0.3))
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """Shares of good cells and dies over bits, a colour for each range."""
    from tsu_apps.characterise.figures import COLOURS, label, panels, with_errors

    figure, (left, right) = panels(1, 2, 3.2)
    cells, dies = shares(data)
    mean, error = mean_error(cells)
    bits = data["bits"].to_numpy()
    for colour, reach in zip(COLOURS, data["range"].to_numpy().tolist(), strict=False):
        y, e = (x.sel(range=reach).to_numpy() for x in (mean, error))
        with_errors(left, bits, y, e, f"±{reach:g} kT", colour)
        left.plot(bits, [expected(n, reach) for n in bits.tolist()], color=colour, linewidth=0.9)
        found = [binomtest(int(x.sum()), len(x)) for x in dies.sel(range=reach).transpose("bits", "die").to_numpy()]
        share = np.array([x.statistic for x in found])
        ends = np.array([x.proportion_ci(method="wilson") for x in found]).T
        right.errorbar(
            bits, share, yerr=np.maximum(0.0, [share - ends[0], ends[1] - share]), color=colour, marker="o", markersize=3.5,
            capsize=2, linewidth=0.9,
        )  # fmt: skip
    left.legend(frameon=False, fontsize=8)
    label(left, f"cells within {GOOD:g} kT; lines: no mismatch", "bits of trims", "share of cells")
    label(right, "dies with all cells within", "bits of trims", "share of dies")
    return {"trims": figure}


STUDY = Study(
    "trims",
    "Offsets that the servo leaves: bits and range of trims",
    measure,
    [
        Quantity("before", "kT", "offsets before", {"cell": CELLS}),
        Quantity("left", "kT", "offsets after the servo", {"cell": CELLS}),
    ],
    [
        Axis("bits", (5, 6, 7, 8, 9, 10), "bit", "bits of trims"),
        Axis("range", (0.2, 0.4, 0.8, 1.6), "kT", "full scale of offset trims"),
    ],
    dies=12,
    files=[shipped()[CONFIG]],
    judge=judge,
    draw=draw,
)
