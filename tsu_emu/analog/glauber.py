"""p-bits that flip by themselves and are heard at once: heat baths at Poisson times; docs/arithmetic.md, "Free flips".

Without delay only the order of a tick's candidates matters. A tick is cut into rounds, in which each cell of each plane has its
own Poisson number of candidates; given these numbers, all orders are equally likely. The k-th candidates of a cell take one place
in the order in all planes of a block that have so many: `Visits`, a cell and a set of planes, in random order. So each plane's
law is exact and its candidates are its own; what the planes of a block share is the order within a round.

Where the planes share a clock, candidates are those of plane 0, for the whole block: fewer draws, full vectors. Each plane's law
is the same, and in equilibrium planes are independent at one time; their paths are not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.pbit import LANES, VISIT_SHIFT, decide, fields
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.threefry import threefry

U = np.uint32
Q = np.uint64
MEAN = 0.25
"""Greatest mean number of candidates of a cell in a round, over all cells: 64 planes with own clocks fill a vector of 16."""
MOST = 16.0
"""The same of any one cell, and where the planes share a clock."""
TAIL = 64
"""Candidates of a cell in a round whose probability is kept; that of more is below 2^-33."""
NUMBER, ORDER, DECISION = 0 << VISIT_SHIFT, 1 << VISIT_SHIFT, 2 << VISIT_SHIFT


class Rounds(NamedTuple):
    """How a tick is cut: `turns` rounds; in one, cell i has k + 1 or more candidates with probability tail[row[i] + k] / 2^32.

    row : (cells + 1,) int64; tail : (row[cells],) uint32; shared : whether a block's planes have candidates in common
    """

    turns: int
    row: NDArray[np.int64]
    tail: NDArray[np.uint32]
    shared: bool


class Visits(NamedTuple):
    """Visits of a round in their order: cell : (most,) int32; planes : (most,) uint64, bit k for plane k of the block."""

    cell: NDArray[np.int32]
    planes: NDArray[np.uint64]


@kernel
def rounds_of(tau: NDArray[np.float64], dt: float, shared: bool) -> Rounds:
    """Rounds for time constants tau (cells,), s, and ticks of dt seconds; shared as in `Rounds`."""
    total, most = 0.0, 0.0
    for i in range(tau.size):
        total += dt / tau[i]
        most = max(most, dt / tau[i])
    crowd = 0.0 if shared else total / (tau.size * MEAN)
    count = max(1, int(np.ceil(max(crowd, most / MOST))))
    row, tail = np.zeros(tau.size + 1, np.int64), np.empty(tau.size * TAIL, np.uint32)
    for i in range(tau.size):
        mean, n = (dt / tau[i]) / count, row[i]
        term, rest = exponential(-mean), 1.0
        for k in range(TAIL):
            rest -= term
            term *= mean / (k + 1)
            share = np.rint(rest * 4294967296.0)
            if share < 1.0:
                break
            tail[n] = U(share)
            n += 1
        row[i + 1] = n
    return Rounds(count, row, tail[: row[tau.size]].copy(), shared)


@kernel
def grid_of(row, J, h, doubled, base):  # type: ignore[no-untyped-def]
    """Fill doubled (couplers,) and base (cells,), int32, from J, h in kT. Returns steps of a field to a kT, a power of two."""
    largest = 0.0
    for i in range(h.size):
        total = abs(h[i])
        for e in range(row[i], row[i + 1]):
            total += abs(J[e])
        largest = max(largest, total)
    scale = 65536.0
    while largest * scale > (1 << 24) - h.size - 1:
        scale *= 0.5
    for i in range(h.size):
        total = np.int64(np.rint(h[i] * scale))
        for e in range(row[i], row[i + 1]):
            step = np.int64(np.rint(J[e] * scale))
            doubled[e] = 2 * step
            total -= step
        base[i] = total
    return scale


@inner
def _under(word, limit, shared):  # type: ignore[no-untyped-def]
    """Planes whose word is below the limit, or all if plane 0's is and they share it. word : (64,) uint32"""
    if shared:
        return ~Q(0) if word[0] < limit else Q(0)
    some = Q(0)
    for r in range(LANES):
        some |= Q(word[r] < limit) << Q(r)
    return some


@kernel
def draw(rounds, block, turn, key, visits):  # type: ignore[no-untyped-def]
    """Fill the visits of round number `turn` in a block; how many there are."""
    t0, t1, word, n = U(turn & 0xFFFFFFFF), U(turn >> 32), np.empty(LANES, np.uint32), 0
    picks = (U(0), U(0), U(0), U(0))
    for i in range(rounds.row.size - 1):
        for r in range(LANES // 4):
            a, b, c, d = threefry(U(i), U(NUMBER + LANES * block + r), t0, t1, key[0], key[1], key[2], U(0))
            word[r] = a
            word[16 + r] = b
            word[32 + r] = c
            word[48 + r] = d
        for k in range(rounds.row[i], rounds.row[i + 1]):
            some = _under(word, rounds.tail[k], rounds.shared)
            if some == Q(0):
                break
            if n & 3 == 0:
                picks = threefry(U(n >> 2), U(ORDER + LANES * block), t0, t1, key[0], key[1], key[2], U(0))
            place = np.int64((Q(picks[n & 3]) * Q(n + 1)) >> Q(32))
            visits.cell[n], visits.planes[n] = visits.cell[place], visits.planes[place]
            visits.cell[place], visits.planes[place] = i, some
            n += 1
    return n


@inner
def _spread(noise, planes, step, block, turn, key):  # type: ignore[no-untyped-def]
    """noise[0] (64,) uint32: the words of the planes' ranks among those of a visit."""
    rank = 0
    for r in range(LANES):
        if (planes >> Q(r)) & Q(1):
            c1 = U(DECISION + LANES * block + rank)
            words = threefry(U(step >> 2), c1, U(turn & 0xFFFFFFFF), U(turn >> 32), key[0], key[1], key[2], U(0))
            noise[0, r] = words[step & 3]
            rank += 1


@kernel
def play(net, code, bank, slope, block, turn, key, visits, count):  # type: ignore[no-untyped-def]
    """Update cells visit by visit. net = (row, source); code = (doubled, base); bank = (spins, clamp_mask, enabled).

    slope : (64 blocks,) float32, c_p of `pbit.slopes_of`
    """
    row, source = net
    doubled, base = code
    words, masks, live = bank[0][block], bank[1][block], bank[2][block]
    field, noise = np.empty(LANES, np.int32), np.zeros((1, LANES), np.uint32)
    mantissa, power_bits = np.empty(LANES, np.float32), np.empty(LANES, np.int32)
    power, slopes = power_bits.view(np.float32), slope[LANES * block : LANES * block + LANES]
    for step in range(count):
        i, planes = np.int64(visits.cell[step]), visits.planes[step]
        free = planes & live & ~masks[i]
        if free == Q(0):
            continue
        fields(field, words, source, doubled, row[i], row[i + 1], base[i])
        _spread(noise, planes, step, block, turn, key)
        word = decide(field, slopes, noise, 0, mantissa, power, power_bits)
        words[i] = (words[i] & ~free) | (word & free)
