"""The learning rule: accumulators beside couplers and biases move by a sum of products, and make the codes.

docs/arithmetic.md, "Learning", is what this executes; integers only. Blocks of elements go through one step after the other, so
that every step is a loop of vectors.
"""

from __future__ import annotations

import numpy as np

from tsu_contract.capabilities import FACTOR_BITS, ROLES
from tsu_emu import state as S
from tsu_emu.digital import words as W
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.threefry import threefry

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
FACTORS = 16
"""That a term can name; those that there are come first, in the order of LEARN.*_TERM."""
BLOCK = 512
"""Elements that go through the rule together."""
QUARTER = BLOCK // 4
CLIPPED, SATURATED, CHANGED, LEARNT = range(4)


@inner
def _rule(c, term, rate):  # type: ignore[no-untyped-def]
    """(rows (n, 4) int64: rate and three factors of each term that is on; (16,) bool: factors in them)."""
    rows, used, n = np.zeros((TERMS, 4), np.int64), np.zeros(FACTORS, np.bool_), 0
    for k in range(TERMS):
        word, r = np.int64(c.registers[term + k]), np.int64(np.int32(c.registers[rate + k]))
        if r != 0:
            rows[n, 0] = r
            for f in range(3):
                rows[n, 1 + f] = (word >> (4 * f)) & 15
                used[rows[n, 1 + f]] = True
            n += 1
    return rows[:n], used


@inner
def _total(out, rule, f, n):  # type: ignore[no-untyped-def]
    """out (BLOCK,) int64: sum of the terms, of factors f (FACTORS, BLOCK) int64; a factor ONE leaves a product as it is."""
    for r in range(n):
        out[r] = 0
    for k in range(rule.shape[0]):
        rate, second, third = rule[k, 0], rule[k, 2], rule[k, 3]
        x, y, z = f[rule[k, 1]], f[second], f[third]
        if second == 0 and third == 0:
            for r in range(n):
                out[r] += rate * x[r]
        elif third == 0:
            for r in range(n):
                out[r] += rate * ((x[r] * y[r] + HALF) >> FACTOR_BITS)
        else:
            for r in range(n):
                out[r] += rate * ((((x[r] * y[r] + HALF) >> FACTOR_BITS) * z[r] + HALF) >> FACTOR_BITS)


@inner
def _fractions(out, x, bits, n):  # type: ignore[no-untyped-def]
    """Integers of so many bits as factors: over 2^(bits - 1)."""
    left, right = max(FACTOR_BITS + 1 - bits, 0), max(bits - FACTOR_BITS - 1, 0)
    for r in range(n):
        out[r] = (x[r] << left) >> right


@inner
def _average(acc, norm):  # type: ignore[no-untyped-def]
    return min(max((np.int64(acc) * norm + 131072) >> 18, -AVERAGE_MAX), AVERAGE_MAX)


@inner
def _averages(out, sums, norm, n):  # type: ignore[no-untyped-def]
    for r in range(n):
        out[r] = _average(sums[r], norm)


@inner
def _averages_at(out, sums, cells, norm, n):  # type: ignore[no-untyped-def]
    for r in range(n):
        out[r] = _average(sums[cells[r]], norm)


@inner
def _draw(out, rows, first, word, tick, key, n):  # type: ignore[no-untyped-def]
    """out (BLOCK,) uint32: words of n elements from `first`, a multiple of 4, on; word : second of the counter; rows : four of
    (BLOCK / 4,) uint32, scratch.
    """
    t0, t1, k0, k1, k2 = U(tick & 0xFFFFFFFF), U(tick >> 32), key[0], key[1], key[2]
    a, b, c, d = rows
    group, groups = first >> 2, (n + 3) >> 2
    for g in range(groups):
        a[g], b[g], c[g], d[g] = threefry(U(group + g), U(word), t0, t1, k0, k1, k2, U(0))
    for g in range(groups):
        out[4 * g] = a[g]
        out[4 * g + 1] = b[g]
        out[4 * g + 2] = c[g]
        out[4 * g + 3] = d[g]


@inner
def _noise(c, widths, moves):  # type: ignore[no-untyped-def]
    """What rounds: (whether changes are rounded at random, whether codes are; (BLOCK,) int64 what is added to changes before they
    are cut, and the same of codes; scratch of `_draw`)."""
    shift = widths[0] - widths[1]
    push, nudge = np.full(BLOCK, 1 << 29, np.int64), np.full(BLOCK, 1 << (shift - 1) if shift > 0 else 0, np.int64)
    by_weight, by_code = moves and c.registers[CTRL] & U(ROUND_WEIGHT) != 0, c.registers[CTRL] & U(ROUND_CODE) != 0
    a, b, c_, d = np.empty(QUARTER, U), np.empty(QUARTER, U), np.empty(QUARTER, U), np.empty(QUARTER, U)
    return by_weight, by_code, push, nudge, np.empty(BLOCK, U), (a, b, c_, d)


@inner
def _draw_roundings(noise, first, kind, widths, tick, key, n):  # type: ignore[no-untyped-def]
    by_weight, by_code, push, nudge, words, rows = noise
    if by_weight:
        _draw(words, rows, first, 4 * kind + OF_WEIGHT, tick, key, n)
        for r in range(n):
            push[r] = np.int64(words[r] >> U(2))
    if by_code:
        mask = (1 << (widths[0] - widths[1])) - 1
        _draw(words, rows, first, 4 * kind + OF_CODE, tick, key, n)
        for r in range(n):
            nudge[r] = np.int64(words[r]) & mask


@inner
def _draw_random(out, noise, first, kind, tick, key, n):  # type: ignore[no-untyped-def]
    words, rows = noise[4], noise[5]
    _draw(words, rows, first, 4 * kind + OF_RANDOM, tick, key, n)
    for r in range(n):
        out[r] = np.int64(words[r] >> U(17)) - ONE


@inner
def _living(live, freeze, first, n):  # type: ignore[no-untyped-def]
    """How many of n elements from `first`, a multiple of 32, on are not frozen; live : (BLOCK,) int64, 1 for each of them."""
    frozen = U(0)
    for base in range(0, n, 32):
        frozen |= freeze[(first + base) >> 5]
    if frozen == U(0):
        for r in range(n):
            live[r] = 1
        return n
    count = 0
    for base in range(0, n, 32):
        word = np.int64(freeze[(first + base) >> 5])
        for bit in range(min(32, n - base)):
            live[base + bit] = 1 - ((word >> bit) & 1)
            count += live[base + bit]
    return count


@inner
def _move(w, total, gain, push, live, bits, report, n):  # type: ignore[no-untyped-def]
    """Accumulators w (BLOCK,) int64 move."""
    top = (1 << (bits - 1)) - 1
    clipped, saturated = 0, 0
    for r in range(n):
        change = (min(max(total[r], -SUM_MAX), SUM_MAX) * gain) >> 16
        wanted = w[r] + ((change + push[r]) >> 30)
        new = min(max(wanted, -top - 1), top)
        clipped += live[r] * np.int64(new != wanted)
        saturated += live[r] * (np.int64(new == top) + np.int64(new == -top - 1))
        w[r] += live[r] * (new - w[r])
    report[CLIPPED] += clipped
    report[SATURATED] += saturated


@inner
def _codes_of(out, w, nudge, widths, n):  # type: ignore[no-untyped-def]
    """out (BLOCK,) int64: codes of accumulators."""
    shift, top = widths[0] - widths[1], (1 << (widths[1] - 1)) - 1
    for r in range(n):
        out[r] = min((w[r] + nudge[r]) >> shift, top)


@kernel
def update_pairs(core, sums, means, net, state, widths, key, report):  # type: ignore[no-untyped-def]
    """All pairs. core : (1,) CORE; sums (ROLES, pairs), means (ROLES, cells) int32; net = (pair_i, pair_j, heard, told), uint32:
    cells of a pair, and the couplers by which i and j hear each other; state = (weights (pairs,) int32, freeze (words,) uint32,
    codes (couplers,) int16); widths = (accumulator bits, DAC bits); key : (3,) uint32; report : (4,) int64, what is counted.
    """
    c, (pair_i, pair_j, heard, told), (weights, freeze, codes) = core[0], net, state
    (rule, used), gain, tick = _rule(c, PAIR_TERM, PAIR_RATE), np.int64(c.registers[GAIN] >> U(15)), c.time[UPDATES]
    norm, noise = (np.int64(c.registers[NORM[0]]), np.int64(c.registers[NORM[1]])), _noise(c, widths, rule.shape[0] > 0)
    f, scratch = np.empty((FACTORS, BLOCK), np.int64), np.empty((4, BLOCK), np.int64)
    live, w, code, total = scratch[0], scratch[1], scratch[2], scratch[3]
    f[0] = ONE
    for first in range(0, weights.size, BLOCK):
        stop = min(first + BLOCK, weights.size)
        n = stop - first
        alive = _living(live, freeze, first, n)
        if alive == 0:
            continue
        _load(w, weights[first:stop], n)
        for role in range(ROLES):
            if used[1 + role]:
                _averages(f[1 + role], sums[role, first:stop], norm[role], n)
            for k, cells in ((3, pair_i), (4, pair_j)):
                if used[k + 2 * role]:
                    _averages_at(f[k + 2 * role], means[role], cells[first:stop], norm[role], n)
        if used[7]:
            _fractions(f[7], w, widths[0], n)
        if used[8]:
            _load_at(code, codes, heard[first:stop], n)
            _fractions(f[8], code, widths[1], n)
        if used[9]:
            _draw_random(f[9], noise, first, PAIR, tick, key, n)
        _draw_roundings(noise, first, PAIR, widths, tick, key, n)
        _total(total, rule, f, n)
        _move(w, total, gain, noise[2], live, widths[0], report, n)
        _codes_of(code, w, noise[3], widths, n)
        report[CHANGED] += _store(w, code, weights[first:stop], codes, heard[first:stop], told[first:stop], live, n)
        report[LEARNT] += alive


@inner
def _load(out, values, n):  # type: ignore[no-untyped-def]
    for r in range(n):
        out[r] = values[r]


@inner
def _load_at(out, values, place, n):  # type: ignore[no-untyped-def]
    for r in range(n):
        out[r] = values[place[r]]


@inner
def _store(w, code, weights, codes, heard, told, live, n):  # type: ignore[no-untyped-def]
    """Returns how many codes changed."""
    changed = np.int64(0)
    for r in range(n):
        weights[r] = np.int32(w[r])
    for r in range(n):
        if live[r]:
            new, a, b = np.int16(code[r]), heard[r], told[r]
            changed += np.int64(codes[a] != new) + np.int64(codes[b] != new)
            codes[a] = new
            codes[b] = new
    return changed


@kernel
def update_biases(core, means, cells, state, widths, key, report):  # type: ignore[no-untyped-def]
    """All biases; arguments as in `update_pairs`, cells = (cells,) uint32, 0, 1, 2 .., state = (weights (cells,), freeze, codes
    (cells,))."""
    c, (weights, freeze, codes) = core[0], state
    (rule, used), gain, tick = _rule(c, BIAS_TERM, BIAS_RATE), np.int64(c.registers[GAIN] >> U(15)), c.time[UPDATES]
    norm, noise = (np.int64(c.registers[NORM[0]]), np.int64(c.registers[NORM[1]])), _noise(c, widths, rule.shape[0] > 0)
    f, scratch = np.empty((FACTORS, BLOCK), np.int64), np.empty((4, BLOCK), np.int64)
    live, w, code, total = scratch[0], scratch[1], scratch[2], scratch[3]
    f[0] = ONE
    for first in range(0, weights.size, BLOCK):
        stop = min(first + BLOCK, weights.size)
        n = stop - first
        report[LEARNT] += _living(live, freeze, first, n)
        _load(w, weights[first:stop], n)
        _load(code, codes[first:stop], n)
        for role in range(ROLES):
            _averages(f[1 + role], means[role, first:stop], norm[role], n)
        _fractions(f[3], w, widths[0], n)
        _fractions(f[4], code, widths[1], n)
        if used[5]:
            _draw_random(f[5], noise, first, BIAS, tick, key, n)
        _draw_roundings(noise, first, BIAS, widths, tick, key, n)
        _total(total, rule, f, n)
        _move(w, total, gain, noise[2], live, widths[0], report, n)
        _codes_of(code, w, noise[3], widths, n)
        for r in range(n):
            weights[first + r] = np.int32(w[r])
            if live[r]:
                report[CHANGED] += codes[first + r] != code[r]
                codes[first + r] = np.int16(code[r])
