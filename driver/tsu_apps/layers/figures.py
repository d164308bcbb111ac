"""Figures of the studies, from their data. They need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tsu_apps.layers.studies import agreement
from tsu_apps.layers.studies.digits import BITS
from tsu_apps.layers.studies.digits import COUNTS as DIGIT_COUNTS
from tsu_apps.layers.studies.processes import WIDTHS
from tsu_apps.layers.studies.sequences import COUNTS as RECALL_COUNTS
from tsu_apps.layers.studies.sequences import ERROR_COUNTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, RUST, GREEN, VIOLET, INK, GRID = "#1f5f8b", "#b5541c", "#3b7d4f", "#7a5195", "#222222", "#dddddd"
COLOURS = (BLUE, RUST, GREEN, VIOLET)
OUTPUTS = {"p-bit": "mean s", "pdit": "share of state 0", "pmode": "mean x", "pmog": "mean x", "quartic": "mean x"}


def transfer(data: dict[str, Any]) -> Figure:
    """Mean output against drive of each kind, chip beside twin."""
    figure, axes = _panels(len(data), 12.0, 2.7)
    fine = np.linspace(agreement.GRID[0], agreement.GRID[-1], 121)
    for axis, (name, (law, grid, mean, error)) in zip(axes, data.items(), strict=True):
        exact = law.mean(agreement.line(law, fine))
        axis.plot(fine, exact[:, 0] if law.output_shape else exact, color=INK, linewidth=1, label="twin")
        axis.errorbar(grid, mean, 2.0 * error, fmt="o", color=BLUE, markersize=3, elinewidth=0.8, label="chip, ± 2 s.e.")
        _label(axis, f"{name}: {agreement.KINDS[name][3]}", "drive  (kT)", OUTPUTS[name])
    axes[0].legend(frameon=False, fontsize=7)
    return figure


def digits(data: dict[str, Any]) -> Figure:
    """Accuracy against draws, and the precision ladder."""
    figure, (left, right) = _panels(2, 9.0, 3.4)
    for colour, (name, values) in zip(COLOURS, data["curves"].items(), strict=True):
        left.plot(DIGIT_COUNTS, values, "o-", color=colour, markersize=4, linewidth=1.2, label=name.removeprefix("MLP, "))
    _draws(left, DIGIT_COUNTS)
    _label(left, "360 held-out digits, 32 hidden units", "draws averaged", "accuracy")
    for colour, n, values in zip(COLOURS, DIGIT_COUNTS, data["ladder"].T, strict=True):
        right.plot(BITS, values, "o-", color=colour, markersize=4, linewidth=1.2, label=f"{n} draws" if n > 1 else "1 draw")
    _label(right, "Precision: bias DACs of ±4 kT, p-bits without errors", "bits", "accuracy")
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=8)
    return figure


def sequences(data: dict[str, Any]) -> Figure:
    """Error of sampled attention, and recall, against draws."""
    figure, (left, right) = _panels(2, 9.0, 3.4)
    counts, errors = np.array(ERROR_COUNTS), np.array(data["errors"])
    left.plot(counts, errors[0] / np.sqrt(counts), color=GRID, linewidth=3, label=r"$n^{-1/2}$ from the first point")
    left.plot(counts, errors, "o", color=BLUE, markersize=4, label="chip")
    left.set_yscale("log")
    _draws(left, ERROR_COUNTS)
    _label(left, "One head, 8 tokens: against softmax attention", "draws of each weight", "rms error of the output")
    for colour, (name, values) in zip(COLOURS, data["recall"].items(), strict=False):
        right.plot(RECALL_COUNTS, values, "o-", color=colour, markersize=4, linewidth=1.2, label=f"trained by {name}")
    _draws(right, RECALL_COUNTS)
    _label(right, "Associative recall on x0-pdit and x0-pbit", "draws averaged", "accuracy")
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=8)
    return figure


def processes(data: dict[str, Any]) -> Figure:
    """Posteriors of coupled cells, and errors of random features."""
    figure, axes = _panels(4, 14.0, 3.2)
    titles = {"ideal-spu-64, 1": "64 cells without errors", "spu-64, 1": "spu-64", "spu-64, 4": "spu-64, mean refined, 4 passes"}
    for axis, (key, title) in zip(axes, titles.items(), strict=False):
        _posterior(axis, data, data["found"][key])
        _label(axis, title, "x", "f")
    axes[0].legend(frameon=False, fontsize=7, loc="lower left")
    errors, last = np.array(data["features"]), axes[-1]
    last.loglog(WIDTHS, errors[0] * np.sqrt(WIDTHS[0] / np.array(WIDTHS)), color=GRID, linewidth=3, label=r"width$^{-1/2}$")
    last.loglog(WIDTHS, errors, "o", color=BLUE, markersize=4, label="chip, 64 draws")
    last.set_xticks(WIDTHS, [str(w) for w in WIDTHS])
    last.set_yticks([0.02, 0.05, 0.1, 0.2], ["2 %", "5 %", "10 %", "20 %"])
    last.minorticks_off()
    last.legend(frameon=False, fontsize=7)
    _label(last, "By random features of p-bits", "features", "error of the mean, of it")
    return figure


def _posterior(axis: Any, data: dict[str, Any], found: Any) -> None:
    """A posterior beside the exact one; where its variance was found below 0 the band has no width."""
    (X, y, Z), truth = data["points"], data["exact"]
    spread = 2.0 * np.sqrt(np.maximum(found.variance, 0.0))
    axis.plot(X, y, ".", color="#aaaaaa", markersize=4)
    axis.fill_between(Z, found.mean - spread, found.mean + spread, color=BLUE, alpha=0.2, linewidth=0)
    axis.plot(Z, truth.mean, color=INK, linewidth=1, label="exact, ± 2 sd")
    for sign in (-2.0, 2.0):
        axis.plot(Z, truth.mean + sign * np.sqrt(truth.variance), color=INK, linewidth=0.8, linestyle=":")
    axis.plot(Z, found.mean, color=BLUE, linewidth=1.2, label="chip, ± 2 sd")


def generation(data: dict[str, Any]) -> Figure:
    """Data, and what the chip makes of noise."""
    clouds = {"data": data["data"], "noise": data["noise"]}
    for key, points in data["points"].items():
        estimator, _, n = key.partition(", ")
        clouds[f"by {estimator}, {n} draw{'s' if n != '1' else ''}"] = points
    figure, axes = _panels(len(clouds), 14.0, 2.7)
    for axis, (name, cloud) in zip(axes, clouds.items(), strict=True):
        axis.plot(*cloud.T, ".", color=INK if name in ("data", "noise") else BLUE, markersize=2)
        axis.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal")
        _label(axis, name, "", "")
    return figure


def times(data: dict[str, Any]) -> Figure:
    """Physical time and wall time against width."""
    figure, (left, right) = _panels(2, 9.0, 3.2)
    for colour, (name, (widths, values)) in zip(COLOURS, data["times"].items(), strict=False):
        for axis, column in ((left, 0), (right, 1)):
            axis.loglog(widths, values[:, column], "o-", color=colour, markersize=4, linewidth=1.2, label=name)
    _label(left, "Physical time of a layer, 16 draws", "units", "s")
    _label(right, "Time on the wall to emulate it", "units", "s")
    for axis in (left, right):
        axis.set_xticks([16, 64, 256, 1024], ["16", "64", "256", "1024"])
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8)
    return figure


def _panels(columns: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    """A figure, its size in inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=120)
    axes = list(np.atleast_1d(figure.subplots(1, columns)).ravel())
    for axis in axes:
        axis.grid(color=GRID, linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    return figure, axes


def _label(axis: Any, title: str, x: str, y: str) -> None:
    axis.set_title(title, loc="left", fontsize=9, color=INK)
    axis.set_xlabel(x, fontsize=8)
    axis.set_ylabel(y, fontsize=8)


def _draws(axis: Any, counts: tuple[int, ...]) -> None:
    """A logarithmic axis of numbers of draws."""
    axis.set_xscale("log", base=4)
    axis.set_xticks(counts, [str(n) for n in counts])
    axis.minorticks_off()
