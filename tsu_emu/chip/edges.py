"""Clocked p-bits with ideal noise at the sequencer's edges: the colours that they update, and what edges cost."""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.analog.pbit import random_colour
from tsu_emu.analog.sweep import block_work, update_phases
from tsu_emu.digital import sequencer
from tsu_emu.digital import words as W
from tsu_emu.jit import inner

SCAN, SCAN_PALINDROMIC, SCAN_RANDOM = S.SCAN, W.SCAN_PALINDROMIC, W.SCAN_RANDOM
SOFT, SOFT_ON = S.SOFT, S.SOFT_ON
DO_SWEEP_START, DO_CORRELATE, DO_STROBE, DO_LATCH, DO_CLAMP, DO_LEARN = (
    sequencer.DO_SWEEP_START, sequencer.DO_CORRELATE, sequencer.DO_STROBE, sequencer.DO_LATCH, sequencer.DO_CLAMP,
    sequencer.DO_LEARN,
)  # fmt: skip
PAIR_WORK = 4
"""Work of a pair that learns, its two couplers placed, in units of `CELL_WORK`'s."""


@inner
def colour_of(scan, phase, colours, tick, key):  # type: ignore[no-untyped-def]
    """(colour of a phase of a sweep, what tells its updates from others of the sweep); docs/arithmetic.md, "Scan order"."""
    if scan == SCAN_RANDOM:
        return random_colour(phase, colours, tick, key), phase
    if scan == SCAN_PALINDROMIC and tick & 1:
        return colours - 1 - phase, 0
    return phase, 0


@inner
def update(p, s, c, bank, first, last):  # type: ignore[no-untyped-def]
    """Phases first .. last - 1, counted from the first of sweep 0."""
    count, phase = p.topology.phase.size - 1, p.topology.phase
    phases = np.empty((last - first, 3), np.int64)
    for n in range(first, last):
        tick, k = n // count, n % count
        phases[n - first, 0], phases[n - first, 1] = colour_of(c.sequencer[SCAN], k, count, tick, p.scan_key)
        phases[n - first, 2] = tick
    net = (p.topology.order, p.topology.row, p.topology.source)
    rows = (p.rows.first, p.rows.distance, p.rows.coupler, p.rows.weight, p.rows.base, p.rows.fresh)
    code = (p.doubled, p.base, p.soft if c.time[SOFT] & SOFT_ON != 0 else p.soft[:0])
    update_phases(net, rows, code, bank, phase, phases, (p.key, p.by_aes), p.threads)


@inner
def colour_work(p, enabled, colour):  # type: ignore[no-untyped-def]
    """What one colour phase costs."""
    cells, total = p.topology.phase[colour + 1] - p.topology.phase[colour], 0
    for block in range(enabled.size):
        total += block_work(p.cell_work, enabled[block], cells)
    return total


@inner
def edge_work(p, s, action):  # type: ignore[no-untyped-def]
    """About what any other action costs."""
    pairs, blocks = p.topology.pair_i.size, s.enabled.size
    if action == DO_CORRELATE:
        return s.pair_sum.size * blocks + s.spins.size
    if action == DO_LATCH:
        return s.pair_sum.size + s.mean_sum.size
    if action == DO_SWEEP_START or action == DO_STROBE or action == DO_CLAMP:
        return s.spins.size
    return pairs * (PAIR_WORK if action == DO_LEARN else blocks)
