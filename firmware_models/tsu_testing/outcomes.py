"""A campaign as a study of `tsu_apps.study`: what it measures, its rows, its figure. A die of it is a seed of faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tsu_apps.report import Row
from tsu_apps.study import Axis, Quantity
from tsu_testing.campaign import OUTCOMES
from tsu_testing.faults import KINDS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

QUANTITIES = (Quantity("outcome", "", "number of the outcome"), Quantity("cycle", "", "cycle of the fault"))
KIND = Axis("kind", tuple(KINDS), "", "kind of fault")
SHADES = ("#9fb8c8", "#3b7d4f", "#1f5f8b", "#e0a03a", "#b5301c")


def counts(data: xr.Dataset) -> NDArray[np.int64]:
    """(kinds, outcomes) numbers of faults; those that were not measured are in none."""
    outcome = data["outcome"].transpose("kind", "die").to_numpy()
    return np.array([[int((row == k).sum()) for k in range(len(OUTCOMES))] for row in outcome])


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share."""
    from scipy.stats import binomtest

    interval = binomtest(hits, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def judge(data: xr.Dataset) -> list[Row]:
    """Faults by kind and outcome."""
    table, total = counts(data), data["outcome"].size
    rows = [Row("faults", total), Row.at_most("faults without an outcome", total - int(table.sum()), 0)]
    for name, number in zip(OUTCOMES, table.sum(axis=0).tolist(), strict=True):
        low, high = wilson(number, total)
        rows.append(Row(f"{name}: share of faults, 95 % interval {low:.3f} to {high:.3f}", number / total))
    for kind, line in zip(data["kind"].to_numpy().tolist(), table.tolist(), strict=True):
        rows += [Row(f"{kind}: {name}", number) for name, number in zip(OUTCOMES, line, strict=True)]
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """Shares of outcomes of the kinds that have any, and with 95 % intervals after Wilson what is neither right nor reported."""
    from tsu_apps.characterise.figures import label, panels

    table = counts(data)
    known = table.sum(axis=1) > 0
    table, kinds = table[known], data["kind"].to_numpy()[known].tolist()
    figure, (left, right) = panels(1, 2, 4.0)
    rows, whole = np.arange(len(kinds)), table.sum(axis=1)
    start = np.zeros(len(kinds))
    for k, name in enumerate(OUTCOMES):
        left.barh(rows, table[:, k] / whole, left=start, color=SHADES[k], label=name, height=0.75)
        start += table[:, k] / whole
    for k, name in ((3, "hang"), (4, "silent")):
        shift = 0.12 * (1 if name == "silent" else -1)
        ends = np.array([wilson(int(n), int(of)) for n, of in zip(table[:, k], whole, strict=True)]).reshape(-1, 2)
        at = table[:, k] / whole
        bars = np.abs(ends - at[:, None]).T
        right.errorbar(at, rows + shift, xerr=bars, fmt="o", color=SHADES[k], markersize=4, capsize=2, label=name)
    for axis in (left, right):
        axis.set_yticks(rows, kinds if axis is left else [])
        axis.set_ylim(len(kinds) - 0.4, -0.6)
    left.legend(frameon=False, fontsize=8, ncols=5, loc="upper left", bbox_to_anchor=(-0.02, -0.14), columnspacing=0.8)
    right.legend(frameon=False, fontsize=8)
    label(left, "outcomes of faults", "share", "")
    label(right, "neither right nor reported", "share, 95 % intervals", "")
    return {"campaign": figure}
