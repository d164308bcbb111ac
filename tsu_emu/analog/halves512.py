"""Clocked p-bits that all hear each other, a block's two halves of 32 planes on two threads; the bits of `dense512`.

Planes know nothing of each other, so the halves never meet before the last phase. The price is that both look up every coupling.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy import int64, uint8, uint16, uint32, uint64

from tsu_emu.analog.dense512 import keep, own_four
from tsu_emu.analog.noise512 import ars_noise, flip_noise, round_keys
from tsu_emu.analog.pbit import HALF, LANES, VISIT_SHIFT
from tsu_emu.analog.pbit512 import added, decided, four, last_four
from tsu_emu.jit import inner, parallel_kernel
from tsu_emu.lanes.operations import ints, opaque, quarter_0, quarter_1, with_bit
from tsu_emu.lanes.values import (
    address,
    bytes_at,
    floats_at,
    ints_at,
    memory_for_16,
    put_bytes,
    put_uint64,
    uint64_at,
    with_vectors,
)


@with_vectors
def _added(f0, f1, planes, low, high):  # type: ignore[no-untyped-def]
    return added(f0, quarter_0(planes), low, high), added(f1, quarter_1(planes), low, high)


@with_vectors
def _fields(doubled, first, i, cells, base, kept):  # type: ignore[no-untyped-def]
    """Fields of 32 planes of cell i, of addresses."""
    f0, f1 = ints(base), ints(base)
    masks = opaque(uint16(0xAAAA)), opaque(uint16(0xCCCC)), opaque(uint16(0xF0F0)), opaque(uint16(0xFF00))
    own, whole = i >> 3, cells >> 3
    for g in range(whole):
        e = first + 8 * g - int64(g > own)
        if g != own:
            f0, f1 = _added(f0, f1, bytes_at(kept, 64 * g), four(doubled, e, masks), four(doubled, e + 4, masks))
    low, high = own_four(doubled, first, i, 8 * own, cells, masks), own_four(doubled, first, i, 8 * own + 4, cells, masks)
    f0, f1 = _added(f0, f1, bytes_at(kept, 64 * own), low, high)
    if whole << 3 < cells and own != whole:
        e, n = first + 8 * whole - 1, first + cells - 2
        low, high = last_four(doubled, e, n, masks), last_four(doubled, e + 4, n, masks)
        f0, f1 = _added(f0, f1, bytes_at(kept, 64 * whole), low, high)
    return f0, f1


@with_vectors
def _merge(words, i, free, slope, f0, f1, n0, n1):  # type: ignore[no-untyped-def]
    """Decide and write the spins of one cell, in the lower half of its word."""
    word = decided(f0, floats_at(slope, 0), n0) | decided(f1, floats_at(slope, 16), n1) << uint64(16)
    put_uint64(words, i, (uint64_at(words, i) & ~free) | (word & free))


@inner
def _update_half(net, code, bank, block, half, phase, phases, noise):  # type: ignore[no-untyped-def]
    """All phases in planes 32 half .. 32 half + 31 of a block; arguments as in `sweep.update_phases`."""
    cells, (key, by_aes), shift = net[0].size, noise, uint64(HALF * half)
    if uint32(bank[3][block] >> shift) == uint32(0):
        return uint8(0)
    order, row = net[0], net[1]
    doubled, base, soft = address(code[0]), code[1], address(code[2]) + 4 * HALF * half
    pulled, live, masks = code[2].shape[0] > 0, bank[3][block], bank[1][block]
    own, memory = bank[0][block] >> shift, np.empty(64 * ((cells + 7) >> 3), np.uint8)
    keep(own, memory)
    kept, words, slope = address(memory), address(own), address(bank[4]) + 4 * (LANES * block + HALF * half)
    drawn, keys, last = memory_for_16(), round_keys(key), (int64(-1), int64(-1), int64(-1))
    for k in range(phases.shape[0]):
        colour, visit, tick = phases[k, 0], phases[k, 1], phases[k, 2]
        rank = phase[colour]
        i, r = order[rank], LANES * (rank & 3)
        if by_aes:
            r = 0
            ars_noise(drawn, rank, (LANES // 4) * block + (HALF // 4) * half + (visit << VISIT_SHIFT), HALF, tick, keys)
        elif last != (rank >> 2, visit, tick):
            flip_noise(drawn, rank >> 2, LANES * block + HALF * half + (visit << VISIT_SHIFT), HALF, tick, key)
            last = (rank >> 2, visit, tick)
        f0, f1 = _fields(doubled, row[i], i, cells, base[i], kept)
        if pulled:
            s = LANES * (block * cells + i)
            f0, f1 = f0 + ints_at(soft, s), f1 + ints_at(soft, s + 16)
        _merge(words, i, (live & ~masks[i]) >> shift, slope, f0, f1, ints_at(drawn, r), ints_at(drawn, r + 16))
        g = 64 * (i >> 3)
        put_bytes(kept, g, with_bit(bytes_at(kept, g), uint64(i & 7), own[i]))
    halves = bank[0][block].view(np.uint32)
    for i in range(cells):
        halves[2 * i + half] = uint32(own[i])
    return memory[0]


@parallel_kernel
def update_dense_by_halves(net, code, bank, block, phase, phases, noise):  # type: ignore[no-untyped-def]
    """All phases, a cell each, in the enabled planes of a block; arguments as in `sweep.update_phases`."""
    for half in prange(2):
        _update_half(net, code, bank, block, half, phase, phases, noise)
