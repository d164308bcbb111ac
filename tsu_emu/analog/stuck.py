"""Converters whose code lines are stuck."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import kernel
from tsu_emu.noise.threefry import threefry

U = np.uint32


class StuckBits(NamedTuple):
    """Which bits of each converter's unsigned code are stuck, and where: mask, value (n,) uint16."""

    mask: NDArray[np.uint16]
    value: NDArray[np.uint16]


@kernel
def _draw(mask, value, bits, threshold, k0, k1, k2, bank):  # type: ignore[no-untyped-def]
    for e in range(mask.size):
        for bit in range(bits):
            a, b, _, _ = threefry(U(e), U(bit), U(bank), U(0), k0, k1, k2, U(0))
            if a < threshold:
                mask[e] |= np.uint16(1 << bit)
                value[e] |= np.uint16(((b >> U(31)) & U(1)) << bit)


def draw_stuck_bits(probability: float, bits: int, count: int, seed: int, stream: int, bank: int) -> StuckBits:
    """The stuck bits of `count` converters of a die; counter (element, bit, bank, 0): word 0 whether, the top bit of word 1
    where.
    """
    stuck = StuckBits(np.zeros(count, np.uint16), np.zeros(count, np.uint16))
    if probability > 0:
        threshold = min(int(probability * 2.0**32), 0xFFFFFFFF)
        _draw(*stuck, bits, np.uint32(threshold), U(seed & 0xFFFFFFFF), U(seed >> 32), U(stream), bank)
    return stuck


def as_stuck(stuck: StuckBits, codes: NDArray[np.int16], first: int, middle: int) -> NDArray[np.int16]:
    """What converters first .. first + n - 1 get of two's-complement codes (n,); middle : 2^(bits - 1)."""
    part = slice(first, first + len(codes))
    unsigned = (codes.astype(np.int32) + middle).astype(np.uint16)
    return (((unsigned & ~stuck.mask[part]) | stuck.value[part]).astype(np.int32) - middle).astype(np.int16)
