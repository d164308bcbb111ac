"""What stands for the kernels of special graphs on processors without vectors of 512 bits: cell after cell, as everywhere."""

from __future__ import annotations

from tsu_emu.analog.pbit import fields, update_cells, update_plane
from tsu_emu.jit import inner

__all__ = [
    "fields", "packed_plane", "unpack_plane", "update_cells", "update_dense", "update_dense_by_halves", "update_rows",
]  # fmt: skip


@inner
def packed_plane(net, rows, code, bank, plane):  # type: ignore[no-untyped-def]
    """What stands for a packed plane, which these kernels leave in its words; arguments as in `rows512.packed_plane`."""
    return bank[3], bank[3]


@inner
def unpack_plane(net, packed, bank, plane):  # type: ignore[no-untyped-def]
    """Nothing."""


@inner
def update_rows(net, rows, packed, code, bank, plane, low, high, visit, tick, noise):  # type: ignore[no-untyped-def]
    """Ranks low .. high - 1 of a plane; arguments as in `rows512.update_rows`."""
    update_plane(net, code, bank, plane, low, high, visit, tick, noise)


@inner
def update_dense(net, code, bank, block, phase, phases, noise):  # type: ignore[no-untyped-def]
    """All phases in a block; arguments as in `dense512.update_dense`."""
    for k in range(phases.shape[0]):
        colour, visit, tick = phases[k, 0], phases[k, 1], phases[k, 2]
        update_cells(net, code, bank, block, phase[colour], phase[colour + 1], visit, tick, noise)


update_dense_by_halves = update_dense
