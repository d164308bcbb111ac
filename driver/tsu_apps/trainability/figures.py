"""Figures of the reproductions. They need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tsu_apps.characterise.figures import COLOURS, INK, label, panels
from tsu_apps.trainability import gaps as exact
from tsu_apps.trainability import on_chip
from tsu_apps.trainability.rungs import GRID, SWEEPS, Ladders, Pilots
from tsu_apps.trainability.statistics import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 8
"""Chains or ladders whose orientations are drawn, one a line."""


def gap_figure(g: exact.Gaps) -> Figure:
    """Effective gaps by number of modes, and the three gaps of one and of two modes, over beta."""
    figure, (left, right) = panels(1, 2, 3.4)
    for k, modes in enumerate(exact.MODES):
        left.semilogy(exact.BETAS, np.median(g.effective_gap[:, k], axis=-1), color=COLOURS[k], label=_modes(modes))
    lines = (("effective", g.effective_gap, "-"), ("relevant", g.relevant_gap, "--"), ("slowest mode", g.gap, ":"))
    for colour, k in zip(COLOURS[:2], range(2), strict=True):
        for name, values, style in lines:
            text = f"{name}, {_modes(exact.MODES[k])}"
            right.semilogy(exact.BETAS, np.median(values[:, k], axis=-1), style, color=colour, label=text)
    label(left, "Effective gap of the gradient", "beta", "gap  (per single-spin step)")
    label(right, "Which gap? The slowest mode is not seen", "beta", "gap  (per single-spin step)")
    _legends(left, right)
    return figure


def window_figure(c: exact.Check, q: on_chip.Quality) -> Figure:
    """MSE of windows by Monte Carlo beside the formula; Q against K on the chip beside what single numbers foretell."""
    figure, (left, right) = panels(1, 2, 3.4)
    left.loglog(exact.WINDOWS, c.exact, color=INK, linewidth=1.2, label="formula")
    left.loglog(exact.WINDOWS, c.asymptotic, ":", color=COLOURS[1], linewidth=1.2, label=r"$C(0)\,\tau / K$")
    _points(left, exact.WINDOWS, c.sampled, c.error, COLOURS[0], f"{exact.CHAINS:,} sampled chains")
    windows = np.array(on_chip.WINDOWS)
    for k, colour in enumerate(COLOURS[:2]):
        right.loglog(windows, q.exact[k], color=colour, linewidth=1.2, label=f"{_modes(on_chip.MODES[k])}, exact")
        _points(right, windows, q.measured[k], q.error[k], colour, f"{_modes(on_chip.MODES[k])}, chip")
    right.loglog(windows, q.by_gap[0], ":", color=COLOURS[0], label="1 mode, from the gap")
    right.loglog(windows, q.by_magnetisation[0], "--", color=COLOURS[0], label="1 mode, from tau of sum s")
    right.axhline(1, color=INK, linewidth=0.6)
    label(left, f"Error of a window, {_modes(exact.CHECK_MODES)}, beta {exact.CHECK_BETA:g}", "K  (single-spin steps)", "MSE(K)")
    label(right, f"Signal to noise, beta {on_chip.QUALITY_BETA:g}", "K  (sweeps)", "Q(K)")
    right.set_ylim(bottom=1e-7)
    _legends(left)
    right.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def time_figure(t: on_chip.Times) -> Figure:
    """tau_int over beta, on the chip and exact, of the gradient and of the magnetisation, for each number of modes."""
    figure, axes = panels(1, 2, 3.4)
    for k, axis in enumerate(axes):
        for which, (name, colour) in enumerate((("gradient", COLOURS[0]), ("magnetisation", COLOURS[1]))):
            axis.semilogy(on_chip.BETAS, t.exact[which, k], color=colour, linewidth=1.2, label=f"{name}, exact")
            _points(axis, on_chip.BETAS, t.measured[which, k], t.error[which, k], colour, f"{name}, chip")
        axis.set_ylim(0.7, 1.6 * t.exact.max())
        label(axis, f"Correlation time, {_modes(on_chip.MODES[k])}", "beta", "tau  (sweeps)")
    _legends(*axes)
    return figure


def ladder_figure(found: Ladders, pilots: Pilots) -> Figure:
    """Where the rungs are and why, what is accepted between them, and what the cold rung sees."""
    figure, (spread, rates, single, equal) = panels(2, 2, 3.0)
    spread.plot(GRID, found.root, color=INK, linewidth=1.2, label="exact")
    _points(spread, pilots.betas, pilots.root, pilots.error, COLOURS[0], "pilot run on the chip")
    spread.set_ylim(bottom=0)
    names = list(found.runs)
    for k, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        run = found.runs[name]
        spread.plot(run.ladder.betas, np.full(len(run.ladder.betas), 0.4 + 0.5 * k), "|", color=colour, markersize=9)
        pairs = np.arange(len(run.acceptance.rate)) + 0.25 * (k - 1)
        rates.bar(pairs, run.acceptance.rate, 0.22, color=colour, label=name)
        rates.plot(pairs, run.ladder.predicted, "o", color=INK, markersize=3, label="erfc(L / 2)" if k == 2 else None)
    rates.set_xticks(range(len(pilots.ladder.lengths)), [f"{k} - {k + 1}" for k in range(len(pilots.ladder.lengths))])
    rates.set_ylim(0, 1.25)
    label(spread, "Spread of E; rungs coloured as at the right", "beta", "sqrt(Var E)")
    label(rates, "Acceptance between neighbours, coldest at the left", "rungs", "acceptance")
    _orientations(single, found.single, f"Single chains at beta 1, {SHOWN} of {found.single.shape[1]}")
    _orientations(equal, found.runs["equal length"].seen, f"Cold rungs of {SHOWN} ladders of equal length")
    _legends(spread)
    rates.legend(frameon=False, fontsize=8, ncols=2, loc="upper center")
    return figure


def _orientations(axis: Any, seen: Any, title: str) -> None:
    """Orientation of the last image that had one, over sweeps, a line for each chain."""
    from matplotlib.colors import ListedColormap

    place = np.maximum.accumulate(np.where(seen != 0, np.arange(len(seen))[:, None], 0), axis=0)
    held = np.take_along_axis(seen, place, axis=0)[:, :SHOWN]
    axis.grid(False)
    colours = ListedColormap([COLOURS[1], "#ffffff", COLOURS[0]])
    extent = (0, SWEEPS, 0.5, SHOWN + 0.5)
    axis.imshow(held.T, aspect="auto", cmap=colours, vmin=-1, vmax=1, interpolation="nearest", extent=extent)
    label(axis, title, "sweeps  (blue: rows, orange: columns)", "chain")


def _points(axis: Any, x: Any, y: Floats, error: Floats, colour: str, name: str) -> None:
    axis.errorbar(x, y, yerr=error, fmt="o", color=colour, markersize=3.5, elinewidth=0.9, capsize=2, label=name)


def _modes(number: int) -> str:
    return f"{number} mode" if number == 1 else f"{number} modes"


def _legends(*axes: Any) -> None:
    for axis in axes:
        axis.legend(frameon=False, fontsize=8)
