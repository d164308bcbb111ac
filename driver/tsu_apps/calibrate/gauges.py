"""Gauge averaging: the same problem in random spin reversals, so that what does not turn with the spins averages out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_driver import Chip

Floats = NDArray[np.float64]


def gauged(J: Floats, h: Floats, signs: NDArray[np.int8]) -> tuple[Floats, Floats]:
    """J (cells, cells) and h (cells,) of the problem whose states are those of the given one times signs (cells,), -1 or +1."""
    return J * np.multiply.outer(signs, signs), h * signs


def sample_gauges(
    chip: Chip,
    J: Floats,
    h: Floats,
    gauges: int,
    n: int,
    *,
    every: int = 1,
    burn: int = 20,
    seed: int = 0,
    step: Callable[[float], None] = lambda share: None,
) -> NDArray[Any]:
    """(gauges n, planes, cells) spins of a problem, n looks in each of so many random gauges, turned back.

    Offsets of cells and of couplers have a sign of their own in each gauge and average out to first order; gains do not.
    """
    rng, parts = np.random.default_rng(seed), []
    for _ in range(gauges):
        signs = rng.choice(np.array([-1, 1], np.int8), len(h))
        chip.program_couplings(*gauged(J, h, signs))
        parts.append(chip.sample(n, every, burn) * signs)
        step(1.0 / gauges)
    return np.concatenate(parts)
