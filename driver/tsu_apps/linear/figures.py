"""Figures of solutions, relaxations and descents. They need matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tsu_apps.characterise.figures import COLOURS, INK, label, panels
from tsu_apps.linear.averages import Floats
from tsu_apps.linear.natural import relaxed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

MORE = (*COLOURS, "#c2a13a")


def cosine(a: Floats, b: Floats) -> float:
    """Of the angle between two vectors (n,)."""
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def refinement_and_relaxation(
    residuals: Mapping[str, Sequence[float]], A: Floats, b: Floats, times: Floats, path: Floats, chip: str
) -> Figure:
    """Left, residuals over rounds of refinement by chip. Right, where x(t) points, beside the exact relaxation.

    A, b : (n, n), (n,), the problem; times, path : (looks,), (looks, n), times and x of one plane of `chip`
    """
    figure, (left, right) = panels(columns=2, height=3.4)
    for colour, (name, of_rounds) in zip(COLOURS, residuals.items(), strict=False):
        left.semilogy(range(len(of_rounds)), of_rounds, "o-", color=colour, markersize=3, linewidth=1, label=name)
    label(left, f"A x = b, {len(b)} unknowns", "refinements", "residual |b - A x| / |b|")
    left.legend(frameon=False, fontsize=8)
    fine = np.geomspace(times[0], times[-1], 80)
    exact = [relaxed(A, b, np.zeros_like(b), t) for t in fine.tolist()]
    solution: Floats = np.linalg.solve(A, b).astype(np.float64)
    for colour, target, name in zip(COLOURS, (solution, b), ("A⁻¹b", "b"), strict=False):
        right.semilogx(times, [cosine(x, target) for x in path], ".", color=colour, markersize=3, label=f"with {name}, {chip}")
        right.semilogx(fine, [cosine(x, target) for x in exact], color=colour, linewidth=0.9, label=f"with {name}, exact")
    label(right, "Cosine of x(t), one plane", "analog time t", "cosine")
    right.legend(frameon=False, fontsize=8)
    return figure


def descents(losses: Mapping[str, Mapping[str, Floats]], exact: Sequence[str], title: str) -> Figure:
    """Mean loss over steps, a panel for each chip.

    losses : by chip and by name of a rule, (seeds, steps + 1); exact : rules that the host computed
    """
    figure, axes = panels(columns=len(losses), height=3.8)
    for axis, (chip, rules) in zip(axes, losses.items(), strict=True):
        colours = iter(MORE)
        styles = iter((":", "--"))
        for name, loss in rules.items():
            style = {"color": INK, "linestyle": next(styles)} if name in exact else {"color": next(colours)}
            axis.semilogy(loss.mean(axis=0), linewidth=1.1, label=name, **style)
        label(axis, f"{title}: {chip}", "steps", "loss  (nats)")
        axis.yaxis.set_minor_formatter("{x:.1f}")
        axis.yaxis.set_major_formatter("{x:.1f}")
        axis.tick_params(which="minor", labelsize=8)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure
