"""Yield and process capability, with what so many parts tell of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

CONFIDENCE = 0.95
ALIKE = 1e-9
"""Values that differ by no more than this share of the greatest are the same but for rounding."""
NOT_NORMAL = 0.01
"""Probability of the W of Shapiro and Wilk below which values count as not normal."""


@dataclass(frozen=True)
class Yield:
    """passed of tested parts; low, high : 95 % confidence interval of the share that passes, after Wilson (1927)."""

    passed: int
    tested: int
    low: float
    high: float

    @classmethod
    def of(cls, passed: int, tested: int) -> Yield:
        """ValueError: no parts."""
        if tested < 1:
            raise ValueError("no parts were tested")
        from scipy import stats

        low, high = stats.binomtest(passed, tested).proportion_ci(CONFIDENCE, "wilson")
        return cls(passed, tested, float(low), float(high))

    @property
    def share(self) -> float:
        """Of the parts that were tested."""
        return self.passed / self.tested


@dataclass(frozen=True)
class Capability:
    """How far the limits are from the middle of the parts, in threes of their standard deviation.

    parts : that were measured; mean, sigma : of them
    cpk : distance of the nearer limit over 3 sigma; infinite if all parts are alike and pass, minus infinity if they do not
    low, high : its 95 % confidence interval, of normal values, after Bissell (Applied Statistics 39, 1990, 331)
    normality : probability of a W as small (Shapiro and Wilk) if values are normal; NaN where it says nothing, of fewer than 8
        parts or if all are alike
    """

    parts: int
    mean: float
    sigma: float
    cpk: float
    low: float
    high: float
    normality: float

    @property
    def normal(self) -> bool:
        """False if values are not normal: then cpk does not say which share is beyond the limits."""
        return not self.normality < NOT_NORMAL


def alike(values: ArrayLike) -> bool:
    """Whether all values are the same."""
    x = np.asarray(values, np.float64)
    return bool(np.ptp(x) <= ALIKE * abs(x).max())


def capability(values: ArrayLike, lower: float, upper: float) -> Capability:
    """Of values, NaN left out, against limits, infinite for none; ValueError if fewer than two are left, or infinite ones, or if
    there is no limit at all or lower > upper."""
    x = np.asarray(values, np.float64).ravel()
    x = x[~np.isnan(x)]
    n = len(x)
    if n < 2:
        raise ValueError(f"{n} values; at least two are expected")
    if np.isinf(x).any() or not lower <= upper or (math.isinf(lower) and math.isinf(upper)):
        raise ValueError(f"limits {lower:g} and {upper:g}; lower <= upper, one of them finite, and finite values are expected")
    from scipy import stats

    mean, sigma = float(x.mean()), float(x.std(ddof=1))
    room = min(upper - mean, mean - lower)
    if alike(x):
        cpk = math.copysign(math.inf, room)
        return Capability(n, mean, 0.0, cpk, cpk, cpk, math.nan)
    cpk = room / (3.0 * sigma)
    half = float(special.ndtri(0.5 + CONFIDENCE / 2)) * math.sqrt(1.0 / (9.0 * n) + cpk**2 / (2.0 * (n - 1)))
    normality = float(stats.shapiro(x).pvalue) if n >= 8 else math.nan
    return Capability(n, mean, sigma, cpk, cpk - half, cpk + half, normality)
