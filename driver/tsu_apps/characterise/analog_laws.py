"""Exact laws of analog cells: Gaussian networks, quartic wells, mixtures; and of spins whose noise has a memory."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def lyapunov(B: Floats, D: Floats) -> Floats:
    """P of B P + P B^T = D, by the eigenvectors of B, which must have a full set; every eigenvalue of B with real part > 0."""
    values, vectors = np.linalg.eig(B)
    inner = np.linalg.solve(vectors, D.astype(complex))
    inner = np.linalg.solve(vectors, inner.T).T / (values[:, None] + values[None, :])
    P = (vectors @ inner @ vectors.T).real
    return np.asarray(0.5 * (P + P.T))


def drift_of(A: Floats, quality: float) -> tuple[Floats, Floats]:
    """(B, D) of dx = -B x dt/tau + noise of covariance T D dt/tau for a network of stiffness matrix A.

    quality 0: cells of first order, B = A, D = 2. Else RLC cells, x = (v, i): A dv = -(v + i) dt + sqrt(2 T) dW, di = q^2 v dt.
    """
    n = len(A)
    if not quality:
        return A, 2.0 * np.eye(n)
    C, zero = np.linalg.inv(A), np.zeros((n, n))
    return np.block([[C, C], [-(quality**2) * np.eye(n), zero]]), np.block([[2 * C @ C.T, zero], [zero, zero]])


def network_covariance(A: Floats, T: float, quality: float = 0.0) -> Floats:
    """(n, n) stationary covariance of a Gaussian network's values; T A^-1 if A is symmetric."""
    return np.asarray(T * lyapunov(*drift_of(A, quality))[: len(A), : len(A)])


def ringing(a: float, tau_s: float, quality: float) -> tuple[float, float]:
    """(frequency in Hz, quality factor) at which a lone RLC cell of stiffness a rings: w^2 = q^2/a - 1/(4 a^2), Q = q sqrt(a)."""
    w = math.sqrt(quality**2 / a - 0.25 / a**2)
    return w / (2 * math.pi * tau_s), quality * math.sqrt(a)


def well_moments(a: float, c: float, b: float, h: float, T: float, powers: tuple[int, ...]) -> Floats:
    """<x^p> of a cell in V = a x^2/2 + c x^3/3 + b x^4/4 - h x at temperature T, by the trapezoidal rule on -12 .. 12."""
    x = np.linspace(-12.0, 12.0, 24001)
    energy = (a * x**2 / 2 + c * x**3 / 3 + b * x**4 / 4 - h * x) / T
    p = np.exp(-(energy - energy.min()))
    return np.array([(p * x**k).sum() / p.sum() for k in powers])


def well_autocovariance(a: float, c: float, b: float, h: float, T: float, times: tuple[float, ...], step: float = 0.0) -> Floats:
    """Autocovariance of a cell in that well at times in units of tau: eigenvectors of the reversible chain on a grid of width .06
    whose rates are T / .06^2 exp(-(V' - V) / 2T).

    step : of an integrator in which a mode of rate r decays by 1 - r step in a step; 0: by exp(-r t), as it does
    """
    x = np.linspace(-4.5, 4.5, 151)
    V = (a * x**2 / 2 + c * x**3 / 3 + b * x**4 / 4 - h * x) / T
    rate = T / (x[1] - x[0]) ** 2
    leave = np.zeros(len(x))
    leave[:-1] += rate * np.exp(-0.5 * np.diff(V))
    leave[1:] += rate * np.exp(0.5 * np.diff(V))
    decay, modes = np.linalg.eigh(np.diag(-leave) + rate * (np.eye(len(x), k=1) + np.eye(len(x), k=-1)))
    root = np.exp(-0.5 * (V - V.min()))
    root /= np.linalg.norm(root)
    weight = (modes.T @ ((x - root @ (x * root)) * root)) ** 2
    if step:
        decay = np.log(np.maximum(1.0 + decay * step, 1e-12)) / step
    return np.array([weight @ np.exp(decay * t) for t in times])


def mixture_weights(w: Floats, T: float) -> Floats:
    """(..., modes) probabilities softmax(w / T) of log-weights."""
    p = np.exp((w - w.max(axis=-1, keepdims=True)) / T)
    return np.asarray(p / p.sum(axis=-1, keepdims=True))


def mixture_means(w: Floats, m: Floats, T: float, speed: float | Floats) -> Floats:
    """(..., modes) mean of x in each mode, a cell having just come from another one now and then.

    speed : a tau_mode / tau, relaxations between two choices of a mode. From the stationary balance of E[x 1_k]:
    (speed m_k + <x>) / (speed + 1).
    """
    mean = (mixture_weights(w, T) * m).sum(axis=-1, keepdims=True)
    speed = np.asarray(speed, np.float64)[..., None]
    return np.asarray((speed * m + mean) / (speed + 1))


def normal_cdf(x: Floats) -> Floats:
    """Phi(x)."""
    return np.asarray(np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2.0)), otypes=[np.float64])(x))


def normal_quantile(p: float) -> float:
    """x with Phi(x) = p, by bisection."""
    low, high = -9.0, 9.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if 0.5 * math.erfc(-middle / math.sqrt(2.0)) < p else (low, middle)
    return 0.5 * (low + high)


def coloured_correlation(p: float, rho: float) -> float:
    """Correlation of two looks at a spin that is +1 where a normal voltage is below Phi^-1(p), the voltages correlating by rho.

    2/pi asin(rho) at p = 1/2; else P(both below) by quadrature over the first voltage.
    """
    t = normal_quantile(p)
    z = np.linspace(-9.0, t, 4001)
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    below = normal_cdf((t - rho * z) / math.sqrt(1 - rho * rho)) * density
    both = float((0.5 * (below[1:] + below[:-1])).sum() * (z[1] - z[0]))
    return (both - p * p) / (p * (1 - p))
