"""Sequencer programs: load, start, wait for HALT, explain what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsu_contract.errors import Code
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import label_of, value_of
from tsu_driver.batch import Batch, Outcome
from tsu_driver.bus import Bus
from tsu_driver.energy import Meter, Tail
from tsu_driver.errors import ChipFault, HostError
from tsu_driver.kinds import name_of
from tsu_driver.timing import measure

CTRL, STATE, PROGRAM, PERIOD = "SEQ.CTRL", "SEQ.STATUS.STATE", "PROGRAM", "ADC.PERIOD"
RUNNING, HALTED = value_of(STATE, "RUNNING"), value_of(STATE, "HALTED")

UPDATES_PER_WAIT = 1 << 29
"""Work that one WAIT may sit through, in updates of a clocked p-bit: a longer program takes several messages, so that a
time-out of the link means a lost daemon and not a long program."""

UPDATES_PER_SWEEP = 1 << 12
"""What a sweep of a small array counts for at least."""

WORK = {"pbit": 1, "async-pbit": 1024, "pdit": 64, "gaussian": 64, "mixture": 128, "langevin": 256}
"""What an update or tick of a cell counts for; a gaussian cell hears all others, and each counts for one more."""

CONVERSION_WORK = 128
"""What a conversion counts for."""


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    cycles, seconds : chip time from the first bus operation to the last
    sweeps : sweeps done
    energy_j : what the chip spent meanwhile, J
    physical_s : time in which the array was at work, without bus, programming and waiting
    """

    cycles: int
    seconds: float
    sweeps: int
    energy_j: float
    physical_s: float


@dataclass(frozen=True)
class Loaded:
    """A program in program memory, and what it takes at most."""

    program: tuple[Instruction, ...]
    words: NDArray[np.uint64]
    bound: int
    sweeps: int


class Runner:
    """The sequencer of one chip."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        capabilities = bus.capabilities
        kind = name_of(capabilities)
        work = WORK[kind] + (capabilities.cells if kind == "gaussian" else 0)
        per_sweep = max(UPDATES_PER_SWEEP, work * capabilities.cells * capabilities.planes)
        self.sweeps_per_wait = max(1, UPDATES_PER_WAIT // per_sweep)
        longest = [Instruction(Opcode.RUN, self.sweeps_per_wait), Instruction(Opcode.STROBE), Instruction(Opcode.ADC_SCAN)]
        self._cycles_per_wait, _ = measure(longest, capabilities)
        self._started: Loaded | None = None

    def prepare(self, program: Iterable[Instruction], period: int | None = None) -> Loaded:
        """Assemble a program, a HALT added if it does not end with one; HostError if it is not legal or too long.

        period : what ADC.PERIOD will be, None if it stays
        """
        steps = [Instruction(Opcode(o), n) for o, n in program]
        if not steps or steps[-1].opcode is not Opcode.HALT:
            steps.append(Instruction(Opcode.HALT))
        room = self._bus.capabilities.program_words
        if len(steps) > room:
            raise HostError(f"the program has {len(steps)} instructions, HALT included; program memory holds {room}")
        try:
            words = assemble(steps)
        except ValueError as error:
            raise HostError(str(error)) from None
        captures = any(step.opcode is Opcode.ADC_CAPTURE for step in steps)
        if period is None:
            period = self._period() if captures else 0
        return Loaded(tuple(steps), words, *measure(steps, self._bus.capabilities, period))

    def _period(self) -> int:
        """ADC.PERIOD; the chip is asked unless the host knows."""
        if PERIOD not in self._bus.shadow:
            self._bus.shadow[PERIOD] = self._bus.read_register(PERIOD)
        period: int = self._bus.shadow[PERIOD]
        return period

    def start(self, program: Iterable[Instruction]) -> None:
        """Load and start a program, and do not wait."""
        loaded = self.prepare(program)
        self.check_idle()
        batch = self._bus.batch()
        self.load(batch, loaded)
        add_start(batch)
        batch.execute()
        self._bus.shadow[PROGRAM] = loaded.words
        self._started = loaded

    def finish(self, max_cycles: int | None = None) -> Outcome:
        """Wait until a program that was started has halted; ChipFault if it faults or takes more than max_cycles."""
        bound = max_cycles
        if bound is None:
            bound = self._started.bound if self._started else self._cycles_per_wait
        outcome = self._await(self._bus.batch(), bound, self._started)
        self._bus.shadow[CTRL], self._started = "halted", None
        return outcome

    def execute(self, program: Iterable[Instruction]) -> RunResult:
        """Load and start a program, and wait until it has halted; a short one takes one message."""
        loaded = self.prepare(program)
        self.check_idle()
        batch = self._bus.batch()
        meter = Meter(batch)
        self.load(batch, loaded)
        add_start(batch)
        outcome = self.complete(batch, loaded, meter.stop)
        seconds = self._bus.seconds
        return RunResult(outcome.cycles, seconds(outcome.cycles), loaded.sweeps, meter.energy_j, seconds(meter.physical_cycles))

    def complete(self, batch: Batch, loaded: Loaded, tail: Tail | None = None) -> Outcome:
        """Execute a batch that starts a program, wait for it, then carry out what `tail` adds."""
        outcome = self._await(batch, loaded.bound, loaded, tail)
        self._bus.shadow |= {PROGRAM: loaded.words, CTRL: "halted"}
        return outcome

    def load(self, batch: Batch, loaded: Loaded) -> None:
        """Write program memory, unless it holds the program already."""
        there = self._bus.shadow.get(PROGRAM)
        if there is None or not np.array_equal(there[: len(loaded.words)], loaded.words):
            batch.write_window(PROGRAM, loaded.words)

    def add_wait(self, batch: Batch, bound: int) -> None:
        """Wait for HALTED, as long as one message may."""
        batch.wait_field(STATE, "HALTED", max_cycles=min(bound, self._cycles_per_wait))

    def check_idle(self) -> None:
        """HostError if a program is running that somebody started without waiting for it."""
        if CTRL not in self._bus.shadow and self._bus.read_register(STATE) == RUNNING:
            raise HostError("the sequencer is running a program; wait for it (chip.wait_halted) before the next one")

    def _await(self, batch: Batch, bound: int, loaded: Loaded | None, tail: Tail | None = None) -> Outcome:
        """Execute a batch, wait up to the bound while the program runs, in several messages if it takes long; then the tail."""
        begun, waited = batch, 0
        while True:
            self.add_wait(batch, bound - waited)
            if tail is not None:
                tail(batch)
            waited += min(bound - waited, self._cycles_per_wait)
            try:
                last = batch.execute()
            except ChipFault as fault:
                if fault.code is not Code.WAIT_TIMEOUT:
                    raise
                self._explain(fault, loaded, bound, still_time=waited < bound)
            else:
                return replace(last, t_start=begun.outcome.t_start if begun.outcome else last.t_start)
            batch = self._bus.batch()

    def _explain(self, fault: ChipFault, loaded: Loaded | None, bound: int, still_time: bool) -> None:
        """ChipFault saying why a program has not halted; nothing if it has by now, or runs and has time left."""
        batch = self._bus.batch()
        state, cause, pc = batch.read_field(STATE), batch.read_field("SEQ.STATUS.FAULT"), batch.read("SEQ.PC")
        batch.execute()
        label = label_of(STATE, state.value)
        if state.value == HALTED or (state.value == RUNNING and still_time):
            return
        where = _instruction(loaded, pc.value)
        why = f"is {label} at {where}"
        if label == "FAULTED":
            label = label_of("SEQ.STATUS.FAULT", cause.value)
            why = f"faulted with {label} at {where}"
        elif label == "RUNNING":
            why = f"is still running at {where} after {bound} cycles"
        raise ChipFault(f"the program {why}", instruction=pc.value, cause=label, code=fault.code) from None


def add_start(batch: Batch) -> None:
    """Start the program from its first instruction."""
    batch.write("SEQ.PC", 0)
    batch.write(CTRL, START=1)


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


def _instruction(loaded: Loaded | None, pc: int) -> str:
    """An instruction in words."""
    if loaded is None or pc >= len(loaded.program):
        return f"instruction {pc}"
    opcode, operand = loaded.program[pc]
    return f"instruction {pc}, {opcode.name} {operand}"
