"""The chip in motion: events in order, the array at its edges, and the host's operations at their cycles.

docs/theory-of-operation.md, "Time", is what this executes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_contract.operations import Op
from tsu_contract.registers import WINDOW_STRIDE
from tsu_emu import state as S
from tsu_emu.analog.dac import output
from tsu_emu.analog.die import Die
from tsu_emu.analog.pbit import drive_clamps, slopes_of, update_cells, update_cells_parallel, update_plane
from tsu_emu.digital import sequencer
from tsu_emu.digital import words as W
from tsu_emu.digital.correlator import accumulate, ones
from tsu_emu.digital.regfile import RegisterRules, peek_word, read_word, write_word
from tsu_emu.digital.validate import WindowRules
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.threefry import threefry
from tsu_emu.topology import Topology

U = np.uint32
NOW, LINK, DRAINED = S.NOW, S.LINK, S.DRAINED
NEVER, EVENT_SETTLED, EVENT_FIRMWARE, EVENT_SLOTS = S.NEVER, S.EVENT_SETTLED, S.EVENT_FIRMWARE, S.EVENT_SLOTS
FABRIC_STATUS, SETTLED, TDAC = W.FABRIC_STATUS, W.SETTLED, W.TDAC
SCAN, SCAN_PALINDROMIC, SCAN_RANDOM = S.SCAN, W.SCAN_PALINDROMIC, W.SCAN_RANDOM
DO_SWEEP_START, DO_COLOUR, DO_CORRELATE, DO_STROBE, DO_LATCH = (
    sequencer.DO_SWEEP_START, sequencer.DO_COLOUR, sequencer.DO_CORRELATE, sequencer.DO_STROBE, sequencer.DO_LATCH,
)  # fmt: skip
edge = sequencer.edge
READ, WRITE, RMW, BLKRD, BLKWR, WAIT, DELAY, DELAY_UNTIL, FENCE = (int(op) for op in Op)
STRIDE = WINDOW_STRIDE

DONE, MET, AT_WINDOW, AT_EFFECT, AT_WAIT, EVENTS_DUE, AT_FIRMWARE, OUT_OF_BUDGET = range(8)
"""Why compiled code returned."""

CELL_WORK = 8
"""Work of a cell beyond its couplers, in couplers; one unit is about 6 ns for 64 planes: z1-128 has 376,832 a sweep
and does 481 M updates/s (`tools/run bench kernels`)."""
PARALLEL_FROM = 50_000
"""Work of a colour phase from which a second thread pays."""
FEW_PLANES = 4
"""Enabled planes of a block up to which they are updated one by one."""


class Plant(NamedTuple):
    """Everything about a chip that its life does not change, and what follows from its codes.

    timing : (1,) TIMING
    doubled : (couplers,) int32, bias : (cells,) int32, base : (cells,) int32: fields in grid units, kept in step with the codes
    key, scan_key : (3,) uint32, first key words of flip noise and of the random scan order
    tdac_floor : float64, least noise temperature
    """

    rules: RegisterRules
    windows: WindowRules
    timing: NDArray[Any]
    topology: Topology
    die: Die
    doubled: NDArray[np.int32]
    bias: NDArray[np.int32]
    base: NDArray[np.int32]
    key: NDArray[np.uint32]
    scan_key: NDArray[np.uint32]
    tdac_floor: float
    temp_code_max: int
    loop_depth: int
    threads: int


@inner
def _start_sweep(c, bank, masks_next, values_next, plane_temp, temperature_dac, floor, scale):  # type: ignore[no-untyped-def]
    """Temperature, plane multipliers and clamps are taken; clamps drive. bank as in `update_cells`."""
    _, clamp_mask, clamp_value, _, slope = bank
    temperature = max(output(temperature_dac, 0, c.registers[TDAC]), floor)
    slopes_of(slope, scale, temperature, plane_temp)
    clamp_mask[:] = masks_next
    clamp_value[:] = values_next
    drive_clamps(bank)


@inner
def _colour_of(scan, phase, colours, tick, key):  # type: ignore[no-untyped-def]
    """(colour of a phase of a sweep, what tells its updates from others of the sweep); docs/arithmetic.md, "Scan order"."""
    if scan == SCAN_RANDOM:
        word, _, _, _ = threefry(U(phase), U(0), U(tick & 0xFFFFFFFF), U(tick >> 32), key[0], key[1], key[2], U(0))
        return (np.int64(word) * colours) >> 32, phase
    if scan == SCAN_PALINDROMIC and tick & 1:
        return colours - 1 - phase, 0
    return phase, 0


@inner
def _update_colour(net, code, bank, low, high, visit, tick, key, threads):  # type: ignore[no-untyped-def]
    """One colour phase in all blocks that have an enabled plane. Returns its work."""
    enabled = bank[3]
    work = (high - low) * (net[2].size // net[0].size + CELL_WORK)
    for block in range(enabled.size):
        if enabled[block] == 0:
            continue
        if ones(enabled[block]) <= FEW_PLANES:
            for k in range(64):
                if (enabled[block] >> np.uint64(k)) & np.uint64(1):
                    update_plane(net, code, bank, 64 * block + k, low, high, visit, tick, key)
        elif threads > 1 and work >= PARALLEL_FROM:
            update_cells_parallel(net, code, bank, block, low, high, visit, tick, key, threads)
        else:
            update_cells(net, code, bank, block, low, high, visit, tick, key)
    return work * enabled.size


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

    Returns why it stopped: DONE at `until`, MET, AT_FIRMWARE with the firmware's event due now, or OUT_OF_BUDGET.
    """
    c, timing, phase = s.core[0], p.timing[0], p.topology.phase
    net, code = (p.topology.order, p.topology.row, p.topology.source), (p.doubled, p.base)
    bank = (s.spins, s.clamp_mask, s.clamp_value, s.enabled, s.slope)
    while True:
        slot = next_event(c)
        if word >= 0 and c.events[slot] > c.time[NOW] and peek_word(c, p.rules, word) & mask == wanted & mask:
            return MET
        if c.events[slot] > until:
            c.time[NOW] = max(c.time[NOW], until)
            return DONE
        if budget <= 0 and slot != EVENT_FIRMWARE:
            return OUT_OF_BUDGET
        c.time[NOW] = max(c.time[NOW], c.events[slot])
        budget -= CELL_WORK
        if slot == EVENT_FIRMWARE:
            return AT_FIRMWARE
        if slot == EVENT_SETTLED:
            c.events[slot] = NEVER
            c.registers[FABRIC_STATUS] |= U(SETTLED)
            continue
        action, k, tick = edge(c, s.program, s.enabled, timing, p.temp_code_max, p.loop_depth, phase.size - 1)
        if action == DO_COLOUR:
            colour, visit = _colour_of(c.sequencer[SCAN], k, phase.size - 1, tick, p.scan_key)
            budget -= _update_colour(net, code, bank, phase[colour], phase[colour + 1], visit, tick, p.key, p.threads)
        elif action == DO_SWEEP_START:
            budget -= s.spins.size
            _start_sweep(
                c, bank, s.clamp_mask_next, s.clamp_value_next, s.plane_temp, p.die.temperature, p.tdac_floor, p.die.scale
            )
        elif action == DO_CORRELATE:
            budget -= s.pair_sum.size * s.enabled.size + s.spins.size
            accumulate(c, s.spins, s.enabled, s.pair_sum, s.mean_sum, p.topology.pair_i, p.topology.pair_j)
        elif action == DO_STROBE:
            budget -= s.spins.size
            s.scan[:] = s.spins
        elif action == DO_LATCH:
            budget -= s.pair_sum.size + s.mean_sum.size
            s.pair_latch[:] = s.pair_sum
            s.mean_latch[:] = s.mean_sum


@inner
def _quiet(c, until):  # type: ignore[no-untyped-def]
    """Moves NOW to `until` if nothing is due before; False if something is."""
    for k in range(EVENT_SLOTS):
        if c.events[k] <= until:
            return False
    c.time[NOW] = max(c.time[NOW], until)
    return True


@inner
def _posted(c, timing):  # type: ignore[no-untyped-def]
    """A posted write took effect at NOW; the link stalls if it is too far ahead."""
    c.time[DRAINED] = c.time[NOW]
    c.time[LINK] = max(c.time[LINK], c.time[DRAINED] - timing.write_buffer)


@inner
def _beats(windows, timing, addr, words):  # type: ignore[no-untyped-def]
    """Cycles of the words of a window access."""
    cost = windows.cost[addr // STRIDE]
    return words * (timing.beat if cost == 0 else timing.dac_beat if cost == 1 else timing.scan_beat)


@inner
def _acts_at(c, t, op, burst, beats):  # type: ignore[no-untyped-def]
    """(cycle at which an access acts, the link's clock before it if it is a posted write)."""
    link = c.time[LINK]
    setup = t.burst_setup if burst else 0
    if op == WRITE or op == BLKWR:
        link = link + t.issue + setup + beats
        return max(link, c.time[DRAINED]) + t.access, link
    return max(link + t.issue + setup, c.time[DRAINED]) + (2 * t.access if op == RMW else t.access), link


@inner
def _pass_time(c, op, arg):  # type: ignore[no-untyped-def]
    """DELAY, DELAY_UNTIL and FENCE."""
    if op == DELAY:
        c.time[LINK] += arg
    elif op == DELAY_UNTIL:
        c.time[LINK] = max(c.time[LINK], arg)
    else:
        c.time[LINK] = max(c.time[LINK], c.time[DRAINED])


@kernel
def execute(core, rules, windows, timings, records, values, start):  # type: ignore[no-untyped-def]
    """Operations from `start` on, at their cycles; results into `values` (n,) uint32.

    Returns (index, reason, until, effects). DONE: all carried out (index = n). AT_WINDOW: operation `index` acts now and its
    data are to be moved; AT_EFFECT: it acted, and the correlator is to do `effects`; go on at index + 1 after either.
    EVENTS_DUE: `advance` to `until`, then try `index` again. AT_WAIT: WAIT `index` has its first look at `until`.
    """
    c, timing = core[0], timings[0]
    for k in range(start, records.size):
        r = records[k]
        op, addr, arg = np.int64(r.op), np.int64(r.addr), np.int64(r.arg)
        if op >= DELAY:
            _pass_time(c, op, arg)
            continue
        in_window, burst = addr >= STRIDE, op == BLKRD or op == BLKWR
        beats = _beats(windows, timing, addr, arg if burst else 1) if in_window else 0
        at, link = _acts_at(c, timing, op, burst, beats)
        if op == WAIT:
            return k, AT_WAIT, at, 0
        if not _quiet(c, at):
            return k, EVENTS_DUE, at, 0
        effects = 0
        if not in_window:
            word = rules.decode[addr >> 2]
            if op != WRITE:
                values[k] = read_word(c, rules, word)
            if op != READ:
                effects = write_word(c, rules, timing, word, r.value, r.mask if op == RMW else U(0xFFFFFFFF), False)
        if op == WRITE or op == BLKWR:
            c.time[LINK] = link
            _posted(c, timing)
        else:
            if op == RMW:
                c.time[DRAINED] = at
            c.time[LINK] = at + beats + timing.return_
        if in_window or effects:
            return k, AT_WINDOW if in_window else AT_EFFECT, at, effects
    last = c.time[LINK]
    return records.size, DONE if _quiet(c, last) else EVENTS_DUE, last, 0


@kernel
def finish_wait(core, rules, timings, word):  # type: ignore[no-untyped-def]
    """The link goes on after a WAIT that was met or timed out at NOW. Returns the word seen."""
    c = core[0]
    c.time[LINK] = c.time[NOW] + timings[0].return_
    return peek_word(c, rules, word)
