"""The temperature schedule engine: TDAC from sweep to sweep; docs/arithmetic.md, "Temperature schedule"."""

from __future__ import annotations

import numpy as np

from tsu_emu.digital import words as W
from tsu_emu.jit import inner
from tsu_emu.noise.normal import natural_log

U = np.uint32
MODE, START, END, LENGTH, STEP, ENTRIES = (
    W.SCHEDULE, W.SCHEDULE_START, W.SCHEDULE_END, W.SCHEDULE_LENGTH, W.SCHEDULE_STEP, W.SCHEDULE_ENTRIES,
)  # fmt: skip
ALPHA, TAU, TDAC = W.SCHEDULE_ALPHA, W.SCHEDULE_TAU, W.TDAC
OFF, LINEAR, LOGARITHMIC = W.SCHEDULE_OFF, W.SCHEDULE_LINEAR, W.SCHEDULE_LOGARITHMIC


@inner
def _linear(start, end, length, n):  # type: ignore[no-untyped-def]
    if n >= length:
        return end
    return (start * (length - n) + end * n + (length >> 1)) // length


@inner
def _logarithmic(c, start, n):  # type: ignore[no-untyped-def]
    alpha = np.float64(c.registers[ALPHA]) * (1.0 / 65536.0)
    x = start / (1.0 + alpha * natural_log(1.0 + n / np.float64(c.registers[TAU])))
    return max(1, np.int64(np.floor(x + 0.5)))


@inner
def step_schedule(c, table, code_max):  # type: ignore[no-untyped-def]
    """A sweep begins: TDAC follows the schedule that is on. `c` is a CORE record; table : (entries,) uint16."""
    mode = c.registers[MODE]
    if mode == OFF:
        return
    n, start, length = np.int64(c.registers[STEP]), np.int64(c.registers[START]), np.int64(c.registers[LENGTH])
    if mode == LINEAR:
        code = _linear(start, np.int64(c.registers[END]), length, n)
    elif mode == LOGARITHMIC:
        code = _logarithmic(c, np.float64(start), np.float64(n))
    else:
        code = np.int64(table[min(n // length, min(np.int64(c.registers[ENTRIES]), table.size) - 1)])
    c.registers[TDAC] = U(min(code, code_max))
    if n < 0xFFFFFFFF:
        c.registers[STEP] = U(n + 1)
