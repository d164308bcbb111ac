"""CRC-32 (ISO-HDLC, as zlib's) of codes, eight bytes at a time.

Source: Kounavis and Berry, "A systematic approach to building high performance software-based CRC generators", ISCC 2005
(slicing by 8).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import kernel

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


@kernel
def crc32(data, start):  # type: ignore[no-untyped-def]
    """CRC-32 of (n,) uint8 behind data whose sum was `start` (0 to begin with)."""
    crc = U(start) ^ U(0xFFFFFFFF)
    k = 0
    while k + 8 <= data.size:
        low = crc ^ (U(data[k]) | U(data[k + 1]) << U(8) | U(data[k + 2]) << U(16) | U(data[k + 3]) << U(24))
        crc = TABLES[7, low & U(0xFF)] ^ TABLES[6, (low >> U(8)) & U(0xFF)]
        crc ^= TABLES[5, (low >> U(16)) & U(0xFF)] ^ TABLES[4, low >> U(24)]
        crc ^= TABLES[3, data[k + 4]] ^ TABLES[2, data[k + 5]] ^ TABLES[1, data[k + 6]] ^ TABLES[0, data[k + 7]]
        k += 8
    while k < data.size:
        crc = TABLES[0, (crc ^ U(data[k])) & U(0xFF)] ^ (crc >> U(8))
        k += 1
    return crc ^ U(0xFFFFFFFF)
