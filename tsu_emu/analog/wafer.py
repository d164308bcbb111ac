"""Where a die was made: its lot, its wafer, and its place on the wafer, all of them functions of the die seed.

The dies of a wafer are the lattice points nearest to its middle. Their bowl is a paraboloid, what variation over a wafer is for
the most part (Cheng, Gupta, Spanos, Qian, He, IEEE TCAD 30, 2011, 388), with its vertex in the middle.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tsu_emu.config import Process


def wafer_of(process: Process, die_seed: int) -> int:
    """Number of a die's wafer."""
    return die_seed // process.dies_per_wafer


def lot_of(process: Process, die_seed: int) -> int:
    """Number of a die's lot."""
    return wafer_of(process, die_seed) // process.wafers_per_lot


@lru_cache(maxsize=8)
def sites(count: int) -> NDArray[np.int64]:
    """(count, 2), x and y of the dies of a wafer in die pitches from its middle, row by row.

    The lattice points of least x^2 + y^2; of equal ones those of least y, then of least x.
    """
    reach = math.isqrt(count) + 1
    y, x = (axis.ravel() for axis in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    nearest = np.sort(np.lexsort((x, y, x * x + y * y))[:count])
    return np.stack([x[nearest], y[nearest]], axis=1)


def site_of(process: Process, die_seed: int) -> tuple[int, int]:
    """(x, y) of a die on its wafer, in die pitches from the middle."""
    x, y = sites(process.dies_per_wafer)[die_seed % process.dies_per_wafer]
    return int(x), int(y)


def bowl(process: Process, die_seed: int) -> float:
    """Height at a die of a bowl whose mean over the wafer's dies is 0 and its variance 1; integers but for a root, a quotient."""
    x, y = site_of(process, die_seed)
    squares = np.sum(sites(process.dies_per_wafer) ** 2, axis=1)
    n, total, of_squares = len(squares), int(squares.sum()), int((squares**2).sum())
    return (n * (x * x + y * y) - total) / math.sqrt(n * of_squares - total * total)
