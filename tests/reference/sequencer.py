"""The sequencer; docs/theory-of-operation.md, "Sequencer"."""

from __future__ import annotations

from enum import IntEnum

from tsu_contract.program import Opcode
from tsu_emu.config import ChipConfig

from .fabric import Correlator, Fabric
from .interrupts import Interrupts

SEQ_FAULT, START_BUSY = 1, 2
"""Bits of SYS.ERROR."""

WITHOUT_OPERAND = {Opcode.HALT, Opcode.STROBE, Opcode.CORR_LATCH, Opcode.END, Opcode.WAIT_SETTLE, Opcode.IRQ}

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


class Activity(IntEnum):
    """What the sequencer's next edge does."""

    FETCH = 0
    SETTLE = 1
    SWEEP = 2
    COLOUR = 3
    CORRELATE = 4


class Sequencer:
    """Moves from edge to edge: `activity` happens at cycle `edge`, or waits for a START if that is None."""

    def __init__(self, config: ChipConfig, fabric: Fabric, correlator: Correlator, interrupts: Interrupts) -> None:
        self.timing = config.timing
        self.loop_depth = config.sequencer.loop_depth
        self.temp_bits = config.temperature.dac.bits
        self.fabric = fabric
        self.correlator = correlator
        self.interrupts = interrupts
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

    def stop(self) -> None:
        if self.state is State.RUNNING:
            self.stop_requested = True

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

    def _legal(self, word: int) -> bool:
        opcode, operand = word >> 56, word & 0xFFFFFFFF
        if word >> 32 & 0xFFFFFF or opcode not in Opcode._value2member_map_ or opcode in CONVERSIONS:
            return False
        if opcode in WITHOUT_OPERAND:
            return operand == 0
        if opcode == Opcode.SET_T:
            return 1 <= operand < 1 << self.temp_bits
        return operand >= 1 if opcode == Opcode.LOOP else True

    def _fetch(self, now: int) -> None:
        if self.stop_requested or self.step_due:
            self._pause(now)
            return
        if self.step_fetch:
            self.step_fetch, self.step_due = False, True
        if self.pc >= len(self.program):
            self._raise_fault(Fault.PC_OVERRUN, now)
            return
        word = self.program[self.pc]
        if not self._legal(word):
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
        self.correlator.update(self.fabric.spins, self.fabric.sweep_under_way.planes)
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
