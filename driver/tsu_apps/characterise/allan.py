"""Allan deviation, the measure of a drifting quantity's stability over an averaging time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def allan_covariances(a: Floats, b: Floats, factors: Sequence[int]) -> Floats:
    """(len(factors), ...) overlapping Allan covariances of evenly spaced readings a and b (..., N), for each m of `factors`.

    1/2 <(mean of m readings - mean of the m before) of a, times the same of b>, over all N - 2m + 1 starts. Of two readings of
    one quantity with noise of their own it is the quantity's own Allan variance: the readers' noise has no part in it.
    """
    return np.array([0.5 * np.mean(_differences(a, m) * _differences(b, m), axis=-1) for m in factors])


def _differences(y: Floats, m: int) -> Floats:
    total = np.cumsum(y - y[..., :1], axis=-1)
    total = np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)
    out: Floats = (total[..., 2 * m :] - 2 * total[..., m:-m] + total[..., : -2 * m]) / m
    return out


def allan_deviation(y: Floats, factors: Sequence[int]) -> Floats:
    """(len(factors),) overlapping Allan deviation of readings y (..., N), all series together (NIST SP 1065, 5.2.4)."""
    out: Floats = np.sqrt(allan_covariances(y, y, factors).reshape(len(factors), -1).mean(axis=1))
    return out


def expected_deviation(covariance: Floats, m: int) -> float:
    """The same of a process whose readings k apart have covariance[k], k = 0 .. 2m - 1.

    A constant in the covariance has no influence, so -1/2 <(y(t + k) - y(t))^2> will do, and serves for a random walk.
    """
    weight = np.repeat([-1.0, 1.0], m) / m
    lag = np.correlate(weight, weight, "full")[2 * m - 1 :]
    return float(np.sqrt(0.5 * (lag[0] * covariance[0] + 2 * lag[1:] @ covariance[1 : 2 * m])))


def log_slope(factors: Sequence[float] | Floats, deviation: Floats) -> float:
    """Exponent of the power law through deviations at averaging times `factors`, least squares in logarithms."""
    return float(np.polyfit(np.log(factors), np.log(deviation), 1)[0])


def within_bounds(found: Floats, expected: Floats | float, series: int) -> bool:
    """Whether deviations of that many independent Gaussian series are within five standard errors of what is expected.

    An Allan variance of one series is a positive quadratic form of normal variables, so its variance is at most twice its squared
    mean: the mean over the series has a relative standard error of at most sqrt(2 / series), half of that for the deviation.
    """
    return bool(np.all(np.abs(found / expected - 1) < 2.5 * np.sqrt(2 / series)))
