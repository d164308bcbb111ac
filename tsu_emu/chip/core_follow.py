"""The firmware core at work while somebody watches: an instruction at a time, with a note of each that leaves its function, of
traps and of sleep; compiled code returns when a register that is shown changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.registers import WINDOW_STRIDE, WINDOWS
from tsu_emu.chip.core_loop import NOBODY, SLICE, at_window, seen, work
from tsu_emu.cpu.hart import BUS, JAL, JALR, MRET_W, UNTIL
from tsu_emu.cpu.state import BUS_LOAD
from tsu_emu.digital import words as W
from tsu_emu.digital.bus import inward
from tsu_emu.jit import inner, kernel

U, Z = np.uint32, np.int64
IN_BUS, IN_UNTIL, UNWATCHED, SLICED, CALLS, JUMPS, RETURNS = BUS, UNTIL, NOBODY, SLICE, JAL, JALR, MRET_W
PENDING, STATUS, PC, FABRIC, TDAC = W.IRQ_PENDING, W.SEQ_STATUS, W.SEQ_PC, W.FABRIC_STATUS, W.TDAC
CTRL, HOLD, LOAD = W.CPU_CTRL, W.CPU_HOLD, BUS_LOAD
STRIDE, PROGRAM = WINDOW_STRIDE, WINDOWS["PROGRAM"].address // WINDOW_STRIDE

MOVED, TRAPPED, SLEPT, WOKE, RESTARTED = 1, 2, 4, 8, 16
"""What a note is of: an instruction that goes into another function, a call, or maybe a return; a trap; WFI; its end; a reset."""
NOTE = np.dtype([("begin", "i8"), ("end", "i8"), ("what", "u4"), ("pc", "u4"), ("next", "u4"), ("word", "u4"), ("length", "u4")])
"""begin, end : cycles; what : sum of MOVED and so on; pc, next : before and after; word : the instruction as 32 bits, of a trap
its cause; length : bytes of the instruction"""
PAST = np.dtype([("cycle", "i8"), ("retired", "i8"), ("pc", "u4"), ("asleep", "u4")], align=True)
NOTES = 1024
"""Notes that compiled code makes before it returns."""


@inner
def _picture(c):  # type: ignore[no-untyped-def]
    r = c.registers
    return r[PENDING], r[STATUS], r[PC], r[FABRIC], r[TDAC]


@inner
def _half(m, rom, ram, pc):  # type: ignore[no-untyped-def]
    """(16 bits at pc, 0 for ROM or 1 for RAM, its halfword there)"""
    region, base, words = (1, m.ram_base, ram) if pc >= m.ram_base else (0, m.rom_base, rom)
    place = (pc - base) >> 1
    if not 0 <= place < 2 * words.size:
        return U(0), region, Z(0)
    return words[place >> 1] >> U(16 * (place & 1)) & U(0xFFFF), region, place


@inner
def _instruction(m, rom, ram, pc):  # type: ignore[no-untyped-def]
    """(the instruction at pc as 32 bits, its bytes)"""
    low, _, _ = _half(m, rom, ram, pc)
    if low & U(3) != U(3):
        return m.expanded[low], 2
    high, _, _ = _half(m, rom, ram, pc + 2)
    return high << U(16) | low, 4


@inner
def _moves(m, rom, ram, functions, word, pc, after):  # type: ignore[no-untyped-def]
    """Whether an instruction went into another function, or may be a call or a return: by ra or t0, or of a trap."""
    opcode, rd, rs1 = word >> U(2) & U(31), word >> U(7) & U(31), word >> U(15) & U(31)
    calls = (opcode == U(CALLS) or opcode == U(JUMPS)) and (rd == U(1) or rd == U(5))
    returns = word == U(RETURNS) or (opcode == U(JUMPS) and (rs1 == U(1) or rs1 == U(5)))
    _, region, place = _half(m, rom, ram, pc)
    _, there, reached = _half(m, rom, ram, after)
    return calls or returns or functions[region, place] != functions[there, reached]


@inner
def _note(h, m, rom, ram, functions, past, notes, count):  # type: ignore[no-untyped-def]
    """What has happened since `past`, an instruction, a trap or a reset, if it is worth a note."""
    p, what, word, length = past[0], 0, U(0), 0
    if h.retired < p.retired or (h.retired == 0 and h.pc != p.pc and h.mcause == U(0)):
        what = RESTARTED
    elif h.retired > p.retired:
        word, length = _instruction(m, rom, ram, Z(p.pc))
        what = MOVED if _moves(m, rom, ram, functions, word, Z(p.pc), Z(h.pc)) else 0
    elif h.mcause != U(0) and (h.pc != p.pc or (h.cycle != p.cycle and p.asleep | h.asleep == U(0))):
        what, word = TRAPPED, h.mcause
    if p.asleep and not h.asleep:
        what |= WOKE
    if h.asleep and not p.asleep:
        what |= SLEPT
    if what and count[0] < notes.size:
        n = notes[count[0]]
        n.begin, n.end, n.what, n.pc, n.next, n.word, n.length = p.cycle, h.cycle, U(what), p.pc, h.pc, word, U(length)
        count[0] += 1
    p.cycle, p.retired, p.pc, p.asleep = h.cycle, h.retired, h.pc, h.asleep


@kernel
def note(harts, models, rom, ram, functions, past, notes, count):  # type: ignore[no-untyped-def]
    """What the core has done since `past`, at most one instruction."""
    _note(harts[0], models[0], rom, ram, functions, past, notes, count)


@kernel
def followed(core, rules, timings, harts, models, rom, ram, until, watch, functions, past, notes, count):  # type: ignore[no-untyped-def]
    """As `core_loop.work`, an instruction at a time; it returns as well when a register that is shown changes, or notes fill up.

    functions : (2, halfwords) int32, a number for each function, in ROM and RAM; past : (1,) PAST, what was seen last
    notes, count : (n,) NOTE, and how many of them there are
    """
    c, h, m = core[0], harts[0], models[0]
    end, shown = min(until, h.cycle + SLICED), _picture(c)
    while True:
        _note(h, m, rom, ram, functions, past, notes, count)
        cycle = h.cycle
        reason, effects = work(core, rules, timings, harts, models, rom, ram, min(cycle, until), watch)
        _note(h, m, rom, ram, functions, past, notes, count)
        if reason != IN_UNTIL or effects or h.cycle == cycle or h.cycle > end or c.registers[CTRL] & U(HOLD):
            return reason, effects
        if count[0] + 4 > notes.size or _picture(c) != shown or (watch[0] != UNWATCHED and seen(core, rules, watch)):
            return reason, effects


@kernel
def followed_on(core, p, memory, harts, models, rom, ram, until, watch, functions, past, notes, count):  # type: ignore[no-untyped-def]
    """As `core_loop.work_on`; what is written to the program is seen at once."""
    while True:
        address, load = Z(harts[0].bus_address) - models[0].mmio_base, harts[0].bus_kind == U(LOAD)
        if p.rules[0].placed > 0:
            address = inward(p.rules[0], address)
        shown = _picture(core[0])
        if not at_window(core, p, memory, harts, models):
            return IN_BUS, 0
        note(harts, models, rom, ram, functions, past, notes, count)
        programs = not load and address // STRIDE == PROGRAM
        if programs or _picture(core[0]) != shown or harts[0].cycle > until:
            return IN_UNTIL, 0
        if watch[0] != UNWATCHED and seen(core, p.rules, watch):
            return IN_UNTIL, 0
        reason, effects = followed(core, p.rules, p.timing, harts, models, rom, ram, until, watch, functions, past, notes, count)
        if reason != IN_BUS:
            return reason, effects


class Follower:
    """Notes what a core does, if its `work` and `work_on` take the place of those of `core_loop`. It changes nothing.

    hart, model, rom, ram : as `cpu.hart.run` has them
    functions : of `followed`; while it is 0, only calls, returns, traps and sleep are noted
    """

    def __init__(self, hart: NDArray[Any], model: NDArray[Any], rom: NDArray[np.uint32], ram: NDArray[np.uint32]) -> None:
        self._machine = hart, model, rom, ram
        self.functions: NDArray[np.int32] = np.zeros((2, 2 * max(len(rom), len(ram), 1)), np.int32)
        self._past, self._notes, self._count = np.zeros(1, PAST), np.zeros(NOTES, NOTE), np.zeros(1, np.int64)
        for name in PAST.names or ():
            self._past[name] = hart[name]

    def _own(self) -> tuple[NDArray[Any], ...]:
        return self.functions, self._past, self._notes, self._count

    def work(self, *arguments: Any) -> tuple[int, int]:
        """In place of `core_loop.work`."""
        reason, effects = followed(*arguments, *self._own())
        return reason, effects

    def work_on(self, *arguments: Any) -> tuple[int, int]:
        """In place of `core_loop.work_on`."""
        reason, effects = followed_on(*arguments, *self._own())
        return reason, effects

    def notes(self) -> NDArray[Any]:
        """(n,) NOTE since the last call."""
        note(*self._machine, *self._own())
        found = self._notes[: self._count[0]].copy()
        self._count[0] = 0
        return found
