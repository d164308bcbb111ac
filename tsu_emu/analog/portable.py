"""What stands for the kernels of special graphs on processors without vectors of 512 bits: cell after cell, as everywhere."""

from __future__ import annotations

from tsu_emu.analog.pbit import fields, update_cells, update_plane
from tsu_emu.jit import inner

__all__ = ["fields", "update_cells", "update_dense", "update_plane_by_rows"]


@inner
def update_plane_by_rows(net, rows, code, bank, plane, phase, phases, noise):  # type: ignore[no-untyped-def]
    """All phases in one plane; arguments as in `rows512.update_plane_by_rows`."""
    for k in range(phases.shape[0]):
        colour, visit, tick = phases[k, 0], phases[k, 1], phases[k, 2]
        update_plane(net, code, bank, plane, phase[colour], phase[colour + 1], visit, tick, noise)


@inner
def update_dense(net, code, bank, block, phase, phases, noise):  # type: ignore[no-untyped-def]
    """All phases in a block; arguments as in `dense512.update_dense`."""
    for k in range(phases.shape[0]):
        colour, visit, tick = phases[k, 0], phases[k, 1], phases[k, 2]
        update_cells(net, code, bank, block, phase[colour], phase[colour + 1], visit, tick, noise)
