"""The swap engine: neighbouring rungs of a ladder of temperatures exchange planes; docs/arithmetic.md, "Swaps".

Source: Hukushima and Nemoto, J. Phys. Soc. Japan 65 (1996) 1604 (exchange Monte Carlo).
"""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.analog.sweep import fields
from tsu_emu.digital import words as W
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.threefry import threefry

U = np.uint32
Q = np.uint64
LANES = 64
PART = 1 << 12
"""Couplers whose codes, of 16 bits, are summed in integers of 32."""
LADDERS, RUNGS, TDAC, SWAPS, ROLES = W.LADDERS, W.RUNGS, W.TDAC, S.SWAPS, W.CORR_PLANES


@inner
def _lines(out, codes, net, first, n):  # type: ignore[no-untyped-def]
    """out (PART,) int32: codes of both directions of pairs first .. first + n - 1, summed. Returns their sum."""
    total = np.int64(0)
    for k in range(n):
        out[k] = np.int32(codes[net[2][first + k]]) + np.int32(codes[net[3][first + k]])
        total += out[k]
    return total


@inner
def _add_pairs(e, words, couplings, net, scratch):  # type: ignore[no-untyped-def]
    """e (64,) int64 += the sum over pairs of their codes, with + where spins differ and - where they agree."""
    differ, each, code, twice = scratch
    for first in range(0, net[0].size, PART):
        n = min(PART, net[0].size - first)
        total = _lines(code, couplings, net, first, n)
        for k in range(n):
            differ[k] = words[net[0][first + k]] ^ words[net[1][first + k]]
        fields(twice, differ, each, code, 0, n, np.int32(0))
        for r in range(LANES):
            e[r] += 2 * np.int64(twice[r]) - total


@inner
def _add_cells(e, words, biases, scratch):  # type: ignore[no-untyped-def]
    """e (64,) int64 += the sum over cells of their codes, with + where spins are up and - where they are down."""
    _, each, code, twice = scratch
    for first in range(0, words.size, PART):
        n, total = min(PART, words.size - first), np.int64(0)
        for k in range(n):
            code[k] = np.int32(biases[first + k])
            total += code[k]
        fields(twice, words[first : first + n], each, code, 0, n, np.int32(0))
        for r in range(LANES):
            e[r] += 2 * np.int64(twice[r]) - total


@kernel
def energies(out, spins, codes, steps, net):  # type: ignore[no-untyped-def]
    """out (64 blocks,) int64: energy of each plane by the codes, in 2^-29 kT.

    spins : (blocks, cells); codes = (couplings, biases) int16; steps = (COUPLING_LSB, BIAS_LSB); net = (pair_i, pair_j, heard,
    told), the couplers of a pair
    """
    scratch = np.empty(PART, np.uint64), np.arange(PART).astype(np.uint32), np.empty(PART, np.int32), np.empty(LANES, np.int32)
    pairs, cells = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    for b in range(spins.shape[0]):
        pairs[:] = 0
        cells[:] = 0
        _add_pairs(pairs, spins[b], codes[0], net, scratch)
        _add_cells(cells, spins[b], codes[1], scratch)
        for r in range(LANES):
            out[LANES * b + r] = pairs[r] * steps[0] - 2 * cells[r] * steps[1]


@inner
def _exchange_bits(c, first, a, b):  # type: ignore[no-untyped-def]
    """Planes a and b exchange their bits in a plane set."""
    x = (c.registers[first + (a >> 5)] >> U(a & 31)) & U(1)
    y = (c.registers[first + (b >> 5)] >> U(b & 31)) & U(1)
    if x != y:
        c.registers[first + (a >> 5)] ^= U(1) << U(a & 31)
        c.registers[first + (b >> 5)] ^= U(1) << U(b & 31)


@kernel
def swap_round(core, ladder, plane_temp, counts, energy, step, key):  # type: ignore[no-untyped-def]
    """One round. ladder, plane_temp : (planes,) uint16; counts : (planes, 2) uint32; energy as `energies`; step : T of one
    temperature code; key : (3,) uint32.
    """
    c = core[0]
    ladders, rungs, n = np.int64(c.registers[LADDERS]), np.int64(c.registers[RUNGS]), c.time[SWAPS]
    t = np.float64(c.registers[TDAC]) * step
    for place in range(ladders * rungs):
        if place % rungs + 1 == rungs or (place % rungs + n) & 1:
            continue
        a, b = np.int64(ladder[place]), np.int64(ladder[place + 1])
        t_a, t_b = t * (np.float64(plane_temp[a]) / 4096.0), t * (np.float64(plane_temp[b]) / 4096.0)
        x = (1.0 / t_a - 1.0 / t_b) * (np.float64(energy[a] - energy[b]) * (1.0 / 536870912.0))
        word, _, _, _ = threefry(U(place), U(0), U(n & 0xFFFFFFFF), U(n >> 32), key[0], key[1], key[2], U(0))
        counts[place, 0] += U(1)
        if x >= 0.0 or (np.float64(word >> U(8)) + 0.5) * (1.0 / 16777216.0) < exponential(x):
            counts[place, 1] += U(1)
            ladder[place], ladder[place + 1] = b, a
            plane_temp[a], plane_temp[b] = plane_temp[b], plane_temp[a]
            for first in ROLES:
                _exchange_bits(c, first, a, b)
    c.time[SWAPS] = n + 1
