"""Legal instructions, and what the sequencer says of itself; docs/theory-of-operation.md, "Sequencer"."""

from __future__ import annotations

from enum import IntEnum

from tsu_contract.program import Opcode
from tsu_emu.config import ChipConfig

WITHOUT_OPERAND = {
    Opcode.HALT, Opcode.STROBE, Opcode.CORR_LATCH, Opcode.END, Opcode.WAIT_SETTLE, Opcode.IRQ, Opcode.LEARN, Opcode.SWAP,
}  # fmt: skip

CONVERSIONS = {Opcode.ADC_SCAN, Opcode.ADC_CAPTURE}
"""Illegal on a chip without converters, as all of these are."""


class State(IntEnum):
    """SEQ.STATUS.STATE."""

    IDLE = 0
    RUNNING = 1
    HALTED = 2
    STOPPED = 3
    FAULTED = 4


class Fault(IntEnum):
    """SEQ.STATUS.FAULT."""

    NONE = 0
    ILLEGAL = 1
    LOOP_OVERFLOW = 2
    LOOP_UNDERFLOW = 3
    PC_OVERRUN = 4
    DMA_RING = 5
    LADDER = 6


class Activity(IntEnum):
    """What the sequencer's next edge does."""

    FETCH = 0
    SETTLE = 1
    SWEEP = 2
    COLOUR = 3
    CORRELATE = 4
    STALLED = 5


class Legality:
    """Which words a chip takes for instructions.

    missing : opcodes that are illegal because the chip lacks what they use
    """

    def __init__(self, config: ChipConfig) -> None:
        self.temp_bits = config.temperature.dac.bits
        self.missing = set(CONVERSIONS)
        if not config.learning.bits:
            self.missing.add(Opcode.LEARN)
        if not config.learning.hostmem_words:
            self.missing.add(Opcode.CLAMP_NEXT)

    def instruction(self, word: int) -> bool:
        opcode, operand = word >> 56, word & 0xFFFFFFFF
        if word >> 32 & 0xFFFFFF or opcode not in Opcode._value2member_map_ or opcode in self.missing:
            return False
        if opcode in WITHOUT_OPERAND:
            return operand == 0
        if opcode == Opcode.SET_T:
            return 1 <= operand < 1 << self.temp_bits
        return operand >= 1 if opcode == Opcode.CLAMP_NEXT else True
