"""`quartic.move_cells` in vectors of 512 bits; the same bits."""

from __future__ import annotations

from numpy import float32, int64

from tsu_emu.analog.quartic import DRAWS, LANES
from tsu_emu.jit import inner
from tsu_emu.lanes.operations import doubles, floats, limited_doubles, lower_half, to_halves, upper_half
from tsu_emu.lanes.values import address, doubles_at, float32_at, floats_at, put_doubles, put_floats, uint32_at, with_vectors


@with_vectors
def _at(heard, source, e):  # type: ignore[no-untyped-def]
    return floats_at(heard, LANES * int64(uint32_at(source, e)))


@with_vectors
def _times(heard, source, J, e):  # type: ignore[no-untyped-def]
    return floats(float32_at(J, e)) * _at(heard, source, e)


@with_vectors
def _hear(heard, source, J, first, last):  # type: ignore[no-untyped-def]
    """`quartic._hear`, of addresses."""
    total, e = floats(float32(0.0)), first
    while e + 4 <= last:
        low = _times(heard, source, J, e) + _times(heard, source, J, e + 1)
        high = _times(heard, source, J, e + 2) + _times(heard, source, J, e + 3)
        total = total + (low + high)
        e += 4
    while e < last:
        total = total + _times(heard, source, J, e)
        e += 1
    return total


@with_vectors
def _moved(x, force, noise, well, step, rail):  # type: ignore[no-untyped-def]
    """Eight new values."""
    a, c, b, h = well
    f = (h - x * (a + x * (c + x * b))) + force
    return limited_doubles((x + step * f) + noise, rail)


@inner
def move_cells(tile, cells, net, held, lanes, first, last):  # type: ignore[no-untyped-def]
    """`quartic.move_cells` in all lanes; arguments as there."""
    row, source, J = net[0], address(net[1]), address(net[2])
    values, heard, nexts, befores = address(tile.value), address(tile.heard), address(tile.next), address(tile.before)
    drawn, amplitude, step = address(tile.drawn), address(tile.amplitude), doubles(cells.step)
    low, high = doubles_at(amplitude, 0), doubles_at(amplitude, 8)
    for i in range(first, last):
        if held[i]:
            continue
        force = _hear(heard, source, J, row[i], row[i + 1])
        well = doubles(cells.a[i]), doubles(cells.c[i]), doubles(cells.b[i]), doubles(cells.h[i])
        place, k = LANES * i, i - first
        before, after = floats_at(befores, place), floats_at(drawn, DRAWS * (k & 3) + LANES * (k >> 2))
        noise = low * (lower_half(before) + lower_half(after)), high * (upper_half(before) + upper_half(after))
        x = _moved(doubles_at(values, place), lower_half(force), noise[0], well, step, cells.rail)
        y = _moved(doubles_at(values, place + 8), upper_half(force), noise[1], well, step, cells.rail)
        put_doubles(values, place, x)
        put_doubles(values, place + 8, y)
        put_floats(nexts, place, to_halves(x, y))
        put_floats(befores, place, after)
