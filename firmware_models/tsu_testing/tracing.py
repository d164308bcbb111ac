"""What a firmware core executes, instruction by instruction: counts for coverage, and the last instructions.

A tracer takes the place of `FirmwareCore.work` and calls it for an instruction at a time; accesses to windows are left to the
core's Python. It changes nothing: state and time of the chip are bit for bit what they are without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_emu.chip import Chip
from tsu_emu.chip.core import FirmwareCore
from tsu_emu.chip.core_loop import NOBODY, SLICE, work, work_on
from tsu_emu.cpu.hart import BUS, UNTIL
from tsu_emu.cpu.state import BUS_NONE
from tsu_emu.digital import words as W
from tsu_emu.jit import kernel

U, Z = np.uint32, np.int64
CTRL, HOLD, NONE = W.CPU_CTRL, W.CPU_HOLD, BUS_NONE
IN_BUS, IN_UNTIL, SLICED, UNWATCHED, INTERRUPT = BUS, UNTIL, SLICE, NOBODY, 1 << 31

ROW = np.dtype([("cycle", "i8"), ("pc", "u4"), ("address", "u4"), ("kind", "u4"), ("value", "u4")])
"""An instruction: the cycle at which it began, its address; of an access to the bus kind, address, and the word stored (of a
load 0). kind is one of tsu_emu.cpu.state.BUS_*, or ENTERED where an interrupt was entered in place of it."""
ENTERED = 3
IN_ENTERED = ENTERED


@kernel
def traced(core, rules, timings, harts, models, rom, ram, until, watch, executed, jumped, rows, number):  # type: ignore[no-untyped-def]
    """As `core_loop.work`, noting what is executed; it returns more often.

    executed, jumped : (2, halfwords) uint32, for ROM and RAM: instructions begun, and those that did not go on with the next;
    rows : (n,) ROW, a ring, or (0,); number : (1,) int64, instructions noted so far
    """
    h, m = harts[0], models[0]
    end = min(until, h.cycle + SLICED)
    while True:
        pc, cycle, retired, waiting = h.pc, h.cycle, h.retired, h.bus_kind != U(NONE)
        length = h.bus_length
        if not waiting:
            h.bus_length = U(0)
        reason, effects = work(core, rules, timings, harts, models, rom, ram, min(h.cycle, until), watch)
        on_bus = h.bus_length != U(0)
        if not on_bus:
            h.bus_length = length
        stuck = h.cycle == cycle and reason != IN_BUS
        if not stuck and not waiting:
            region, base, words, low = 0, m.rom_base, rom, U(0)
            if pc >= m.ram_base:
                region, base, words = 1, m.ram_base, ram
            place = (Z(pc) - base) >> 1
            entered = h.retired == retired and reason != IN_BUS and h.mcause >= U(INTERRUPT)
            if 0 <= place < 2 * words.size and not entered:
                executed[region, place] += U(1)
                low = words[place >> 1] >> U(16 * (place & 1))
                following = pc + U(4 if low & U(3) == U(3) else 2)
                if h.pc != following and h.retired != retired:
                    jumped[region, place] += U(1)
            if rows.size:
                row = rows[number[0] % rows.size]
                row.cycle, row.pc, row.address, row.value = cycle, pc, U(0), U(0)
                row.kind = U(IN_ENTERED) if entered else U(0)
                if on_bus:
                    row.address, row.value = h.bus_address, h.bus_value
                    stores = low >> U(5) if low & U(3) == U(3) else low >> U(15)
                    row.kind = U(1) + (stores & U(1))
            number[0] += 1
        if stuck or reason != IN_UNTIL or effects or watch[0] != UNWATCHED or core[0].registers[CTRL] & U(HOLD) or h.cycle > end:
            return reason, effects


def left(*_: object) -> tuple[int, int]:
    """In place of `core_loop.work_on`: every access that `work` leaves goes by the core's bus."""
    return BUS, 0


class Tracer:
    """Notes what the core of a chip executes from now on, until `stop`; a context manager. ValueError: the chip has no core.

    last : how many instructions are kept
    """

    def __init__(self, chip: Chip, last: int = 1000) -> None:
        if chip.core is None:
            raise ValueError("the chip has no firmware core: cpu.image names no image")
        self._core: FirmwareCore = chip.core
        halfwords = 2 * max(len(chip.core.rom), len(chip.state.core_ram))
        self.executed: NDArray[np.uint32] = np.zeros((2, halfwords), np.uint32)
        self.jumped: NDArray[np.uint32] = np.zeros((2, halfwords), np.uint32)
        self._rows, self._number = np.zeros(last, ROW), np.zeros(1, np.int64)
        self._core.work, self._core.work_on = self._work, left

    def __enter__(self) -> Tracer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _work(self, *arguments: Any) -> tuple[int, int]:
        noted = self.executed, self.jumped, self._rows, self._number
        reason, effects = traced(*(*arguments, *noted))
        return reason, effects

    def stop(self) -> None:
        """The core runs untraced again; what was noted stays."""
        self._core.work, self._core.work_on = work, work_on

    def clear(self) -> None:
        """Forget everything."""
        self.executed[:], self.jumped[:], self._number[:] = 0, 0, 0

    @property
    def instructions(self) -> int:
        """How many were noted, kept or not."""
        return int(self._number[0])

    def last(self) -> NDArray[Any]:
        """(n,) ROW, the instructions that are kept, the oldest first."""
        n, size = self.instructions, len(self._rows)
        return np.roll(self._rows, -(n % size)).copy() if size and n > size else self._rows[:n].copy()
