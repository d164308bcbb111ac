"""Couplers as seen from the cell that is heard."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import kernel


class Network(NamedTuple):
    """Couplers and their transpose.

    row : (cells + 1,) int64; source : (couplers,) uint32; couplers row[i] .. row[i + 1] - 1 drive cell i
    fan : (cells + 1,) int64; target : (couplers,) uint32; coupler : (couplers,) int64; places fan[j] .. fan[j + 1] - 1 are what
    hears cell j: cell `target` through coupler number `coupler`
    """

    row: NDArray[np.int64]
    source: NDArray[np.uint32]
    fan: NDArray[np.int64]
    target: NDArray[np.uint32]
    coupler: NDArray[np.int64]


@kernel
def network_of(row: NDArray[np.int64], source: NDArray[np.uint32]) -> Network:
    """Couplers in CSR order with their transpose, targets ascending."""
    fan = np.zeros(row.size, np.int64)
    for e in range(source.size):
        fan[np.int64(source[e]) + 1] += 1
    for j in range(row.size - 1):
        fan[j + 1] += fan[j]
    place = fan.copy()
    target, coupler = np.empty(source.size, np.uint32), np.empty(source.size, np.int64)
    for i in range(row.size - 1):
        for e in range(row[i], row[i + 1]):
            j = source[e]
            target[place[j]] = i
            coupler[place[j]] = e
            place[j] += 1
    return Network(row, source, fan, target, coupler)
