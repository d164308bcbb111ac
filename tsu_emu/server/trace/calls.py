"""The stack of functions that the firmware core is in, derived from the instructions that it executes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tsu_emu.chip import Chip
from tsu_emu.chip.core import MEMORY, FirmwareCore
from tsu_emu.chip.core_follow import MOVED, RESTARTED, SLEPT, TRAPPED, WOKE
from tsu_emu.cpu.hart import JAL, JALR, MRET_W
from tsu_emu.cpu.machine import EXTERNAL, INTERRUPT, SOFTWARE, TIMER
from tsu_emu.server.trace.symbols import Symbols

LINKS = (1, 5)
"""Registers that hold return addresses by convention: ra and t0."""
INTERRUPTS = {EXTERNAL: "external", SOFTWARE: "software", TIMER: "timer"}


class Slices(Protocol):
    """A track of slices one within the other."""

    def begin(self, name: str, cycle: int) -> None: ...
    def end(self, cycle: int) -> None: ...


@dataclass
class _Frame:
    name: str
    back: int | None
    """Where a return from it goes; None if it is a trap's, or the outermost."""
    traps: bool = False


class Calls:
    """Follows the core of a chip that is observed; a jump into another function takes the place of the one that it leaves.

    symbols : of its image; slices : where functions, traps and sleep are shown
    """

    def __init__(self, chip: Chip, core: FirmwareCore, symbols: Symbols, slices: Slices) -> None:
        assert core.follower is not None
        self._follower, self._symbols, self._slices = core.follower, symbols, slices
        halfwords = self._follower.functions.shape[1]
        for k, base in enumerate((MEMORY.rom_base, MEMORY.ram_base)):
            self._follower.functions[k] = symbols.numbers(base, halfwords)
        self._stack: list[_Frame] = []
        hart: Any = chip.state.hart[0]
        self._enter(int(hart["pc"]), None, int(hart["cycle"]))

    def look(self) -> None:
        """What the core has done since the last look."""
        for begin, end, what, pc, next_pc, word, length in self._follower.notes().tolist():
            if what & WOKE:
                self._slices.end(end if what & RESTARTED else begin)
            if what & RESTARTED:
                self._restart(next_pc, end)
            elif what & MOVED:
                self._moved(word, pc + length, next_pc, end)
            elif what & TRAPPED:
                self._trapped(word, next_pc, begin, end)
            if what & SLEPT:
                self._slices.begin("asleep", end)

    def _moved(self, word: int, back: int, pc: int, cycle: int) -> None:
        """An instruction ended at pc; back : where the one after it lies."""
        opcode, rd, rs1 = word >> 2 & 31, word >> 7 & 31, word >> 15 & 31
        if opcode in (JAL, JALR) and rd in LINKS:
            self._enter(pc, back, cycle)
        elif word == MRET_W:
            self._return_from_trap(cycle)
            self._stay(pc, cycle)
        elif opcode != JALR or rs1 not in LINKS or not self._returns(pc, cycle):
            self._stay(pc, cycle)

    def _enter(self, pc: int, back: int | None, cycle: int) -> None:
        self._push(_Frame(self._symbols.name(pc), back), cycle)

    def _push(self, frame: _Frame, cycle: int) -> None:
        self._stack.append(frame)
        self._slices.begin(frame.name, cycle)

    def _pop(self, cycle: int) -> _Frame:
        self._slices.end(cycle)
        return self._stack.pop()

    def _returns(self, pc: int, cycle: int) -> bool:
        """Leaves functions up to the one called from just before pc, within the trap under way; False if there is none."""
        for depth, frame in enumerate(reversed(self._stack), 1):
            if frame.traps:
                break
            if frame.back == pc:
                for _ in range(depth):
                    self._pop(cycle)
                return True
        return False

    def _stay(self, pc: int, cycle: int) -> None:
        """The core is in the function at pc, wherever it was. Without symbols only calls tell functions apart."""
        name = self._symbols.name(pc)
        if not self._stack:
            self._enter(pc, None, cycle)
        elif self._symbols and self._stack[-1].name != name:
            self._push(_Frame(name, self._pop(cycle).back), cycle)

    def _trapped(self, cause: int, pc: int, now: int, cycle: int) -> None:
        number = cause & ~INTERRUPT
        name = f"interrupt {INTERRUPTS.get(number, number)}" if cause & INTERRUPT else f"exception {number}"
        self._push(_Frame(name, None, traps=True), now)
        self._enter(pc, None, cycle)

    def _return_from_trap(self, cycle: int) -> None:
        if any(frame.traps for frame in self._stack):
            while not self._pop(cycle).traps:
                pass

    def _restart(self, pc: int, now: int) -> None:
        """The core was reset."""
        while self._stack:
            self._pop(now)
        self._enter(pc, None, now)
