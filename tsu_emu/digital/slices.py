"""CRC-32 of data, eight bytes at a time, long data in parts side by side: how any processor does it.

Source: Kounavis and Berry, "A systematic approach to building high performance software-based CRC generators", ISCC 2005
(slicing by 8).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner

POLYNOMIAL = 0xEDB88320
U = np.uint32


def _tables() -> NDArray[np.uint32]:
    """(8, 256): row k, what a byte adds to the sum when k bytes follow it."""
    rows = np.empty((8, 256), np.uint32)
    row = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        row = np.where(row & 1, row >> 1 ^ POLYNOMIAL, row >> 1).astype(np.uint32)
    rows[0] = row
    for k in range(1, 8):
        rows[k] = rows[k - 1] >> 8 ^ row[rows[k - 1] & 0xFF]
    return rows


TABLES = _tables()
LANES = 4
"""Parts of long data that are summed side by side, for each step of one waits for the step before it."""


@inner
def eight(crc, data, k):  # type: ignore[no-untyped-def]
    """The remainder after the eight bytes from k on."""
    low = crc ^ (U(data[k]) | U(data[k + 1]) << U(8) | U(data[k + 2]) << U(16) | U(data[k + 3]) << U(24))
    crc = TABLES[7, low & U(0xFF)] ^ TABLES[6, (low >> U(8)) & U(0xFF)]
    crc ^= TABLES[5, (low >> U(16)) & U(0xFF)] ^ TABLES[4, low >> U(24)]
    return crc ^ TABLES[3, data[k + 4]] ^ TABLES[2, data[k + 5]] ^ TABLES[1, data[k + 6]] ^ TABLES[0, data[k + 7]]


@inner
def _product(a, b):  # type: ignore[no-untyped-def]
    """a b modulo the polynomial; the highest bit is that of x^0."""
    out = U(0)
    for bit in range(31, -1, -1):
        out ^= b * ((a >> U(bit)) & U(1))
        b = (b >> U(1)) ^ (U(POLYNOMIAL) * (b & U(1)))
    return out


@inner
def _behind(count):  # type: ignore[no-untyped-def]
    """x^(8 count): what a remainder is multiplied by when so many bytes follow."""
    out, square = U(1) << U(31), U(1) << U(23)
    while count > 0:
        if count & 1:
            out = _product(out, square)
        square = _product(square, square)
        count >>= 1
    return out


@inner
def whole_parts(data, crc):  # type: ignore[no-untyped-def]
    """(the remainder after most of the bytes of (n,) uint8, how many those are), begun with the remainder `crc`."""
    part = data.size // (8 * LANES) * 8
    first, second, third, fourth = data[:part], data[part : 2 * part], data[2 * part : 3 * part], data[3 * part : 4 * part]
    b, c, d = U(0), U(0), U(0)
    for at in range(0, part, 8):
        crc, b, c, d = eight(crc, first, at), eight(b, second, at), eight(c, third, at), eight(d, fourth, at)
    factor = _behind(part)
    for remainder in (b, c, d):
        crc = _product(crc, factor) ^ remainder
    return crc, LANES * part
