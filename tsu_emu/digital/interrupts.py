"""Interrupt events: PENDING, and the log from which replies carry them."""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.digital import words as W
from tsu_emu.jit import inner

NOW, IRQ_NUMBER, IRQ_ROWS = S.NOW, S.IRQ_NUMBER, S.IRQ_ROWS
PENDING, ENABLE, CORE_ENABLE, STATUS, PRESENT = W.IRQ_PENDING, W.IRQ_ENABLE, W.CPU_IRQ_ENABLE, W.CPU_STATUS, W.CPU_PRESENT
EVENT_FIRMWARE, RAISED_AT, RAISED = S.EVENT_FIRMWARE, S.RAISED_AT, S.RAISED
FAULTS, DROPPED_IRQ, NO_FAULT = S.FAULTS, S.DROPPED_IRQ, S.NO_FAULT


@inner
def _dropped(c, bits):  # type: ignore[no-untyped-def]
    """Those of the events that an injected fault swallows now."""
    lost = bits & ~bits
    for k in range(FAULTS):
        caught = bits & np.uint32(c.faults[k, 1])
        if c.faults[k, 0] == DROPPED_IRQ and caught:
            lost |= caught
            c.faults[k, 2] -= 1
            if c.faults[k, 2] == 0:
                c.faults[k, 0] = NO_FAULT
    return lost


@inner
def wake_core(c):  # type: ignore[no-untyped-def]
    """Something happened at NOW that the firmware core, if there is one, is to look at."""
    if c.registers[STATUS] & np.uint32(PRESENT):
        c.events[EVENT_FIRMWARE] = min(c.events[EVENT_FIRMWARE], c.time[NOW])


@inner
def raise_irq(c, bits):  # type: ignore[no-untyped-def]
    """The events `bits` happen now: they become pending, and, if one is enabled, are logged. `c` is a CORE record."""
    bits &= ~_dropped(c, bits)
    c.registers[PENDING] |= bits
    if c.time[RAISED_AT] != c.time[NOW]:
        c.time[RAISED_AT], c.time[RAISED] = c.time[NOW], 0
    c.time[RAISED] |= np.int64(bits)
    if c.registers[CORE_ENABLE] & bits:
        wake_core(c)
    if c.registers[ENABLE] & bits:
        number = c.time[IRQ_NUMBER]
        row = number % IRQ_ROWS
        c.irq_log[row, 0] = number
        c.irq_log[row, 1] = c.time[NOW]
        c.irq_log[row, 2] = c.registers[PENDING]
        c.time[IRQ_NUMBER] = number + 1
