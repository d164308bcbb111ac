"""What figures of a datasheet share. They need matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURED, SECOND, MODEL, INK, GRID = "#1f5f8b", "#b5541c", "#222222", "#222222", "#dddddd"
COLOURS = (MEASURED, SECOND, "#3b7d4f", "#7a5195")


def panels(rows: int = 1, columns: int = 1, height: float = 3.0) -> tuple[Figure, list[Any]]:
    """A figure 8.4 inches wide and its axes, row by row; height : of a row, inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, height * rows), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(rows, columns)).ravel())
    for axis in axes:
        axis.grid(color=GRID, linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    return figure, axes


def label(axis: Any, title: str, x: str, y: str) -> None:
    """Title at the left, and what is along the axes."""
    axis.set_title(title, loc="left", fontsize=10, color=INK)
    axis.set_xlabel(x, fontsize=9)
    axis.set_ylabel(y, fontsize=9)


def curves(axis: Any, x: ArrayLike, series: Sequence[tuple[str, ArrayLike]], style: str = "-") -> None:
    """Lines over one abscissa, named if there are several."""
    for colour, (name, y) in zip(COLOURS, series, strict=False):
        axis.plot(x, y, style, color=colour, linewidth=0.9, markersize=3, label=name)
    if len(series) > 1:
        axis.legend(frameon=False, fontsize=9)


def with_errors(axis: Any, x: ArrayLike, y: ArrayLike, error: ArrayLike, name: str, colour: str = MEASURED) -> None:
    """Points with bars of one standard error."""
    axis.errorbar(
        x, y, yerr=error, fmt="o", color=colour, markersize=3.5, elinewidth=0.9, capsize=2, linestyle="none", label=name
    )
