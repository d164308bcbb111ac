"""Clocked p-bits that all hear each other, in vectors of 512 bits; the bits of `pbit.update_cells`.

Every cell hears the same words but its own, so their bytes (see `pbit512`) are made once and kept as cells flip.
"""

from __future__ import annotations

import numpy as np
from numpy import int32, int64, uint16, uint64

from tsu_emu.analog.noise512 import ars_noise, flip_noise, round_keys
from tsu_emu.analog.pbit import LANES, VISIT_SHIFT
from tsu_emu.analog.pbit512 import all_added, four, last_four, merge, sums
from tsu_emu.jit import inner, kernel
from tsu_emu.lanes.operations import ints, opaque, transposed, with_bit
from tsu_emu.lanes.values import (
    address,
    bytes_at,
    int32_at,
    ints_at,
    memory_for_16,
    put_bytes,
    uint64_at,
    with_vectors,
)


@inner
def keep(words, kept):  # type: ignore[no-untyped-def]
    """kept (64 x groups,) uint8: bytes of eight cells after the other; cells that do not exist are down."""
    eight = np.zeros(8, np.uint64)
    for g in range(kept.size >> 6):
        for k in range(8):
            eight[k] = words[8 * g + k] if 8 * g + k < words.size else uint64(0)
        planes = transposed(eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6], eight[7])
        put_bytes(address(kept), 64 * g, planes)


@with_vectors
def _weight_of(doubled, first, i, j, cells):  # type: ignore[no-untyped-def]
    """What cell i, whose couplers begin at `first`, hears of cell j; 0 of itself and of cells that do not exist."""
    e = min(first + j - int64(j > i), first + cells - 2)
    return int32_at(doubled, e) * int32(j != i) * int32(j < cells)


@with_vectors
def own_four(doubled, first, i, j, cells, masks):  # type: ignore[no-untyped-def]
    w0, w1 = _weight_of(doubled, first, i, j, cells), _weight_of(doubled, first, i, j + 1, cells)
    w2, w3 = _weight_of(doubled, first, i, j + 2, cells), _weight_of(doubled, first, i, j + 3, cells)
    return sums(w0, w1, w2, w3, masks)


@with_vectors
def _fields(doubled, first, i, cells, base, kept):  # type: ignore[no-untyped-def]
    """Fields of 64 planes of cell i, of addresses."""
    f0, f1, f2, f3 = ints(base), ints(base), ints(base), ints(base)
    masks = opaque(uint16(0xAAAA)), opaque(uint16(0xCCCC)), opaque(uint16(0xF0F0)), opaque(uint16(0xFF00))
    own, whole = i >> 3, cells >> 3
    for g in range(whole):
        e = first + 8 * g - int64(g > own)
        if g != own:
            planes = bytes_at(kept, 64 * g)
            f0, f1, f2, f3 = all_added(f0, f1, f2, f3, planes, four(doubled, e, masks), four(doubled, e + 4, masks))
    low, high = own_four(doubled, first, i, 8 * own, cells, masks), own_four(doubled, first, i, 8 * own + 4, cells, masks)
    f0, f1, f2, f3 = all_added(f0, f1, f2, f3, bytes_at(kept, 64 * own), low, high)
    if whole << 3 < cells and own != whole:
        e, n = first + 8 * whole - 1, first + cells - 2
        low, high = last_four(doubled, e, n, masks), last_four(doubled, e + 4, n, masks)
        f0, f1, f2, f3 = all_added(f0, f1, f2, f3, bytes_at(kept, 64 * whole), low, high)
    return f0, f1, f2, f3


@kernel
def update_dense(net, code, bank, block, phase, phases, noise):  # type: ignore[no-untyped-def]
    """All phases, a cell each, in the enabled planes of a block; arguments as in `sweep.update_phases`."""
    cells, (key, by_aes) = net[0].size, noise
    order, row = net[0], net[1]
    doubled, base, soft = address(code[0]), code[1], address(code[2])
    pulled, own = code[2].shape[0] > 0, block * cells
    words = bank[0][block]
    memory = np.empty(64 * ((cells + 7) >> 3), np.uint8)
    keep(words, memory)
    kept = address(memory)
    where = address(words), address(bank[1][block]), bank[3][block], address(bank[4]) + 4 * LANES * block
    drawn, keys, last = memory_for_16(), round_keys(key), (int64(-1), int64(-1), int64(-1))
    for k in range(phases.shape[0]):
        colour, visit, tick = phases[k, 0], phases[k, 1], phases[k, 2]
        rank = phase[colour]
        i, r = order[rank], LANES * (rank & 3)
        if by_aes:
            r = 0
            ars_noise(drawn, rank, (LANES // 4) * block + (visit << VISIT_SHIFT), LANES, tick, keys)
        elif last != (rank >> 2, visit, tick):
            flip_noise(drawn, rank >> 2, LANES * block + (visit << VISIT_SHIFT), LANES, tick, key)
            last = (rank >> 2, visit, tick)
        f0, f1, f2, f3 = _fields(doubled, row[i], i, cells, base[i], kept)
        if pulled:
            s = LANES * (own + i)
            f0, f1 = f0 + ints_at(soft, s), f1 + ints_at(soft, s + 16)
            f2, f3 = f2 + ints_at(soft, s + 32), f3 + ints_at(soft, s + 48)
        n0, n1, n2, n3 = ints_at(drawn, r), ints_at(drawn, r + 16), ints_at(drawn, r + 32), ints_at(drawn, r + 48)
        merge(where, i, f0, f1, f2, f3, n0, n1, n2, n3)
        g = 64 * (i >> 3)
        put_bytes(kept, g, with_bit(bytes_at(kept, g), uint64(i & 7), uint64_at(where[0], i)))
    return memory[0]
