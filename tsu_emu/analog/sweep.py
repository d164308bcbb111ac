"""Sweeps of clocked p-bits: which kernel does them on this processor, and how threads share them.

Results depend on neither: planes know nothing of each other, and no cell hears its own colour.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from tsu_emu.analog.pbit import update_plane
from tsu_emu.analog.turns import counters_for, finish, next_piece, open_phase
from tsu_emu.jit import inner, kernel, parallel_kernel
from tsu_emu.lanes.target import HAS_VECTORS

if HAS_VECTORS:
    from tsu_emu.analog.dense512 import update_dense
    from tsu_emu.analog.halves512 import update_dense_by_halves
    from tsu_emu.analog.pbit512 import fields, update_cells
    from tsu_emu.analog.rows512 import packed_plane, unpack_plane, update_rows
else:
    from tsu_emu.analog.portable import (
        fields,
        packed_plane,
        unpack_plane,
        update_cells,
        update_dense,
        update_dense_by_halves,
        update_rows,
    )

__all__ = ["CELL_WORK", "block_work", "cell_work", "fields", "update_block", "update_phases"]

Q = np.uint64
CELL_WORK = 8
"""Work of a cell beyond its couplers, in couplers; a unit is 2 to 6 ns for 64 planes."""
DENSE, ROWS = 4, 16
"""How many times less a coupler costs at least where all cells hear each other, and in a few planes in rows."""
PARALLEL_FROM = 50_000
"""Work from which a second thread pays."""
SHARED_FROM = 12_000
"""Mean work of a block's phases from which threads share them; halves of dense blocks have no phases in common."""
PIECE = 3000
"""Work that a thread takes at a time where others share a phase, some microseconds."""
ROWS_PIECE = 512
"""Ranks that a thread takes at a time of a plane in rows: its spins are a line of the cache."""
FEW_PLANES = 4
"""Enabled planes of a block up to which they are updated one by one."""


@inner
def _few(x):  # type: ignore[no-untyped-def]
    """Whether at most FEW_PLANES bits of a uint64 are set."""
    for _ in range(FEW_PLANES):
        x &= x - Q(1)
    return x == Q(0)


@kernel
def cell_work(couplers, cells, in_rows):  # type: ignore[no-untyped-def]
    """Work of a cell in a block of many enabled planes and of few, sixteenths; in_rows : whether few planes may be in rows."""
    each = 16 * (couplers // cells + CELL_WORK)
    dense = couplers == cells * (cells - 1)
    return each // DENSE if dense else each, each // ROWS if in_rows else each


@inner
def block_work(each, enabled, cells):  # type: ignore[no-untyped-def]
    """Work of so many cells of a block; each : `cell_work`; enabled : the block's planes, uint64."""
    if enabled == Q(0):
        return 0
    return (each[1] if _few(enabled) else each[0]) * cells >> 4


@kernel
def update_block(net, code, bank, block, low, high, visit, tick, noise):  # type: ignore[no-untyped-def]
    """Update the cells of ranks low .. high - 1, all of one colour, in the enabled planes of a block; `pbit.update_cells`."""
    enabled = bank[3][block]
    if not _few(enabled):
        update_cells(net, code, bank, block, low, high, visit, tick, noise)
        return
    for k in range(64):
        if (enabled >> Q(k)) & Q(1):
            update_plane(net, code, bank, 64 * block + k, low, high, visit, tick, noise)


@inner
def _take_part(net, rows, packed, code, bank, place, phase, phases, noise, counters, thread, size):  # type: ignore[no-untyped-def]
    """A thread's share of all phases, in pieces of `size` ranks; place : plane of `packed` if it holds one, else block."""
    until, done = np.zeros(counters.shape[0] - 2, np.int64), 0
    for k in range(phases.shape[0]):
        colour, visit, tick = phases[k, 0], phases[k, 1], phases[k, 2]
        low, high = phase[colour], phase[colour + 1]
        first = low // size
        count = (high + size - 1) // size - first
        done = open_phase(counters, until, thread, done, count)
        if done < 0:
            return
        while True:
            piece = next_piece(counters, until, thread, count)
            if piece < 0:
                break
            begin = (first + piece) * size
            begin, end = max(low, begin), min(high, begin + size)
            if packed[0].size > 0:
                update_rows(net, rows, packed, code, bank, place, begin, end, visit, tick, noise)
            else:
                update_block(net, code, bank, place, begin, end, visit, tick, noise)
            finish(counters)


@parallel_kernel
def _take_parts(net, rows, packed, code, bank, place, phase, phases, noise, counters, size):  # type: ignore[no-untyped-def]
    for thread in prange(counters.shape[0] - 2):
        _take_part(net, rows, packed, code, bank, place, phase, phases, noise, counters, thread, size)


@inner
def _share(net, rows, packed, code, bank, place, phase, phases, noise, threads, size):  # type: ignore[no-untyped-def]
    """All phases, shared by threads if they are more than one; arguments as in `_take_part`."""
    if threads > 1:
        _take_parts(net, rows, packed, code, bank, place, phase, phases, noise, counters_for(threads), size)
    else:
        _take_part(net, rows, packed, code, bank, place, phase, phases, noise, counters_for(1), 0, net[0].size)


@inner
def _update_phases(net, rows, code, bank, block, phase, phases, noise, threads):  # type: ignore[no-untyped-def]
    """All phases, one after the other, in one block."""
    enabled = bank[3][block]
    if enabled == Q(0):
        return
    if _few(enabled) and rows[0].size > 1 and code[2].shape[0] == 0 and not noise[1]:
        for k in range(64):
            if (enabled >> Q(k)) & Q(1):
                packed = packed_plane(net, rows, code, bank, 64 * block + k)
                _share(net, rows, packed, code, bank, 64 * block + k, phase, phases, noise, threads, ROWS_PIECE)
                unpack_plane(net, packed, bank, 64 * block + k)
        return
    if not _few(enabled) and net[2].size == net[0].size * (net[0].size - 1):
        if threads > 1:
            update_dense_by_halves(net, code, bank, block, phase, phases, noise)
        else:
            update_dense(net, code, bank, block, phase, phases, noise)
        return
    none = bank[3][:0]
    least = 64 if _few(enabled) else 16
    size = max(PIECE // (net[2].size // net[0].size + CELL_WORK) // least, 1) * least
    _share(net, rows, (none, none), code, bank, block, phase, phases, noise, threads, size)


@parallel_kernel
def _update_blocks(net, rows, code, bank, phase, phases, noise):  # type: ignore[no-untyped-def]
    """All phases in all blocks, a block to a thread."""
    for block in prange(bank[3].size):
        _update_phases(net, rows, code, bank, block, phase, phases, noise, 1)


@kernel
def update_phases(net, rows, code, bank, phase, phases, noise, threads):  # type: ignore[no-untyped-def]
    """Update the colours of some phases, of one sweep or of many, in that order.

    rows : the fields of `rows.Rows`, in a tuple
    phase : (colours + 1,) int64, first rank of each colour; phases : (n, 3) int64, the colour of each phase, what tells its
    updates from others of the sweep, and the sweep; the rest as in `pbit.update_cells`
    """
    cells, blocks, work = 0, 0, 0
    each = cell_work(net[2].size, net[0].size, rows[0].size > 1 and not noise[1])
    for k in range(phases.shape[0]):
        cells += phase[phases[k, 0] + 1] - phase[phases[k, 0]]
    for block in range(bank[3].size):
        blocks += bank[3][block] != Q(0)
        work += block_work(each, bank[3][block], cells)
    if work < PARALLEL_FROM:
        threads = 1
    if threads > 1 and blocks >= threads:
        _update_blocks(net, rows, code, bank, phase, phases, noise)
        return
    dense = net[2].size == net[0].size * (net[0].size - 1)
    if not dense and work < SHARED_FROM * blocks * phases.shape[0]:
        threads = 1
    for block in range(bank[3].size):
        _update_phases(net, rows, code, bank, block, phase, phases, noise, threads)
