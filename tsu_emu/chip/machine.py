"""The chip in motion: events in order, and the array at its edges; docs/theory-of-operation.md, "Time", is what this executes.

The compiled loop moves clocked p-bits with ideal noise itself. Every other array is *deferred*: the loop counts the sweeps that
it
owes and returns when somebody is to look at it, since nothing on the digital side depends on what an array does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.analog.dac import output
from tsu_emu.analog.die import Die
from tsu_emu.analog.pbit import (
    drive_clamps,
    place_soft,
    random_colour,
    slopes_of,
)
from tsu_emu.analog.rows import Rows
from tsu_emu.analog.sweep import CELL_WORK, update_phases
from tsu_emu.chip.schedule import step_schedule
from tsu_emu.digital import sequencer
from tsu_emu.digital import words as W
from tsu_emu.digital.calibration import grown_stale
from tsu_emu.digital.correlator import accumulate, latch
from tsu_emu.digital.crc import crc32
from tsu_emu.digital.regfile import RegisterRules, peek_word
from tsu_emu.digital.validate import WindowRules
from tsu_emu.jit import inner, kernel
from tsu_emu.topology import Topology

U = np.uint32
NOW, EPOCH, STALE, EVALUATED_AT, OWED, OWED_FIRST, TAKEN_TDAC = (
    S.NOW, S.EPOCH, S.STALE, S.EVALUATED_AT, S.OWED, S.OWED_FIRST, S.TAKEN_TDAC,
)  # fmt: skip
ACTIVITY, COLOUR, STOP_ASKED, COLOUR_PHASE, SWEEP_START = S.ACTIVITY, S.COLOUR, S.STOP_ASKED, S.COLOUR_PHASE, S.SWEEP_START
ENABLED, EVENT_SEQUENCER, UPDATES, READS = S.ENABLED, S.EVENT_SEQUENCER, S.UPDATES, S.READS
NEVER, EVENT_SETTLED, EVENT_FIRMWARE, EVENT_STALE, EVENT_SLOTS = (
    S.NEVER, S.EVENT_SETTLED, S.EVENT_FIRMWARE, S.EVENT_STALE, S.EVENT_SLOTS,
)  # fmt: skip
FABRIC_STATUS, SETTLED, TDAC = W.FABRIC_STATUS, W.SETTLED, W.TDAC
SCAN, SCAN_PALINDROMIC, SCAN_RANDOM = S.SCAN, W.SCAN_PALINDROMIC, W.SCAN_RANDOM
NOTHING, DO_SWEEP_START, DO_COLOUR, DO_CORRELATE, DO_STROBE, DO_LATCH = (
    sequencer.NOTHING, sequencer.DO_SWEEP_START, sequencer.DO_COLOUR, sequencer.DO_CORRELATE, sequencer.DO_STROBE,
    sequencer.DO_LATCH,
)  # fmt: skip
VERSION, SPIN_VERSION, SPIN_CRC, TAKEN_VERSION, TAKEN_CRC = W.VERSION, W.SPIN_VERSION, W.SPIN_CRC, S.TAKEN_VERSION, S.TAKEN_CRC
SOFT, SOFT_OFF, SOFT_ON, SOFT_WRITTEN = S.SOFT, S.SOFT_OFF, S.SOFT_ON, S.SOFT_WRITTEN
edge = sequencer.edge

DONE, MET, AT_FIRMWARE, OUT_OF_BUDGET, AT_PARAMETERS, AT_SWEEP, AT_ARRAY = range(7)
"""Why `advance` returned."""


class Plant(NamedTuple):
    """Everything about a chip that its life does not change, and what follows from its codes.

    timing : (1,) TIMING
    doubled : (couplers,) int32, bias : (cells,) int32, base : (cells,) int32: fields in grid units, kept in step with the codes
    soft : (blocks, cells, 64) int32, fields of soft clamps, likewise; no cells where there are none; soft_step : kT of a code
    key, scan_key : (3,) uint32, first key words of flip noise and of the random scan order; by_aes : where flip noise comes from
    rows : the same fields for few planes
    tdac_floor : float64, least noise temperature
    temperature : (2,) float64, gain and offset of the noise temperature at this time
    dead_mask, dead_value : (cells,) uint64, cells that are stuck, in all planes, and where; floating : (cells,) bool, hear
        nothing
    general : fields are made by `parameters`, before the sweep or phase that needs them; else they follow each write at once
    epoch_cycles : grid of slow effects; 0 if there are none
    deferred : the array is moved outside; sweep_work : what a sweep of one of its planes costs, in units of CELL_WORK
    """

    rules: RegisterRules
    windows: WindowRules
    timing: NDArray[Any]
    topology: Topology
    die: Die
    doubled: NDArray[np.int32]
    bias: NDArray[np.int32]
    base: NDArray[np.int32]
    soft: NDArray[np.int32]
    rows: Rows
    soft_step: float
    key: NDArray[np.uint32]
    by_aes: bool
    scan_key: NDArray[np.uint32]
    tdac_floor: float
    temperature: NDArray[np.float64]
    dead_mask: NDArray[np.uint64]
    dead_value: NDArray[np.uint64]
    floating: NDArray[np.bool_]
    general: bool
    epoch_cycles: int
    deferred: bool
    sweep_work: int
    temp_code_max: int
    loop_depth: int
    threads: int


@kernel
def noise_temperature(die, temperature, floor, code):  # type: ignore[no-untyped-def]
    """T that the temperature DAC and the die make of a code."""
    return max(temperature[0] * output(die.temperature, 0, code) + temperature[1], floor)


@kernel
def take_clamps(mask, value, mask_next, value_next, dead_mask, dead_value):  # type: ignore[no-untyped-def]
    """The sweep's clamps, (blocks, cells) uint64: those asked for, and cells that are stuck."""
    for block in range(mask.shape[0]):
        for i in range(mask.shape[1]):
            dead = dead_mask[i]
            mask[block, i] = mask_next[block, i] | dead
            value[block, i] = (value_next[block, i] & ~dead) | (dead_value[i] & dead)


@inner
def _take_weights(c, couplings, biases):  # type: ignore[no-untyped-def]
    """The sweep's weight version, and the check sum of its codes."""
    version = np.int64(c.registers[VERSION])
    if c.time[TAKEN_VERSION] != version:
        c.time[TAKEN_VERSION] = version
        c.time[TAKEN_CRC] = crc32(biases.view(np.uint8), crc32(couplings.view(np.uint8), U(0)))


@kernel
def take_soft(core, soft, soft_next, field, alpha, floating, step, scale):  # type: ignore[no-untyped-def]
    """The sweep's soft clamps, if they were written since the last one; arguments as in `pbit.place_soft`."""
    c = core[0]
    if c.time[SOFT] & SOFT_WRITTEN == 0:
        return
    c.time[SOFT] = SOFT_OFF
    for p in range(soft.shape[0]):
        for i in range(soft.shape[1]):
            soft[p, i] = soft_next[p, i]
            if soft[p, i] != 0:
                c.time[SOFT] = SOFT_ON
    if c.time[SOFT] == SOFT_ON:
        place_soft(field, soft, alpha, floating, step, scale)


@inner
def _start_sweep(c, p, s, bank):  # type: ignore[no-untyped-def]
    """Temperature, plane multipliers and clamps are taken; clamps drive. bank as in `update_cells`."""
    take_soft(s.core, s.soft, s.soft_next, p.soft, p.die.alpha, p.floating, p.soft_step, p.die.scale)
    temperature = noise_temperature(p.die, p.temperature, p.tdac_floor, c.registers[TDAC])
    slopes_of(s.slope, p.die.scale, temperature, s.plane_temp)
    take_clamps(s.clamp_mask, s.clamp_value, s.clamp_mask_next, s.clamp_value_next, p.dead_mask, p.dead_value)
    drive_clamps(bank)


@inner
def _parameters_due(c, epoch_cycles):  # type: ignore[no-untyped-def]
    """Whether the sequencer's edge at NOW needs fields that have still to be made."""
    activity = c.sequencer[ACTIVITY]
    if activity == SWEEP_START and epoch_cycles > 0 and c.time[EPOCH] != c.time[NOW] // epoch_cycles:
        return not c.sequencer[STOP_ASKED]
    if c.time[STALE] and c.time[EVALUATED_AT] != c.time[NOW]:
        return activity == COLOUR_PHASE or (activity == SWEEP_START and not c.sequencer[STOP_ASKED])
    return False


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
def _colour_of(scan, phase, colours, tick, key):  # type: ignore[no-untyped-def]
    """(colour of a phase of a sweep, what tells its updates from others of the sweep); docs/arithmetic.md, "Scan order"."""
    if scan == SCAN_RANDOM:
        return random_colour(phase, colours, tick, key), phase
    if scan == SCAN_PALINDROMIC and tick & 1:
        return colours - 1 - phase, 0
    return phase, 0


@inner
def _update(p, s, c, bank, first, last):  # type: ignore[no-untyped-def]
    """Phases first .. last - 1, counted from the first of sweep 0."""
    count, phase = p.topology.phase.size - 1, p.topology.phase
    phases = np.empty((last - first, 3), np.int64)
    for n in range(first, last):
        tick, k = n // count, n % count
        phases[n - first, 0], phases[n - first, 1] = _colour_of(c.sequencer[SCAN], k, count, tick, p.scan_key)
        phases[n - first, 2] = tick
    net = (p.topology.order, p.topology.row, p.topology.source)
    rows = (p.rows.first, p.rows.distance, p.rows.coupler, p.rows.weight, p.rows.base, p.rows.fresh)
    code = (p.doubled, p.base, p.soft if c.time[SOFT] & SOFT_ON != 0 else p.soft[:0])
    update_phases(net, rows, code, bank, phase, phases, (p.key, p.by_aes), p.threads)


@inner
def _work(p, enabled, colour):  # type: ignore[no-untyped-def]
    """What one colour phase costs."""
    blocks = 0
    for block in range(enabled.size):
        blocks += enabled[block] != np.uint64(0)
    cells = p.topology.phase[colour + 1] - p.topology.phase[colour]
    return blocks * cells * (p.topology.source.size // p.topology.order.size + CELL_WORK)


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
    OUT_OF_BUDGET, AT_PARAMETERS: fields are to be made for NOW; AT_SWEEP: a sweep of a deferred array began now;
    AT_ARRAY: an action that this loop leaves to its caller
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
            _update(p, s, c, bank, first, last)
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
                _update(p, s, c, bank, first, last)
            return AT_PARAMETERS, NOTHING
        if last > first and taken < 0 and c.sequencer[ACTIVITY] == SWEEP_START:
            _update(p, s, c, bank, first, last)
            first = last
        action, k, tick = edge(c, s.program, s.enabled, timing, p.temp_code_max, p.loop_depth, phase.size - 1)
        if action == NOTHING:
            continue
        if action == DO_SWEEP_START:
            step_schedule(c, s.temp_table, p.temp_code_max)
            _take_weights(c, s.coupling_code, s.bias_code)
        elif action == DO_STROBE:
            c.counts[READS] += s.plane_temp.size * s.spins.shape[1]
            c.registers[SPIN_VERSION], c.registers[SPIN_CRC] = U(c.time[TAKEN_VERSION] & 0xFFFFFFFF), U(c.time[TAKEN_CRC])
        if p.deferred:
            budget -= c.sequencer[ENABLED] * p.sweep_work
            reason = _defer(c, action, k, tick, phase[-1], phase.size - 1)
            if reason != DONE:
                return reason, action
            continue
        if action == DO_COLOUR:
            colour, _ = _colour_of(c.sequencer[SCAN], k, phase.size - 1, tick, p.scan_key)
            c.counts[UPDATES] += c.sequencer[ENABLED] * (phase[colour + 1] - phase[colour])
            budget -= _work(p, s.enabled, colour)
            if last == first:
                first = last = tick * (phase.size - 1) + k
            last += 1
            continue
        if action == DO_SWEEP_START and taken == c.registers[TDAC]:
            continue
        if last > first:
            _update(p, s, c, bank, first, last)
            first = last
        if action == DO_SWEEP_START:
            budget -= s.spins.size
            taken = np.int64(c.registers[TDAC])
            _start_sweep(c, p, s, bank)
        elif action == DO_CORRELATE:
            budget -= s.pair_sum.size * s.enabled.size + s.spins.size
            accumulate(c, s.spins, s.enabled, s.pair_sum, s.mean_sum, (p.topology.pair_i, p.topology.pair_j, p.topology.run))
        elif action == DO_STROBE:
            budget -= s.spins.size
            s.scan[:] = s.spins
        elif action == DO_LATCH:
            budget -= s.pair_sum.size + s.mean_sum.size
            latch(c, s.pair_sum, s.mean_sum, s.pair_latch, s.mean_latch)
        else:
            return AT_ARRAY, action
