"""The ring of examples in host memory: how many there are, and which come next and go where."""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.digital import words as W
from tsu_emu.digital.correlator import ones, plane_words
from tsu_emu.digital.interrupts import raise_irq
from tsu_emu.jit import inner

U = np.uint32
Q = np.uint64
LANES, COLUMN = 64, 32
CTRL, BASE, ENTRIES, HEAD, TAIL = W.DMA_CTRL, W.DMA_BASE, W.DMA_ENTRIES, W.DMA_HEAD, W.DMA_TAIL
UNDERRUNS, LOW, PLACE, PLANES = W.DMA_UNDERRUNS, W.DMA_LOW, W.DMA_PLACE, W.DMA_PLANES
CYCLE, STALL, ERROR, ERROR_UNDERRUN, IRQ_LOW = W.DMA_CYCLE, W.DMA_STALL, W.ERROR, W.ERROR_DMA_UNDERRUN, W.IRQ_DMA_LOW
CLAMP_COUNT, CLAMP_ENTRY, CLAMP_PLACE = S.CLAMP_COUNT, S.CLAMP_ENTRY, S.CLAMP_PLACE


@inner
def _fed_planes(c, timing):  # type: ignore[no-untyped-def]
    words = plane_words(c, PLANES, (timing.planes + 63) // 64)
    count = 0
    for b in range(words.size):
        count += ones(words[b])
    return count


@inner
def _level(c):  # type: ignore[no-untyped-def]
    """Entries that the chip has still to take."""
    return min(np.int64(U(c.registers[HEAD] - c.registers[TAIL])), np.int64(c.registers[ENTRIES]))


@inner
def is_sound(c, timing):  # type: ignore[no-untyped-def]
    """Whether the ring feeds a plane and lies in host memory."""
    entries = np.int64(c.registers[ENTRIES])
    fits = np.int64(c.registers[BASE]) + entries * timing.spin_words <= timing.hostmem
    return entries > 0 and fits and _fed_planes(c, timing) > 0


@inner
def has(c, n):  # type: ignore[no-untyped-def]
    """Whether CLAMP_NEXT of n examples goes on now."""
    control = c.registers[CTRL]
    return control & U(CYCLE) != 0 or control & U(STALL) == 0 or _level(c) >= n


@inner
def take(c, n, timing):  # type: ignore[no-untyped-def]
    """The ring moves on by n examples, or by those there are; the sequencer remembers which. Returns how many."""
    q, cycle = c.sequencer, c.registers[CTRL] & U(CYCLE) != 0
    count = n if cycle else min(n, _level(c))
    if count < n:
        c.registers[UNDERRUNS] += U(n - count)
        c.registers[ERROR] |= U(ERROR_UNDERRUN)
    planes = _fed_planes(c, timing)
    place = np.int64(c.registers[PLACE]) if np.int64(c.registers[PLACE]) < planes else np.int64(0)
    q[CLAMP_COUNT] = count
    q[CLAMP_ENTRY] = c.registers[TAIL]
    q[CLAMP_PLACE] = place
    c.registers[TAIL] += U(count)
    c.registers[PLACE] = U((place + count) % planes)
    if not cycle and _level(c) < np.int64(c.registers[LOW]):
        raise_irq(c, U(IRQ_LOW))
    return count


@inner
def _taken_by(c, block, planes, fed):  # type: ignore[no-untyped-def]
    """(64,) int64: of each plane of a block, the entry of the ring that it ends up with, or -1.

    planes : (blocks,) uint64, those that are fed, `fed` of them, in turn from number CLAMP_PLACE on
    """
    q, entries = c.sequencer, np.int64(c.registers[ENTRIES])
    count, place, number = q[CLAMP_COUNT], q[CLAMP_PLACE], np.int64(0)
    for b in range(block):
        number += ones(planes[b])
    out = np.full(LANES, -1, np.int64)
    for r in range(LANES):
        if (planes[block] >> Q(r)) & Q(1):
            last = count - 1 - (place + count - 1 - number) % fed
            if last >= 0:
                out[r] = ((q[CLAMP_ENTRY] + last) & 0xFFFFFFFF) % entries
            number += 1
    return out


@inner
def copy_examples(c, timing, hostmem, bank):  # type: ignore[no-untyped-def]
    """The examples that the sequencer took from the ring go to their planes of a bank (blocks, cells) of uint64."""
    planes, base, words = plane_words(c, PLANES, bank.shape[0]), np.int64(c.registers[BASE]), timing.spin_words
    fed = _fed_planes(c, timing)
    column = np.empty(LANES, np.uint64)
    for block in range(bank.shape[0]):
        entry, mask, row = _taken_by(c, block, planes, fed), Q(0), bank[block]
        for r in range(LANES):
            mask |= Q(entry[r] >= 0) << Q(r)
        if mask == Q(0):
            continue
        for w in range(words):
            for r in range(LANES):
                column[r] = Q(hostmem[base + entry[r] * words + w]) if entry[r] >= 0 else Q(0)
            for bit in range(min(COLUMN, row.size - COLUMN * w)):
                word = Q(0)
                for r in range(LANES):
                    word |= ((column[r] >> Q(bit)) & Q(1)) << Q(r)
                row[COLUMN * w + bit] = (row[COLUMN * w + bit] & ~mask) | word
