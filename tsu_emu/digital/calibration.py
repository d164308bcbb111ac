"""The age of the calibration: a stamp, a limit, and the event that tells of it; docs/theory-of-operation.md, "Calibration"."""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.digital import words as W
from tsu_emu.digital.interrupts import raise_irq
from tsu_emu.jit import inner

NOW, STAMPED_AT, EVENT, NEVER = S.NOW, S.STAMPED_AT, S.EVENT_STALE, S.NEVER
STATUS, LIMIT, STAMP, STALE, STAMPED, IRQ = W.CAL_STATUS, W.CAL_LIMIT, W.CAL_STAMP, W.CAL_STALE, W.CAL_STAMPED, W.IRQ_STALE
UNIT_BITS = 16
"""Cycles of a step of CAL.LIMIT, as a power of 2."""


@inner
def grown_stale(c):  # type: ignore[no-untyped-def]
    """The age has reached the limit at NOW."""
    c.events[EVENT] = NEVER
    c.registers[STATUS] |= np.uint32(STALE)
    raise_irq(c, np.uint32(IRQ))


@inner
def calibrated(c, acts):  # type: ignore[no-untyped-def]
    """CAL.CTRL (pulses `acts`) or CAL.LIMIT was written at NOW."""
    if acts & np.uint32(STAMP):
        c.time[STAMPED_AT] = c.time[NOW]
        c.registers[STATUS] |= np.uint32(STAMPED)
    c.registers[STATUS] &= ~np.uint32(STALE)
    limit = np.int64(c.registers[LIMIT]) << UNIT_BITS
    c.events[EVENT] = c.time[STAMPED_AT] + limit if limit > 0 else NEVER
    if c.events[EVENT] <= c.time[NOW]:
        grown_stale(c)
