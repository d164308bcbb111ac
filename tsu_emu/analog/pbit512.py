"""`pbit.update_cells` in vectors of 512 bits; the same bits.

Eight neighbours' words become a byte for each plane, whose halves look up two sums of four doubled couplings in registers.
"""

from __future__ import annotations

import numpy as np
from numpy import int32, uint16, uint64

from tsu_emu.analog.pbit import C1, C2, C3, C4, C5, C6, FULL, LANES, LIMIT, ONE, VISIT_SHIFT
from tsu_emu.jit import kernel
from tsu_emu.lanes.operations import (
    added_where,
    as_floats,
    below,
    counting,
    floats,
    floor,
    ints,
    limited,
    looked_up,
    opaque,
    quarter_0,
    quarter_1,
    quarter_2,
    quarter_3,
    rotated,
    shifted_down,
    shifted_up,
    to_floats,
    to_ints,
    transposed,
)
from tsu_emu.lanes.values import (
    address,
    floats_at,
    int32_at,
    int64_at,
    ints_at,
    noise_memory,
    put_ints,
    put_uint64,
    uint32_at,
    uint64_at,
    with_vectors,
)

PARITY = 0x1BD11BDA


@with_vectors
def _mixed(x0, x1, x2, x3, a, b):  # type: ignore[no-untyped-def]
    x0 = x0 + x1
    x1 = rotated(x1, a) ^ x0
    x2 = x2 + x3
    x3 = rotated(x3, b) ^ x2
    return x0, x1, x2, x3


@with_vectors
def _four_rounds(x0, x1, x2, x3, odd):  # type: ignore[no-untyped-def]
    if odd:
        x0, x1, x2, x3 = _mixed(x0, x1, x2, x3, int32(6), int32(20))
        x0, x3, x2, x1 = _mixed(x0, x3, x2, x1, int32(17), int32(11))
        x0, x1, x2, x3 = _mixed(x0, x1, x2, x3, int32(25), int32(10))
        x0, x3, x2, x1 = _mixed(x0, x3, x2, x1, int32(18), int32(20))
    else:
        x0, x1, x2, x3 = _mixed(x0, x1, x2, x3, int32(10), int32(26))
        x0, x3, x2, x1 = _mixed(x0, x3, x2, x1, int32(11), int32(21))
        x0, x1, x2, x3 = _mixed(x0, x1, x2, x3, int32(13), int32(27))
        x0, x3, x2, x1 = _mixed(x0, x3, x2, x1, int32(23), int32(5))
    return x0, x1, x2, x3


@with_vectors
def flip_noise(out, group, plane0, tick, key):  # type: ignore[no-untyped-def]
    """out, address of (4 x 64,) 32-bit integers: `pbit.flip_noise`."""
    k0, k1, k2 = ints(int32(key[0])), ints(int32(key[1])), ints(int32(key[2]))
    k4 = ints(int32(PARITY)) ^ k0 ^ k1 ^ k2
    first, t0, t1 = ints(int32(group)) + k0, ints(int32(tick & 0xFFFFFFFF)) + k2, ints(int32(tick >> 32))
    for q in range(0, LANES, 16):
        x0, x1, x2, x3 = first, counting(int32(plane0 + q)) + k1, t0, t1
        x0, x1, x2, x3 = _four_rounds(x0, x1, x2, x3, False)
        x0, x1, x2, x3 = x0 + k1, x1 + k2, x2, x3 + (k4 + ints(int32(1)))
        x0, x1, x2, x3 = _four_rounds(x0, x1, x2, x3, True)
        x0, x1, x2, x3 = x0 + k2, x1, x2 + k4, x3 + (k0 + ints(int32(2)))
        x0, x1, x2, x3 = _four_rounds(x0, x1, x2, x3, False)
        x0, x1, x2, x3 = x0, x1 + k4, x2 + k0, x3 + (k1 + ints(int32(3)))
        x0, x1, x2, x3 = _mixed(x0, x1, x2, x3, int32(6), int32(20))
        put_ints(out, q, x0)
        put_ints(out, LANES + q, x1)
        put_ints(out, 2 * LANES + q, x2)
        put_ints(out, 3 * LANES + q, x3)


@with_vectors
def _word(words, source, e):  # type: ignore[no-untyped-def]
    return uint64_at(words, np.int64(uint32_at(source, e)))


@with_vectors
def _eight(words, source, e):  # type: ignore[no-untyped-def]
    return transposed(
        _word(words, source, e), _word(words, source, e + 1), _word(words, source, e + 2), _word(words, source, e + 3),
        _word(words, source, e + 4), _word(words, source, e + 5), _word(words, source, e + 6), _word(words, source, e + 7),
    )  # fmt: skip


@with_vectors
def _last_eight(words, source, e, n):  # type: ignore[no-untyped-def]
    """Past the last coupler, n, that one again."""
    return transposed(
        _word(words, source, e), _word(words, source, min(e + 1, n)), _word(words, source, min(e + 2, n)),
        _word(words, source, min(e + 3, n)), _word(words, source, min(e + 4, n)), _word(words, source, min(e + 5, n)),
        _word(words, source, min(e + 6, n)), _word(words, source, min(e + 7, n)),
    )  # fmt: skip


@with_vectors
def _sums(w0, w1, w2, w3, masks):  # type: ignore[no-untyped-def]
    """Lane n: the sum of those weights k whose bit k of n is 1."""
    table = added_where(ints(int32(0)), w0, masks[0])
    table = added_where(table, w1, masks[1])
    table = added_where(table, w2, masks[2])
    return added_where(table, w3, masks[3])


@with_vectors
def _four(doubled, e, masks):  # type: ignore[no-untyped-def]
    return _sums(int32_at(doubled, e), int32_at(doubled, e + 1), int32_at(doubled, e + 2), int32_at(doubled, e + 3), masks)


@with_vectors
def _weight(doubled, e, n):  # type: ignore[no-untyped-def]
    weight = int32_at(doubled, min(e, n))
    return weight if e <= n else int32(0)


@with_vectors
def _last_four(doubled, e, n, masks):  # type: ignore[no-untyped-def]
    w0, w1, w2, w3 = (_weight(doubled, e, n), _weight(doubled, e + 1, n), _weight(doubled, e + 2, n), _weight(doubled, e + 3, n))
    return _sums(w0, w1, w2, w3, masks)


@with_vectors
def _added(f, byte, low, high):  # type: ignore[no-untyped-def]
    return f + looked_up(low, byte) + looked_up(high, shifted_down(byte, int32(4)))


@with_vectors
def _all_added(f0, f1, f2, f3, planes, low, high):  # type: ignore[no-untyped-def]
    return (
        _added(f0, quarter_0(planes), low, high),
        _added(f1, quarter_1(planes), low, high),
        _added(f2, quarter_2(planes), low, high),
        _added(f3, quarter_3(planes), low, high),
    )


@with_vectors
def _fields(words, source, doubled, first, last, base):  # type: ignore[no-untyped-def]
    """Fields of 64 planes: `pbit.fields`, of addresses."""
    f0, f1, f2, f3 = ints(base), ints(base), ints(base), ints(base)
    e, masks = first, (opaque(uint16(0xAAAA)), opaque(uint16(0xCCCC)), opaque(uint16(0xF0F0)), opaque(uint16(0xFF00)))
    while e + 8 <= last:
        low, high = _four(doubled, e, masks), _four(doubled, e + 4, masks)
        f0, f1, f2, f3 = _all_added(f0, f1, f2, f3, _eight(words, source, e), low, high)
        e += 8
    if e < last:
        n = last - 1
        low, high = _last_four(doubled, e, n, masks), _last_four(doubled, e + 4, n, masks)
        f0, f1, f2, f3 = _all_added(f0, f1, f2, f3, _last_eight(words, source, e, n), low, high)
    return f0, f1, f2, f3


@with_vectors
def _decided(field, slope, noise):  # type: ignore[no-untyped-def]
    """Bits of sixteen new spins: `pbit.decide`."""
    x = limited(slope * to_floats(field), LIMIT)
    n = floor(x + floats(np.float32(0.5)))
    f = x - n
    q = floats(C6) * f + floats(C5)
    q = q * f + floats(C4)
    q = q * f + floats(C3)
    q = q * f + floats(C2)
    q = q * f + floats(C1)
    y = (q * f + floats(ONE)) * as_floats(shifted_up(to_ints(n) + ints(int32(127)), int32(23)))
    v = to_floats(shifted_down(noise, int32(8)))
    return below(v * y + v, FULL)


@kernel
def update_cells(net, code, bank, block, low, high, visit, tick, key):  # type: ignore[no-untyped-def]
    """`pbit.update_cells`; arguments as there."""
    order, row, source = address(net[0]), address(net[1]), address(net[2])
    doubled, base, soft = address(code[0]), address(code[1]), address(code[2])
    words, masks, live = address(bank[0][block]), address(bank[1][block]), bank[3][block]
    slope, p = address(bank[4]), LANES * block
    pulled, own = code[2].shape[0] > 0, block * bank[0].shape[1]
    noise = noise_memory()
    for rank in range(low, high):
        if rank == low or rank & 3 == 0:
            flip_noise(noise, rank >> 2, p + (visit << VISIT_SHIFT), tick, key)
        i = int64_at(order, rank)
        f0, f1, f2, f3 = _fields(words, source, doubled, int64_at(row, i), int64_at(row, i + 1), int32_at(base, i))
        if pulled:
            s = LANES * (own + i)
            f0, f1 = f0 + ints_at(soft, s), f1 + ints_at(soft, s + 16)
            f2, f3 = f2 + ints_at(soft, s + 32), f3 + ints_at(soft, s + 48)
        r = LANES * (rank & 3)
        word = _decided(f0, floats_at(slope, p), ints_at(noise, r))
        word |= _decided(f1, floats_at(slope, p + 16), ints_at(noise, r + 16)) << uint64(16)
        word |= _decided(f2, floats_at(slope, p + 32), ints_at(noise, r + 32)) << uint64(32)
        word |= _decided(f3, floats_at(slope, p + 48), ints_at(noise, r + 48)) << uint64(48)
        free = live & ~uint64_at(masks, i)
        put_uint64(words, i, (uint64_at(words, i) & ~free) | (word & free))
