"""Machine mode: control and status registers, traps and interrupts (RISC-V privileged architecture 1.12)."""

from __future__ import annotations

import numpy as np

from tsu_emu.cpu.state import BREAKPOINTS, NO_ADDRESS
from tsu_emu.jit import inner, kernel

U, S = np.uint32, np.int64
M32 = 0xFFFFFFFF

MIE, MPIE, MPP = 1 << 3, 1 << 7, 3 << 11
"""Fields of mstatus; MPP is always 3, machine mode, and not kept."""
SOFTWARE, TIMER, EXTERNAL = 3, 7, 11
LINES = 1 << SOFTWARE | 1 << TIMER | 1 << EXTERNAL
INTERRUPT = 1 << 31
MISA = 1 << 30 | 1 << 12 | 1 << 8 | 1 << 2
"""32 bits, extensions M, I and C."""

FETCH_FAULT, ILLEGAL, BREAKPOINT, LOAD_MISALIGNED, LOAD_FAULT, STORE_MISALIGNED, STORE_FAULT, ECALL = 1, 2, 3, 4, 5, 6, 7, 11

ABSENT = -1

MSTATUS, MISA_, MIE_, MTVEC, MSTATUSH, INHIBIT = 0x300, 0x301, 0x304, 0x305, 0x310, 0x320
MSCRATCH, MEPC, MCAUSE, MTVAL, MIP = 0x340, 0x341, 0x342, 0x343, 0x344
MVENDORID, MARCHID, MIMPID, MHARTID, MCONFIGPTR = 0xF11, 0xF12, 0xF13, 0xF14, 0xF15
MCYCLE, MINSTRET, MCYCLEH, MINSTRETH = 0xB00, 0xB02, 0xB80, 0xB82


@inner
def counter(h, which, ticks):  # type: ignore[no-untyped-def]
    """mcycle (which 0) or minstret (1) when `ticks` is the chip's cycle, or the number of instructions retired."""
    inhibited = h.mcountinhibit >> U(2 * which) & U(1)
    return h.counted[which] if inhibited else h.counted[which] + ticks


@inner
def _read(h, m, number):  # type: ignore[no-untyped-def]
    """What is simply there, or ABSENT."""
    if number == MSTATUS:
        return S(h.mstatus) | MPP
    if number == MISA_:
        return S(MISA)
    if number == MIE_:
        return S(h.mie)
    if number == MTVEC:
        return S(h.mtvec)
    if number == INHIBIT:
        return S(h.mcountinhibit)
    if number == MSCRATCH:
        return S(h.mscratch)
    if number == MEPC:
        return S(h.mepc)
    if number == MCAUSE:
        return S(h.mcause)
    if number == MTVAL:
        return S(h.mtval)
    if number == MIP:
        return S(h.lines)
    if number == MVENDORID:
        return S(m.mvendorid)
    if number == MARCHID:
        return S(m.marchid)
    if number == MIMPID:
        return S(m.mimpid)
    if number == MHARTID:
        return S(m.mhartid)
    low = number & 0x1F
    if number == MSTATUSH or number == MCONFIGPTR or ((number & ~0x9F) == MCYCLE and low >= 3):
        return S(0)
    return S(0) if (number & ~0x1F) == INHIBIT and low >= 3 else S(ABSENT)


@inner
def _read_any(h, m, number, cycle, retired):  # type: ignore[no-untyped-def]
    if number == MCYCLE or number == MCYCLEH or number == MINSTRET or number == MINSTRETH:
        which = number >> 1 & 1
        count = counter(h, which, retired if which else cycle)
        return (count >> 32 if number & 0x80 else count) & M32
    return _read(h, m, number)


@inner
def _write_counter(h, number, value, before, after):  # type: ignore[no-untyped-def]
    """The other half keeps what it was before the writing instruction, which itself is not counted."""
    which = number >> 1 & 1
    old = counter(h, which, before)
    new = (old & M32) | value << 32 if number & 0x80 else (old & ~S(M32)) | value
    inhibited = h.mcountinhibit >> U(2 * which) & U(1)
    h.counted[which] = new if inhibited else new - after


@inner
def _inhibit(h, value, cycle, retired):  # type: ignore[no-untyped-def]
    """mcountinhibit takes effect when the writing instruction is done, at these ticks."""
    for which in range(2):
        ticks = retired if which else cycle
        count = counter(h, which, ticks)
        h.counted[which] = count if value >> (2 * which) & 1 else count - ticks
    h.mcountinhibit = U(value & 5)


@inner
def _write(h, number, value, cycle, retired, cost):  # type: ignore[no-untyped-def]
    if number == MSTATUS:
        h.mstatus = U(value & (MIE | MPIE))
    elif number == MIE_:
        h.mie = U(value & LINES)
    elif number == MTVEC:
        h.mtvec = U(value & ~2)
    elif number == MSCRATCH:
        h.mscratch = U(value)
    elif number == MEPC:
        h.mepc = U(value & ~1)
    elif number == MCAUSE:
        h.mcause = U(value)
    elif number == MTVAL:
        h.mtval = U(value)
    elif number == INHIBIT:
        _inhibit(h, value, cycle + cost, retired + 1)
    elif number == MCYCLE or number == MCYCLEH:
        _write_counter(h, number, value, cycle, cycle + cost)
    elif number == MINSTRET or number == MINSTRETH:
        _write_counter(h, number, value, retired, retired + 1)


@inner
def csr(h, m, w, cycle, retired):  # type: ignore[no-untyped-def]
    """Executes a CSRR* instruction w that begins with these ticks; False if it is illegal."""
    number, f3, source = w >> 20, w >> 12 & 7, w >> 15 & 31
    writes = f3 & 3 == 1 or source != 0
    if writes and number >> 10 == 3:
        return False
    old = _read_any(h, m, number, cycle, retired)
    if old == ABSENT:
        return False
    operand = source if f3 & 4 else S(h.x[source])
    if writes:
        new = operand if f3 & 3 == 1 else old | operand if f3 & 3 == 2 else old & ~operand
        _write(h, number, new, cycle, retired, m.csr)
    h.x[w >> 7 & 31] = U(old)
    h.x[0] = U(0)
    return True


@kernel
def peek_csr(hart, model, number):  # type: ignore[no-untyped-def]
    """What the next instruction would read in a register of a (1,) HART, or ABSENT."""
    h = hart[0]
    return S(_read_any(h, model[0], number, h.cycle, h.retired))


@kernel
def poke_csr(hart, number, value):  # type: ignore[no-untyped-def]
    """Writes a register that is not a counter, between two instructions of a (1,) HART."""
    h = hart[0]
    _write(h, number, value, h.cycle, h.retired, 0)


@inner
def trap(h, pc, cause, value):  # type: ignore[no-untyped-def]
    """Enters the trap handler from pc, leaving mcause and mtval; returns the pc of the handler."""
    h.mepc, h.mcause, h.mtval = U(pc), U(cause), U(value)
    h.mstatus = U(MPIE if h.mstatus & U(MIE) else 0)
    base = S(h.mtvec) & ~3
    vectored = h.mtvec & U(1) and cause & INTERRUPT
    return (base + 4 * (cause & 31)) & M32 if vectored else base


@inner
def leave(h):  # type: ignore[no-untyped-def]
    """MRET; returns the pc that it goes to."""
    h.mstatus = U(MPIE | (MIE if h.mstatus & U(MPIE) else 0))
    return S(h.mepc)


@inner
def interrupt(h):  # type: ignore[no-untyped-def]
    """mcause of the interrupt that is to be taken now, or 0: external before software before timer."""
    pending = S(h.lines & h.mie)
    if pending == 0 or h.mstatus & U(MIE) == 0:
        return 0
    cause = EXTERNAL if pending >> EXTERNAL & 1 else SOFTWARE if pending >> SOFTWARE & 1 else TIMER
    return INTERRUPT | cause


@inner
def attention(h):  # type: ignore[no-untyped-def]
    """Whether there is anything to look at before the next instruction: an interrupt to take, or a breakpoint set."""
    for k in range(BREAKPOINTS):
        if h.breakpoints[k] != U(NO_ADDRESS):
            return True
    return interrupt(h) != 0


@inner
def stops(h, pc):  # type: ignore[no-untyped-def]
    """Whether the debugger is to be told of a breakpoint at pc. It is told once, then the instruction is executed."""
    here = False
    for k in range(BREAKPOINTS):
        here |= S(h.breakpoints[k]) == pc
    told = S(h.halted) == pc
    h.halted = U(pc) if here and not told else U(NO_ADDRESS)
    return here and not told
