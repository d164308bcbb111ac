"""The ring of examples in host memory: how many there are, and which come next."""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.digital import words as W
from tsu_emu.digital.correlator import ones, plane_words
from tsu_emu.digital.interrupts import raise_irq
from tsu_emu.jit import inner

U = np.uint32
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
