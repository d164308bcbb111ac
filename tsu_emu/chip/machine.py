"""The chip in motion: events in order, and the array at its edges; docs/theory-of-operation.md, "Time", is what this executes.

The compiled loop moves clocked p-bits with ideal noise itself. Every other array is *deferred*: the loop counts the sweeps that
it owes and returns when somebody is to look at it, since nothing on the digital side depends on what an array does.
"""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.analog.sweep import CELL_WORK
from tsu_emu.chip.edges import colour_of, colour_work, edge_work, update
from tsu_emu.chip.engines import engage
from tsu_emu.chip.fields import evaluate
from tsu_emu.chip.inputs import start_sweep, take_weights
from tsu_emu.chip.schedule import step_schedule
from tsu_emu.digital import sequencer
from tsu_emu.digital import words as W
from tsu_emu.digital.calibration import grown_stale
from tsu_emu.digital.correlator import accumulate, latch
from tsu_emu.digital.regfile import peek_word
from tsu_emu.jit import inner, kernel

U = np.uint32
NOW, EPOCH, STALE, EVALUATED_AT, OWED, OWED_FIRST, TAKEN_TDAC = (
    S.NOW, S.EPOCH, S.STALE, S.EVALUATED_AT, S.OWED, S.OWED_FIRST, S.TAKEN_TDAC,
)  # fmt: skip
ACTIVITY, STOP_ASKED, COLOUR_PHASE, SWEEP_START, SCAN = S.ACTIVITY, S.STOP_ASKED, S.COLOUR_PHASE, S.SWEEP_START, S.SCAN
ENABLED, UPDATES, READS = S.ENABLED, S.UPDATES, S.READS
NEVER, EVENT_SETTLED, EVENT_FIRMWARE, EVENT_STALE, EVENT_SLOTS = (
    S.NEVER, S.EVENT_SETTLED, S.EVENT_FIRMWARE, S.EVENT_STALE, S.EVENT_SLOTS,
)  # fmt: skip
FABRIC_STATUS, SETTLED, TDAC = W.FABRIC_STATUS, W.SETTLED, W.TDAC
NOTHING, DO_SWEEP_START, DO_COLOUR, DO_CORRELATE, DO_STROBE, DO_LATCH, DO_SCAN, DO_CAPTURE = (
    sequencer.NOTHING, sequencer.DO_SWEEP_START, sequencer.DO_COLOUR, sequencer.DO_CORRELATE, sequencer.DO_STROBE,
    sequencer.DO_LATCH, sequencer.DO_SCAN, sequencer.DO_CAPTURE,
)  # fmt: skip
SPIN_VERSION, SPIN_CRC, TAKEN_VERSION, TAKEN_CRC = W.SPIN_VERSION, W.SPIN_CRC, S.TAKEN_VERSION, S.TAKEN_CRC
edge = sequencer.edge

DONE, MET, AT_FIRMWARE, OUT_OF_BUDGET, AT_PARAMETERS, AT_SWEEP, AT_ARRAY = range(7)
"""Why `advance` returned."""


@inner
def _epoch_due(c, epoch_cycles):  # type: ignore[no-untyped-def]
    """Whether slow effects of another epoch are due at the sequencer's edge at NOW."""
    return c.sequencer[ACTIVITY] == SWEEP_START and epoch_cycles > 0 and c.time[EPOCH] != c.time[NOW] // epoch_cycles


@inner
def _parameters_due(c, epoch_cycles):  # type: ignore[no-untyped-def]
    """Whether the sequencer's edge at NOW needs fields that have still to be made."""
    if c.sequencer[ACTIVITY] == SWEEP_START:
        stale = c.time[STALE] and c.time[EVALUATED_AT] != c.time[NOW]
        return (stale or _epoch_due(c, epoch_cycles)) and not c.sequencer[STOP_ASKED]
    return c.sequencer[ACTIVITY] == COLOUR_PHASE and c.time[STALE] and c.time[EVALUATED_AT] != c.time[NOW]


@inner
def _defer(c, action, phase, tick, cells, colours):  # type: ignore[no-untyped-def]
    """An edge of a deferred array. Returns why the loop is to return, or DONE if it need not."""
    if action == DO_SWEEP_START:
        if c.time[OWED] == 0 or c.time[TAKEN_TDAC] != c.registers[TDAC]:
            return AT_SWEEP
    elif action == DO_COLOUR:
        if phase + 1 == colours:
            if c.time[OWED] == 0:
                c.time[OWED_FIRST] = tick
            c.time[OWED] += 1
            c.counts[UPDATES] += c.sequencer[ENABLED] * cells
    else:
        return AT_ARRAY
    return DONE


@inner
def next_event(c):  # type: ignore[no-untyped-def]
    """Slot of the earliest event; the lowest slot among equals."""
    first = 0
    for k in range(1, EVENT_SLOTS):
        if c.events[k] < c.events[first]:
            first = k
    return first


@kernel
def advance(p, s, until, word, mask, wanted, budget):  # type: ignore[no-untyped-def]
    """Everything up to and including cycle `until` happens, or, if `word` >= 0, up to the first cycle at which that register
    word equals `wanted` in the bits of `mask`.

    p : Plant; s : state.Running
    Returns (why it stopped, the array's action if AT_ARRAY): DONE at `until`, MET, AT_FIRMWARE with the firmware's event due now,
    OUT_OF_BUDGET, AT_PARAMETERS: parameters are to be made for NOW, of a deferred array or of another epoch;
    AT_SWEEP: a sweep of a deferred array began now;
    AT_ARRAY: a conversion, or an action of a deferred array, which this loop leaves to its caller
    """
    c, timing, phase = s.core[0], p.timing[0], p.topology.phase
    bank = (s.spins, s.clamp_mask, s.clamp_value, s.enabled, s.slope)
    # Phases first .. last - 1 are owed, all with the inputs that a sweep took at TDAC code `taken`: kernels do many in one go.
    # Before the first sweep of a call `taken` is -1: what is owed then is of a sweep whose inputs the host may have changed.
    first, last, taken = np.int64(0), np.int64(0), np.int64(-1)
    while True:
        slot = next_event(c)
        met = word >= 0 and c.events[slot] > c.time[NOW] and peek_word(c, p.rules[0], word) & mask == wanted & mask
        if last > first and (met or budget <= 0 or c.events[slot] > until or slot == EVENT_FIRMWARE):
            update(p, s, c, bank, first, last)
            first = last
        if met:
            return MET, NOTHING
        if c.events[slot] > until:
            c.time[NOW] = max(c.time[NOW], until)
            return DONE, NOTHING
        if budget <= 0 and slot != EVENT_FIRMWARE:
            return OUT_OF_BUDGET, NOTHING
        c.time[NOW] = max(c.time[NOW], c.events[slot])
        budget -= CELL_WORK
        if slot == EVENT_FIRMWARE:
            return AT_FIRMWARE, NOTHING
        if slot == EVENT_SETTLED:
            c.events[slot] = NEVER
            c.registers[FABRIC_STATUS] |= U(SETTLED)
            continue
        if slot == EVENT_STALE:
            grown_stale(c)
            continue
        if p.general and _parameters_due(c, p.epoch_cycles):
            if last > first:
                update(p, s, c, bank, first, last)
                first = last
            if p.deferred or _epoch_due(c, p.epoch_cycles):
                return AT_PARAMETERS, NOTHING
            evaluate(c, p)
            budget -= p.doubled.size
            taken = np.int64(-1)
        if last > first and taken < 0 and c.sequencer[ACTIVITY] == SWEEP_START:
            update(p, s, c, bank, first, last)
            first = last
        action, k, tick = edge(c, s.program, s.enabled, timing, p.temp_code_max, p.loop_depth, phase.size - 1)
        if action == NOTHING:
            continue
        if action == DO_SWEEP_START:
            step_schedule(c, s.temp_table, p.temp_code_max)
            take_weights(c, s.coupling_code, s.bias_code)
        elif action == DO_STROBE:
            c.counts[READS] += s.plane_temp.size * s.spins.shape[1]
            c.registers[SPIN_VERSION], c.registers[SPIN_CRC] = U(c.time[TAKEN_VERSION] & 0xFFFFFFFF), U(c.time[TAKEN_CRC])
        if p.deferred:
            if action == DO_COLOUR and k + 2 == phase.size:
                budget -= c.sequencer[ENABLED] * p.sweep_work
            reason = _defer(c, action, k, tick, phase[-1], phase.size - 1)
            if reason != DONE:
                return reason, action
            continue
        if action == DO_COLOUR:
            colour, _ = colour_of(c.sequencer[SCAN], k, phase.size - 1, tick, p.scan_key)
            c.counts[UPDATES] += c.sequencer[ENABLED] * (phase[colour + 1] - phase[colour])
            budget -= colour_work(p, s.enabled, colour)
            if last == first:
                first = last = tick * (phase.size - 1) + k
            last += 1
            continue
        if action == DO_SWEEP_START and taken == c.registers[TDAC]:
            continue
        if last > first:
            update(p, s, c, bank, first, last)
            first = last
        if action == DO_SCAN or action == DO_CAPTURE:
            return AT_ARRAY, action
        budget -= edge_work(p, s, action)
        if action == DO_SWEEP_START:
            taken = np.int64(c.registers[TDAC])
            start_sweep(c, p, s, bank)
        elif action == DO_CORRELATE:
            accumulate(c, s.spins, s.enabled, s.pair_sum, s.mean_sum, (p.topology.pair_i, p.topology.pair_j, p.topology.run))
        elif action == DO_STROBE:
            s.scan[:] = s.spins
        elif action == DO_LATCH:
            latch(c, s.pair_sum, s.mean_sum, s.pair_latch, s.mean_latch)
        else:
            taken = np.int64(-1)
            engage(c, p, s, action)
