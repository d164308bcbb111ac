"""Sweeps of clocked p-bits: which kernel does them on this processor, and how threads share them.

Results depend on neither: planes know nothing of each other, and no cell hears its own colour.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from tsu_emu.analog.pbit import update_plane
from tsu_emu.jit import inner, kernel, parallel_kernel
from tsu_emu.lanes.target import HAS_VECTORS

if HAS_VECTORS:
    from tsu_emu.analog.dense512 import update_dense
    from tsu_emu.analog.pbit512 import fields, update_cells
    from tsu_emu.analog.rows512 import update_plane_by_rows
else:
    from tsu_emu.analog.portable import fields, update_cells, update_dense, update_plane_by_rows

__all__ = ["CELL_WORK", "fields", "update_block", "update_phases"]

Q = np.uint64
CELL_WORK = 8
"""Work of a cell beyond its couplers, in couplers; a unit is 2 to 6 ns for 64 planes."""
PARALLEL_FROM = 50_000
"""Work from which a second thread pays."""
FEW_PLANES = 4
"""Enabled planes of a block up to which they are updated one by one."""


@inner
def _few(x):  # type: ignore[no-untyped-def]
    """Whether at most FEW_PLANES bits of a uint64 are set."""
    for _ in range(FEW_PLANES):
        x &= x - Q(1)
    return x == Q(0)


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


@parallel_kernel
def _update_parts(net, code, bank, block, low, high, visit, tick, noise, parts):  # type: ignore[no-untyped-def]
    """As `update_block`, in chunks of ranks for as many threads."""
    size = ((high - low + parts - 1) // parts + 3) & ~3
    for part in prange(parts):
        first = low + part * size
        update_block(net, code, bank, block, first, min(high, first + size), visit, tick, noise)


@inner
def _update_phases(net, rows, code, bank, block, phase, phases, noise, threads):  # type: ignore[no-untyped-def]
    """All phases, one after the other, in one block."""
    enabled = bank[3][block]
    if enabled == Q(0):
        return
    if _few(enabled) and rows[0].size > 1 and code[2].shape[0] == 0 and not noise[1]:
        for k in range(64):
            if (enabled >> Q(k)) & Q(1):
                update_plane_by_rows(net, rows, code, bank, 64 * block + k, phase, phases, noise)
        return
    if not _few(enabled) and net[2].size == net[0].size * (net[0].size - 1):
        update_dense(net, code, bank, block, phase, phases, noise)
        return
    couplers_and_cell = net[2].size // net[0].size + CELL_WORK
    for k in range(phases.shape[0]):
        colour, visit, tick = phases[k, 0], phases[k, 1], phases[k, 2]
        low, high = phase[colour], phase[colour + 1]
        if threads > 1 and (high - low) * couplers_and_cell >= PARALLEL_FROM:
            _update_parts(net, code, bank, block, low, high, visit, tick, noise, threads)
        else:
            update_block(net, code, bank, block, low, high, visit, tick, noise)


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
    cells, blocks = 0, 0
    for k in range(phases.shape[0]):
        cells += phase[phases[k, 0] + 1] - phase[phases[k, 0]]
    for block in range(bank[3].size):
        blocks += bank[3][block] != Q(0)
    if threads > 1 and blocks >= threads and cells * (net[2].size // net[0].size + CELL_WORK) >= PARALLEL_FROM:
        _update_blocks(net, rows, code, bank, phase, phases, noise)
        return
    for block in range(bank[3].size):
        _update_phases(net, rows, code, bank, block, phase, phases, noise, threads)
