"""CRC-32 of long data by products without carries: 256 bytes become those that follow them, until 64 are left.

Source: Gopal et al., "Fast CRC computation for generic polynomials using PCLMULQDQ instruction", Intel, 2009.
"""

from __future__ import annotations

import numpy as np
from numpy import int64, uint64

from tsu_emu.digital.slices import POLYNOMIAL, eight
from tsu_emu.jit import inner
from tsu_emu.lanes.operations import as_blocks, as_bytes, blocks, first_block, lower_products, upper_products
from tsu_emu.lanes.values import address, bytes_at, put_bytes, with_vectors

BYTES = 64
STRIDE = 4 * BYTES


def _power(n: int) -> int:
    """x^n modulo the polynomial, the highest of 32 bits that of x^0, one place up: a product's lowest bit is not there."""
    x = 1 << 31
    for _ in range(n):
        x = x >> 1 ^ POLYNOMIAL * (x & 1)
    return x << 1


FAR_LOW, FAR_HIGH = uint64(_power(8 * STRIDE + 32)), uint64(_power(8 * STRIDE - 32))
NEAR_LOW, NEAR_HIGH = uint64(_power(8 * BYTES + 32)), uint64(_power(8 * BYTES - 32))
"""What the halves of a block are multiplied by to lie 256, or 64, bytes further on."""


@with_vectors
def _at(data, k):  # type: ignore[no-untyped-def]
    return as_blocks(bytes_at(data, k))


@with_vectors
def _moved(x, factors):  # type: ignore[no-untyped-def]
    return lower_products(x, factors) ^ upper_products(x, factors)


@inner
def whole_parts(data, crc):  # type: ignore[no-untyped-def]
    """As `slices.whole_parts`, of at least 256 bytes."""
    where, count = address(data), data.size // STRIDE * STRIDE
    far, near = blocks(FAR_LOW, FAR_HIGH), blocks(NEAR_LOW, NEAR_HIGH)
    x0 = _at(where, int64(0)) ^ first_block(uint64(crc))
    x1, x2, x3 = _at(where, int64(BYTES)), _at(where, int64(2 * BYTES)), _at(where, int64(3 * BYTES))
    for k in range(STRIDE, count, STRIDE):
        x0, x1 = _moved(x0, far) ^ _at(where, k), _moved(x1, far) ^ _at(where, k + BYTES)
        x2, x3 = _moved(x2, far) ^ _at(where, k + 2 * BYTES), _moved(x3, far) ^ _at(where, k + 3 * BYTES)
    left = np.empty(BYTES, np.uint8)
    put_bytes(address(left), int64(0), as_bytes(_moved(_moved(_moved(x0, near) ^ x1, near) ^ x2, near) ^ x3))
    crc = np.uint32(0)
    for k in range(0, BYTES, 8):
        crc = eight(crc, left, k)
    return crc, count
