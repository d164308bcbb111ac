"""Small-world graphs: a ring whose pairs are rewired at random.

Watts, Strogatz, "Collective dynamics of 'small-world' networks", Nature 393 (1998) 440, doi 10.1038/30918.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner, kernel
from tsu_emu.noise.threefry import threefry

U = np.uint32
STREAM = 1 << 16
"""Third key word of the generator; the streams of dice and lives (`tsu_emu.noise.streams`) are below."""
TRIES = 64
"""Draws of a new end before a pair stays where it is."""


def rewired(cells: int, degree: int, rewiring: float, seed: int, attempt: int) -> NDArray[np.int64]:
    """(cells x degree / 2, 2) pairs of a simple graph, which need not be connected; docs/mapping.md, "Small-world".

    degree : even, below `cells`; rewiring : probability; seed, attempt : which graph
    """
    end = (np.arange(cells)[:, None] + np.arange(1, degree // 2 + 1)) % cells
    threshold = np.uint64(round(rewiring * 2.0**32))
    _rewire(end, threshold, U(seed & 0xFFFFFFFF), U(seed >> 32), U(attempt))
    return np.stack([np.repeat(np.arange(cells), degree // 2), end.ravel()], axis=1)


@kernel
def _rewire(end, threshold, k0, k1, attempt):  # type: ignore[no-untyped-def]
    """Lap by lap: pair (i, end[i, lap]) goes to another end of i's with probability threshold / 2^32. Changes `end`."""
    cells, laps = end.shape
    for lap in range(laps):
        for i in range(cells):
            for draw in range(TRIES):
                word, pick, _, _ = threefry(U(i), U(lap), attempt, U(draw), k0, k1, U(STREAM), U(0))
                if draw == 0 and np.uint64(word) >= threshold:
                    break
                j = np.int64((np.uint64(pick) * np.uint64(cells)) >> np.uint64(32))
                if j != i and not _coupled(end, i, j):
                    end[i, lap] = j
                    break


@inner
def _coupled(end, i, j):  # type: ignore[no-untyped-def]
    """Whether a pair joins i and j: one of the two has it."""
    found = False
    for lap in range(end.shape[1]):
        found |= end[i, lap] == j or end[j, lap] == i
    return found
