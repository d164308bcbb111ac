"""A restricted Boltzmann machine trained on bars and stripes with exact gradients: a landscape no single chain crosses soon.

Images of side x side pixels whose rows are uniform, or whose columns are. With each image its negative is one, so the machine has
no biases. All is computed by summing over every image with the hidden cells summed out,

    log sum_h exp(-beta E(v, h)) = sum_j log 2 cosh(beta x_j),    x = v W,

of which, by that symmetry, the half with v_0 = +1 suffices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from tsu_apps.characterise.laws import states

Floats = NDArray[np.float64]

SIDE_MAX = 4
"""Pixels a side: 2^15 images are summed over."""
SIGMA, RIDGE, STEPS = 0.1, 1e-3, 200
"""Of training: spread of the couplings to begin with, weight of |W|^2 / 2, steps of L-BFGS."""


def patterns(side: int) -> NDArray[np.int8]:
    """(2^(side+1) - 2, side^2) images, row by row, of -1 and +1; ValueError if side is not in 2 .. SIDE_MAX."""
    if not 2 <= side <= SIDE_MAX:
        raise ValueError(f"side = {side}; 2 .. {SIDE_MAX} is expected")
    lines = states(side)
    rows = np.repeat(lines, side, axis=1)
    columns = np.tile(lines, (1, side))
    return np.unique(np.concatenate([rows, columns]), axis=0).astype(np.int8)


def orientation(images: ArrayLike) -> NDArray[np.int8]:
    """(...) of (..., side^2) images: +1 if only rows are uniform, -1 if only columns are, else 0."""
    v = np.asarray(images)
    side = round(v.shape[-1] ** 0.5)
    grid = v.reshape(*v.shape[:-1], side, side)
    uniform = [(grid == grid.take([0], axis=axis)).all(axis=(-2, -1)).astype(np.int8) for axis in (-1, -2)]
    return np.asarray(uniform[0] - uniform[1], np.int8)


def switches(seen: ArrayLike) -> NDArray[np.int64]:
    """(chains,) changes between rows and columns in (samples, chains) orientations; images that are neither are passed over."""
    o = np.asarray(seen)
    place = np.maximum.accumulate(np.where(o != 0, np.arange(len(o))[:, None], 0), axis=0)
    last = np.take_along_axis(o, place, axis=0)
    return np.asarray((last[1:] * last[:-1] < 0).sum(axis=0))


def train(
    side: int, hidden: int, seed: int = 0, steps: int = STEPS, *, progress: Callable[[float], None] = lambda share: None
) -> Floats:
    """(side^2, hidden) couplings in kT that minimise KL(images || machine) + RIDGE |W|^2 / 2, by L-BFGS from random ones.

    4 x 4 images, 16 hidden cells: KL .02 in 200 steps, about 5 s.
    progress : called with a share of the steps, the shares making 1 unless it ends early
    """
    data = patterns(side).astype(np.float64)
    first = np.random.default_rng(seed).normal(0, SIGMA, (side * side, hidden))

    def objective(w: Floats) -> tuple[float, Floats]:
        W = w.reshape(first.shape)
        value, gradient = _divergence(W, data)
        return value + 0.5 * RIDGE * float(w @ w), (gradient + RIDGE * W).ravel()

    found: Any = minimize(
        objective, first.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": steps}, callback=lambda w: progress(1 / steps)
    )
    return np.asarray(found.x.reshape(first.shape))


def divergence(W: Floats) -> float:
    """KL(images || machine) in nats."""
    return _divergence(W, patterns(round(len(W) ** 0.5)).astype(np.float64))[0]


def _divergence(W: Floats, data: Floats) -> tuple[float, Floats]:
    """KL and its gradient: <f>_free - <f>_data."""
    images = _half(len(W))
    free, mean = _summed_out(images @ W)
    known, known_mean = _summed_out(data @ W)
    log_z = float(logsumexp(free)) + np.log(2)
    gradient = images.T @ (np.exp(free - log_z + np.log(2))[:, None] * mean) - data.T @ known_mean / len(data)
    return float(log_z - known.mean() - np.log(len(data))), gradient


def energy_moments(W: Floats, betas: ArrayLike) -> tuple[Floats, Floats]:
    """(mean, variance) of E at each beta, (betas,) each, exact.

    Var E = Var_v(E[E | v]) + E_v(Var[E | v]) with E[E | v] = -sum_j x_j tanh(beta x_j), Var[E | v] = sum_j x_j^2 (1 - tanh^2).
    """
    x = _half(len(W)) @ W
    out = []
    for beta in np.atleast_1d(np.asarray(betas, np.float64)).tolist():
        weight, t = _summed_out(beta * x)
        p = np.exp(weight - logsumexp(weight))
        given = -(x * t).sum(axis=1)
        mean = p @ given
        out.append((mean, p @ (given - mean) ** 2 + p @ (x**2 * (1 - t**2)).sum(axis=1)))
    mean, variance = np.array(out).T
    return mean, variance


def machine(W: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """(J, colours): (n, n) couplings of visible cells, numbered first, and hidden ones, and colours (n,) of the cells."""
    visible, hidden = W.shape
    J = np.zeros((visible + hidden,) * 2)
    J[:visible, visible:] = W
    return J + J.T, np.repeat([0, 1], [visible, hidden])


def _summed_out(x: Floats) -> tuple[Floats, Floats]:
    """(sum_j log 2 cosh x_j, tanh x) of (..., hidden) fields."""
    size = np.abs(x)
    small = np.exp(-2 * size)
    return (size + np.log1p(small)).sum(axis=-1), np.sign(x) * (1 - small) / (1 + small)


@lru_cache(maxsize=1)
def _half(pixels: int) -> Floats:
    """(2^(pixels-1), pixels) images whose first pixel is +1."""
    every = states(pixels)
    return every[every[:, 0] > 0]
