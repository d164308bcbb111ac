"""Allan deviation, the measure of a drifting quantity's stability over an averaging time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def allan_deviation(y: NDArray[np.float64], factors: Sequence[int]) -> NDArray[np.float64]:
    """Overlapping Allan deviation of evenly spaced readings y (..., N) over averages of m readings, for each m of `factors`.

    sigma^2(m) = 1/2 <(mean of m readings - mean of the m before)^2>, over all N - 2m + 1 starts all series (NIST SP 1065, 5.2.4)
    """
    total = np.cumsum(y - y[..., :1], axis=-1)
    total = np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)
    variances = []
    for m in factors:
        second = total[..., 2 * m :] - 2 * total[..., m:-m] + total[..., : -2 * m]
        variances.append(0.5 * np.mean((second / m) ** 2))
    return np.sqrt(variances)


def expected_deviation(covariance: NDArray[np.float64], m: int) -> float:
    """The same of a stationary process whose readings k apart have covariance[k], k = 0 .. 2m - 1."""
    weight = np.repeat([-1.0, 1.0], m) / m
    lag = np.correlate(weight, weight, "full")[2 * m - 1 :]
    return float(np.sqrt(0.5 * (lag[0] * covariance[0] + 2 * lag[1:] @ covariance[1 : 2 * m])))


def log_slope(factors: Sequence[int], deviation: NDArray[np.float64]) -> float:
    """Exponent of the power law through deviations at averaging times `factors`, least squares in logarithms."""
    return float(np.polyfit(np.log(factors), np.log(deviation), 1)[0])


def within_bounds(found: NDArray[np.float64], expected: NDArray[np.float64] | float, series: int) -> bool:
    """Whether deviations of that many independent Gaussian series are within five standard errors of what is expected.

    An Allan variance of one series is a positive quadratic form of normal variables, so its variance is at most twice its squared
    mean: the mean over the series has a relative standard error of at most sqrt(2 / series), half of that for the deviation.
    """
    return bool(np.all(np.abs(found / expected - 1) < 2.5 * np.sqrt(2 / series)))
