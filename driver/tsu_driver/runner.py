"""The sequencer at work: load, start, wait for HALT, stop, explain what went wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from tsu_contract.errors import Code
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import label_of, value_of
from tsu_driver.batch import Batch, Outcome
from tsu_driver.bus import Bus
from tsu_driver.energy import Meter, Tail
from tsu_driver.errors import ChipFault, HostError
from tsu_driver.programs import PROGRAM, Loaded, Loader

CTRL, STATE, PC = "SEQ.CTRL", "SEQ.STATUS.STATE", "SEQ.PC"
RUNNING = value_of(STATE, "RUNNING")
REST = ("IDLE", "HALTED", "STOPPED")
"""States in which nothing is under way."""


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


class Runner:
    """The sequencer of one chip.

    prepare : as `Loader.prepare`; sweeps_per_wait, slice : as those of `Loader`
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._started: Loaded | None = None
        loader = Loader(bus)
        self.prepare, self.sweeps_per_wait, self.slice = loader.prepare, loader.sweeps_per_wait, loader.slice

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
        bound = self._started.longest if self._started else self.slice
        outcome = self._await(self._bus.batch(), bound if max_cycles is None else max_cycles, self._started)
        self._ended()
        return outcome

    def stop(self) -> bool:
        """Pause what is running, before its next instruction or sweep; False if there is nothing to resume."""
        begun = self._started
        batch = self._bus.batch()
        if begun:
            batch.announce(begun.opcodes)
        batch.write(CTRL, STOP=1)
        state = batch.read_field(STATE)
        batch.execute()
        if state.value == RUNNING:
            batch = self._bus.batch()
            batch.wait_field(STATE, "STOPPED", max_cycles=begun.stops_in if begun else self.slice)
            try:
                batch.execute()
            except ChipFault as fault:
                self._explain(fault.code, begun, REST, "it was asked to stop")
        paused = self._explain(None, begun, REST, "it was asked to stop") == "STOPPED"
        self._ended()
        if paused and begun:
            self._bus.shadow[PC] = begun
        return paused

    def resume(self) -> None:
        """Go on with what `stop` paused; HostError if another program has been loaded since."""
        paused: Loaded | None = self._bus.shadow.get(PC)
        if paused is None or PROGRAM not in self._bus.shadow:
            raise HostError("there is no program to go on with: none was stopped, or another has been loaded since")
        batch = self._bus.batch()
        batch.announce(paused.opcodes)
        batch.write(CTRL, START=1)
        batch.execute()
        self._started = paused

    def delay(self, cycles: int) -> None:
        """Let chip time pass, in as many messages as it takes."""
        most = self._started.slice if self._started else self.slice
        for first in range(0, cycles, most):
            batch = self._bus.batch()
            batch.delay(min(most, cycles - first))
            batch.execute()

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
        bound, self._started = loaded.longest, loaded
        outcome = self._await(batch, bound, loaded, tail)
        self._bus.shadow[PROGRAM] = loaded.words
        self._ended()
        return outcome

    def load(self, batch: Batch, loaded: Loaded) -> None:
        """Write program memory, unless it holds the program already."""
        batch.announce(loaded.opcodes)
        there = self._bus.shadow.get(PROGRAM)
        if there is None or not np.array_equal(there[: len(loaded.words)], loaded.words):
            batch.write_window(PROGRAM, loaded.words)

    def add_wait(self, batch: Batch, loaded: Loaded) -> None:
        """Wait for HALTED, as long as one message may."""
        batch.wait_field(STATE, "HALTED", max_cycles=min(loaded.longest, loaded.slice))

    def check_idle(self) -> None:
        """HostError if a program is running that somebody started without waiting for it."""
        if CTRL not in self._bus.shadow and self._bus.read_register(STATE) == RUNNING:
            raise HostError(
                "the sequencer is running a program; wait for it (chip.wait_halted) or stop it (chip.stop) before the next one"
            )

    def _ended(self) -> None:
        """No program is under way."""
        self._bus.shadow[CTRL], self._started = "idle", None
        self._bus.settled()

    def _await(self, batch: Batch, bound: int, loaded: Loaded | None, tail: Tail | None = None) -> Outcome:
        """Execute a batch, wait up to the bound while the program runs, in several messages if it takes long; then the tail."""
        begun, waited, most = batch, 0, loaded.slice if loaded else self.slice
        while True:
            patience = min(bound - waited, most)
            batch.wait_field(STATE, "HALTED", max_cycles=patience)
            if tail is not None:
                tail(batch)
            waited += patience
            try:
                last = batch.execute()
            except ChipFault as fault:
                if fault.code is not Code.WAIT_TIMEOUT:
                    raise
                self._explain(fault.code, loaded, ("HALTED",), None if waited < bound else f"{bound} cycles")
            else:
                return replace(last, t_start=begun.outcome.t_start if begun.outcome else last.t_start)
            batch = self._bus.batch()

    def _explain(self, code: Code | None, loaded: Loaded | None, good: tuple[str, ...], after: str | None) -> str:
        """The sequencer's state; ChipFault saying what is wrong unless it is a good one, or RUNNING and `after` is None.

        after : what it should have come to rest after, None if it has time left
        """
        batch = self._bus.batch()
        state, cause, pc = batch.read_field(STATE), batch.read_field("SEQ.STATUS.FAULT"), batch.read(PC)
        cycle, stall = (batch.read_field(f"DMA.CTRL.{name}") for name in ("CYCLE", "STALL"))
        head, tail, entries = (batch.read(f"DMA.{name}") for name in ("HEAD", "TAIL", "ENTRIES"))
        batch.execute()
        label = label_of(STATE, state.value)
        if label in good:
            return label
        step = loaded.at(pc.value) if loaded else None
        where = f"instruction {pc.value}" + (f", {step.opcode.name} {step.operand}" if step else "")
        wants = step.operand if step and step.opcode is Opcode.CLAMP_NEXT else 0
        held = min((head.value - tail.value) % (1 << 32), entries.value)
        why = f"is {label} at {where}"
        if label == "FAULTED":
            label = label_of("SEQ.STATUS.FAULT", cause.value)
            why = f"faulted with {label} at {where}"
        elif label == "RUNNING" and stall.value and not cycle.value and held < wants:
            label, why = "STALLED", f"is stalled at {where}: the ring of examples ran dry and holds {held}; push more"
        elif label == "RUNNING" and after is None:
            return label
        elif label == "RUNNING":
            why = f"is still running at {where} after {after}"
        raise ChipFault(f"the program {why}", instruction=pc.value, cause=label, code=code) from None


def add_start(batch: Batch) -> None:
    """Start the program from its first instruction."""
    batch.write(PC, 0)
    batch.write(CTRL, START=1)
