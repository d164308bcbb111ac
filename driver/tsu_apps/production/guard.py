"""Guard bands: by how much to test more strictly than is promised, since the tester errs.

A part is truly good if its true value is within the limits, and passes if its measured one is within the limits less a guard band
on each side. True values are normal, errors of measurement normal and independent of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
REACH, NODES = 10.0, 200
"""Standard deviations of parts that are integrated over, and points of each piece between limits."""


@dataclass(frozen=True)
class Rates:
    """Shares of all parts. escapes : bad ones that pass; overkill : good ones that fail; good : truly; passed : by the tester."""

    escapes: float
    overkill: float
    good: float
    passed: float


def rates(lower: float, upper: float, mean: float, sigma: float, gauge: float, guard: float = 0.0) -> Rates:
    """By integration over the true value x: escapes are its density times P(measured within | x), over x beyond the limits.

    lower, upper : limits, infinite for none; mean, sigma : of true values, sigma > 0
    gauge : standard deviation of the error, >= 0; guard : band on each side
    ValueError: it is not like that.
    """
    if not (lower <= upper and math.isfinite(mean) and 0 < sigma < math.inf and 0 <= gauge < math.inf and math.isfinite(guard)):
        raise ValueError(
            f"limits {lower:g} and {upper:g}, mean {mean:g}, sigma {sigma:g}, gauge {gauge:g}, guard {guard:g}; "
            "lower <= upper, sigma > 0, gauge >= 0, and finite numbers but for limits are expected"
        )
    inner, outer = _pass_share(lower, upper, mean, sigma, gauge, guard)
    good = _between(lower, upper, mean, sigma)
    return Rates(outer, max(0.0, good - inner), good, inner + outer)


def _pass_share(lower: float, upper: float, mean: float, sigma: float, gauge: float, guard: float) -> tuple[float, float]:
    """(truly good parts that pass, bad ones that do), by Gauss and Legendre between limits and test limits."""
    test = lower + guard, upper - guard
    if test[0] > test[1]:
        return 0.0, 0.0
    ends = mean - REACH * sigma, mean + REACH * sigma
    steps = [edge + k * gauge for edge in (lower, upper, *test) for k in (-8.0, -2.0, 0.0, 2.0, 8.0) if math.isfinite(edge)]
    cuts = np.unique(np.clip([*ends, *steps], *ends))
    node, weight = np.polynomial.legendre.leggauss(NODES)
    inner = outer = 0.0
    for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        x = 0.5 * (a + b) + 0.5 * (b - a) * node
        density = np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * math.sqrt(2.0 * math.pi))
        share = 0.5 * (b - a) * float(weight @ (density * _passes(x, *test, gauge)))
        if lower <= 0.5 * (a + b) <= upper:
            inner += share
        else:
            outer += share
    return inner, outer


def _passes(x: Floats, low: float, high: float, gauge: float) -> Floats:
    """P(low <= x + error <= high)."""
    if gauge == 0.0:
        return np.asarray((low <= x) & (x <= high), np.float64)
    return np.asarray(special.ndtr((high - x) / gauge) - special.ndtr((low - x) / gauge))


def _between(low: float, high: float, mean: float, sigma: float) -> float:
    return float(special.ndtr((high - mean) / sigma) - special.ndtr((low - mean) / sigma))


def simulated(
    lower: float,
    upper: float,
    mean: float,
    sigma: float,
    gauge: float,
    guard: float = 0.0,
    *,
    parts: int = 1_000_000,
    seed: int = 1,
) -> Rates:
    """The same, counted over so many drawn parts."""
    rng = np.random.default_rng(seed)
    true = rng.normal(mean, sigma, parts)
    measured = true + rng.normal(0.0, gauge, parts)
    return counted(true, measured, lower, upper, guard)


def counted(true: Floats, measured: Floats, lower: float, upper: float, guard: float = 0.0) -> Rates:
    """Of parts whose true values are known, (parts,) each."""
    good, passed = (lower <= true) & (true <= upper), (lower + guard <= measured) & (measured <= upper - guard)
    return Rates(float((~good & passed).mean()), float((good & ~passed).mean()), float(good.mean()), float(passed.mean()))


def guard_for(escapes: float, lower: float, upper: float, mean: float, sigma: float, gauge: float) -> float:
    """The least guard band, 0 or more, with which no more than that share of all parts escapes.

    ValueError: escapes is not above 0; as `rates`.
    """
    if not escapes > 0:
        raise ValueError(f"escapes = {escapes:g}; a share above 0 is expected, as some parts escape whatever the guard band")
    from scipy import optimize

    def beyond(guard: float) -> float:
        return rates(lower, upper, mean, sigma, gauge, guard).escapes - escapes

    if beyond(0.0) <= 0:
        return 0.0
    return float(optimize.brentq(beyond, 0.0, 10.0 * gauge, xtol=1e-6 * gauge))
