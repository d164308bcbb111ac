"""Threefry4x32-13 of sixteen counters at once; the words of `noise.threefry.threefry`."""

from __future__ import annotations

from numpy import int32

from tsu_emu.lanes.operations import ints, rotated
from tsu_emu.lanes.values import with_vectors

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
def sixteen(c0, c1, tick, key):  # type: ignore[no-untyped-def]
    """Vectors of words 0 to 3 for counters (c0, c1, tick & 0xFFFFFFFF, tick >> 32); c0, c1 : vectors; word 3 of the key is 0."""
    k0, k1, k2 = ints(int32(key[0])), ints(int32(key[1])), ints(int32(key[2]))
    k4 = ints(int32(PARITY)) ^ k0 ^ k1 ^ k2
    x0, x1, x2, x3 = c0 + k0, c1 + k1, ints(int32(tick & 0xFFFFFFFF)) + k2, ints(int32(tick >> 32))
    x0, x1, x2, x3 = _four_rounds(x0, x1, x2, x3, False)
    x0, x1, x2, x3 = x0 + k1, x1 + k2, x2, x3 + (k4 + ints(int32(1)))
    x0, x1, x2, x3 = _four_rounds(x0, x1, x2, x3, True)
    x0, x1, x2, x3 = x0 + k2, x1, x2 + k4, x3 + (k0 + ints(int32(2)))
    x0, x1, x2, x3 = _four_rounds(x0, x1, x2, x3, False)
    x0, x1, x2, x3 = x0, x1 + k4, x2 + k0, x3 + (k1 + ints(int32(3)))
    return _mixed(x0, x1, x2, x3, int32(6), int32(20))
