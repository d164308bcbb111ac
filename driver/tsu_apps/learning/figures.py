"""Figures of a trained machine: its curves, its dreams, its weights, its mistakes. They need matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.history import Moment, curve
from tsu_apps.learning.masters import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE_WIDTH = 7.0
"""Inches that a title may need."""
DATA, FREE, INK, GRID, GAP = "#b5541c", "#1f5f8b", "#222222", "#dddddd", "#bbbbbb"


def learning_curves(history: Sequence[Moment], title: str) -> Figure:
    """Energies of both roles, validation accuracy, rate of change, saturation and flips, over ticks; no panel without data."""
    panels = {"energy_data": _energies, "accuracy": _accuracy, "change": _change, "saturation": _freezing}
    drawn = [panel for name, panel in panels.items() if len(curve(history, name)[0])]
    rows, columns = -(-len(drawn) // 2), min(2, len(drawn))
    figure = blank(5.5 * columns, 3.6 * rows, title)
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    for place, axis in enumerate(axes):
        if place >= len(drawn):
            axis.set_axis_off()
            continue
        drawn[place](axis, history)
        tidy(axis)
        if place + columns >= len(drawn):
            axis.set_xlabel("ticks")
            axis.tick_params(labelbottom=True)
    return figure


def _energies(axis: Any, history: Sequence[Moment]) -> None:
    for role, colour, name in (("data", DATA, "data role"), ("free", FREE, "free role")):
        ticks, mean = curve(history, f"energy_{role}")
        spread = np.sqrt(curve(history, f"variance_{role}")[1])
        axis.fill_between(ticks, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
        axis.plot(ticks, mean, color=colour, linewidth=1.4, label=name)
    axis.set_title("Energy: mean over planes, ± 1 standard deviation", loc="left", fontsize=10)
    axis.set_ylabel("E  (kT)")
    axis.legend(frameon=False)


def _accuracy(axis: Any, history: Sequence[Moment]) -> None:
    ticks, accuracy = curve(history, "accuracy")
    axis.plot(ticks, accuracy, "o-", color=INK, markersize=4, linewidth=1.4)
    if len(ticks):
        axis.annotate(f"{accuracy[-1]:.3f}", (ticks[-1], accuracy[-1]), (0, 7), textcoords="offset points", ha="right")
        axis.set_ylim(min(0.5, float(accuracy.min()) - 0.05), 1.0)
    axis.set_title("Accuracy on the validation part, weights of that moment", loc="left", fontsize=10)
    axis.set_ylabel("fraction correct")


def _change(axis: Any, history: Sequence[Moment]) -> None:
    ticks, change = curve(history, "change")
    if (change > 0).all():
        axis.set_yscale("log")
    axis.plot(ticks, change, color=INK, linewidth=1.2)
    axis.set_title("Net change of the couplings, root mean square", loc="left", fontsize=10)
    axis.set_ylabel("|dW|  (kT per tick)")


def _freezing(axis: Any, history: Sequence[Moment]) -> None:
    for name, colour, line, label in (
        ("flips", FREE, "-", "free spins that flip from tick to tick"),
        ("saturation", DATA, "-", "couplings at full scale"),
        ("bias_saturation", INK, ":", "biases at full scale"),
    ):
        ticks, values = curve(history, name)
        if len(ticks):
            axis.plot(ticks, 100 * values, line, color=colour, linewidth=1.4, label=label)
    axis.set_title("Is it freezing?", loc="left", fontsize=10)
    axis.set_ylabel("%")
    axis.set_ylim(-1, max(5.0, axis.get_ylim()[1]))
    axis.legend(frameon=False)


def dreams(samples: NDArray[np.int8], examples: NDArray[np.int8], shape: tuple[int, int], title: str) -> Figure:
    """Images by class: real examples at the left, generated ones at the right.

    samples : (classes, n, pixels) spins that the chip generated
    examples : (classes, m, pixels) spins of the data
    """
    classes, columns, known = len(samples), samples.shape[1], examples.shape[1]
    figure = blank(0.55 * (columns + known + 1.8), 0.55 * classes + 1.3, f"{title}\n")
    widths = [*[1.0] * known, 0.5, *[1.0] * columns]
    axes = figure.subplots(classes, known + 1 + columns, gridspec_kw={"width_ratios": widths})
    for row in range(classes):
        pictures = [*examples[row], None, *samples[row]]
        for axis, picture in zip(axes[row], pictures, strict=True):
            axis.set_axis_off()
            if picture is not None:
                axis.imshow(picture.reshape(shape), cmap="gray_r", vmin=-1, vmax=1, interpolation="nearest")
                axis.add_patch(_frame(shape))
        axes[row, 0].text(-0.35, 0.5, str(row), transform=axes[row, 0].transAxes, va="center", ha="right", fontsize=12)
    for column, text, colour in ((0, "data", DATA), (known + 1, "drawn by the chip with the label pinned", FREE)):
        axis = axes[0, column]
        axis.text(0, 1.15, text, transform=axis.transAxes, fontsize=10, color=colour, in_layout=False)
    return figure


def receptive_fields(weights: Floats, shape: tuple[int, int], title: str) -> Figure:
    """Couplings of hidden cells to pixels as images, the strongest first; all on one scale.

    weights : (hidden, pixels) in kT
    """
    order = np.argsort(-np.square(weights).sum(axis=1))
    columns = min(20, len(weights))
    limit = float(np.quantile(np.abs(weights), 0.998))
    sheet = mosaic(weights[order], shape, columns)
    width = max(TITLE_WIDTH, 0.56 * columns + 0.9)
    figure = blank(width, 0.56 * columns * sheet.shape[0] / sheet.shape[1] + 0.6, title)
    axis = figure.subplots()
    image = show_mosaic(axis, sheet, "RdBu_r", limit)
    bar = figure.colorbar(image, ax=axis, fraction=0.03, pad=0.01, aspect=30)
    bar.set_label("coupling  (kT)")
    return figure


def mosaic(images: NDArray[Any], shape: tuple[int, int], columns: int) -> Floats:
    """One sheet of (n, pixels) images, row by row, with a pixel of NaN round each."""
    height, width = shape
    rows = -(-len(images) // columns)
    sheet: Floats = np.full((rows * columns, height + 1, width + 1), np.nan)
    sheet[: len(images), :-1, :-1] = images.reshape(-1, height, width)
    joined = sheet.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2).reshape(rows * (height + 1), -1)
    return np.pad(joined, ((1, 0), (1, 0)), constant_values=np.nan)


def show_mosaic(axis: Any, sheet: Floats, colours: str, limit: float) -> Any:
    """A sheet of `mosaic` as an image; values from -limit to limit on a colour map of matplotlib's."""
    import matplotlib

    axis.set_axis_off()
    axis.set_anchor("W")
    scale = matplotlib.colormaps[colours].with_extremes(bad=GAP)
    return axis.imshow(sheet, cmap=scale, vmin=-limit, vmax=limit, interpolation="nearest")


def confusion(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, title: str) -> Figure:
    """Counts of true class (rows) against predicted class (columns)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    figure = blank(6.0, 6.2, title)
    axis = figure.subplots()
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axis.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1.15)
    for i, j in zip(*np.nonzero(counts), strict=True):
        colour = "white" if share[i, j] > 0.5 else INK
        axis.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize=10)
    axis.set_xticks(range(classes))
    axis.set_yticks(range(classes))
    axis.set_xlabel("predicted class    (colour: share of the true class)")
    axis.set_ylabel("true class")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return figure


def hidden_weights(weights: Floats, pairs: NDArray[np.int32], visible: NDArray[np.int64], hidden: NDArray[np.int64]) -> Floats:
    """(hidden, visible) couplings in kT, 0 where there is no coupler.

    weights : (pairs,) in kT
    pairs : (pairs, 2) cells, `chip.topology.pairs`
    """
    cells = int(max(pairs.max(), visible.max(), hidden.max())) + 1
    column, row = np.full(cells, -1), np.full(cells, -1)
    column[visible], row[hidden] = np.arange(len(visible)), np.arange(len(hidden))
    out: Floats = np.zeros((len(hidden), len(visible)))
    for seen, other in ((pairs[:, 0], pairs[:, 1]), (pairs[:, 1], pairs[:, 0])):
        between = (column[seen] >= 0) & (row[other] >= 0)
        out[row[other[between]], column[seen[between]]] = weights[between]
    return out


def blank(width: float, height: float, title: str) -> Figure:
    """An empty figure with a title, width and height in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=130)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def tidy(axis: Any) -> None:
    """A grid, no frame, ticks of training along x."""
    axis.grid(color=GRID, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.01)
    axis.xaxis.set_major_formatter("{x:,.0f}")


def _frame(shape: tuple[int, int]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((-0.5, -0.5), shape[1], shape[0], fill=False, edgecolor="#bbbbbb", linewidth=0.8)
