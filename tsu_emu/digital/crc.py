"""CRC-32 (ISO-HDLC, as zlib's) of codes, long data by what this processor does fastest."""

from __future__ import annotations

import numpy as np

from tsu_emu.digital.slices import TABLES, eight
from tsu_emu.jit import kernel
from tsu_emu.lanes.target import HAS_VECTORS

if HAS_VECTORS:
    from tsu_emu.digital.folds import whole_parts
else:
    from tsu_emu.digital.slices import whole_parts

U = np.uint32
LONG = 1024
"""Bytes of data that is worth being taken in parts."""


@kernel
def crc32(data, start):  # type: ignore[no-untyped-def]
    """CRC-32 of (n,) uint8 behind data whose sum was `start` (0 to begin with)."""
    crc, k = U(start) ^ U(0xFFFFFFFF), 0
    if data.size >= LONG:
        crc, k = whole_parts(data, crc)
    while k + 8 <= data.size:
        crc = eight(crc, data, k)
        k += 8
    while k < data.size:
        crc = TABLES[0, (crc ^ U(data[k])) & U(0xFF)] ^ (crc >> U(8))
        k += 1
    return crc ^ U(0xFFFFFFFF)
