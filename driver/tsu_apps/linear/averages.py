"""Averages of correlated series, and how far they may be off: errors by the autocorrelation that the series itself shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOW = 5.0
"""Autocorrelation times over which an autocorrelation is summed; beyond, it is noise."""


def autocovariances(x: Floats) -> Floats:
    """(looks, cells) autocovariances of x, (looks, planes, cells): lag by lag, mean over planes, about the mean of all."""
    looks, planes, _ = x.shape
    spectrum = np.fft.rfft(x - x.mean(axis=(0, 1)), n=2 * looks, axis=0)
    power = np.einsum("fpc,fpc->fc", spectrum, spectrum.conj()).real
    lagged: Floats = np.fft.irfft(power, n=2 * looks, axis=0)[:looks]
    lagged /= planes * np.arange(looks, 0, -1)[:, None]
    return lagged


def correlation_time(x: Floats) -> Floats:
    """(cells,) integrated autocorrelation times 1 + 2 sum rho(k), in looks, of x, (looks, planes, cells); at least 1.

    The sum goes to the first lag that is WINDOW times half the result or more (Madras and Sokal, J. Stat. Phys. 50, 109
    (1988)). Cells that never move have 1.
    """
    c = autocovariances(x)
    rho = np.divide(c, c[0], out=np.zeros_like(c), where=c[0] > 0)
    sums = 1 + 2 * (np.cumsum(rho, axis=0) - rho[0])
    enough = np.arange(len(sums))[:, None] >= WINDOW * sums / 2
    last = np.where(enough.any(axis=0), enough.argmax(axis=0), len(sums) - 1)
    return np.asarray(np.maximum(sums[last, np.arange(sums.shape[1])], 1.0))


def mean_error(x: Floats) -> tuple[Floats, Floats]:
    """((cells,) means, (cells,) standard errors sqrt(tau var / samples)) of x, (looks, planes, cells), planes independent."""
    error = np.sqrt(correlation_time(x) * x.var(axis=(0, 1)) / (x.shape[0] * x.shape[1]))
    return x.mean(axis=(0, 1)), error


def covariance_error(x: Floats) -> tuple[Floats, Floats]:
    """((cells, cells) covariance, (cells, cells) standard errors) of Gaussian x, (looks, planes, cells).

    For Gaussian series the products' own covariance is C_ii(k) C_jj(k) + C_ij(k) C_ji(k) at lag k (Isserlis), so that
    var C_ij = sum_k of it / samples.
    """
    looks, planes, cells = x.shape
    d = x - x.mean(axis=(0, 1))
    lags = min(looks - 1, int(np.ceil(WINDOW / 2 * correlation_time(x).max())))
    spread = np.zeros((cells, cells))
    for lag in range(lags + 1):
        early, late = d[: looks - lag].reshape(-1, cells), d[lag:].reshape(-1, cells)
        c = early.T @ late / len(early)
        if lag == 0:
            covariance = c
        spread += (1 if lag == 0 else 2) * (np.outer(c.diagonal(), c.diagonal()) + c * c.T)
    return covariance, np.sqrt(np.maximum(spread, 0.0) / (looks * planes))
