"""The stack of functions that the firmware core is in, derived from the instructions that it executes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tsu_emu.chip import Chip
from tsu_emu.chip.core import MEMORY, FirmwareCore
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
    """Follows the core of a chip, which executes an instruction at a time between two looks; a jump into another function takes
    the place of the one that it leaves.

    symbols : of its image; slices : where functions, traps and sleep are shown
    """

    def __init__(self, chip: Chip, core: FirmwareCore, symbols: Symbols, slices: Slices) -> None:
        self._core, self._ram, self._symbols, self._slices = core, chip.state.core_ram, symbols, slices
        self._hart: Any = chip.state.hart[0]
        self._stack: list[_Frame] = []
        self._asleep = False
        self._remember()
        self._enter(int(self._hart["pc"]), None, int(self._hart["cycle"]))

    def _remember(self) -> None:
        self._pc, self._retired, self._cycle = int(self._hart["pc"]), int(self._hart["retired"]), int(self._hart["cycle"])

    def look(self, now: int) -> None:
        """After the events of cycle `now`: what the core has begun then, if it has."""
        h = self._hart
        pc, retired, cycle = int(h["pc"]), int(h["retired"]), int(h["cycle"])
        if self._asleep and not h["asleep"]:
            self._slices.end(now)
            self._asleep = False
        if retired < self._retired or (retired == 0 and pc != self._pc and h["mcause"] == 0):
            self._restart(pc, now)
        elif retired > self._retired:
            self._executed(self._instruction(self._pc), pc, cycle)
        elif cycle != self._cycle and not h["asleep"]:
            self._trapped(int(h["mcause"]), pc, now, cycle)
        if h["asleep"] and not self._asleep:
            self._slices.begin("asleep", cycle)
            self._asleep = True
        self._remember()

    def _instruction(self, pc: int) -> tuple[int, int]:
        """(the 32-bit instruction at pc, its length there)."""
        words, base = (self._ram, MEMORY.ram_base) if pc >= MEMORY.ram_base else (self._core.rom, MEMORY.rom_base)
        halves = words.view(np.uint16)
        k = (pc - base) // 2
        low = int(halves[k])
        if low & 3 != 3:
            return int(self._core.model["expanded"][0, low]), 2
        return low | int(halves[k + 1]) << 16, 4

    def _executed(self, instruction: tuple[int, int], pc: int, cycle: int) -> None:
        word, length = instruction
        opcode, rd, rs1 = word >> 2 & 31, word >> 7 & 31, word >> 15 & 31
        jumps = opcode in (JAL, JALR)
        if jumps and rd in LINKS:
            self._enter(pc, self._pc + length, cycle)
        elif word == MRET_W:
            self._return_from_trap(cycle)
            self._stay(pc, cycle)
        elif opcode == JALR and rs1 in LINKS and self._returns(pc, cycle):
            return
        else:
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
