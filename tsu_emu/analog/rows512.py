"""Clocked p-bits in one plane, 64 cells side by side in vectors of 512 bits; the bits of `pbit.update_plane`."""

from __future__ import annotations

import numpy as np
from numpy import int64, uint64

from tsu_emu.analog.noise512 import rank_noise
from tsu_emu.analog.pbit import LANES, VISIT_SHIFT
from tsu_emu.analog.pbit512 import decided
from tsu_emu.analog.rows import refresh
from tsu_emu.jit import inner, kernel
from tsu_emu.lanes.operations import added_where_bits, floats
from tsu_emu.lanes.values import address, int64_at, ints_at, put_uint64, uint64_at, with_vectors

BITS = ~uint64(0)


@inner
def _pack(words, bit, order, out):  # type: ignore[no-untyped-def]
    """out (rows,) uint64: bit `bit` of each cell's word, by rank."""
    out[:] = uint64(0)
    for rank in range(order.size):
        out[rank >> 6] |= (words[order[rank]] >> bit & uint64(1)) << uint64(rank & 63)


@inner
def _unpack(packed, bit, order, words):  # type: ignore[no-untyped-def]
    """The reverse of `_pack`."""
    for rank in range(order.size):
        i = order[rank]
        up = packed[rank >> 6] >> uint64(rank & 63) & uint64(1)
        words[i] = (words[i] & ~(uint64(1) << bit)) | up << bit


@with_vectors
def _window(plane, at):  # type: ignore[no-untyped-def]
    """Bits at .. at + 63 of a plane that begins at an address."""
    word, shift = at >> int64(6), uint64(at & int64(63))
    upper = uint64_at(plane, word + 1) << uint64(1) << (uint64(63) - shift)
    return uint64_at(plane, word) >> shift | upper


@with_vectors
def _row_fields(rows, plane, row):  # type: ignore[no-untyped-def]
    """Fields of ranks 64 row .. 64 row + 63; rows and plane are addresses, the plane's of rank -64."""
    first, distance, weight, base = rows
    r = LANES * row
    f0, f1, f2, f3 = ints_at(base, r), ints_at(base, r + 16), ints_at(base, r + 32), ints_at(base, r + 48)
    for slot in range(int64_at(first, row), int64_at(first, row + 1)):
        bits, w = _window(plane, LANES + r + int64_at(distance, slot)), LANES * slot
        f0 = added_where_bits(f0, ints_at(weight, w), bits, uint64(0))
        f1 = added_where_bits(f1, ints_at(weight, w + 16), bits, uint64(16))
        f2 = added_where_bits(f2, ints_at(weight, w + 32), bits, uint64(32))
        f3 = added_where_bits(f3, ints_at(weight, w + 48), bits, uint64(48))
    return f0, f1, f2, f3


@inner
def _phase(rows, plane, masks, low, high, slope, number, tick, key):  # type: ignore[no-untyped-def]
    """One colour, ranks low .. high - 1; masks : address of the clamped bits; number : of the plane, as the noise counts it."""
    scale = floats(slope)
    for row in range(low >> 6, (high + 63) >> 6):
        r = LANES * row
        f0, f1, f2, f3 = _row_fields(rows, plane, row)
        n0, n1, n2, n3 = rank_noise(r, number, tick, key)
        word = decided(f0, scale, n0) | decided(f1, scale, n1) << uint64(16)
        word |= decided(f2, scale, n2) << uint64(32) | decided(f3, scale, n3) << uint64(48)
        free = ~uint64_at(masks, row)
        if low > r:
            free &= BITS << uint64(low - r)
        if high < r + LANES:
            free &= BITS >> uint64(r + LANES - high)
        put_uint64(plane, row + 1, (uint64_at(plane, row + 1) & ~free) | (word & free))


@kernel
def update_plane_by_rows(net, rows, code, bank, plane, phase, phases, noise):  # type: ignore[no-untyped-def]
    """All phases in one plane; arguments as in `sweep.update_phases`, no soft clamps, noise by Threefry."""
    order, (first, distance, _, weight, base, fresh) = net[0], rows
    if fresh[0] == 0:
        refresh(rows, order, code[0], code[1])
    words, masks, bit = bank[0][plane >> 6], bank[1][plane >> 6], uint64(plane & 63)
    packed, clamped = np.zeros(first.size + 1, np.uint64), np.zeros(first.size - 1, np.uint64)
    _pack(words, bit, order, packed[1:])
    _pack(masks, bit, order, clamped)
    where = address(first), address(distance), address(weight), address(base)
    slope = bank[4][plane]
    for k in range(phases.shape[0]):
        colour, visit, tick = phases[k, 0], phases[k, 1], phases[k, 2]
        number = plane + (visit << VISIT_SHIFT)
        _phase(where, address(packed), address(clamped), phase[colour], phase[colour + 1], slope, number, tick, noise[0])
    _unpack(packed[1:], bit, order, words)
