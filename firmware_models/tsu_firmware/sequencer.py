"""Programs of the sequencer and their end by interrupt, and the safe state: nothing runs, nothing drives the cells."""

from __future__ import annotations

import numpy as np

from tsu_contract.program import Opcode
from tsu_contract.registers import register, value_of
from tsu_firmware.machine import Again, Call, End, Goto, Machine, Routine

OK, UNKNOWN, ARGUMENTS, UNSUPPORTED, BUSY, FAULT, TIMEOUT, SELF_TEST_FAILED = range(8)
"""How a command ended, as its answer says."""
RUNNING = value_of("SEQ.STATUS.STATE", "RUNNING")
DONE, FAULTED = (register("IRQ.PENDING").fields[f].mask for f in ("SEQ_DONE", "SEQ_FAULT"))
START, STOP = (register("SEQ.CTRL").fields[f].mask for f in ("START", "STOP"))
LEAST_PATIENCE, CYCLES_MAX = 1_000_000, 0xFFFFFFFF
STOP_LOOKS = STOP_CYCLES = 1000


def state_of(m: Machine) -> int:
    """SEQ.STATUS.STATE."""
    return register("SEQ.STATUS").fields["STATE"].get(m.read("SEQ.STATUS"))


def running(m: Machine) -> bool:
    """Whether a program is under way."""
    return state_of(m) == RUNNING


def load(m: Machine, first: int, *program: tuple[Opcode, int]) -> None:
    """Instructions into PROGRAM, from number `first` on. Operands are words of a host, which the sequencer judges."""
    words = [word for opcode, operand in program for word in (operand, int(opcode) << 24)]
    m.put_block("PROGRAM", 2 * first, np.array(words, np.uint32))


def coupling_words(m: Machine) -> int:
    """Of COUPLING."""
    return (m.read("CAP.COUPLERS") + 1) // 2


def bias_words(m: Machine) -> int:
    """Of BIAS."""
    return (m.read("CAP.CELLS") * m.read("CAP.TERMS") + 1) // 2


def patience(m: Machine, sweeps: int) -> int:
    """Cycles that so many sweeps may take: twice what CAP says, and at least a million, limited to 32 bits."""
    planes = m.read("CAP.PLANES")
    phase = m.read("CAP.COLOUR_CYCLES") + planes * m.read("CAP.SLOT_CYCLES")
    sweep = m.read("CAP.SWEEP_CYCLES") + m.read("CAP.COLOURS") * phase + planes * m.read("CAP.CORR_CYCLES")
    return min(2 * sweeps * sweep + LEAST_PATIENCE, CYCLES_MAX)


def listen(m: Machine, events: int) -> None:
    """Interrupts of this mask are taken from now on, earlier ones forgotten; 0: none."""
    m.write("CPU.IRQ_ENABLE", 0)
    m.write("IRQ.PENDING", events)
    m["came"], m["enabled"] = 0, events
    m.write("CPU.IRQ_ENABLE", events)


def take(m: Machine) -> int:
    """Interrupts that have come since `listen`; they are cleared."""
    came = m.read("IRQ.PENDING") & m["enabled"]
    if came:
        m.write("IRQ.PENDING", came)
        m["came"] |= came
    return int(m["came"])


def _ask_to_stop(m: Machine) -> Goto | None:
    m["looks"] = 0
    if not running(m):
        return Goto(_silence)
    m.write("SEQ.CTRL", STOP)
    return None


def _await_stop(m: Machine) -> Again | None:
    """STOP acts before the next instruction or sweep; a DELAY may be as long as it likes, so there is RESET in the end."""
    if running(m) and m["looks"] < STOP_LOOKS:
        m["looks"] += 1
        return Again(STOP_CYCLES)
    if running(m):
        m.write("SYS.CTRL", register("SYS.CTRL").fields["RESET"].mask)
    return None


def _silence(m: Machine) -> None:
    listen(m, 0)
    m.write("TEMP.SCHEDULE", value_of("TEMP.SCHEDULE.MODE", "OFF"))
    m.write("CORR.CTRL", 0)
    m.fill("COUPLING", 0, coupling_words(m))
    m.fill("BIAS", 0, bias_words(m))


SAFE = Routine((_ask_to_stop, _await_stop, _silence))
"""Stops the sequencer, switches the temperature schedule and the correlator off, sets all couplings and biases to 0."""


def _start(m: Machine) -> None:
    listen(m, DONE | FAULTED)
    m.write("SEQ.PC", 0)
    m.write("SEQ.CTRL", START)
    m["deadline"] = m.now + m["patience"]


def _await_end(m: Machine) -> Again | Call | End:
    came = take(m)
    if not came and m.now < m["deadline"]:
        return Again(m["deadline"] - m.now)
    listen(m, 0)
    if came & DONE:
        return End()
    m["failure"] = FAULT if came else TIMEOUT
    return Call(SAFE)


RUN = Routine((_start, _await_end, lambda m: End(m["failure"])))
"""Runs PROGRAM from its start and waits for its end, `patience` cycles at most. FAULT, TIMEOUT: the chip is in the safe state."""


def _note(m: Machine) -> None:
    m["errors"] = m.read("SYS.ERROR")
    m.answer(m.read("SEQ.STATUS"), m.read("SEQ.PC"), m["errors"])


def _forget_errors(m: Machine) -> None:
    m.write("SYS.ERROR", m["errors"])


SAFE_COMMAND = Routine((_note, lambda _: Call(SAFE), _forget_errors))


def _script(m: Machine) -> Call | End:
    count = m["header"] >> 8 & 0xFF
    if count % 2:
        return End(ARGUMENTS)
    if count + 2 > m.read("CAP.PROGRAM_WORDS"):
        return End(UNSUPPORTED)
    if running(m):
        return End(BUSY)
    arguments = m["arguments"][:count].tolist()
    steps = [(Opcode.RUN if k % 2 else Opcode.SET_T, word) for k, word in enumerate(arguments)]
    load(m, 0, *steps, (Opcode.STROBE, 0), (Opcode.HALT, 0))
    m["begun"], m["patience"] = m.now, patience(m, sum(arguments[1::2]))
    return Call(RUN, catches=True)


def _say_how_long(m: Machine) -> End:
    m.answer(m.now - m["begun"])
    return End(m["status"])


ANNEAL_COMMAND = Routine((_script, _say_how_long))
"""CODE SWEEPS pairs: TDAC at CODE for so many sweeps each; then the spins are latched. Uses PROGRAM from its start."""
