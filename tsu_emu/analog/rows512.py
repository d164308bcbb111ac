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
    for row in range(out.size):
        first, some = LANES * row, uint64(0)
        for k in range(min(LANES, order.size - first)):
            some |= (words[order[first + k]] >> bit & uint64(1)) << uint64(k)
        out[row] = some


@inner
def _unpack(packed, bit, order, words):  # type: ignore[no-untyped-def]
    """The reverse of `_pack`."""
    others = ~(uint64(1) << bit)
    for row in range(packed.size):
        first, some = LANES * row, packed[row]
        for k in range(min(LANES, order.size - first)):
            i = order[first + k]
            words[i] = (words[i] & others) | (some >> uint64(k) & uint64(1)) << bit


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
def packed_plane(net, rows, code, bank, plane):  # type: ignore[no-untyped-def]
    """(spins, clamped) of a plane, by rank, for `update_rows`; the weights of rows follow the fields."""
    order, fresh = net[0], rows[5]
    if fresh[0] == 0:
        refresh(rows, order, code[0], code[1])
    count, bit = rows[0].size - 1, uint64(plane & 63)
    spins, clamped = np.zeros(count + 2, np.uint64), np.zeros(count, np.uint64)
    _pack(bank[0][plane >> 6], bit, order, spins[1:-1])
    _pack(bank[1][plane >> 6], bit, order, clamped)
    return spins, clamped


@kernel
def unpack_plane(net, packed, bank, plane):  # type: ignore[no-untyped-def]
    """Spins of `packed_plane` go back to their words."""
    _unpack(packed[0][1:-1], uint64(plane & 63), net[0], bank[0][plane >> 6])


@inner
def update_rows(net, rows, packed, code, bank, plane, low, high, visit, tick, noise):  # type: ignore[no-untyped-def]
    """Ranks low .. high - 1, all of one colour, in a packed plane; no soft clamps, noise by Threefry. `pbit.update_plane`."""
    where = address(rows[0]), address(rows[1]), address(rows[3]), address(rows[4])
    number, slope = plane + (visit << VISIT_SHIFT), bank[4][plane]
    _phase(where, address(packed[0]), address(packed[1]), low, high, slope, number, tick, noise[0])
