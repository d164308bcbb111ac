"""The sequencer; docs/theory-of-operation.md, "Sequencer"."""

from __future__ import annotations

from dataclasses import dataclass

from tsu_contract.program import Opcode
from tsu_emu.config import ChipConfig

from .calibration import Calibration
from .fabric import Correlator, Fabric
from .instructions import Activity, Fault, Legality, State
from .interrupts import Interrupts
from .learning import Learning
from .ring import Ring
from .schedule import Schedule
from .tempering import Tempering

SEQ_FAULT, START_BUSY = 1, 2
"""Bits of SYS.ERROR."""


@dataclass(frozen=True)
class Engines:
    """What the sequencer drives beside the array."""

    learning: Learning
    ring: Ring
    tempering: Tempering
    schedule: Schedule


class Sequencer:
    """Moves from edge to edge: `activity` happens at cycle `edge`, or waits for a START if that is None."""

    def __init__(
        self, config: ChipConfig, fabric: Fabric, correlator: Correlator, interrupts: Interrupts, engines: Engines
    ) -> None:
        self.timing = config.timing
        self.loop_depth = config.sequencer.loop_depth
        self.fabric = fabric
        self.correlator = correlator
        self.interrupts = interrupts
        self.engines = engines
        self.calibration = Calibration(interrupts)
        self.legal = Legality(config)
        self.program = [0] * config.sequencer.program_words
        self._initial()

    def _initial(self) -> None:
        self.state = State.IDLE
        self.fault = Fault.NONE
        self.pc = 0
        self.sweeps_left = 0
        self.loops: list[list[int]] = []
        self.activity = Activity.FETCH
        self.edge: int | None = None
        self.colour = 0
        self.sweep_began = 0
        self.wanted = 0
        self._forget_requests()

    def _forget_requests(self) -> None:
        """`step_fetch`: the next FETCH is the one that STEP asked for. `step_due`: pause before the next FETCH."""
        self.stop_requested = self.step_fetch = self.step_due = False

    def reset(self, now: int) -> None:
        if self.fabric.taken:
            self._sweep_is_over(now)
        self._initial()

    # What the host does.

    def start(self, now: int, step: bool = False) -> None:
        if self.state is State.RUNNING:
            self.interrupts.error |= START_BUSY
            return
        self.state = State.RUNNING
        self.fault = Fault.NONE
        self.edge = now + self.timing.instruction
        self.step_fetch = step and self.activity is Activity.FETCH
        self.step_due = step and self.activity is Activity.SWEEP

    def stop(self, now: int) -> None:
        if self.activity is Activity.STALLED:
            self._schedule(Activity.FETCH, None)
            self._pause(now)
        elif self.state is State.RUNNING:
            self.stop_requested = True

    def ring_written(self, now: int) -> None:
        """DMA.HEAD or DMA.CTRL was written; a stall ends if there are examples enough now, or stalls are off."""
        if self.activity is Activity.STALLED and not self.engines.ring.must_stall(self.wanted):
            self._schedule(Activity.FETCH, None)
            self._instruction(now)

    def write_pc(self, value: int) -> None:
        if self.state is State.RUNNING:
            return
        self.pc = value
        self.loops = []
        self.sweeps_left = 0
        self.activity = Activity.FETCH

    # Edges.

    def run_edges(self, now: int) -> None:
        """Everything due at this cycle."""
        while self.edge == now:
            self.edge = None
            if self.activity is Activity.FETCH:
                self._fetch(now)
            elif self.activity is Activity.SETTLE:
                self._settle(now)
            elif self.activity is Activity.SWEEP:
                self._sweep(now)
            elif self.activity is Activity.COLOUR:
                self._colour(now)
            else:
                self._correlate(now)

    def _schedule(self, activity: Activity, at: int | None) -> None:
        self.activity = activity
        self.edge = at

    def _go_on(self, pc: int, at: int) -> None:
        self.pc = pc
        self._schedule(Activity.FETCH, at)

    def _pause(self, now: int) -> None:
        self.state = State.STOPPED
        self._forget_requests()
        self.interrupts.raise_event("SEQ_STOPPED", now)

    def _raise_fault(self, fault: Fault, now: int) -> None:
        self.state = State.FAULTED
        self.fault = fault
        self.loops = []
        self._forget_requests()
        self._schedule(Activity.FETCH, None)
        self.interrupts.error |= SEQ_FAULT
        self.interrupts.raise_event("SEQ_FAULT", now)

    def _fetch(self, now: int) -> None:
        if self.stop_requested or self.step_due:
            self._pause(now)
            return
        if self.step_fetch:
            self.step_fetch, self.step_due = False, True
        self._instruction(now)

    def _instruction(self, now: int) -> None:
        """What is at PC."""
        if self.pc >= len(self.program):
            self._raise_fault(Fault.PC_OVERRUN, now)
            return
        word = self.program[self.pc]
        if not self.legal.instruction(word):
            self._raise_fault(Fault.ILLEGAL, now)
            return
        self._execute(Opcode(word >> 56), word & 0xFFFFFFFF, now)

    def _execute(self, opcode: Opcode, operand: int, now: int) -> None:
        following, then = self.pc + 1, now + self.timing.instruction
        match opcode:
            case Opcode.HALT:
                self._halt(now)
            case Opcode.SET_T:
                self.fabric.tdac = operand
                self._go_on(following, then)
            case Opcode.RUN:
                self.sweeps_left = operand
                if operand:
                    self._schedule(Activity.SWEEP, then)
                else:
                    self._go_on(following, then)
            case Opcode.STROBE:
                self.fabric.strobe()
                self._go_on(following, then + self.timing.strobe)
            case Opcode.CORR_LATCH:
                self.correlator.latch()
                self._go_on(following, then)
            case Opcode.LOOP:
                self._loop(operand, now)
            case Opcode.END:
                self._end(now)
            case Opcode.WAIT_SETTLE:
                if self.fabric.settled:
                    self._go_on(following, then)
                else:
                    self._schedule(Activity.SETTLE, self.fabric.settle_at)
            case Opcode.DELAY:
                self._go_on(following, then + operand)
            case Opcode.IRQ:
                self.interrupts.raise_event("SEQ_IRQ", now)
                self._go_on(following, then)
            case Opcode.CLAMP_NEXT:
                self._clamp_next(operand, now)
            case Opcode.LEARN:
                self.engines.learning.update(now)
                self._go_on(following, then + self.timing.learn)
            case Opcode.SWAP:
                self._swap(now)

    def _halt(self, now: int) -> None:
        self.state = State.HALTED
        self.loops = []
        self._forget_requests()
        self._schedule(Activity.FETCH, None)
        self.interrupts.raise_event("SEQ_DONE", now)

    def _loop(self, count: int, now: int) -> None:
        if len(self.loops) == self.loop_depth:
            self._raise_fault(Fault.LOOP_OVERFLOW, now)
            return
        self.loops.append([self.pc + 1, count])
        self._go_on(self.pc + 1, now + self.timing.instruction)

    def _end(self, now: int) -> None:
        if not self.loops:
            self._raise_fault(Fault.LOOP_UNDERFLOW, now)
            return
        loop = self.loops[-1]
        loop[1] -= 1
        following = loop[0]
        if loop[1] == 0:
            self.loops.pop()
            following = self.pc + 1
        self._go_on(following, now + self.timing.instruction)

    def _clamp_next(self, count: int, now: int) -> None:
        ring = self.engines.ring
        if not ring.sound:
            self._raise_fault(Fault.DMA_RING, now)
        elif ring.must_stall(count):
            self.wanted = count
            self._schedule(Activity.STALLED, None)
        else:
            words = ring.take(count, now) * self.fabric.cell_words
            self._go_on(self.pc + 1, now + self.timing.instruction + self.timing.burst_setup + words * self.timing.beat)

    def _swap(self, now: int) -> None:
        tempering = self.engines.tempering
        if not tempering.sound:
            self._raise_fault(Fault.LADDER, now)
            return
        tempering.round()
        self._go_on(self.pc + 1, now + self.timing.instruction + tempering.rungs_in_all * self.timing.swap)

    def _settle(self, now: int) -> None:
        if self.fabric.settled:
            self._go_on(self.pc + 1, now + self.timing.instruction)
        else:
            self._schedule(Activity.SETTLE, self.fabric.settle_at)

    def _phase(self) -> int:
        return self.timing.colour + len(self.fabric.sweep_under_way.planes) * self.timing.slot

    def _sweep(self, now: int) -> None:
        if self.stop_requested:
            self._pause(now)
            return
        self.engines.schedule.begin_sweep()
        self.fabric.begin_sweep()
        self.sweep_began = now
        self.colour = 0
        self._schedule(Activity.COLOUR, now + self.timing.sweep + self._phase())

    def _colour(self, now: int) -> None:
        self.fabric.colour_phase(self.colour)
        self.colour += 1
        if self.colour < self.fabric.graph.colours:
            self._schedule(Activity.COLOUR, now + self._phase())
        elif self.correlator.enable and (self.fabric.sweep + 1) % self.correlator.period == 0:
            wait = len(self.fabric.sweep_under_way.planes) * self.timing.correlate
            self._schedule(Activity.CORRELATE, now + wait)
        else:
            self._end_sweep(now)

    def _correlate(self, now: int) -> None:
        self.correlator.update(self.fabric.spins, self.fabric.sweep_under_way.planes, self.fabric.last_weights)
        self._end_sweep(now)

    def _sweep_is_over(self, now: int) -> None:
        self.fabric.end_sweep()
        self.fabric.ledger.busy += now - self.sweep_began

    def _end_sweep(self, now: int) -> None:
        self._sweep_is_over(now)
        self.sweeps_left -= 1
        if self.sweeps_left:
            self._schedule(Activity.SWEEP, now)
        else:
            self._go_on(self.pc + 1, now)
