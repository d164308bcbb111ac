"""The sequencer: from edge to edge through a program, as docs/theory-of-operation.md, "Sequencer", has it.

`edge` moves the digital state and returns what the array must do at this very cycle; time and order are all decided here,
and nothing in them depends on what the array does.
"""

from __future__ import annotations

import numpy as np

from tsu_contract.program import Opcode
from tsu_contract.registers import register
from tsu_emu import state as S
from tsu_emu.digital import ring
from tsu_emu.digital import words as W
from tsu_emu.digital.correlator import ones, plane_words
from tsu_emu.digital.interrupts import raise_irq
from tsu_emu.jit import inner

U = np.uint32
NEVER = S.NEVER
NOW, SWEEP, SETTLED_AT, BUSY, SWEEP_BEGAN = S.NOW, S.SWEEP, S.SETTLED_AT, S.BUSY, S.SWEEP_BEGAN
PLANE_WORDS = register("FABRIC.PLANE_ENABLE").count
NEXT, SLOTS = S.EVENT_SEQUENCER, S.SEQUENCER_SLOTS
ACTIVITY, COLOUR, STOP_ASKED, STEPPING, DEPTH, ENABLED, MID_SWEEP, SCAN, LOOPS = (
    S.ACTIVITY, S.COLOUR, S.STOP_ASKED, S.STEPPING, S.DEPTH, S.ENABLED, S.MID_SWEEP, S.SCAN, S.LOOPS,
)  # fmt: skip
FETCH, SETTLE, SWEEP_START, COLOUR_PHASE, CORRELATE, STALLED = (
    S.FETCH, S.SETTLE, S.SWEEP_START, S.COLOUR_PHASE, S.CORRELATE, S.STALLED,
)  # fmt: skip
PC, LEFT, STATUS, TDAC = W.SEQ_PC, W.SWEEPS_LEFT, W.SEQ_STATUS, W.TDAC
SCAN_ORDER, PLANE_ENABLE, CORR_CTRL, CORR_PERIOD, CORR_ENABLE = W.SCAN, W.PLANE_ENABLE, W.CORR_CTRL, W.CORR_PERIOD, W.CORR_ENABLE
RUNNING, HALTED, STOPPED, FAULTED, IDLE = W.RUNNING, W.HALTED, W.STOPPED, W.FAULTED, W.IDLE
FAULT_SHIFT, ERROR, ERROR_SEQ_FAULT, ERROR_START_BUSY = W.FAULT_SHIFT, W.ERROR, W.ERROR_SEQ_FAULT, W.ERROR_START_BUSY
ILLEGAL, OVERFLOW, UNDERFLOW, OVERRUN = W.FAULT_ILLEGAL, W.FAULT_LOOP_OVERFLOW, W.FAULT_LOOP_UNDERFLOW, W.FAULT_PC_OVERRUN
IRQ_DONE, IRQ_ASKED, IRQ_FAULT, IRQ_STOPPED = W.IRQ_SEQ_DONE, W.IRQ_SEQ_IRQ, W.IRQ_SEQ_FAULT, W.IRQ_SEQ_STOPPED
START, STOP, STEP = W.START, W.STOP, W.STEP

(
    HALT, SET_T, RUN, STROBE, CORR_LATCH, LOOP, END, WAIT_SETTLE, DELAY, IRQ, ADC_SCAN, ADC_CAPTURE, CLAMP_NEXT, LEARN, SWAP,
) = (int(op) for op in Opcode)  # fmt: skip
LAST_OPCODE = max(int(op) for op in Opcode)
ADC_PERIOD, LADDERS, RUNGS, FAULT_LADDER = W.ADC_PERIOD, W.LADDERS, W.RUNGS, W.FAULT_LADDER
FAULT_DMA_RING, CLAMP_COUNT = W.FAULT_DMA_RING, S.CLAMP_COUNT
ring_is_sound, ring_has, ring_take = ring.is_sound, ring.has, ring.take

# what the array must do at an edge
(
    NOTHING, DO_SWEEP_START, DO_COLOUR, DO_CORRELATE, DO_STROBE, DO_LATCH, DO_SCAN, DO_CAPTURE, DO_CLAMP, DO_LEARN, DO_SWAP,
) = range(11)  # fmt: skip


@inner
def _close_loops(c):  # type: ignore[no-untyped-def]
    c.sequencer[DEPTH] = 0


@inner
def _end(c, state, fault, irq):  # type: ignore[no-untyped-def]
    """The program is over: halted or faulted."""
    c.registers[STATUS] = U(state | fault << FAULT_SHIFT)
    c.sequencer[ACTIVITY] = FETCH
    c.sequencer[STOP_ASKED] = 0
    c.sequencer[STEPPING] = 0
    c.events[NEXT] = NEVER
    _close_loops(c)
    raise_irq(c, U(irq))


@inner
def _fault(c, cause):  # type: ignore[no-untyped-def]
    c.registers[ERROR] |= U(ERROR_SEQ_FAULT)
    _end(c, FAULTED, cause, IRQ_FAULT)


@inner
def _pause(c):  # type: ignore[no-untyped-def]
    """Stops before the pending activity does anything."""
    c.registers[STATUS] = U(STOPPED)
    c.sequencer[STOP_ASKED] = 0
    c.sequencer[STEPPING] = 0
    c.events[NEXT] = NEVER
    raise_irq(c, U(IRQ_STOPPED))


@inner
def _go_on(c, t, pc):  # type: ignore[no-untyped-def]
    """The next instruction is fetched at t."""
    c.registers[PC] = U(pc)
    c.sequencer[ACTIVITY] = FETCH
    c.events[NEXT] = t


@inner
def _operand_is_legal(op, n, temp_code_max, timing):  # type: ignore[no-untyped-def]
    if op == LOOP:
        return True
    if op == CLAMP_NEXT:
        return n >= 1 and timing.spin_words > 0 and timing.hostmem > 0
    if (op == LEARN and timing.learn_bits == 0) or (op == SWAP and timing.spin_words == 0):
        return False
    if op == SET_T:
        return 1 <= n <= temp_code_max
    if op == ADC_CAPTURE:
        return 1 <= n <= timing.adc_buffer
    if op == ADC_SCAN and timing.conversion == 0:
        return False
    return n == 0 or op == RUN or op == DELAY


@inner
def _enabled_planes(c, blocks):  # type: ignore[no-untyped-def]
    planes = 0
    words = plane_words(c, PLANE_ENABLE, blocks)
    for b in range(blocks):
        planes += ones(words[b])
    return planes


@inner
def _convert(c, op, n, timing, after, pc):  # type: ignore[no-untyped-def]
    """ADC_SCAN of the enabled planes, or ADC_CAPTURE of n samples: acts at once, goes on when the last code is there."""
    if op == ADC_SCAN:
        took = _enabled_planes(c, PLANE_WORDS // 2) * timing.plane_scan
    else:
        took = n * max(np.int64(c.registers[ADC_PERIOD]), timing.conversion)
    c.time[BUSY] += took
    _go_on(c, after + took, pc + 1)
    return DO_SCAN if op == ADC_SCAN else DO_CAPTURE


@inner
def _clamp_next(c, n, timing, after, pc):  # type: ignore[no-untyped-def]
    """CLAMP_NEXT of n examples; it stalls if the ring has to be filled first."""
    q = c.sequencer
    if not ring_is_sound(c, timing):
        _fault(c, FAULT_DMA_RING)
        return NOTHING
    if not ring_has(c, n):
        q[ACTIVITY] = STALLED
        q[CLAMP_COUNT] = n
        q[STEPPING] *= 2
        c.events[NEXT] = NEVER
        return NOTHING
    _go_on(c, after + timing.burst_setup + ring_take(c, n, timing) * timing.spin_words * timing.beat, pc + 1)
    return DO_CLAMP


@inner
def refilled(c):  # type: ignore[no-untyped-def]
    """The ring may hold now what a stalled CLAMP_NEXT waits for."""
    if c.sequencer[ACTIVITY] == STALLED and ring_has(c, c.sequencer[CLAMP_COUNT]):
        c.sequencer[ACTIVITY] = FETCH
        c.events[NEXT] = c.time[NOW]


@inner
def _swap(c, timing, after, pc):  # type: ignore[no-untyped-def]
    """SWAP: a round of the swap engine."""
    ladders, rungs = np.int64(c.registers[LADDERS]), np.int64(c.registers[RUNGS])
    if ladders == 0 or rungs < 2 or ladders * rungs > timing.planes:
        _fault(c, FAULT_LADDER)
        return NOTHING
    _go_on(c, after + ladders * rungs * timing.swap, pc + 1)
    return DO_SWAP


@inner
def _fetch(c, program, timing, temp_code_max, loop_depth):  # type: ignore[no-untyped-def]
    """FETCH: executes the instruction at PC."""
    t, q = c.time[NOW], c.sequencer
    if q[STOP_ASKED] or q[STEPPING] == 1:
        _pause(c)
        return NOTHING
    if q[STEPPING] == 2:
        q[STEPPING] = 1
    pc = np.int64(c.registers[PC])
    if pc >= program.size:
        _fault(c, OVERRUN)
        return NOTHING
    word = program[pc]
    op, n = np.int64(word >> np.uint64(56)), np.int64(word & np.uint64(0xFFFFFFFF))
    if op > LAST_OPCODE or (word >> np.uint64(32)) & np.uint64(0xFFFFFF) or not _operand_is_legal(op, n, temp_code_max, timing):
        _fault(c, ILLEGAL)
        return NOTHING
    after = t + timing.instruction
    if op == HALT:
        _end(c, HALTED, 0, IRQ_DONE)
    elif op == RUN and n > 0:
        c.registers[LEFT] = U(n)
        q[ACTIVITY] = SWEEP_START
        c.events[NEXT] = after
    elif op == LOOP:
        if q[DEPTH] >= loop_depth:
            _fault(c, OVERFLOW)
            return NOTHING
        q[LOOPS + 2 * q[DEPTH]] = pc + 1
        q[LOOPS + 2 * q[DEPTH] + 1] = n
        q[DEPTH] += 1
        _go_on(c, after, pc + 1)
    elif op == END:
        if q[DEPTH] == 0:
            _fault(c, UNDERFLOW)
            return NOTHING
        top = LOOPS + 2 * (q[DEPTH] - 1)
        if q[top + 1] == 1:
            q[DEPTH] -= 1
            _go_on(c, after, pc + 1)
        else:
            if q[top + 1] > 0:
                q[top + 1] -= 1
            _go_on(c, after, q[top])
    elif op == WAIT_SETTLE and c.time[SETTLED_AT] > t:
        q[ACTIVITY] = SETTLE
        c.events[NEXT] = c.time[SETTLED_AT]
    elif op == ADC_SCAN or op == ADC_CAPTURE:
        return _convert(c, op, n, timing, after, pc)
    elif op == CLAMP_NEXT:
        return _clamp_next(c, n, timing, after, pc)
    elif op == SWAP:
        return _swap(c, timing, after, pc)
    elif op == STROBE:
        _go_on(c, after + timing.strobe, pc + 1)
        return DO_STROBE
    elif op == LEARN:
        _go_on(c, after + timing.learn, pc + 1)
        return DO_LEARN
    else:
        if op == SET_T:
            c.registers[TDAC] = U(n)
        elif op == IRQ:
            raise_irq(c, U(IRQ_ASKED))
        _go_on(c, after + n if op == DELAY else after, pc + 1)
        if op == CORR_LATCH:
            return DO_LATCH
    return NOTHING


@inner
def _settle(c, timing):  # type: ignore[no-untyped-def]
    """SETTLE: goes on once every DAC has settled."""
    t = c.time[NOW]
    if c.time[SETTLED_AT] > t:
        c.events[NEXT] = c.time[SETTLED_AT]
    else:
        _go_on(c, t + timing.instruction, np.int64(c.registers[PC]) + 1)


@inner
def _sweep_start(c, enabled, timing):  # type: ignore[no-untyped-def]
    """SWEEP: takes the set of planes; the array takes temperature and clamps."""
    if c.sequencer[STOP_ASKED]:
        _pause(c)
        return NOTHING
    enabled[:] = plane_words(c, PLANE_ENABLE, enabled.size)
    planes = _enabled_planes(c, enabled.size)
    c.sequencer[ENABLED] = planes
    c.sequencer[MID_SWEEP] = 1
    c.time[SWEEP_BEGAN] = c.time[NOW]
    c.sequencer[SCAN] = c.registers[SCAN_ORDER]
    c.sequencer[ACTIVITY] = COLOUR_PHASE
    c.sequencer[COLOUR] = 0
    c.events[NEXT] = c.time[NOW] + timing.sweep + timing.colour + planes * timing.slot
    return DO_SWEEP_START


@inner
def end_sweep(c):  # type: ignore[no-untyped-def]
    """The sweep under way counts, here and in FABRIC.SWEEP."""
    c.time[SWEEP] += 1
    c.time[BUSY] += c.time[NOW] - c.time[SWEEP_BEGAN]
    c.sequencer[MID_SWEEP] = 0


@inner
def _next_sweep(c):  # type: ignore[no-untyped-def]
    t = c.time[NOW]
    end_sweep(c)
    c.registers[LEFT] -= U(1)
    if c.registers[LEFT] > 0:
        c.sequencer[ACTIVITY] = SWEEP_START
        c.events[NEXT] = t
    else:
        _go_on(c, t, np.int64(c.registers[PC]) + 1)


@inner
def edge(c, program, enabled, timing, temp_code_max, loop_depth, colours):  # type: ignore[no-untyped-def]
    """The sequencer's event at NOW, on a CORE record. Returns (what the array does, in which phase, the sweep's tick)."""
    activity, tick = c.sequencer[ACTIVITY], c.time[SWEEP]
    if activity == FETCH:
        return _fetch(c, program, timing, temp_code_max, loop_depth), 0, tick
    if activity == SETTLE:
        _settle(c, timing)
        return NOTHING, 0, tick
    if activity == SWEEP_START:
        return _sweep_start(c, enabled, timing), 0, tick
    if activity == CORRELATE:
        _next_sweep(c)
        return DO_CORRELATE, 0, tick
    phase, t, planes = c.sequencer[COLOUR], c.time[NOW], c.sequencer[ENABLED]
    if phase + 1 < colours:
        c.sequencer[COLOUR] = phase + 1
        c.events[NEXT] = t + timing.colour + planes * timing.slot
    elif c.registers[CORR_CTRL] & U(CORR_ENABLE) and (tick + 1) % np.int64(c.registers[CORR_PERIOD]) == 0:
        c.sequencer[ACTIVITY] = CORRELATE
        c.events[NEXT] = t + planes * timing.correlate
    else:
        _next_sweep(c)
    return DO_COLOUR, phase, tick


@inner
def control(c, timing, bits):  # type: ignore[no-untyped-def]
    """A write of SEQ.CTRL."""
    running = c.registers[STATUS] & U(0xFF) == RUNNING
    if bits & U(START | STEP) and (bits & U(START) or not bits & U(STOP)):
        if running:
            c.registers[ERROR] |= U(ERROR_START_BUSY)
            return
        c.registers[STATUS] = U(RUNNING)
        at_fetch = c.sequencer[ACTIVITY] == FETCH
        c.sequencer[STEPPING] = 0 if bits & U(START) else 2 if at_fetch else 1
        c.events[NEXT] = c.time[NOW] + timing.instruction
    elif bits & U(STOP) and running:
        if c.sequencer[ACTIVITY] == STALLED:
            c.sequencer[ACTIVITY] = FETCH
            _pause(c)
        else:
            c.sequencer[STOP_ASKED] = 1


@inner
def jump(c, pc):  # type: ignore[no-untyped-def]
    """A write of SEQ.PC."""
    if c.registers[STATUS] & U(0xFF) == RUNNING:
        return
    c.registers[PC] = pc
    c.registers[LEFT] = 0
    c.sequencer[ACTIVITY] = FETCH
    _close_loops(c)


@inner
def reset(c):  # type: ignore[no-untyped-def]
    """SYS.CTRL.RESET, the sequencer's part; a sweep under way is abandoned and counts."""
    if c.sequencer[MID_SWEEP]:
        end_sweep(c)
    for k in range(SLOTS):
        c.sequencer[k] = 0
    c.events[NEXT] = NEVER
