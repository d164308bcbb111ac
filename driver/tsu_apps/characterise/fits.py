"""Fits of decays: sums of exponentials whose time constants several curves share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
GRID, ROUNDS = 24, 9


class Decays(NamedTuple):
    """y_s(t) = level_s + sum_k amplitude_sk exp(-t / tau_k), least squares.

    tau, error : (count,) ascending, and standard errors; amplitude : (series, count + fixed); level : (series,)
    rms : of the residuals; curve : (series, n), the fit at the times that were given
    """

    tau: Real
    error: Real
    amplitude: Real
    level: Real
    rms: float
    curve: Real


def _solve(t: Real, y: Real, tau: Sequence[float]) -> tuple[Real, Real, float]:
    """(coefficients (1 + len(tau), series), fit (n, series), sum of squares)."""
    design = np.column_stack([np.ones_like(t), *(np.exp(-t / k) for k in tau)])
    coefficients = np.linalg.lstsq(design, y.T, rcond=None)[0]
    fit = design @ coefficients
    return coefficients, fit, float(np.sum((y.T - fit) ** 2))


def fit_decays(t: Real, y: Real, low: float, high: float, count: int = 1, fixed: Sequence[float] = ()) -> Decays:
    """Fit curves y (series, n) at times t (n,) with `count` time constants in low .. high, and others that are known.

    Levels and amplitudes follow linearly from time constants (variable projection, Golub and Pereyra, 1973); those are searched
    on a logarithmic grid that closes in on the best.
    """
    y = np.atleast_2d(y)
    choices = [list(c) for c in combinations(np.geomspace(low, high, GRID).tolist(), count)]
    ratio = (high / low) ** (1 / (GRID - 1))
    best = min(choices, key=lambda tau: _solve(t, y, [*tau, *fixed])[2])
    for _ in range(ROUNDS):
        ratio **= 0.4
        offsets = np.stack(np.meshgrid(*[np.linspace(-2, 2, 5)] * count), axis=-1).reshape(-1, count)
        nearby = [(np.array(best) * ratio**o).tolist() for o in offsets]
        best = min(nearby, key=lambda tau: _solve(t, y, [*tau, *fixed])[2])
    best = sorted(best)
    coefficients, fit, square = _solve(t, y, [*best, *fixed])
    freedom = max(y.size - coefficients.size - count, 1)
    variance = square / freedom
    return Decays(
        np.array(best), _errors(t, best, fixed, coefficients, variance), coefficients[1:].T, coefficients[0],
        float(np.sqrt(variance)), fit.T,
    )  # fmt: skip


def _errors(t: Real, tau: Sequence[float], fixed: Sequence[float], coefficients: Real, variance: float) -> Real:
    """Standard errors of the time constants, from the fit's Jacobian with the linear part projected out."""
    design = np.column_stack([np.ones_like(t), *(np.exp(-t / k) for k in [*tau, *fixed])])
    slopes = np.stack([np.exp(-t / k) * t / k**2 for k in tau], axis=1)
    slopes_left = slopes - design @ np.linalg.lstsq(design, slopes, rcond=None)[0]
    gram = slopes_left.T @ slopes_left
    amplitudes = coefficients[1 : 1 + len(tau)]
    information = gram * (amplitudes @ amplitudes.T)
    out: Real = np.sqrt(np.abs(np.diag(np.linalg.pinv(information))) * variance)
    return out
