"""Gauge repeatability and reproducibility: how much of what differs between parts is the tester.

A crossed study: every part is measured in every insertion (operator, station, day), some times each. Parts and insertions are
random effects, their variances by analysis of variance (Burdick, Borror, Montgomery, J. Quality Technology 35, 2003, 342).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

POOLED = 0.25
"""Probability of the F ratio of the interaction above which it counts as noise and is pooled with the repeats."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Gauge:
    """Standard deviations, in the unit of the values.

    repeatability : of repeats in one insertion; reproducibility : between insertions, their interaction with parts included
    part : between parts; low, high : 95 % confidence interval of `share`, by Satterthwaite's degrees of freedom of both variances
    interaction : probability of an F ratio as large without one
    """

    repeatability: float
    reproducibility: float
    part: float
    low: float
    high: float
    interaction: float

    @property
    def sigma(self) -> float:
        """Of the gauge, GRR."""
        return math.hypot(self.repeatability, self.reproducibility)

    @property
    def share(self) -> float:
        """%GRR over 100: the gauge's standard deviation over that of all measured values; NaN if nothing differs."""
        total = math.hypot(self.sigma, self.part)
        return self.sigma / total if total else math.nan

    @property
    def categories(self) -> float:
        """ndc: how many kinds of parts can be told apart, sqrt(2) part / gauge, cut to a whole number, at least 1; infinite for a
        gauge without noise."""
        return max(1.0, float(math.floor(math.sqrt(2.0) * self.part / self.sigma))) if self.sigma else math.inf

    def of_tolerance(self, lower: float, upper: float) -> float:
        """P/T: six sigma of the gauge over the distance of the limits; 0 if one is missing."""
        return 6.0 * self.sigma / (upper - lower)


def crossed(values: ArrayLike) -> Gauge:
    """Of values (parts, insertions, repeats), at least two of each; ValueError otherwise, and if one is NaN."""
    x = np.asarray(values, np.float64)
    if x.ndim != 3 or min(x.shape) < 2 or not np.isfinite(x).all():
        raise ValueError(f"values of shape {x.shape}: (parts, insertions, repeats), two of each and none missing, are expected")
    p, o, r = x.shape
    cell, by_part, by_insertion, mean = x.mean(axis=2), x.mean(axis=(1, 2)), x.mean(axis=(0, 2)), x.mean()
    squares_both = r * float(((cell - by_part[:, None] - by_insertion[None, :] + mean) ** 2).sum())
    squares_within, free_both, free_within = float(((x - cell[..., None]) ** 2).sum()), (p - 1) * (o - 1), p * o * (r - 1)
    parts = o * r * float(((by_part - mean) ** 2).sum()) / (p - 1)
    insertions = p * r * float(((by_insertion - mean) ** 2).sum()) / (o - 1)
    both, within = squares_both / free_both, squares_within / free_within
    unlikely = float(special.fdtrc(free_both, free_within, both / within)) if within else float(not both)
    if unlikely > POOLED:
        both = within = (squares_both + squares_within) / (free_both + free_within)
        free_both = free_within = free_both + free_within
    mixed = max(0.0, (both - within) / r)
    between = max(0.0, (insertions - both) / (p * r))
    part = max(0.0, (parts - both) / (o * r))
    of_insertions, of_within = 1.0 / (p * r), 0.0 if unlikely > POOLED else 1.0 - 1.0 / r
    rest = (both, free_both, 1.0 - of_insertions - of_within), (within, free_within, of_within)
    gauge = _combined((insertions, o - 1, of_insertions), *rest)
    low, high = _interval(gauge, _combined((parts, p - 1, 1.0 / (o * r)), (both, free_both, -1.0 / (o * r))))
    return Gauge(math.sqrt(within), math.sqrt(between + mixed), math.sqrt(part), low, high, unlikely)


def _combined(*terms: tuple[float, int, float]) -> tuple[float, float]:
    """(value, degrees of freedom) of a sum of weighted mean squares (mean square, degrees of freedom, weight); Satterthwaite."""
    value = sum(weight * square for square, _, weight in terms)
    spread = sum((weight * square) ** 2 / free for square, free, weight in terms)
    return value, value**2 / spread if spread else math.inf


def _interval(gauge: tuple[float, float], part: tuple[float, float]) -> tuple[float, float]:
    """Interval of sqrt(gauge / (gauge + part)) from that of the ratio of both, which goes as F; (0, 1) where a variance is not
    positive, or has less than one degree of freedom."""
    (g, free_g), (v, free_v) = gauge, part
    if g <= 0 or v <= 0 or min(free_g, free_v) < 1:
        return 0.0, 1.0
    tail = 0.5 * (1.0 - CONFIDENCE)
    low, high = (g / v / float(special.fdtri(free_g, free_v, q)) for q in (1.0 - tail, tail))
    return math.sqrt(low / (1.0 + low)), math.sqrt(high / (1.0 + high))
