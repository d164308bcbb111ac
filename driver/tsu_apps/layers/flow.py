"""Flow matching: a network learns the velocities that carry Gaussian noise to data along straight lines (arXiv 2210.02747)."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from tsu_apps.layers.laws import Floats
from tsu_apps.layers.network import Part

STEPS = 20
"""Of Euler's method from noise to data."""


def pairs(data: Floats, noises: int, seed: int) -> tuple[Floats, Floats]:
    """Inputs (n noises, 3), a point between noise and data and its time, and the velocities (n noises, 2) wanted there.

    data : (n, 2); noises : how often each is paired with fresh noise at a random time
    """
    rng = np.random.default_rng(seed)
    ends = np.tile(data, (noises, 1))
    starts, t = rng.standard_normal(ends.shape), rng.random((len(ends), 1))
    return np.concatenate([(1.0 - t) * starts + t * ends, 2.0 * t - 1.0], axis=1), ends - starts


def flow(network: Part, noise: Floats) -> Floats:
    """(n, 2) points to which (n, 2) noise flows."""
    x = noise.copy()
    for k in range(STEPS):
        t = np.full((len(x), 1), 2.0 * (k + 0.5) / STEPS - 1.0)
        x += network.forward(np.concatenate([x, t], axis=1)) / STEPS
    return x


def energy_distance(a: Floats, b: Floats) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'| of the laws that (n, d) and (m, d) points are drawn from, 0 if they agree; unbiased, so
    that an estimate may be below 0."""
    within = sum(cdist(s, s).sum() / (len(s) * (len(s) - 1)) for s in (a, b))
    return float(2.0 * cdist(a, b).mean() - within)
