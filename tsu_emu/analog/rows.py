"""Which couplers 64 cells side by side share: in a regular graph neighbours of cells that follow one another do so, too.

A plane's spins lie bit by bit in the order of ranks. The couplers into 64 ranks form slots: in one slot all sources lie at one
distance from their targets, so that a shift of the plane shows 64 cells their neighbours at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import kernel
from tsu_emu.topology import Topology

LANES = 64
COUPLERS_MAX = 1 << 21
"""Couplers up to which rows are laid out: half a gigabyte of slots would be the most."""
FILL_LEAST = 0.25
"""Share of slots' lanes that couplers must fill, else cells are better taken one by one."""


class Rows(NamedTuple):
    """Slots of a graph, by 64 ranks; `lay_out` makes them. Empty where they do not pay.

    first : (rows + 1,) int64, first slot of each 64 ranks, or (1,)
    distance : (slots,) int64, rank of the source less that of its target
    coupler : (slots x 64,) uint32, a lane's coupler, and the number of couplers where it has none
    weight : (slots x 64,) int32, doubled couplings; base : (rows x 64,) int32; both follow the fields if fresh[0] is 0
    """

    first: NDArray[np.int64]
    distance: NDArray[np.int64]
    coupler: NDArray[np.uint32]
    weight: NDArray[np.int32]
    base: NDArray[np.int32]
    fresh: NDArray[np.int64]


def no_rows() -> Rows:
    """Of a graph for which they do not pay."""
    first, numbers = np.zeros(1, np.int64), np.zeros(0, np.int32)
    return Rows(first, first[:0], numbers.view(np.uint32), numbers, numbers, first.copy())


def lay_out(topology: Topology, wanted: bool) -> Rows:
    """The slots of a graph, if they are wanted."""
    cells, couplers = len(topology.order), len(topology.source)
    if not (wanted and 0 < couplers <= COUPLERS_MAX):
        return no_rows()
    rank = np.empty(cells, np.int64)
    rank[topology.order] = np.arange(cells)
    target = rank[np.repeat(np.arange(cells), np.diff(topology.row))]
    distance = rank[topology.source] - target
    keys, slot = np.unique((target // LANES) * (2 * cells) + distance + cells, return_inverse=True)
    if couplers < FILL_LEAST * LANES * len(keys):
        return no_rows()
    rows = (cells + LANES - 1) // LANES
    coupler = np.full(len(keys) * LANES, couplers, np.uint32)
    coupler[slot * LANES + target % LANES] = np.arange(couplers)
    first = np.searchsorted(keys // (2 * cells), np.arange(rows + 1)).astype(np.int64)
    return Rows(
        first, keys % (2 * cells) - cells, coupler, np.zeros(len(coupler), np.int32), np.zeros(rows * LANES, np.int32),
        np.zeros(1, np.int64),
    )  # fmt: skip


@kernel
def refresh(rows, order, doubled, base):  # type: ignore[no-untyped-def]
    """Weights and bases follow the fields; rows : the fields of Rows, in a tuple."""
    _, _, coupler, weight, row_base, fresh = rows
    couplers = doubled.size
    for k in range(coupler.size):
        e = coupler[k]
        weight[k] = doubled[e] if e < couplers else np.int32(0)
    for rank in range(order.size):
        row_base[rank] = base[order[rank]]
    fresh[0] = 1
