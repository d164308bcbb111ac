"""What LEARN does: every accumulator that is not frozen moves, and the codes follow."""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.chip.codes import BIASES, COUPLINGS, new_version, written
from tsu_emu.chip.rule import CHANGED, CLIPPED, LEARNT, SATURATED, update_biases, update_pairs
from tsu_emu.digital import words as W
from tsu_emu.jit import inner

U = np.uint32
Q = np.uint64
NOW, LEARNS, LEARN_UPDATES, GAIN, DECAY = S.NOW, S.LEARNS, S.LEARN_UPDATES, W.LEARN_GAIN, W.LEARN_DECAY
SHOWN_CLIPPED, SHOWN_SATURATED, SHOWN_CHANGED = W.LEARN_CLIPPED, W.LEARN_SATURATED, W.LEARN_CHANGED


@inner
def learn(c, p, s):  # type: ignore[no-untyped-def]
    """An update at NOW. c : a CORE record; p : Plant; s : state.Running"""
    report, e, t = np.zeros(4, np.int64), p.engines, p.topology
    net, pair_state = (t.pair_i, t.pair_j, e.heard, e.told), (s.learn_pair, s.freeze_pair, s.coupling_code)
    update_pairs(s.core, s.pair_sum, s.mean_sum, net, pair_state, e.pair_bits, e.learn_key, report)
    pairs = report[CHANGED]
    bias_state = s.learn_bias, s.freeze_bias, s.bias_code
    update_biases(s.core, s.mean_sum, e.cells, bias_state, e.bias_bits, e.learn_key, report)
    now = c.time[NOW : NOW + 1]
    written(c, p, COUPLINGS, 0, s.coupling_code.size, now, pairs)
    written(c, p, BIASES, 0, s.bias_code.size, now, report[CHANGED] - pairs)
    new_version(c, 1)
    _count(c, report)


@inner
def _count(c, report):  # type: ignore[no-untyped-def]
    """Counters and GAIN after an update."""
    c.counts[LEARNS] += report[LEARNT]
    c.registers[SHOWN_CLIPPED] += U(report[CLIPPED])
    c.registers[SHOWN_SATURATED], c.registers[SHOWN_CHANGED] = U(report[SATURATED]), U(report[CHANGED])
    gain = Q(c.registers[GAIN])
    c.registers[GAIN] = U(gain - (gain * Q(c.registers[DECAY]) >> Q(32)))
    c.time[LEARN_UPDATES] += 1
