"""`pbit.update_cells` in vectors of 512 bits; the same bits.

Eight neighbours' words become a byte for each plane, whose halves look up two sums of four doubled couplings in registers.
"""

from __future__ import annotations

import numpy as np
from numpy import int32, int64, uint16, uint64

from tsu_emu.analog.noise512 import ars, flip_noise, round_keys
from tsu_emu.analog.pbit import C1, C2, C3, C4, C5, C6, FULL, LANES, LIMIT, ONE, VISIT_SHIFT
from tsu_emu.jit import inner, kernel
from tsu_emu.lanes.operations import (
    added_where,
    as_floats,
    below,
    blocks,
    counting_blocks,
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
    shifted_down,
    shifted_up,
    to_floats,
    to_ints,
    transposed,
)
from tsu_emu.lanes.values import (
    address,
    bytes_at,
    floats_at,
    int32_at,
    int64_at,
    ints_at,
    memory_for_16,
    memory_for_64,
    put_bytes,
    put_ints,
    put_uint64,
    uint32_at,
    uint64_at,
    with_vectors,
)

KEPT = 512
"""Cells heard whose bytes are kept."""


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
def sums(w0, w1, w2, w3, masks):  # type: ignore[no-untyped-def]
    """Lane n: the sum of those weights k whose bit k of n is 1."""
    table = added_where(ints(int32(0)), w0, masks[0])
    table = added_where(table, w1, masks[1])
    table = added_where(table, w2, masks[2])
    return added_where(table, w3, masks[3])


@with_vectors
def four(doubled, e, masks):  # type: ignore[no-untyped-def]
    return sums(int32_at(doubled, e), int32_at(doubled, e + 1), int32_at(doubled, e + 2), int32_at(doubled, e + 3), masks)


@with_vectors
def _weight(doubled, e, n):  # type: ignore[no-untyped-def]
    return int32_at(doubled, min(e, n)) * int32(e <= n)


@with_vectors
def last_four(doubled, e, n, masks):  # type: ignore[no-untyped-def]
    w0, w1, w2, w3 = (_weight(doubled, e, n), _weight(doubled, e + 1, n), _weight(doubled, e + 2, n), _weight(doubled, e + 3, n))
    return sums(w0, w1, w2, w3, masks)


@with_vectors
def added(f, byte, low, high):  # type: ignore[no-untyped-def]
    return f + looked_up(low, byte) + looked_up(high, shifted_down(byte, int32(4)))


@with_vectors
def all_added(f0, f1, f2, f3, planes, low, high):  # type: ignore[no-untyped-def]
    return (
        added(f0, quarter_0(planes), low, high),
        added(f1, quarter_1(planes), low, high),
        added(f2, quarter_2(planes), low, high),
        added(f3, quarter_3(planes), low, high),
    )


@with_vectors
def _gather(kept, words, source, first, last):  # type: ignore[no-untyped-def]
    """Keep the bytes of couplers first .. last - 1, eight couplers after the other."""
    for e in range(first, last - 7, 8):
        put_bytes(kept, 8 * (e - first), _eight(words, source, e))
    done = (last - first) & ~7
    if first + done < last:
        put_bytes(kept, 8 * done, _last_eight(words, source, first + done, last - 1))


@with_vectors
def _fields(words, source, doubled, first, last, base, kept):  # type: ignore[no-untyped-def]
    """Fields of 64 planes: `pbit.fields`, of addresses; kept : what `_gather` keeps, or 0."""
    f0, f1, f2, f3 = ints(base), ints(base), ints(base), ints(base)
    e, masks = first, (opaque(uint16(0xAAAA)), opaque(uint16(0xCCCC)), opaque(uint16(0xF0F0)), opaque(uint16(0xFF00)))
    while e + 8 <= last:
        low, high = four(doubled, e, masks), four(doubled, e + 4, masks)
        planes = bytes_at(kept, 8 * (e - first)) if kept != 0 else _eight(words, source, e)
        f0, f1, f2, f3 = all_added(f0, f1, f2, f3, planes, low, high)
        e += 8
    if e < last:
        n = last - 1
        low, high = last_four(doubled, e, n, masks), last_four(doubled, e + 4, n, masks)
        planes = bytes_at(kept, 8 * (e - first)) if kept != 0 else _last_eight(words, source, e, n)
        f0, f1, f2, f3 = all_added(f0, f1, f2, f3, planes, low, high)
    return f0, f1, f2, f3


@kernel
def fields(out, spins, source, doubled, first, last, base):  # type: ignore[no-untyped-def]
    """`pbit.fields`; arguments as there."""
    kept = int64(0)
    f0, f1, f2, f3 = _fields(address(spins), address(source), address(doubled), first, last, base, kept)
    where = address(out)
    put_ints(where, int64(0), f0)
    put_ints(where, int64(16), f1)
    put_ints(where, int64(32), f2)
    put_ints(where, int64(48), f3)


@with_vectors
def decided(field, slope, noise):  # type: ignore[no-untyped-def]
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


@with_vectors
def merge(bank, i, f0, f1, f2, f3, n0, n1, n2, n3):  # type: ignore[no-untyped-def]
    """Decide and write the spins of one cell."""
    words, masks, live, slope = bank
    word = decided(f0, floats_at(slope, 0), n0)
    word |= decided(f1, floats_at(slope, 16), n1) << uint64(16)
    word |= decided(f2, floats_at(slope, 32), n2) << uint64(32)
    word |= decided(f3, floats_at(slope, 48), n3) << uint64(48)
    free = live & ~uint64_at(masks, i)
    put_uint64(words, i, (uint64_at(words, i) & ~free) | (word & free))


@with_vectors
def _run(row, source, i):  # type: ignore[no-untyped-def]
    """What tells the cells from others that a cell hears, if these are few and follow one another; else -1."""
    first, last = int64_at(row, i), int64_at(row, i + 1)
    if first == last or last - first > KEPT:
        return int64(-1)
    least = int64(uint32_at(source, first))
    return least * KEPT + (last - first) if int64(uint32_at(source, last - 1)) - least == last - first - 1 else int64(-1)


@with_vectors
def _heard(net, code, words, i, kept, known):  # type: ignore[no-untyped-def]
    """(Fields of one cell with its soft clamps, what is known of the cells heard); net and code hold addresses.

    Cells of one colour that hear the same ones share their bytes, at `kept`: none of these changes in the meantime.
    """
    (_, row, source), (doubled, base, soft, pulled) = net, code
    first, last, run = int64_at(row, i), int64_at(row, i + 1), _run(row, source, i)
    if run >= 0 and run != known:
        _gather(kept, words, source, first, last)
    f0, f1, f2, f3 = _fields(words, source, doubled, first, last, int32_at(base, i), kept if run >= 0 else int64(0))
    if pulled:
        s = LANES * i
        f0, f1 = f0 + ints_at(soft, s), f1 + ints_at(soft, s + 16)
        f2, f3 = f2 + ints_at(soft, s + 32), f3 + ints_at(soft, s + 48)
    return f0, f1, f2, f3, run


@with_vectors
def _addresses(net, code, bank, block):  # type: ignore[no-untyped-def]
    """Where everything of a block begins."""
    pulled = code[2].shape[0] > 0
    soft = address(code[2]) + (4 * LANES * block * bank[0].shape[1] if pulled else 0)
    slope = address(bank[4]) + 4 * LANES * block
    return (
        (address(net[0]), address(net[1]), address(net[2])),
        (address(code[0]), address(code[1]), soft, pulled),
        (address(bank[0][block]), address(bank[1][block]), bank[3][block], slope),
    )


@inner
def _by_threefry(net, code, bank, block, low, high, visit, tick, key):  # type: ignore[no-untyped-def]
    net, code, bank = _addresses(net, code, bank, block)
    drawn, plane0 = memory_for_16(), LANES * block + (visit << VISIT_SHIFT)
    kept, known = memory_for_64(), int64(-1)
    for rank in range(low, high):
        if rank == low or rank & 3 == 0:
            flip_noise(drawn, rank >> 2, plane0, LANES, tick, key)
        i, r = int64_at(net[0], rank), LANES * (rank & 3)
        f0, f1, f2, f3, known = _heard(net, code, bank[0], i, kept, known)
        n0, n1, n2, n3 = ints_at(drawn, r), ints_at(drawn, r + 16), ints_at(drawn, r + 32), ints_at(drawn, r + 48)
        merge(bank, i, f0, f1, f2, f3, n0, n1, n2, n3)


@inner
def _by_aes(net, code, bank, block, low, high, visit, tick, key):  # type: ignore[no-untyped-def]
    net, code, bank = _addresses(net, code, bank, block)
    keys, step, kept, known = round_keys(key), uint64(1) << uint64(32), memory_for_64(), int64(-1)
    c1 = uint64((LANES // 4) * block + (visit << VISIT_SHIFT)) << uint64(32)
    counter = blocks(c1, uint64(tick)) + counting_blocks(step)
    sixteen = blocks(uint64(4) * step, uint64(0))
    for rank in range(low, high):
        i, first = int64_at(net[0], rank), counter + blocks(uint64(rank), uint64(0))
        second = first + sixteen
        third = second + sixteen
        f0, f1, f2, f3, known = _heard(net, code, bank[0], i, kept, known)
        n0, n1, n2, n3 = ars(first, keys), ars(second, keys), ars(third, keys), ars(third + sixteen, keys)
        merge(bank, i, f0, f1, f2, f3, n0, n1, n2, n3)


@kernel
def update_cells(net, code, bank, block, low, high, visit, tick, noise):  # type: ignore[no-untyped-def]
    """`pbit.update_cells`; arguments as there."""
    key, by_aes = noise
    if by_aes:
        _by_aes(net, code, bank, block, low, high, visit, tick, key)
    else:
        _by_threefry(net, code, bank, block, low, high, visit, tick, key)
