"""Cells that do not work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.clusters import local_rates
from tsu_emu.analog.dac import at
from tsu_emu.config import ChipConfig, Dead
from tsu_emu.jit import kernel
from tsu_emu.noise.streams import Stream
from tsu_emu.noise.threefry import threefry
from tsu_emu.topology import Topology

U = np.uint32
ALIVE, DOWN, UP, FLOATING = range(4)
EVERYWHERE = np.ones(1)
"""Defects without clusters."""
ALL_PLANES = np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel
def _draw(out, down, up, floating, factor, k0, k1, k2):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        u = np.float64(threefry(U(i), U(0), U(0), U(0), k0, k1, k2, U(0))[0]) * (1.0 / 4294967296.0)
        f = at(factor, i)
        out[i] = DOWN if u < f * down else UP if u < f * (down + up) else FLOATING if u < f * (down + up + floating) else ALIVE


def dead_cells(dead: Dead, cells: int, seed: int, factor: NDArray[np.float64] = EVERYWHERE) -> NDArray[np.uint8]:
    """(cells,) uint8, ALIVE .. FLOATING, of a die: one uniform for each cell, counter (cell, 0, 0, 0).

    factor : (cells or 1,), by which the probabilities of a cell differ from those of `dead`
    """
    out = np.zeros(cells, np.uint8)
    if dead.down or dead.up or dead.floating:
        _draw(out, dead.down, dead.up, dead.floating, factor, U(seed & 0xFFFFFFFF), U(seed >> 32), U(Stream.DEAD))
    return out


def dead_cells_of(config: ChipConfig, topology: Topology) -> NDArray[np.uint8]:
    """`dead_cells` of the die of a configuration, in the clusters that its process has."""
    dead, seed = config.cell.dead, config.seeds.die
    total = dead.down + dead.up + dead.floating
    factor = local_rates(config.process, total, topology.position, seed) / total if total else EVERYWHERE
    return dead_cells(dead, len(topology.position), seed, factor)


def masks_of(dead: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]:
    """(cells,) uint64 words of all planes: which cells are stuck, and which of them up; (cells,) bool, which float."""
    stuck, up = np.isin(dead, (DOWN, UP)), dead == UP
    return np.where(stuck, ALL_PLANES, np.uint64(0)), np.where(up, ALL_PLANES, np.uint64(0)), dead == FLOATING
