"""Sequencer instructions: 64-bit words, opcode in bits 63..56, operand in bits 31..0, the rest zero."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Opcode(IntEnum):
    """What an instruction does; docs/theory-of-operation.md gives cycles and edges."""

    HALT = 0
    """End the program: STATE = HALTED, interrupt SEQ_DONE; PC stays on the HALT."""
    SET_T = 1
    """TEMP.TDAC = operand, 1 .. 2^temp_bits - 1; the next sweep uses it."""
    RUN = 2
    """Do `operand` sweeps."""
    STROBE = 3
    """Latch the spins of all planes into the SPIN window, or the states into STATE."""
    CORR_LATCH = 4
    """Copy the accumulators to the CORR windows."""
    LOOP = 5
    """Execute what follows up to the matching END `operand` times; 0: until somebody stops it."""
    END = 6
    """Close the innermost LOOP."""
    WAIT_SETTLE = 7
    """Wait until every DAC has settled."""
    DELAY = 8
    """Wait `operand` cycles beyond the instruction's own."""
    IRQ = 9
    """Raise the interrupt SEQ_IRQ."""
    ADC_SCAN = 10
    """Convert every analog cell of the enabled planes into the VALUE window."""
    ADC_CAPTURE = 11
    """Convert `operand` samples of what ADC.MUX selects into ADC_DATA, 1 .. CAP.ADC_BUFFER."""
    CLAMP_NEXT = 12
    """Take `operand` >= 1 examples from the ring in host memory into CLAMP_VALUE of the planes of DMA.PLANES, in turn."""
    LEARN = 13
    """Update every accumulator by the rule in LEARN, and write the codes that follow."""
    SWAP = 14
    """Try to exchange the temperatures of neighbouring rungs of each ladder."""


OPERAND_MAX = 0xFFFFFFFF


class Instruction(NamedTuple):
    """One instruction; `operand` is 0 for those without one."""

    opcode: Opcode
    operand: int = 0


_NO_OPERAND = {
    Opcode.HALT, Opcode.STROBE, Opcode.CORR_LATCH, Opcode.END, Opcode.WAIT_SETTLE, Opcode.IRQ, Opcode.ADC_SCAN, Opcode.LEARN,
    Opcode.SWAP,
}  # fmt: skip


def assemble(program: Iterable[Instruction]) -> NDArray[np.uint64]:
    """Words of PROGRAM for a list of instructions, shape (n,).

    ValueError names the instruction whose operand does not fit.
    """
    words = []
    for position, (opcode, operand) in enumerate(program):
        most = 0 if opcode in _NO_OPERAND else OPERAND_MAX
        if not 0 <= operand <= most:
            expected = f"0 to {most:,}" if most else "none"
            raise ValueError(f"instruction {position}, {opcode.name}: operand {operand}; {expected} expected")
        words.append(int(opcode) << 56 | operand)
    return np.array(words, np.uint64)


def disassemble(words: NDArray[np.uint64]) -> list[Instruction]:
    """Instructions of PROGRAM words; ValueError names the first word that is none."""
    program = []
    for position, word in enumerate(int(w) for w in words):
        opcode = word >> 56
        if opcode not in Opcode._value2member_map_ or word >> 32 & 0xFFFFFF:
            raise ValueError(f"word {position} = {word:#018x} is no instruction")
        program.append(Instruction(Opcode(opcode), word & OPERAND_MAX))
    return program
