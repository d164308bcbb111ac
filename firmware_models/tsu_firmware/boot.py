"""Boot and self-test: what the boot core does from power-on until SYS.BOOT says READY or FAILED.

Each step is one stay on the bus: its accesses act in one cycle, and the next step comes no earlier than they took. All memory is
the state array, so that a chip can be saved and restored between any two steps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import LSB_SCALE
from tsu_contract.firmware import Port
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import MAP_HASH_WORD, WINDOWS, register, value_of

STEP = 0
"""Index into the state: the step that comes next."""


def _address(name: str) -> int:
    return register(name).at()


def _state_of_sequencer(bus: Port) -> int:
    return register("SEQ.STATUS").fields["STATE"].get(bus.read(_address("SEQ.STATUS")))


def check_identity(bus: Port, map_hash_word: int = MAP_HASH_WORD) -> bool:
    """The map that this firmware was built for is the map of the chip."""
    magic = register("SYS.ID").fields["MAGIC"]
    return magic.get(bus.read(_address("SYS.ID"))) == magic.reset and bus.read(_address("SYS.MAP_HASH")) == map_hash_word


def check_bus(bus: Port) -> bool:
    """Walking ones and zeros through SYS.SCRATCH; leaves 0."""
    scratch = _address("SYS.SCRATCH")
    for bit in range(32):
        for pattern in (1 << bit, 0xFFFFFFFF ^ 1 << bit):
            bus.write(scratch, pattern)
            if bus.read(scratch) != pattern:
                return False
    bus.write(scratch, 0)
    return bus.read(scratch) == 0


def check_program_memory(bus: Port) -> bool:
    """Checkerboard and its inverse in the first instructions, then a program that halts at once."""
    base, words = WINDOWS["PROGRAM"].address, 4
    for pattern in (0x55555555, 0xAAAAAAAA):
        for k in range(words):
            bus.write(base + 4 * k, pattern ^ k)
        if any(bus.read(base + 4 * k) != pattern ^ k for k in range(words)):
            return False
    for k in range(words):
        bus.write(base + 4 * k, 0)
    halt = assemble([Instruction(Opcode.HALT)]).view(np.uint32)
    for k, word in enumerate(halt.tolist()):
        bus.write(base + 4 * k, word)
    return True


def start_sequencer(bus: Port) -> bool:
    """Starts the program; `check_sequencer` looks at what became of it."""
    bus.write(_address("SEQ.PC"), 0)
    bus.write(_address("SEQ.CTRL"), register("SEQ.CTRL").fields["START"].mask)
    return _state_of_sequencer(bus) == value_of("SEQ.STATUS.STATE", "RUNNING")


def check_sequencer(bus: Port) -> bool:
    """The program halted and its interrupt is pending; both are cleared away."""
    done = register("IRQ.PENDING").fields["SEQ_DONE"].mask
    halted = _state_of_sequencer(bus) == value_of("SEQ.STATUS.STATE", "HALTED")
    pending = bus.read(_address("IRQ.PENDING")) & done
    bus.write(_address("IRQ.PENDING"), done)
    return halted and pending != 0 and bus.read(_address("IRQ.PENDING")) & done == 0


def check_dac_codes(bus: Port) -> bool:
    """End codes can be written to and read from the first bias DACs; leaves 0."""
    base, bits = WINDOWS["BIAS"].address, bus.read(_address("CAP.BIAS_BITS"))
    low, high = -(1 << bits - 1) & 0xFFFF, (1 << bits - 1) - 1
    single = bus.read(_address("CAP.CELLS")) == 1
    for pattern in (low, high, 0) if single else (low << 16 | high, high << 16 | low, 0):
        bus.write(base, pattern)
        if bus.read(base) != pattern:
            return False
    return True


def set_temperature(bus: Port) -> bool:
    """T = 1, as near as the temperature DAC comes."""
    code = round(1.0 / (bus.read(_address("CAP.TEMP_LSB")) * LSB_SCALE))
    top = (1 << bus.read(_address("CAP.TEMP_BITS"))) - 1
    code = min(max(code, 1), top)
    bus.write(_address("TEMP.TDAC"), code)
    return bus.read(_address("TEMP.TDAC")) == code


SELF_TEST: tuple[Callable[[Port], bool], ...] = (
    check_identity,
    check_bus,
    check_program_memory,
    start_sequencer,
    check_sequencer,
    check_dac_codes,
    set_temperature,
)
"""In order; SYS.BOOT.DETAIL of a FAILED chip is the number, from 1, of the one that failed."""

PAUSE_CYCLES = 100
"""Least time between two steps. Assumed."""


class BootFirmware:
    """Runs SELF_TEST step by step, then says READY and sleeps for good.

    map_hash_word : of the register map that it was made for; may be set
    """

    map_hash_word = MAP_HASH_WORD

    def step(self, state: NDArray[np.int64], bus: Port) -> int | None:
        """One step. Returns cycles until the next, longer than a HALT takes, or None when done.

        state : (16,) int64, zero at power-on
        """
        number = int(state[STEP])
        if number == 0:
            self._report(bus, "SELFTEST", 0)
        if not (check_identity(bus, self.map_hash_word) if number == 0 else SELF_TEST[number](bus)):
            self._report(bus, "FAILED", number + 1)
            return None
        state[STEP] = number + 1
        if number + 1 < len(SELF_TEST):
            return max(PAUSE_CYCLES, 2 * bus.read(_address("CAP.INSTRUCTION_CYCLES")))
        self._report(bus, "READY", 0)
        return None

    @staticmethod
    def _report(bus: Port, stage: str, detail: int) -> None:
        bus.write(_address("SYS.BOOT"), value_of("SYS.BOOT.STAGE", stage) | detail << 8)
