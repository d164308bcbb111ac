"""The figure of docs/mapping.md. It needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsu_apps.mapping.__main__ import Curves

INK, GRID, COLOURS = "#222222", "#dddddd", ("#b5541c", "#1f5f8b")


def chart(curves: Sequence[Curves]) -> Figure:
    """Total variation against chain strength, a panel for each chip."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(curves), 4.4), layout="constrained")
    axes = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axis, of in zip(axes, curves, strict=True):
        _panel(axis, of)
    axes[0].set_ylabel("total variation from the model's law", fontsize=9)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _panel(axis: Any, of: Curves) -> None:
    o = of.overhead
    axis.plot(of.strengths, of.enumerated[:, 0], color=INK, linewidth=1.2, label="majority, at equilibrium")
    axis.plot(
        of.strengths, of.rounded[:, 0], color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label="the same, values of the DACs"
    )
    for colour, (sweeps, runs) in zip(COLOURS, of.sampled.items(), strict=True):
        for column, marker, line, how in ((0, "o", "-", "majority"), (1, "s", ":", "whole chains only")):
            mean, spread = runs[:, :, column].mean(axis=1), runs[:, :, column].std(axis=1, ddof=1)
            name = f"{how}, {sweeps:,} sweeps"
            axis.errorbar(
                of.strengths, mean, yerr=spread, color=colour, fmt=marker + line, markersize=3.5, linewidth=1, label=name
            )
    axis.axvline(of.default, color=INK, linewidth=0.8, linestyle="--")
    axis.annotate(
        "default",
        (of.default, 0.98),
        (4, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        fontsize=8,
        va="top",
    )
    axis.set_yscale("log")
    axis.set_ylim(3e-4, 1)
    axis.set_xlabel("coupling inside chains  (kT)", fontsize=9)
    axis.set_title(f"{of.name}: {o.variables} variables on {o.cells} cells, chains up to {o.chain_max}", loc="left", fontsize=9)
    axis.grid(color=GRID, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
