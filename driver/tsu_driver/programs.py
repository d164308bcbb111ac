"""Sequencer programs before they run: checked, assembled, and how long they may take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import Capabilities
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_driver.bus import Bus
from tsu_driver.errors import HostError
from tsu_driver.kinds import has_spins, name_of, require
from tsu_driver.timing import Pace, longest_step, measure

PROGRAM, PERIOD = "PROGRAM", "ADC.PERIOD"

UPDATES_PER_WAIT = 1 << 29
"""Work that one WAIT may sit through, in updates of a clocked p-bit: a longer program takes several messages, so that a
time-out of the link means a lost daemon and not a long program."""

UPDATES_PER_SWEEP = 1 << 12
"""What a sweep of a small array counts for at least."""

WORK = {"pbit": 1, "async-pbit": 1024, "pdit": 64, "gaussian": 64, "mixture": 128, "langevin": 256}
"""What an update or tick of a cell counts for; a gaussian cell hears all others, and each counts for one more."""

CONVERSION_WORK = 128
"""What a conversion counts for."""

LEARN_WORK = 16
"""What an update of an accumulator counts for."""

ENGINE_WORK = 1 << 14
"""What LEARN or SWAP of a small array counts for at least."""


def _instruction(position: int, step: Any) -> Instruction:
    """What a program has at a position; HostError says what is no instruction."""
    try:
        opcode, operand = step
        return Instruction(Opcode(opcode), index(operand))
    except (TypeError, ValueError):
        raise HostError(f"instruction {position} is {step!r}; Instruction(Opcode.RUN, 5) or the like is expected") from None


@dataclass(frozen=True)
class Loaded:
    """A program as it lies in program memory.

    bound : cycles that it takes at most, None if it never halts by itself
    sweeps : sweeps that it does
    stops_in : cycles after which it has stopped when asked to
    slice : cycles that one message may wait for it
    """

    program: tuple[Instruction, ...]
    words: NDArray[np.uint64]
    bound: int | None
    sweeps: int
    stops_in: int
    slice: int

    @cached_property
    def opcodes(self) -> frozenset[Opcode]:
        """What instructions it has."""
        return frozenset(step.opcode for step in self.program)

    @property
    def longest(self) -> int:
        """`bound` of a program that ends; HostError if it does not."""
        if self.bound is None:
            raise HostError("the program has an endless loop and never halts; begin it with chip.start, end it with chip.stop")
        return self.bound

    def at(self, pc: int) -> Instruction | None:
        """The instruction at pc, None beyond the program."""
        return self.program[pc] if pc < len(self.program) else None


class Loader:
    """Makes programs of instructions, for one chip.

    sweeps_per_wait : sweeps that one message may wait for; slice : their cycles
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        capabilities = bus.capabilities
        kind = name_of(capabilities)
        work = WORK[kind] + (capabilities.cells if kind == "gaussian" else 0)
        per_sweep = max(UPDATES_PER_SWEEP, work * capabilities.cells * capabilities.planes)
        self.sweeps_per_wait = max(1, UPDATES_PER_WAIT // per_sweep)
        self.slice = self._cycles([(Opcode.RUN, self.sweeps_per_wait), (Opcode.STROBE, 0), (Opcode.ADC_SCAN, 0)])

    def prepare(self, program: Iterable[Instruction], period: int | None = None) -> Loaded:
        """Assemble a program, a HALT added if it does not end with one; HostError if it is not legal, too long, or needs
        what the chip lacks.

        period : what ADC.PERIOD will be, None if it stays
        """
        steps = [_instruction(k, step) for k, step in enumerate(program)]
        if not steps or steps[-1].opcode is not Opcode.HALT:
            steps.append(Instruction(Opcode.HALT))
        capabilities = self._bus.capabilities
        room = capabilities.program_words
        if len(steps) > room:
            raise HostError(f"the program has {len(steps)} instructions, HALT included; program memory holds {room}")
        try:
            words = assemble(steps)
        except ValueError as error:
            raise HostError(str(error)) from None
        opcodes = {step.opcode for step in steps}
        _require_engines(opcodes, capabilities)
        pace = self._pace(opcodes, period)
        stops_in = longest_step(steps, capabilities, pace)
        return Loaded(tuple(steps), words, *measure(steps, capabilities, pace), stops_in, self._slice(opcodes))

    def _slice(self, opcodes: set[Opcode]) -> int:
        """Cycles that one message may wait for a program with these instructions, were it made of the densest alone."""
        capabilities, slice_ = self._bus.capabilities, self.slice
        learning = {
            Opcode.LEARN: LEARN_WORK * (capabilities.pairs + capabilities.cells),
            Opcode.SWAP: capabilities.pairs * capabilities.planes,
        }
        for opcode in opcodes & learning.keys():
            times = max(1, UPDATES_PER_WAIT // max(ENGINE_WORK, learning[opcode]))
            slice_ = min(slice_, self._cycles([(Opcode.LOOP, times), (opcode, 0), (Opcode.END, 0)]))
        return slice_

    def _cycles(self, steps: Iterable[tuple[Opcode, int]]) -> int:
        cycles = measure([Instruction(*step) for step in steps], self._bus.capabilities).cycles
        assert cycles is not None
        return cycles

    def _pace(self, opcodes: set[Opcode], period: int | None) -> Pace:
        """What these instructions take besides what CAP tells."""
        if period is None:
            period = self._period() if Opcode.ADC_CAPTURE in opcodes else 0
        return Pace(period, *(self._burst if Opcode.CLAMP_NEXT in opcodes else (0, 0)))

    def _period(self) -> int:
        """ADC.PERIOD; the chip is asked unless the host knows."""
        if PERIOD not in self._bus.shadow:
            self._bus.shadow[PERIOD] = self._bus.read_register(PERIOD)
        period: int = self._bus.shadow[PERIOD]
        return period

    @cached_property
    def _burst(self) -> tuple[int, int]:
        """(cycles of a burst at most, cycles of each of its words), as two of the host's own take; asked once."""
        fence, cycles = self._bus.batch(), []
        fence.fence()
        fence.execute()
        for elements in (1, 2):
            batch = self._bus.batch()
            batch.read_window(PROGRAM, 0, elements)
            cycles.append(batch.execute().cycles)
        words = self._bus.layouts[PROGRAM].window.dtype.itemsize // 4
        return cycles[0], -(-(cycles[1] - cycles[0]) // words)


def schedule_programs(steps: Sequence[tuple[int, int]], program_words: int) -> list[list[Instruction]]:
    """Programs that do (code, sweeps) steps one after the other, each short enough for program memory."""
    per_program = (program_words - 1) // 2
    if per_program < 1:
        raise HostError(f"program memory of {program_words} words cannot hold SET_T, RUN and HALT")
    return [
        [
            instruction
            for code, sweeps in steps[first : first + per_program]
            for instruction in (Instruction(Opcode.SET_T, code), Instruction(Opcode.RUN, sweeps))
        ]
        for first in range(0, len(steps), per_program)
    ]


def require_engine(capabilities: Capabilities) -> None:
    """HostError if the chip has no learning engine."""
    if not capabilities.learn_bits:
        raise HostError("this chip has no learning engine (CAP.LEARN_BITS is 0); the host must move the weights")


def require_host_memory(capabilities: Capabilities) -> None:
    """HostError if the chip cannot read examples from host memory."""
    require(has_spins(capabilities), capabilities, "rings of examples feed p-bits")
    if not capabilities.hostmem_words:
        raise HostError("this chip reads no host memory (CAP.HOSTMEM_WORDS is 0); clamp examples instead")


def _require_engines(opcodes: set[Opcode], capabilities: Capabilities) -> None:
    """HostError if an instruction needs what the chip lacks."""
    if Opcode.LEARN in opcodes:
        require_engine(capabilities)
    if Opcode.CLAMP_NEXT in opcodes:
        require_host_memory(capabilities)
    if Opcode.SWAP in opcodes:
        require(has_spins(capabilities), capabilities, "the swap engine serves p-bits")
