"""How well a window of samples estimates a gradient: autocorrelation times, errors of K-window means, signal to noise.

The gradient of a Boltzmann machine with respect to w_ij is <f_ij>_data - <f_ij>_free with f_ij = s_i s_j. Its second part is
estimated by the mean over a window of K successive samples of a chain, which makes g-hat. A stationary chain gives no bias, and

    MSE(K) = E|g-hat - g|^2 = (C(0) / K) [1 + 2 sum_{t=1}^{K-1} (1 - t/K) rho(t)],    Q(K) = |g|^2 / MSE(K).

Vectors are weighted by trace: C(t) = sum_ij cov(f_ij(0), f_ij(t)), rho(t) = C(t) / C(0), tau_int = 1 + 2 sum_{t>=1} rho(t).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

Floats = NDArray[np.float64]

WINDOW = 5.0
"""The sum of rho ends at the first lag W >= WINDOW tau(W), tau counting as 1 at least. Of a single exponential it leaves out
exp(-2 WINDOW); the rest is for slow modes of little weight."""
CHAINS_MIN = 8
"""Chains from which the error of tau is taken from their scatter."""
GROUPS = 16
"""Of the jackknife over chains, at most."""
CHUNK = 1 << 23
"""Numbers that are transformed at a time."""


def pair_products(spins: NDArray[Any], pairs: ArrayLike) -> NDArray[Any]:
    """f_ij = s_i s_j: (..., cells) spins and (pairs, 2) cells to (..., pairs), in the type of the spins."""
    i, j = np.asarray(pairs).T
    products: NDArray[Any] = spins[..., i] * spins[..., j]
    return products


def magnetisation(spins: NDArray[Any]) -> Floats:
    """sum_i s_i: (..., cells) spins to (...,) float64."""
    return np.asarray(spins.sum(axis=-1), np.float64)


@dataclass(frozen=True)
class Autocorrelation:
    """How long a record remembers.

    tau : integrated autocorrelation time, in samples; error : its standard error
    window : W, the lag at which the sum ends; rho : (W + 1,) of lags 0 .. W
    variance : C(0), the trace of the covariance matrix of one sample
    samples : of all chains together
    resolved : whether the window closed within half a record; if not, tau is at best a lower bound
    """

    tau: float
    error: float
    window: int
    rho: Floats
    variance: float
    samples: int
    resolved: bool

    @property
    def effective_samples(self) -> float:
        """Independent samples that the record is worth for a mean."""
        return self.samples / self.tau


def autocorrelation(x: ArrayLike) -> Autocorrelation:
    """tau_int of a record with Sokal's automatic window.

    x : (samples,), (samples, chains) of a scalar or (samples, chains, d) of a vector; chains are independent of each other
    The mean is taken over all chains. The error comes from a jackknife over chains; of fewer than CHAINS_MIN chains from Madras
    and Sokal's formula tau sqrt(2 (2 W + 1) / N) (J. Stat. Phys. 50, 1988), for vectors an upper bound. Of N samples in all, the
    scatter of the mean lowers tau by a share of (2 W + 1) / N and the choice of W raises it by about as much: both are left.
    ValueError says what is wrong with x.
    """
    record = _record(x)
    chains, _, n = record.shape
    each = _autocovariances(record, n // 2)
    whole = each.mean(axis=0)
    tau, window, resolved = _integrated(whole)
    if chains < CHAINS_MIN:
        error = tau * np.sqrt(2 * (2 * window + 1) / (n * chains))
    else:
        error = _jackknife(each, window)
    rho = whole[: window + 1] / whole[0]
    return Autocorrelation(float(tau), float(error), window, rho, float(whole[0]), n * chains, resolved)


def _record(x: ArrayLike) -> NDArray[Any]:
    """x as (chains, d, samples)."""
    record = np.asarray(x)
    if not 1 <= record.ndim <= 3:
        raise ValueError(f"x has {record.ndim} dimensions; (samples,), (samples, chains) or (samples, chains, d) is expected")
    record = record.reshape(*record.shape, *[1] * (3 - record.ndim))
    if len(record) < 4 or record.size == 0:
        raise ValueError(f"x has shape {np.shape(x)}; at least 4 samples of a chain are needed")
    if not np.isfinite(record).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(record))[0])
        raise ValueError(f"x{list(at[: np.ndim(x)])} is {record[at]}; finite numbers are expected")
    if (record == record[0, 0]).all():
        raise ValueError("x does not vary: no sample differs from the first, so that it has no correlation time")
    return record.transpose(1, 2, 0)


def _autocovariances(record: NDArray[Any], lags: int) -> Floats:
    """(chains, lags + 1) traces C(t) of each chain, about the mean over all chains; record (chains, d, n)."""
    chains, d, n = record.shape
    mean = record.mean(axis=(0, 2))[:, None]
    size = fft.next_fast_len(n + lags, real=True)
    some = max(1, CHUNK // (d * size))
    parts = []
    for first in range(0, chains, some):
        spectrum = fft.rfft(record[first : first + some] - mean, size, axis=-1)
        power = (spectrum.real**2 + spectrum.imag**2).sum(axis=1)
        parts.append(fft.irfft(power, size, axis=-1)[:, : lags + 1])
    return np.asarray(np.concatenate(parts) / (n - np.arange(lags + 1)))


def _integrated(covariance: Floats) -> tuple[float, int, bool]:
    """(tau, W, whether W was found) of C(t), t = 0, 1, .."""
    taus = 1 + 2 * np.cumsum(covariance[1:]) / covariance[0]
    lags = np.arange(1, len(covariance))
    closed = lags >= WINDOW * np.maximum(taus, 1)
    at = int(np.argmax(closed)) if closed.any() else len(taus) - 1
    return float(taus[at]), int(lags[at]), bool(closed.any())


def _jackknife(each: Floats, window: int) -> float:
    """Standard error of tau, leaving out one group of chains after the other; each (chains, lags + 1)."""
    group = np.arange(len(each)) * min(GROUPS, len(each)) // len(each)
    count = int(group[-1]) + 1
    sums = np.zeros((count, window + 1))
    np.add.at(sums, group, each[:, : window + 1])
    rest = sums.sum(axis=0) - sums
    taus = 1 + 2 * rest[:, 1:].sum(axis=1) / rest[:, 0]
    return float(np.sqrt((count - 1) * taus.var()))


def window_mse(variance: float, rho: ArrayLike, windows: ArrayLike) -> Floats:
    """MSE(K) of K-window means of a stationary chain, the formula above; (windows,).

    variance : C(0); rho : of lags 0, 1, ..; lags beyond its end count as uncorrelated
    windows : K, each at least 1, else ValueError
    """
    lags = _windows(windows)
    later = np.asarray(rho, np.float64)[1:]
    t = np.arange(1, len(later) + 1)
    inside = np.clip(1 - t / lags[:, None], 0, None)
    return np.asarray(variance / lags * (1 + 2 * inside @ later))


def signal_to_noise(gradient: ArrayLike, mse: ArrayLike) -> Floats:
    """Q = |g|^2 / MSE; gradient (d,) without noise, mse of any shape. ValueError if an mse is not above 0."""
    errors = np.asarray(mse, np.float64)
    if not (errors > 0).all():
        raise ValueError(f"an MSE is {errors.min()}; it must be above 0")
    return np.asarray(np.square(np.asarray(gradient, np.float64)).sum() / errors)


@dataclass(frozen=True)
class WindowErrors:
    """Measured errors of K-window means.

    windows : (k,) K; mse : (k,) mean of |g-hat - g|^2 over windows and chains; error : (k,) its standard error
    """

    windows: NDArray[np.int64]
    mse: Floats
    error: Floats

    def quality(self, gradient: ArrayLike) -> tuple[Floats, Floats]:
        """(Q, its standard error), (k,) each; gradient (d,)."""
        q = signal_to_noise(gradient, self.mse)
        return q, q * self.error / self.mse


def window_errors(x: ArrayLike, windows: Sequence[int]) -> WindowErrors:
    """How far means over windows of K successive samples are from the mean of the whole record.

    x : (samples, chains) or (samples, chains, d); at least two chains, whose scatter gives the errors
    windows : K; a record is cut into as many whole windows as it holds
    What the mean of the whole record is itself uncertain by is added, as the scatter of the chains' means tells it.
    ValueError says what is wrong with x or windows.
    """
    record, lags = _record(x), _windows(windows)
    chains, _, n = record.shape
    if chains < 2:
        raise ValueError("x holds one chain; errors of windows need at least two")
    if lags.max() > n:
        raise ValueError(f"a window of {lags.max()} samples does not fit into a record of {n}")
    means = record.mean(axis=2)
    centre = means.mean(axis=0)
    uncertain = np.square(means - centre).sum() / (chains * (chains - 1))
    each = np.stack([_squares(record, centre, int(k)) for k in lags])
    error = each.std(axis=1, ddof=1) / np.sqrt(chains)
    return WindowErrors(lags, each.mean(axis=1) + uncertain, error)


def _squares(record: NDArray[Any], centre: Floats, window: int) -> Floats:
    """(chains,) mean over windows of |g-hat - centre|^2."""
    chains, d, n = record.shape
    count = n // window
    means = record[..., : count * window].reshape(chains, d, count, window).mean(axis=-1)
    return np.asarray(np.square(means - centre[:, None]).sum(axis=1).mean(axis=-1))


def _windows(windows: ArrayLike) -> NDArray[np.int64]:
    lags = np.atleast_1d(np.asarray(windows))
    if lags.ndim != 1 or lags.size == 0 or lags.dtype.kind not in "iu":
        raise ValueError(f"windows is {lags.dtype} of shape {lags.shape}; a list of numbers of samples is expected")
    if lags.min() < 1:
        raise ValueError(f"a window of {lags.min()} samples; at least 1 is expected")
    return lags.astype(np.int64)
