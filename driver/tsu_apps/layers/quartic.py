"""The quartic neuron: an overdamped cell in V(x) = a x^2 / 2 + c x^3 / 3 + b x^4 / 4 - h x, let go at 0 and read after a window.

Its law has no closed form. The Fokker-Planck equation dp/dt = d/dx (V' p + dp/dx) (T = 1, time in tau) becomes a Markov chain on
a grid, with the rate exp(-dV / 2) / dx^2 to each neighbour, which keeps Boltzmann's law exactly. Detailed balance makes its
generator a symmetric tridiagonal matrix, solved by its eigenvectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline, RegularGridInterpolator
from scipy.linalg import eigh_tridiagonal
from scipy.special import ndtr

from tsu_apps.layers.laws import Floats, Law, require_positive

REACH = 4.0
"""Greatest |drive| that the law knows, kT at T = 1; beyond it the drive counts as that, as at the end of a DAC's range."""
DRIVES = np.linspace(-REACH, REACH, 33)
"""Drives at which the equation is solved."""
POINTS = 240
"""Points of the grid of x; their number is even, and the cell begins in the middle, half on either side of 0."""
DEPTH, WIDEST = 30.0, 16.0
"""The grid ends where V is so many kT above its least value at any drive, but not beyond |x| = WIDEST."""
DEVIATES = np.linspace(-5.0, 5.0, 201)
"""Normal deviates z at whose Phi(z) quantiles are kept."""
RARE = 1e-9
"""Density below which the score counts as 0."""


@dataclass(frozen=True)
class Quartic(Law):
    """A quartic cell: the drive is its bias h, the output x after `window` time constants from x = 0.

    a, c, b : coefficients of the potential, j2, j3, j4 of the literature; b > 0, or b = c = 0 and a > 0: ValueError otherwise
    """

    kinds = ("langevin",)
    a: float = 1.0
    c: float = 0.0
    b: float = 1.0
    window: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, "window")
        if not (self.b > 0 or (self.b == 0 and self.c == 0 and self.a > 0)):
            raise ValueError(f"a = {self.a}, c = {self.c}, b = {self.b} bind no cell; b > 0 is needed, or b = c = 0 and a > 0")

    @property
    def lives(self) -> float:
        """`window`"""
        return self.window

    def mean(self, drive: Floats) -> Floats:
        values: Floats = self._tables.mean(_reached(drive))
        return values

    def pull(self, drive: Floats, upstream: Floats) -> Floats:
        slope = self._tables.mean(_reached(drive), 1)
        return np.where(np.abs(drive) < REACH, slope * upstream, 0.0)

    def score(self, drive: Floats, output: Floats) -> Floats:
        tables = self._tables
        inside = np.clip(output, tables.x[0], tables.x[-1])
        slope: Floats = tables.score(np.stack([_reached(drive), inside], axis=-1))
        return slope

    def sample(self, drive: Floats, rng: np.random.Generator) -> Floats:
        deviates = np.clip(rng.standard_normal(drive.shape), DEVIATES[0], DEVIATES[-1])
        values: Floats = self._tables.quantile(np.stack([_reached(drive), deviates], axis=-1))
        return values

    def terms(self, drive: Floats) -> Floats:
        rest = (np.full_like(drive, value) for value in (self.a, self.c, self.b))
        return np.stack([drive, *rest], axis=-1)

    def link(self, mean: Floats) -> Floats:
        drives: Floats = np.interp(mean, self._tables.mean(DRIVES), DRIVES)
        return drives

    @property
    def _tables(self) -> Tables:
        return tables_of(self.a, self.c, self.b, self.window)


class Tables(NamedTuple):
    """A quartic law at all DRIVES, and functions that interpolate.

    x : (POINTS,) grid; density : (drives, POINTS) of the output
    mean : of the drive; quantile : of (drive, normal deviate); score : d ln p / dh of (drive, output)
    """

    x: Floats
    density: Floats
    mean: CubicSpline
    quantile: RegularGridInterpolator
    score: RegularGridInterpolator


@cache
def tables_of(a: float, c: float, b: float, window: float) -> Tables:
    """Tables of a law, solved once."""
    x = _grid(a, c, b)
    step = x[1] - x[0]
    mass = np.stack([_evolve(x, a * x**2 / 2 + c * x**3 / 3 + b * x**4 / 4 - h * x, window) for h in DRIVES])
    density, cumulated = mass / step, np.cumsum(mass, axis=1)
    edges = x + 0.5 * step
    quantiles = np.stack([np.interp(ndtr(DEVIATES), row, edges) for row in cumulated])
    slopes = np.gradient(np.log(np.maximum(density, RARE)), DRIVES, axis=0)
    return Tables(
        x,
        density,
        CubicSpline(DRIVES, mass @ x),
        RegularGridInterpolator((DRIVES, DEVIATES), quantiles),
        RegularGridInterpolator((DRIVES, x), np.where(density > RARE, slopes, 0.0)),
    )


def _grid(a: float, c: float, b: float) -> Floats:
    """Points at equal distances, as far out as the cell may come at any drive."""
    x = np.linspace(-WIDEST, WIDEST, 4096)
    well = a * x**2 / 2 + c * x**3 / 3 + b * x**4 / 4
    low = np.min([(well - h * x) - (well - h * x).min() for h in (-REACH, 0.0, REACH)], axis=0)
    reach = np.abs(x[low < DEPTH]).max()
    return np.linspace(-reach, reach, POINTS)


def _evolve(x: Floats, potential: Floats, window: float) -> Floats:
    """(POINTS,) probabilities after `window` of a cell that was at 0."""
    step = x[1] - x[0]
    rise = np.diff(potential)
    up, down = np.exp(-0.5 * rise) / step**2, np.exp(0.5 * rise) / step**2
    diagonal = -(np.append(up, 0.0) + np.append(0.0, down))
    rates, modes = eigh_tridiagonal(diagonal, np.sqrt(up * down))
    root = np.exp(-0.5 * (potential - potential.min()))
    start = np.zeros(POINTS)
    start[POINTS // 2 - 1 : POINTS // 2 + 1] = 0.5
    late = root * (modes @ (np.exp(rates * window) * (modes.T @ (start / root))))
    late = np.maximum(late, 0.0)
    mass: Floats = late / late.sum()
    return mass


def _reached(drive: Floats) -> Floats:
    """Drives within REACH."""
    return np.clip(drive, -REACH, REACH)
