"""Correlation accumulators: exponentially weighted sums of s_i s_j and s_i over the planes of a role; integers only."""

from __future__ import annotations

import numpy as np

from tsu_contract.capabilities import ROLES
from tsu_emu import state as S
from tsu_emu.digital import words as W
from tsu_emu.jit import inner, kernel

Q = np.uint64
RUN = 16
"""Mean pairs of a run from which it pays to go run by run."""
FRACTION_BITS = 16
"""CAP.CORR_FRACTION."""
ALPHA, PLANES, COUNT = W.CORR_ALPHA, W.CORR_PLANES, W.CORR_COUNT
TAKEN_VERSION, TAKEN_CRC, FIRST, LAST, LAST_CRC = S.TAKEN_VERSION, S.TAKEN_CRC, S.CORR_FIRST, S.CORR_LAST, S.CORR_LAST_CRC
SHOWN_FIRST, SHOWN_LAST, SHOWN_CRC = W.CORR_FIRST, W.CORR_VERSION, W.CORR_CRC


@kernel
def ones(x):  # type: ignore[no-untyped-def]
    """Bits set in a uint64."""
    x = x - ((x >> Q(1)) & Q(0x5555555555555555))
    x = (x & Q(0x3333333333333333)) + ((x >> Q(2)) & Q(0x3333333333333333))
    x = (x + (x >> Q(4))) & Q(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * Q(0x0101010101010101)) >> Q(56))


@inner
def _towards(acc, x, alpha):  # type: ignore[no-untyped-def]
    return np.int32(acc + ((((x << FRACTION_BITS) - acc) * alpha + 32768) >> 16))


@inner
def plane_words(c, first, blocks):  # type: ignore[no-untyped-def]
    """A register array of plane bits as (blocks,) uint64."""
    out = np.empty(blocks, np.uint64)
    for b in range(blocks):
        out[b] = Q(c.registers[first + 2 * b]) | (Q(c.registers[first + 2 * b + 1]) << Q(32))
    return out


@inner
def _agreement(spins, role, i, j):  # type: ignore[no-untyped-def]
    total = 0
    for b in range(role.size):
        total += ones(~(spins[b, i] ^ spins[b, j]) & role[b])
    return total


@inner
def _one_block(sums, word, only, planes, alpha, pair_i, pair_j, run):  # type: ignore[no-untyped-def]
    """Pairs' sums of a chip with one block of planes: run by run, or, where runs are short, pair by pair."""
    if RUN * (run.size - 1) > sums.size:
        for p in range(sums.size):
            agree = ones(~(word[pair_i[p]] ^ word[pair_j[p]]) & only)
            sums[p] = _towards(np.int64(sums[p]), 2 * agree - planes, alpha)
        return
    for k in range(run.size - 1):
        first, stop = run[k], run[k + 1]
        mine, j = word[pair_i[first]], np.int64(pair_j[first])
        part, heard = sums[first:stop], word[j : j + stop - first]
        for r in range(stop - first):
            agree = ones(~(mine ^ heard[r]) & only)
            part[r] = _towards(np.int64(part[r]), 2 * agree - planes, alpha)


@kernel
def accumulate_planes(core, spins, enabled, pair_sums, mean_sums, pairs):  # type: ignore[no-untyped-def]
    """`accumulate` on a (1,) CORE."""
    accumulate(core[0], spins, enabled, pair_sums, mean_sums, pairs)


@inner
def accumulate(c, spins, enabled, pair_sums, mean_sums, pairs):  # type: ignore[no-untyped-def]
    """One update of both roles' sums from the spins (blocks, cells) of the enabled planes.

    c : a CORE record; pairs = (pair_i, pair_j, run) of the topology
    """
    pair_i, pair_j, run = pairs
    for kind in range(ROLES):
        role = plane_words(c, PLANES[kind], enabled.size) & enabled
        planes = 0
        for b in range(role.size):
            planes += ones(role[b])
        if planes == 0:
            continue
        alpha = np.int64(c.registers[ALPHA[kind]])
        pair_sum, mean_sum = pair_sums[kind], mean_sums[kind]
        if role.size == 1:
            _one_block(pair_sum, spins[0], role[0], planes, alpha, pair_i, pair_j, run)
        else:
            for p in range(pair_i.size):
                agree = _agreement(spins, role, pair_i[p], pair_j[p])
                pair_sum[p] = _towards(np.int64(pair_sum[p]), 2 * agree - planes, alpha)
        for i in range(mean_sum.size):
            up = 0
            for b in range(role.size):
                up += ones(spins[b, i] & role[b])
            mean_sum[i] = _towards(np.int64(mean_sum[i]), 2 * up - planes, alpha)
    if c.registers[COUNT] == 0:
        c.time[FIRST] = c.time[TAKEN_VERSION]
    c.time[LAST] = c.time[TAKEN_VERSION]
    c.time[LAST_CRC] = c.time[TAKEN_CRC]
    c.registers[COUNT] += np.uint32(1)


@inner
def latch(c, pair_sums, mean_sums, pair_latch, mean_latch):  # type: ignore[no-untyped-def]
    """The CORR windows show the sums of now, and LEARN the weight versions behind them."""
    pair_latch[:] = pair_sums
    mean_latch[:] = mean_sums
    c.registers[SHOWN_FIRST] = np.uint32(c.time[FIRST] & 0xFFFFFFFF)
    c.registers[SHOWN_LAST] = np.uint32(c.time[LAST] & 0xFFFFFFFF)
    c.registers[SHOWN_CRC] = np.uint32(c.time[LAST_CRC])


@kernel
def latch_sums(core, pair_sums, mean_sums, pair_latch, mean_latch):  # type: ignore[no-untyped-def]
    """`latch` on a (1,) CORE."""
    latch(core[0], pair_sums, mean_sums, pair_latch, mean_latch)
