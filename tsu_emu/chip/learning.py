"""The learning engine: accumulators beside couplers and biases move by a rule of products, and make the codes.

docs/arithmetic.md, "Learning", is what this executes; integers only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import FACTOR_BITS
from tsu_contract.registers import value_of
from tsu_emu import state as S
from tsu_emu.chip.codes import Codes
from tsu_emu.chip.machine import Plant
from tsu_emu.chip.parameters import BIAS_BANK, COUPLING_BANK
from tsu_emu.config import ChipConfig
from tsu_emu.digital import words as W
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.streams import Stream
from tsu_emu.noise.threefry import threefry
from tsu_emu.topology import pair_couplers

U = np.uint32
ONE = 1 << FACTOR_BITS
HALF = ONE >> 1
TERMS, PAIR_TERM, PAIR_RATE, BIAS_TERM, BIAS_RATE = W.TERMS, W.PAIR_TERM, W.PAIR_RATE, W.BIAS_TERM, W.BIAS_RATE
CTRL, GAIN, NORM, ROUND_WEIGHT, ROUND_CODE = W.LEARN_CTRL, W.LEARN_GAIN, W.LEARN_NORM, W.ROUND_WEIGHT, W.ROUND_CODE
UPDATES = S.LEARN_UPDATES
SUM_MAX = 1 << 46
AVERAGE_MAX = 1 << 15
PAIR, BIAS = 0, 1
OF_WEIGHT, OF_CODE, OF_RANDOM = range(3)
PAIR_RANDOM = value_of("LEARN.PAIR_TERM.FIRST", "RANDOM")
CLIPPED, SATURATED, CHANGED, LEARNT = range(4)


@inner
def _rule(c, term, rate):  # type: ignore[no-untyped-def]
    """(rows (n, 4) int64: rate and three factors of each term that is on)."""
    rows, n = np.zeros((TERMS, 4), np.int64), 0
    for k in range(TERMS):
        word, r = np.int64(c.registers[term + k]), np.int64(np.int32(c.registers[rate + k]))
        if r != 0:
            rows[n, 0] = r
            for f in range(3):
                rows[n, 1 + f] = (word >> (4 * f)) & 15
            n += 1
    return rows[:n]


@inner
def _uses(rule, factor):  # type: ignore[no-untyped-def]
    used = False
    for k in range(rule.shape[0]):
        used |= rule[k, 1] == factor or rule[k, 2] == factor or rule[k, 3] == factor
    return used


@inner
def _change(rule, f, gain):  # type: ignore[no-untyped-def]
    """Sum of the terms times the gain, in 2^-30 steps of the accumulator."""
    total = 0
    for k in range(rule.shape[0]):
        x = f[rule[k, 1]]
        x = (x * f[rule[k, 2]] + HALF) >> FACTOR_BITS
        x = (x * f[rule[k, 3]] + HALF) >> FACTOR_BITS
        total += rule[k, 0] * x
    return (min(max(total, -SUM_MAX), SUM_MAX) * gain) >> 16


@inner
def _fraction(x, bits):  # type: ignore[no-untyped-def]
    """An integer of so many bits as a factor: over 2^(bits - 1)."""
    return x << (FACTOR_BITS + 1 - bits) if bits <= FACTOR_BITS + 1 else x >> (bits - FACTOR_BITS - 1)


@inner
def _average(acc, norm):  # type: ignore[no-untyped-def]
    return min(max((np.int64(acc) * norm + 131072) >> 18, -AVERAGE_MAX), AVERAGE_MAX)


@inner
def _draw(out, element, purpose, kind, tick, key):  # type: ignore[no-untyped-def]
    """out (4,): words of elements 4 (element >> 2) .. + 3."""
    words = threefry(U(element >> 2), U(4 * kind + purpose), U(tick & 0xFFFFFFFF), U(tick >> 32), key[0], key[1], key[2], U(0))
    out[0], out[1], out[2], out[3] = words


@inner
def _code_of(weight, shift, bits, stochastic, word):  # type: ignore[no-untyped-def]
    if shift > 0:
        weight += np.int64(word) & ((1 << shift) - 1) if stochastic else 1 << (shift - 1)
    return min(weight >> shift, (1 << (bits - 1)) - 1)


@inner
def _accumulate(weight, change, stochastic, word, bits, report):  # type: ignore[no-untyped-def]
    """The new accumulator."""
    rounded = (change + (np.int64(word >> U(2)) if stochastic else 1 << 29)) >> 30
    top, wanted = (1 << (bits - 1)) - 1, weight + rounded
    new = min(max(wanted, -top - 1), top)
    report[CLIPPED] += new != wanted
    report[SATURATED] += new == top or new == -top - 1
    report[LEARNT] += 1
    return new


@inner
def _frozen(freeze, k):  # type: ignore[no-untyped-def]
    return (freeze[k >> 5] >> U(k & 31)) & U(1) != 0


@kernel
def update_pairs(core, sums, means, net, state, widths, key, report):  # type: ignore[no-untyped-def]
    """All pairs. core : (1,) CORE; sums (ROLES, pairs), means (ROLES, cells) int32; net = (pair_i, pair_j, heard, told): cells of
    a pair, and the couplers by which i and j hear each other; state = (weights (pairs,) int32, freeze (words,) uint32, codes
    (couplers,) int16); widths = (accumulator bits, DAC bits); key : (3,) uint32; report : (4,) int64, what is counted.
    """
    c, (pair_i, pair_j, heard, told), (weights, freeze, codes) = core[0], net, state
    rule, gain, tick = _rule(c, PAIR_TERM, PAIR_RATE), np.int64(c.registers[GAIN] >> U(15)), c.time[UPDATES]
    data, free, bits, shift = np.int64(c.registers[NORM[0]]), np.int64(c.registers[NORM[1]]), widths[0], widths[0] - widths[1]
    round_weight, round_code = c.registers[CTRL] & U(ROUND_WEIGHT) != 0, c.registers[CTRL] & U(ROUND_CODE) != 0
    moves, random = rule.shape[0] > 0, _uses(rule, PAIR_RANDOM)
    f, words = np.zeros(16, np.int64), np.zeros((3, 4), np.uint32)
    f[0] = ONE
    for p in range(weights.size):
        if p & 3 == 0:
            if round_weight and moves:
                _draw(words[OF_WEIGHT], p, OF_WEIGHT, PAIR, tick, key)
            if round_code:
                _draw(words[OF_CODE], p, OF_CODE, PAIR, tick, key)
            if random:
                _draw(words[OF_RANDOM], p, OF_RANDOM, PAIR, tick, key)
        if _frozen(freeze, p):
            continue
        i, j, lane, w, code = pair_i[p], pair_j[p], p & 3, np.int64(weights[p]), np.int64(codes[heard[p]])
        if moves:
            f[1], f[2] = _average(sums[0, p], data), _average(sums[1, p], free)
            f[3], f[4] = _average(means[0, i], data), _average(means[0, j], data)
            f[5], f[6] = _average(means[1, i], free), _average(means[1, j], free)
            f[7], f[8] = _fraction(w, bits), _fraction(code, widths[1])
            f[9] = np.int64(words[OF_RANDOM, lane] >> U(17)) - ONE
        w = _accumulate(w, _change(rule, f, gain), round_weight and moves, words[OF_WEIGHT, lane], bits, report)
        weights[p] = w
        new = np.int16(_code_of(w, shift, widths[1], round_code, words[OF_CODE, lane]))
        report[CHANGED] += np.int64(codes[heard[p]] != new) + np.int64(codes[told[p]] != new)
        codes[heard[p]] = new
        codes[told[p]] = new


@kernel
def update_biases(core, means, state, widths, key, report):  # type: ignore[no-untyped-def]
    """All biases; arguments as in `update_pairs`, state = (weights (cells,), freeze, codes (cells,))."""
    c, (weights, freeze, codes) = core[0], state
    rule, gain, tick = _rule(c, BIAS_TERM, BIAS_RATE), np.int64(c.registers[GAIN] >> U(15)), c.time[UPDATES]
    data, free, bits, shift = np.int64(c.registers[NORM[0]]), np.int64(c.registers[NORM[1]]), widths[0], widths[0] - widths[1]
    round_weight, round_code = c.registers[CTRL] & U(ROUND_WEIGHT) != 0, c.registers[CTRL] & U(ROUND_CODE) != 0
    moves, f, words = rule.shape[0] > 0, np.zeros(16, np.int64), np.zeros((3, 4), np.uint32)
    f[0] = ONE
    for i in range(weights.size):
        if i & 3 == 0:
            for purpose in range(3):
                _draw(words[purpose], i, purpose, BIAS, tick, key)
        if _frozen(freeze, i):
            continue
        lane, w = i & 3, np.int64(weights[i])
        f[1], f[2] = _average(means[0, i], data), _average(means[1, i], free)
        f[3], f[4] = _fraction(w, bits), _fraction(np.int64(codes[i]), widths[1])
        f[5] = np.int64(words[OF_RANDOM, lane] >> U(17)) - ONE
        w = _accumulate(w, _change(rule, f, gain), round_weight and moves, words[OF_WEIGHT, lane], bits, report)
        weights[i] = w
        new = np.int16(_code_of(w, shift, widths[1], round_code, words[OF_CODE, lane]))
        report[CHANGED] += codes[i] != new
        codes[i] = new


class LearningEngine:
    """The learning engine of one chip; `update` is what LEARN does."""

    def __init__(self, config: ChipConfig, plant: Plant, state: S.ChipState, codes: Codes) -> None:
        self._plant, self._state, self._codes = plant, state, codes
        topology, seed = plant.topology, config.seeds.run
        self._key = np.array([seed & 0xFFFFFFFF, seed >> 32, Stream.LEARN], np.uint32)
        self._net = topology.pair_i, topology.pair_j, *pair_couplers(topology)
        bits = config.learning.bits
        self._widths = (bits, config.coupling.dac.bits), (bits, config.bias.dac.bits)

    def update(self) -> None:
        """Every accumulator that is not frozen moves, and the codes follow, at NOW."""
        s, report, pairs = self._state, np.zeros(4, np.int64), 0
        before = s.coupling_code.copy(), s.bias_code.copy()
        pair_state, bias_state = (s.learn_pair, s.freeze_pair, s.coupling_code), (s.learn_bias, s.freeze_bias, s.bias_code)
        update_pairs(s.core, s.pair_sum, s.mean_sum, self._net, pair_state, self._widths[0], self._key, report)
        pairs = int(report[CHANGED])
        update_biases(s.core, s.mean_sum, bias_state, self._widths[1], self._key, report)
        self._codes.written(COUPLING_BANK, 0, before[0], pairs)
        self._codes.written(BIAS_BANK, 0, before[1], int(report[CHANGED]) - pairs)
        self._codes.new_version()
        self._count(report)

    def _count(self, report: NDArray[np.int64]) -> None:
        r, core = self._state.registers, self._state.core
        core["counts"][0, S.LEARNS] += report[LEARNT]
        r[W.LEARN_CLIPPED] += np.uint32(report[CLIPPED])
        r[W.LEARN_SATURATED], r[W.LEARN_CHANGED] = report[SATURATED], report[CHANGED]
        gain = int(r[W.LEARN_GAIN])
        r[W.LEARN_GAIN] = gain - (gain * int(r[W.LEARN_DECAY]) >> 32)
        self._state.time[S.LEARN_UPDATES] += 1
