"""Spins as the contract packs them: 32 cells to a word, cell i is bit i % 32 of word i // 32, 1 means +1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pack_spins(spins: ArrayLike) -> NDArray[np.uint32]:
    """(..., cells) array, positive or True for +1, to (..., ceil(cells / 32)) words."""
    up = np.asarray(spins) > 0
    pad = -up.shape[-1] % 32
    if pad:
        up = np.concatenate([up, np.zeros((*up.shape[:-1], pad), bool)], axis=-1)
    return np.packbits(up, axis=-1, bitorder="little").view("<u4")


def unpack_spins(words: NDArray[np.uint32], cells: int) -> NDArray[np.int8]:
    """(..., words) to (..., cells) of int8, +1 or -1."""
    data = np.ascontiguousarray(words, "<u4").view(np.uint8)
    ones = np.unpackbits(data, axis=-1, count=cells, bitorder="little").view(np.int8)
    return ones * np.int8(2) - np.int8(1)
