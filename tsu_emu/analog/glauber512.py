"""`glauber.draw` and `glauber.play` in vectors of 512 bits; the same bits.

The planes of a visit lie side by side in lanes: of each word heard, their bits are gathered and choose the lanes to which a
doubled coupling is added. A visit of all planes needs no such choice.
"""

from __future__ import annotations

from numpy import int32, int64, uint16, uint64

from tsu_emu.analog.glauber import DECISION, NUMBER, ORDER
from tsu_emu.analog.pbit import LANES
from tsu_emu.analog.pbit512 import decided
from tsu_emu.jit import inner, kernel
from tsu_emu.lanes.operations import added_where, added_where_bits, chosen, counting, gathered, ints, ones, scattered, under
from tsu_emu.lanes.threefry import sixteen
from tsu_emu.lanes.values import (
    address,
    floats_at,
    int32_at,
    int64_at,
    ints_at,
    memory_for_16,
    put_floats,
    put_int32,
    put_ints,
    put_uint64,
    soon,
    uint32_at,
    uint64_at,
    with_vectors,
)

ALL = uint64(0xFFFFFFFFFFFFFFFF)
AHEAD = 12
"""Visits between asking for a cell's couplers and using them."""


@with_vectors
def _at_least(w0, w1, w2, w3, limit):  # type: ignore[no-untyped-def]
    """Planes whose word is below the limit."""
    low = under(w0, limit) | under(w1, limit) << uint64(16)
    return low | under(w2, limit) << uint64(32) | under(w3, limit) << uint64(48)


@with_vectors
def _join(cells, planes, n, i, some, picks, block, turn, key):  # type: ignore[no-untyped-def]
    """Visit number n takes a random place in the order. picks : memory for the words of 64 visits"""
    if n & 63 == 0:
        _picks(picks, n, block, turn, key)
    pick = uint32_at(picks, 16 * (n & 3) + (n >> 2 & 15))
    place = int64((uint64(pick) * uint64(n + 1)) >> uint64(32))
    put_uint64(planes, n, uint64_at(planes, place))
    put_uint64(planes, place, some)
    put_int32(cells, n, int32_at(cells, place))
    put_int32(cells, place, int32(i))


@with_vectors
def _draw_shared(rounds, block, turn, key, visits):  # type: ignore[no-untyped-def]
    """As `draw`, for planes that share a clock: sixteen cells at a time."""
    row, tail, picks, n = address(rounds.row), address(rounds.tail), memory_for_16(), int64(0)
    cells, planes, own = address(visits.cell), address(visits.planes), memory_for_16()
    for i in range(rounds.row.size - 1):
        if i & 15 == 0:
            w0, _, _, _ = sixteen(counting(int32(i)), ints(int32(NUMBER + LANES * block)), turn, key)
            put_ints(own, 0, w0)
        for k in range(int64_at(row, i), int64_at(row, i + 1)):
            if uint32_at(own, i & 15) >= uint32_at(tail, k):
                break
            _join(cells, planes, n, i, ALL, picks, block, turn, key)
            n += 1
    return n


@kernel
def draw(rounds, block, turn, key, visits):  # type: ignore[no-untyped-def]
    """`glauber.draw`; arguments as there."""
    if rounds.shared:
        return _draw_shared(rounds, block, turn, key, visits)
    row, tail, picks, n = address(rounds.row), address(rounds.tail), memory_for_16(), int64(0)
    cells, planes, lanes = address(visits.cell), address(visits.planes), counting(int32(NUMBER + LANES * block))
    for i in range(rounds.row.size - 1):
        w0, w1, w2, w3 = sixteen(ints(int32(i)), lanes, turn, key)
        for k in range(int64_at(row, i), int64_at(row, i + 1)):
            some = _at_least(w0, w1, w2, w3, uint32_at(tail, k))
            if some == uint64(0):
                break
            _join(cells, planes, n, i, some, picks, block, turn, key)
            n += 1
    return n


@with_vectors
def _picks(out, n, block, turn, key):  # type: ignore[no-untyped-def]
    """Words for the places of visits n .. n + 63: that of visit n + 4 g + k at 16 k + g."""
    p0, p1, p2, p3 = sixteen(counting(int32(n >> 2)), ints(int32(ORDER + LANES * block)), turn, key)
    put_ints(out, 0, p0)
    put_ints(out, 16, p1)
    put_ints(out, 32, p2)
    put_ints(out, 48, p3)


@with_vectors
def _words(out, first, group, block, turn, key):  # type: ignore[no-untyped-def]
    """Noise of four visits for ranks first .. first + 15."""
    w0, w1, w2, w3 = sixteen(ints(int32(group)), counting(int32(DECISION + LANES * block + first)), turn, key)
    put_ints(out, 4 * first, w0)
    put_ints(out, 4 * first + 16, w1)
    put_ints(out, 4 * first + 32, w2)
    put_ints(out, 4 * first + 48, w3)


@with_vectors
def _slopes(out, slope, planes):  # type: ignore[no-untyped-def]
    """Slopes of a visit's planes, side by side."""
    at = int64(0)
    for q in range(0, LANES, 16):
        some = (planes >> uint64(q)) & uint64(0xFFFF)
        put_floats(out, at, chosen(floats_at(slope, q), uint16(some)))
        at += ones(some)


@with_vectors
def _heard(f, words, source, doubled, e, planes):  # type: ignore[no-untyped-def]
    bits = gathered(uint64_at(words, int64(uint32_at(source, e))), planes)
    return added_where(f, int32_at(doubled, e), uint16(bits))


@with_vectors
def _field(words, source, doubled, first, last, base, planes):  # type: ignore[no-untyped-def]
    """Fields in a visit's first 16 planes."""
    f, g, e = ints(base), ints(int32(0)), first
    while e + 4 <= last:
        f = _heard(f, words, source, doubled, e, planes)
        g = _heard(g, words, source, doubled, e + 1, planes)
        f = _heard(f, words, source, doubled, e + 2, planes)
        g = _heard(g, words, source, doubled, e + 3, planes)
        e += 4
    while e < last:
        f = _heard(f, words, source, doubled, e, planes)
        e += 1
    return f + g


@with_vectors
def _heard_by_all(f, words, source, doubled, e):  # type: ignore[no-untyped-def]
    f0, f1, f2, f3 = f
    word, step = uint64_at(words, int64(uint32_at(source, e))), ints(int32_at(doubled, e))
    f0, f1 = added_where_bits(f0, step, word, uint64(0)), added_where_bits(f1, step, word, uint64(16))
    return f0, f1, added_where_bits(f2, step, word, uint64(32)), added_where_bits(f3, step, word, uint64(48))


@with_vectors
def _update_all(slopes, noise, words, source, doubled, first, last, base):  # type: ignore[no-untyped-def]
    """New spins of a visit's 64 planes. noise : address of a visit's words, for 16 planes every 64 words"""
    f = ints(base), ints(base), ints(base), ints(base)
    for e in range(first, last):
        f = _heard_by_all(f, words, source, doubled, e)
    up = decided(f[0], floats_at(slopes, 0), ints_at(noise, 0))
    up |= decided(f[1], floats_at(slopes, 16), ints_at(noise, 64)) << uint64(16)
    up |= decided(f[2], floats_at(slopes, 32), ints_at(noise, 128)) << uint64(32)
    return up | decided(f[3], floats_at(slopes, 48), ints_at(noise, 192)) << uint64(48)


@inner
def _ask(row, source, doubled, cell):  # type: ignore[no-untyped-def]
    """A cell's couplers will be needed."""
    e = 4 * int64_at(row, int64(cell))
    soon(source + e)
    soon(doubled + e)
    soon(source + e + 60)
    soon(doubled + e + 60)


@kernel
def _play_all(net, code, bank, slope, block, turn, key, visits, count):  # type: ignore[no-untyped-def]
    """`play`, if each visit is of all planes."""
    row, source, doubled, base = address(net[0]), address(net[1]), address(code[0]), address(code[1])
    words, masks, live = address(bank[0][block]), address(bank[1][block]), bank[2][block]
    slopes, cells, noise = address(slope) + 4 * LANES * block, address(visits.cell), memory_for_16()
    for step in range(count):
        _ask(row, source, doubled, int32_at(cells, min(step + AHEAD, count - 1)))
        if step & 3 == 0:
            for rank in range(0, LANES, 16):
                _words(noise, int64(rank), step >> 2, block, turn, key)
        i, drawn = int64(int32_at(cells, step)), noise + 64 * (step & 3)
        up = _update_all(slopes, drawn, words, source, doubled, int64_at(row, i), int64_at(row, i + 1), int32_at(base, i))
        free = live & ~uint64_at(masks, i)
        put_uint64(words, i, (uint64_at(words, i) & ~free) | (up & free))


@kernel
def play(net, code, bank, slope, block, turn, key, visits, count):  # type: ignore[no-untyped-def]
    """`glauber.play`; arguments as there."""
    whole = True
    for step in range(count):
        whole &= visits.planes[step] == ALL
    if whole:
        _play_all(net, code, bank, slope, block, turn, key, visits, count)
        return
    row, source, doubled, base = address(net[0]), address(net[1]), address(code[0]), address(code[1])
    words, masks, live = address(bank[0][block]), address(bank[1][block]), bank[2][block]
    slopes, own = address(slope) + 4 * LANES * block, memory_for_16()
    cells, sets = address(visits.cell), address(visits.planes)
    noise, drawn, common = memory_for_16(), int64(0), True
    for k in range(1, LANES):
        common &= slope[LANES * block + k] == slope[LANES * block]
    _slopes(own, slopes, ALL)
    for step in range(count):
        _ask(row, source, doubled, int32_at(cells, min(step + AHEAD, count - 1)))
        i, planes, result, rank = int64(int32_at(cells, step)), uint64_at(sets, step), uint64(0), int64(0)
        if step & 3 == 0:
            drawn = int64(0)
        free = planes & live & ~uint64_at(masks, i)
        if free == uint64(0):
            continue
        if not common:
            _slopes(own, slopes, planes)
        first, last, rest = int64_at(row, i), int64_at(row, i + 1), planes
        while rest & free:
            some = scattered(uint64(0xFFFF), rest)
            if some & free:
                if drawn >> (rank >> int64(4)) & int64(1) == int64(0):
                    _words(noise, rank, step >> 2, block, turn, key)
                    drawn |= int64(1) << (rank >> int64(4))
                f = _field(words, source, doubled, first, last, int32_at(base, i), rest)
                up = decided(f, floats_at(own, rank), ints_at(noise, 4 * rank + 16 * (step & 3)))
                result |= up << uint64(rank)
            rank += 16
            rest &= ~some
        put_uint64(words, i, (uint64_at(words, i) & ~free) | (scattered(result, planes) & free))
