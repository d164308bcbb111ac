"""Figures of a run's diagnostics: its landscape, what moves it, its averages, its samples, its cooling. They need matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.diagnostics import Diagnostics, Reading
from tsu_apps.learning.figures import DATA, FREE, INK, TITLE_WIDTH, blank, mosaic, show_mosaic, tidy
from tsu_apps.learning.flags import MIXING_MIN, NOISE_MAX
from tsu_apps.learning.history import curve, energies
from tsu_apps.learning.loop import Spins
from tsu_apps.learning.masters import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREEN, VIOLET = "#2c6e3f", "#7a4a9e"
LIMIT: dict[str, Any] = {"color": "#b3261e", "linewidth": 1.0, "linestyle": "--"}
"""A flag's threshold."""
SMOOTH = 5
"""Looks of a running mean."""


def landscape(diagnostics: Diagnostics) -> Figure:
    """Basins over ticks, energies of the last look, and how likely the data are. At least one look must have been taken."""
    figure, axes = _panels("Landscape: where the free planes lie when they are quenched")
    readings = diagnostics.readings
    lines = {"attractors": ("distinct attractors", INK), "true": ("true", GREEN), "spurious": ("spurious", DATA)}
    for name, (label, colour) in lines.items():
        _line(axes[0], readings, f"basins.{name}", label, colour)
    _finish(axes[0], f"Basins of {_free(diagnostics)} free planes", "number", bottom=0)
    for name, label, colour in (
        ("kept", "targets in basins of their own", GREEN),
        ("coverage", "targets with a free plane", FREE),
        ("true_share", "free planes in true basins", INK),
        ("wandered", "free planes in another basin than a look ago", VIOLET),
    ):
        _line(axes[1], readings, f"basins.{name}", label, colour)
    _finish(axes[1], "True basins", "fraction", bottom=0, top=1.03)
    _energies(axes[2], diagnostics)
    _line(axes[3], readings, "nats.pseudo", "pseudo-likelihood of the data planes", FREE)
    ticks, nats = curve(readings, "nats.mean")
    if len(ticks):
        axes[3].errorbar(
            ticks, nats, curve(readings, "nats.standard_error")[1], fmt="o-", color=INK, label="log-likelihood (AIS)"
        )
    _finish(axes[3], "How likely data are", "nats per example")
    return figure


def balance(readings: Sequence[Reading]) -> Figure:
    """What moves the couplings, whose basins it deepens, and how good the averages are."""
    figure, axes = _panels("Deposition and erosion, and the averages that tell of them")
    for name, colour in (("deposition", DATA), ("erosion", FREE), ("weathering", GREEN), ("net", INK)):
        _line(axes[0], readings, f"forces.{name}", name, colour)
    axes[0].set_yscale("log", nonpositive="mask")
    _finish(axes[0], "What moves a coupling, root mean square", "kT per tick")
    for name, label, colour in (
        ("surviving_pairs", "pairs that survive (Eq. 6)", FREE),
        ("deepened", "targets that are deepened", GREEN),
    ):
        _line(axes[1], readings, f"forces.{name}", label, colour, smooth=True)
    _finish(axes[1], f"Survival, means of {SMOOTH} looks", "fraction", bottom=0, top=1.03)
    _line(axes[2], readings, "averages.noise_field", "noise field over T", DATA)
    _line(axes[2], readings, "averages.signal_to_noise", "signal-to-noise of the averages", FREE)
    axes[2].axhline(NOISE_MAX, label="greatest noise field", **LIMIT)
    axes[2].set_yscale("log", nonpositive="mask")
    _finish(axes[2], "Noise of the averages", "")
    _line(axes[3], readings, "averages.mixing", "mixing", VIOLET)
    _line(axes[3], readings, "moment.flips", "flips a tick", FREE)
    axes[3].axhline(MIXING_MIN, label="least mixing", **LIMIT)
    _finish(axes[3], "Free planes", "fraction", bottom=0, top=1.03)
    return figure


def curriculum(readings: Sequence[Reading]) -> Figure:
    """T, energies and mixing over the ticks of a run that is cooled."""
    figure, axes = _panels("Curriculum: training while T falls", rows=1, columns=3)
    _line(axes[0], readings, "moment.temperature", "", INK)
    _finish(axes[0], "Temperature", "T", bottom=0)
    ticks = [reading.tick for reading in readings]
    temperatures = np.array([reading.moment.temperature for reading in readings])
    for role, colour in (("data", DATA), ("free", FREE)):
        energy = np.array([getattr(reading.moment, f"energy_{role}") for reading in readings])
        axes[1].plot(ticks, energy / temperatures, color=colour, linewidth=1.3, label=f"{role} role")
    _finish(axes[1], "Energy over T", "E / T")
    _line(axes[2], readings, "averages.mixing", "mixing", VIOLET)
    _line(axes[2], readings, "basins.wandered", "wandered", FREE)
    axes[2].axhline(MIXING_MIN, label="least mixing", **LIMIT)
    _finish(axes[2], "Free planes", "fraction", bottom=0, top=1.03)
    return figure


def learnt_modes(diagnostics: Diagnostics, shape: tuple[int, int] | None) -> Figure:
    """Share of each principal component's variance that the free planes have, over ticks; diagnostics must have modes."""
    assert diagnostics.modes is not None
    readings, number = diagnostics.readings, len(diagnostics.modes.variances)
    figure = blank(9.0, 3.8, "Coarse before fine? Variance of the free planes along the data's principal components")
    wide, side = figure.subplots(1, 2, gridspec_kw={"width_ratios": [3.2, 1]})
    shares = np.stack([reading.shares for reading in readings])
    ticks = np.array([reading.tick for reading in readings])
    import matplotlib

    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, number))
    for k in range(number):
        wide.plot(ticks, _smooth(shares[:, k]), color=colours[k], linewidth=1.2, label=f"{k + 1}")
    wide.axhline(1.0, color=INK, linewidth=0.8)
    wide.set_xscale("log")
    wide.legend(frameon=False, ncols=2, title="component", fontsize=8, title_fontsize=8)
    _finish(wide, f"Share of the examples' variance, means of {SMOOTH} looks", "share", bottom=0, legend=False)
    wide.set_xlabel("ticks")
    side.set_axis_off()
    if shape is not None:
        limit = float(np.abs(diagnostics.modes.components).max())
        show_mosaic(side, mosaic(diagnostics.modes.components, shape, 2), "RdBu_r", limit)
        side.set_title("components, row by row", fontsize=9)
    return figure


def samples(spins: Spins, shape: tuple[int, int], title: str) -> Figure:
    """Pixels of planes as images: (planes, pixels) spins."""
    columns = min(16, len(spins))
    sheet = mosaic(spins, shape, columns)
    width = max(TITLE_WIDTH, 0.6 * columns + 0.2)
    figure = blank(width, 0.6 * columns * sheet.shape[0] / sheet.shape[1] + 0.5, title)
    show_mosaic(figure.subplots(), sheet, "gray_r", 1.0)
    return figure


def _energies(axis: Any, diagnostics: Diagnostics) -> None:
    """Where the planes of the last look lie, and the attractors below them."""
    last = diagnostics.last
    assert last is not None
    roles: list[tuple[str, NDArray[np.int8] | None, str]] = [
        ("data planes", last.seen.data_spins, DATA),
        ("free planes", last.seen.free_spins, FREE),
        ("attractors", None if diagnostics.census is None else diagnostics.census.attractors, GREEN),
    ]
    shown = [(label, spins, colour) for label, spins, colour in roles if spins is not None and len(spins)]
    for place, (_, spins, colour) in enumerate(shown):
        found = energies(spins, last.pairs, last.programmed_weights, last.programmed_biases)
        axis.plot(found, np.full(len(found), place) + _spread(len(found)), "o", color=colour, markersize=3.5, alpha=0.6)
        axis.plot([found.mean()] * 2, [place - 0.38, place + 0.38], color=INK, linewidth=1.4)
    axis.set_yticks(range(len(shown)), [label for label, _, _ in shown])
    axis.set_ylim(len(shown) - 0.5, -0.5)
    axis.set_title(f"Energies at tick {last.moment.tick:,} (line: mean)", loc="left", fontsize=10)
    tidy(axis)
    axis.set_xlabel("E  (kT at T = 1)")


def _spread(number: int) -> Floats:
    """(number,) offsets that keep points apart, the same every time."""
    return np.asarray(0.56 * (np.arange(number) * 0.618034 % 1.0) - 0.28)


def _free(diagnostics: Diagnostics) -> int:
    assert diagnostics.last is not None
    spins = diagnostics.last.seen.free_spins
    return 0 if spins is None else len(spins)


def _panels(title: str, rows: int = 2, columns: int = 2) -> tuple[Figure, list[Any]]:
    figure = blank((11.0 if columns == 2 else 13.0), 3.4 * rows, title)
    return figure, list(np.ravel(figure.subplots(rows, columns)))


def _line(axis: Any, readings: Sequence[Reading], name: str, label: str, colour: str, smooth: bool = False) -> None:
    ticks, values = curve(readings, name)
    if len(ticks):
        axis.plot(ticks, _smooth(values) if smooth else values, color=colour, linewidth=1.3, label=label)


def _smooth(values: Floats) -> Floats:
    """Running mean of up to SMOOTH looks, shorter at the ends."""
    kernel = np.ones(min(SMOOTH, len(values)))
    mean = np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
    return np.asarray(mean, np.float64)


def _finish(axis: Any, title: str, unit: str, bottom: float | None = None, top: float | None = None, legend: bool = True) -> None:
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_ylabel(unit)
    if bottom is not None:
        axis.set_ylim(bottom=bottom)
    if top is not None:
        axis.set_ylim(top=top)
    tidy(axis)
    axis.set_xlabel("ticks")
    if legend and any(axis.get_legend_handles_labels()[1]):
        axis.legend(fontsize=8, facecolor="white", edgecolor="none", framealpha=0.8)
