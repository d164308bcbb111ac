"""Words of the memory windows in the chip's own layout, for compiled code: bytes of arrays, or bits spread over planes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_contract.registers import WINDOW_AT
from tsu_emu import state as S
from tsu_emu.chip import codes
from tsu_emu.jit import inner, kernel, unfolded

U = np.uint32
Q = np.uint64
DAC_BANKS = {"COUPLING": codes.COUPLINGS, "BIAS": codes.BIASES}
TRIMS = ("TRIM_OFFSET", "TRIM_SLOPE")
NOW, SOFT, SOFT_WRITTEN = S.NOW, S.SOFT, S.SOFT_WRITTEN
PLAIN, ELSEWHERE, WAKES, RENEWS, GATHERED = 0, 1, 2, 3, 5
"""Kinds of windows; see `Memory`."""


FEW_PLANES = 8
"""Up to so many planes of a block are gathered bit by bit; more are transposed."""


@inner
def _transpose(square):  # type: ignore[no-untyped-def]
    """Bit b of word a of (64,) uint64 changes places with bit a of word b: halves, then quarters, and so on."""
    width, mask = 32, Q(0x00000000FFFFFFFF)
    while width:
        for start in range(0, 64, 2 * width):
            for a in range(start, start + width):
                change = ((square[a] >> Q(width)) ^ square[a + width]) & mask
                square[a] ^= change << Q(width)
                square[a + width] ^= change
        width >>= 1
        mask ^= mask << Q(width)


@inner
def _gather_bits(row, shift, cell_words, begin, end, out, at):  # type: ignore[no-untyped-def]
    """Words begin .. end - 1 of one plane, bit `shift` of row (cells,) uint64, go to `at` and on."""
    for column in range(begin, end):
        word = U(0)
        for bit in range(min(32, row.size - 32 * column)):
            word |= U((row[32 * column + bit] >> Q(shift)) & Q(1)) << U(bit)
        out[at + column - begin] = word


@inner
def _gather_block(row, cell_words, begin, end, out, at):  # type: ignore[no-untyped-def]
    """Words begin .. end - 1 of the 64 planes of a block, plane-major, row (cells,) uint64, go to `at` and on.

    Eight squares of 64 cells at a time, for 16 words of a plane are a line of the cache.
    """
    squares = np.empty((8, 64), np.uint64)
    for left in range(0, cell_words, 16):
        columns = min(16, cell_words - left)
        for pair in range((columns + 1) // 2):
            first = 32 * left + 64 * pair
            for cell in range(64):
                squares[pair, cell] = row[first + cell] if first + cell < row.size else Q(0)
            _transpose(squares[pair])
        for plane in range(max(0, (begin - left - columns + cell_words) // cell_words), 64):
            place = plane * cell_words + left - begin
            if place >= end - begin:
                break
            for column in range(max(0, -place), min(columns, end - begin - place)):
                out[at + place + column] = U(squares[column >> 1, plane] >> Q(32 * (column & 1)) & Q(0xFFFFFFFF))


@kernel
def gather_planes(bank, cell_words, first, out):  # type: ignore[no-untyped-def]
    """out (n,) uint32: plane-major words first .. first + n - 1 of a bank (blocks, cells) of uint64."""
    block_words, k = 64 * cell_words, 0
    while k < out.size:
        block, begin = (first + k) // block_words, (first + k) % block_words
        end = min(begin + out.size - k, block_words)
        if end - begin > FEW_PLANES * cell_words:
            _gather_block(bank[block], cell_words, begin, end, out, k)
        else:
            plane, column = begin // cell_words, begin % cell_words
            end = min(end, begin - column + cell_words)
            _gather_bits(bank[block], plane, cell_words, column, column + end - begin, out, k)
        k += end - begin


@kernel
def scatter_planes(words, cell_words, first, bank):  # type: ignore[no-untyped-def]
    """Writes plane-major words first .. first + n - 1 into a bank (blocks, cells) of uint64, less bits past the last cell."""
    cells = bank.shape[1]
    for k in range(words.size):
        plane, column = (first + k) // cell_words, (first + k) % cell_words
        row, shift, word = bank[plane >> 6], Q(plane & 63), words[k]
        for bit in range(min(32, cells - 32 * column)):
            i = 32 * column + bit
            row[i] = (row[i] & ~(Q(1) << shift)) | (Q((word >> U(bit)) & U(1)) << shift)


class Memory(NamedTuple):
    """What lies behind the windows, by window number (address / WINDOW_STRIDE).

    kind : (n,) int64, what a store of the firmware core does: PLAIN and nothing more, RENEWS + the bank of codes, WAKES soft
        fields, ELSEWHERE (compiled code leaves it to `WindowPort`); GATHERED + the place in `banks` if bits are spread in words
    flats : n arrays (bytes,) uint8, little-endian elements, and none where bits are spread
    banks : (blocks, cells) uint64 each, a bit a plane; cell_words : 32-bit words of a plane
    """

    kind: NDArray[np.int64]
    flats: tuple[NDArray[np.uint8], ...]
    banks: tuple[NDArray[np.uint64], ...]
    cell_words: int


@unfolded
def load_word(memory, number, first):  # type: ignore[no-untyped-def]
    """Word `first` of a window; what lies past the last element reads as 0."""
    kind = memory.kind[number]
    if kind >= GATHERED:
        out = np.empty(1, np.uint32)
        gather_planes(memory.banks[kind - GATHERED], memory.cell_words, first, out)
        return out[0]
    flat, word = memory.flats[number], U(0)
    for k in range(min(4, flat.size - 4 * first)):
        word |= U(flat[4 * first + k]) << U(8 * k)
    return word


@unfolded
def store_word(c, p, memory, number, first, word):  # type: ignore[no-untyped-def]
    """The same word anew, at NOW, as `WindowPort.write` does it; False: it is to do it.

    p : Plant
    """
    kind = memory.kind[number]
    if kind == ELSEWHERE:
        return False
    if kind >= GATHERED:
        one = np.full(1, word, np.uint32)
        scatter_planes(one, memory.cell_words, first, memory.banks[kind - GATHERED])
        return True
    flat = memory.flats[number]
    count = min(4, flat.size - 4 * first)
    for k in range(count):
        flat[4 * first + k] = (word >> U(8 * k)) & U(0xFF)
    if kind == WAKES:
        c.time[SOFT] |= SOFT_WRITTEN
    elif kind >= RENEWS:
        codes.written(c, p, kind - RENEWS, 2 * first, count >> 1, c.time[NOW : NOW + 1], count >> 1)
        codes.new_version(c, 1)
    return True


def make_memory(flat: Mapping[str, NDArray[Any]], banks: Mapping[str, NDArray[np.uint64]], cell_words: int) -> Memory:
    """flat : arrays whose elements follow one another; banks : those of spread bits."""
    kind = np.full(max(WINDOW_AT) + 1, PLAIN)
    flats = [np.empty(0, np.uint8)] * len(kind)
    places = list(banks)
    special = {"SOFT": WAKES} | dict.fromkeys(TRIMS, ELSEWHERE) | {name: RENEWS + bank for name, bank in DAC_BANKS.items()}
    for number, window in WINDOW_AT.items():
        if window.name in flat:
            flats[number] = flat[window.name].view(np.uint8)
            kind[number] = special.get(window.name, PLAIN)
        else:
            kind[number] = GATHERED + places.index(window.name)
    return Memory(kind, tuple(flats), tuple(banks.values()), cell_words)
