"""Clocked p-bits: one colour's cells, 64 planes at a time; docs/arithmetic.md, "Noise" and "Flip".

Planes lie bit by bit in a cell's word, so a neighbour's 64 spins select, lane by lane, whether its doubled coupling is added.
Fields are int32 in grid units: sums are exact in any order.
"""

from __future__ import annotations

import numpy as np

from tsu_emu.jit import inner, kernel
from tsu_emu.noise.ars import ROUNDS, ars
from tsu_emu.noise.threefry import threefry

U = np.uint32
Q = np.uint64
F = np.float32
LANES = 64
HALF = 32
VISIT_SHIFT = 16
"""Bits of the noise counter's plane word that the plane may use."""

# 2^f on [-1/2, 1/2]: exp2f of the Cephes Mathematical Library (S. Moshier)
C6 = F(float.fromhex("0x1.41fbbcp-13"))
C5 = F(float.fromhex("0x1.5f3e52p-10"))
C4 = F(float.fromhex("0x1.3b2d4cp-7"))
C3 = F(float.fromhex("0x1.c6aee8p-5"))
C2 = F(float.fromhex("0x1.ebfbdcp-3"))
C1 = F(float.fromhex("0x1.62e430p-1"))
ONE = F(1.0)
FULL = F(16777216.0)
LIMIT = F(126.0)


@kernel
def flip_noise(out, group, plane0, tick, key):  # type: ignore[no-untyped-def]
    """out (4, 64) uint32: words of ranks 4 group .. 4 group + 3 in planes plane0 .. plane0 + 63."""
    t0, t1 = U(tick & 0xFFFFFFFF), U(tick >> 32)
    for r in range(LANES):
        a, b, c, d = threefry(U(group), U(plane0 + r), t0, t1, key[0], key[1], key[2], U(0))
        out[0, r] = a
        out[1, r] = b
        out[2, r] = c
        out[3, r] = d


@inner
def ars_words(rank, plane, visit, tick, key):  # type: ignore[no-untyped-def]
    """Noise by AES: words of a rank in planes 4 (plane >> 2) .. + 3."""
    c1 = U((plane >> 2) + (visit << VISIT_SHIFT))
    return ars(U(rank), c1, U(tick & 0xFFFFFFFF), U(tick >> 32), key[0], key[1], key[2], U(0), ROUNDS)


@kernel
def flip_noise_by_aes(out, rank, plane0, visit, tick, key):  # type: ignore[no-untyped-def]
    """out (64,) uint32: words of a rank in planes plane0 .. plane0 + 63."""
    for r in range(0, LANES, 4):
        a, b, c, d = ars_words(rank, plane0 + r, visit, tick, key)
        out[r] = a
        out[r + 1] = b
        out[r + 2] = c
        out[r + 3] = d


@inner
def _half(word, half):  # type: ignore[no-untyped-def]
    return U((word >> Q(HALF * half)) & Q(0xFFFFFFFF))


@kernel
def fields(out, spins, source, doubled, first, last, base):  # type: ignore[no-untyped-def]
    """out (64,) int32: base plus the doubled couplings first .. last - 1 whose source is up, in each lane."""
    for r in range(LANES):
        out[r] = base
    e = first
    while e + 4 <= last:
        s0, s1, s2, s3 = spins[source[e]], spins[source[e + 1]], spins[source[e + 2]], spins[source[e + 3]]
        w0, w1, w2, w3 = doubled[e], doubled[e + 1], doubled[e + 2], doubled[e + 3]
        for half in range(2):
            m0, m1, m2, m3 = _half(s0, half), _half(s1, half), _half(s2, half), _half(s3, half)
            for r in range(HALF):
                low = w0 * np.int32((m0 >> U(r)) & U(1)) + w1 * np.int32((m1 >> U(r)) & U(1))
                high = w2 * np.int32((m2 >> U(r)) & U(1)) + w3 * np.int32((m3 >> U(r)) & U(1))
                out[HALF * half + r] += low + high
        e += 4
    while e < last:
        s0, w0 = spins[source[e]], doubled[e]
        for half in range(2):
            m0 = _half(s0, half)
            for r in range(HALF):
                out[HALF * half + r] += w0 * np.int32((m0 >> U(r)) & U(1))
        e += 1


@kernel
def decide(field, slope, noise, which, mantissa, power, power_bits):  # type: ignore[no-untyped-def]
    """Word of 64 new spins from row `which` of the noise.

    mantissa : (64,) float32 and power_bits : (64,) int32 are scratch; `power` is `power_bits` seen as float32
    """
    for r in range(LANES):
        x = min(max(slope[r] * F(field[r]), -LIMIT), LIMIT)
        n = np.floor(x + F(0.5))
        f = x - n
        q = C6 * f + C5
        q = q * f + C4
        q = q * f + C3
        q = q * f + C2
        q = q * f + C1
        mantissa[r] = q * f + ONE
        power_bits[r] = (np.int32(n) + np.int32(127)) << np.int32(23)
    word = Q(0)
    for r in range(LANES):
        y = mantissa[r] * power[r]
        v = F(np.int32(noise[which, r] >> U(8)))
        up = Q(1) if v * y + v < FULL else Q(0)
        word |= up << Q(r)
    return word


@kernel
def update_cells(net, code, bank, block, low, high, visit, tick, noise):  # type: ignore[no-untyped-def]
    """Update the cells of ranks low .. high - 1, all of one colour, in the enabled planes of a block.

    visit : tells the updates of a cell within one sweep apart; noise = (key (3,) uint32, whether it comes from AES)
    net = (order, row, source); code = (doubled, base, soft), soft as `place_soft` makes it, or empty;
    bank = (spins, clamp_mask, clamp_value, enabled, slope)
    """
    (order, row, source), (key, by_aes) = net, noise
    doubled, base, soft = code
    spins, clamp_mask, _, enabled, slope = bank
    field, drawn = np.empty(LANES, np.int32), np.empty((4, LANES), np.uint32)
    mantissa, power_bits = np.empty(LANES, np.float32), np.empty(LANES, np.int32)
    power = power_bits.view(np.float32)
    slopes = slope[LANES * block : LANES * block + LANES]
    words, masks, live = spins[block], clamp_mask[block], enabled[block]
    for rank in range(low, high):
        if by_aes:
            flip_noise_by_aes(drawn[rank & 3], rank, LANES * block, visit, tick, key)
        elif rank == low or rank & 3 == 0:
            flip_noise(drawn, rank >> 2, LANES * block + (visit << VISIT_SHIFT), tick, key)
        i = order[rank]
        fields(field, words, source, doubled, row[i], row[i + 1], base[i])
        if soft.shape[0] > 0:
            for r in range(LANES):
                field[r] += soft[block, i, r]
        word = decide(field, slopes, drawn, rank & 3, mantissa, power, power_bits)
        free = live & ~masks[i]
        words[i] = (words[i] & ~free) | (word & free)


@inner
def _rank_noise(out, first, plane, visit, tick, noise):  # type: ignore[no-untyped-def]
    """out[0] (64,) uint32: words of ranks first .. first + 63, first a multiple of 4, in one plane."""
    key, by_aes = noise
    t0, t1, c1 = U(tick & 0xFFFFFFFF), U(tick >> 32), U(plane + (visit << VISIT_SHIFT))
    if by_aes:
        for k in range(LANES):
            out[0, k] = ars_words(first + k, plane, visit, tick, key)[plane & 3]
        return
    for g in range(LANES // 4):
        a, b, c, d = threefry(U((first >> 2) + g), c1, t0, t1, key[0], key[1], key[2], U(0))
        out[0, 4 * g] = a
        out[0, 4 * g + 1] = b
        out[0, 4 * g + 2] = c
        out[0, 4 * g + 3] = d


@kernel
def update_plane(net, code, bank, plane, low, high, visit, tick, noise):  # type: ignore[no-untyped-def]
    """As `update_cells`, in one plane, 64 cells side by side: cheaper when few planes are enabled. Arguments as there."""
    order, row, source = net
    doubled, base, soft = code
    spins, clamp_mask, _, _, slope = bank
    field, drawn = np.zeros(LANES, np.int32), np.empty((1, LANES), np.uint32)
    mantissa, power_bits = np.empty(LANES, np.float32), np.empty(LANES, np.int32)
    power = power_bits.view(np.float32)
    slopes = np.full(LANES, slope[plane], np.float32)
    words, masks, bit = spins[plane >> 6], clamp_mask[plane >> 6], Q(plane & 63)
    for first in range(low & ~3, high, LANES):
        begin, end = max(first, low), min(first + LANES, high)
        _rank_noise(drawn, first, plane, visit, tick, noise)
        for rank in range(begin, end):
            i = order[rank]
            total = base[i]
            if soft.shape[0] > 0:
                total += soft[plane >> 6, i, plane & 63]
            for e in range(row[i], row[i + 1]):
                total += doubled[e] * np.int32((words[source[e]] >> bit) & Q(1))
            field[rank - first] = total
        word = decide(field, slopes, drawn, 0, mantissa, power, power_bits)
        for rank in range(begin, end):
            i = order[rank]
            free = (Q(1) << bit) & ~masks[i]
            words[i] = (words[i] & ~free) | (((word >> Q(rank - first)) << bit) & free)


@inner
def random_colour(phase, colours, tick, key):  # type: ignore[no-untyped-def]
    """Colour that a phase of a sweep in random order updates; docs/arithmetic.md, "Scan order"."""
    word, _, _, _ = threefry(U(phase), U(0), U(tick & 0xFFFFFFFF), U(tick >> 32), key[0], key[1], key[2], U(0))
    return (np.int64(word) * colours) >> 32


@inner
def drive_clamps(bank):  # type: ignore[no-untyped-def]
    """Clamped spins of enabled planes take their clamp value."""
    spins, clamp_mask, clamp_value, enabled, _ = bank
    for block in range(enabled.size):
        for i in range(spins.shape[1]):
            pinned = clamp_mask[block, i] & enabled[block]
            spins[block, i] = (spins[block, i] & ~pinned) | (clamp_value[block, i] & pinned)


@kernel
def power_on_spins(spins, order, planes, key):  # type: ignore[no-untyped-def]
    """Random spins at power-on, stream POWER_ON in `key`; bits of planes that the chip lacks stay 0."""
    for rank in range(order.size):
        i = order[rank]
        for p in range(planes):
            words = threefry(U(rank >> 2), U(p), U(0), U(0), key[0], key[1], key[2], U(0))
            up = Q(words[rank & 3] >> U(31))
            spins[p >> 6, i] |= up << Q(p & 63)


@kernel
def slopes_of(slope, scale, temperature, plane_temp):  # type: ignore[no-untyped-def]
    """slope (64 blocks,) float32: c_p of each plane at noise temperature `temperature`."""
    for p in range(plane_temp.size):
        slope[p] = F(((-2.8853900817779268 * (1.0 / scale)) / temperature) / (np.float64(plane_temp[p]) / 4096.0))


@kernel
def place_soft(field, code, alpha, floating, lsb, scale):  # type: ignore[no-untyped-def]
    """field (blocks, cells, 64) int32: what soft clamps add to the cells' fields, in grid units.

    code : (planes, cells) int16, in steps of `lsb` kT; alpha : (cells or 1,) float64; floating : (cells,) bool, hear nothing
    """
    for p in range(code.shape[0]):
        for i in range(code.shape[1]):
            slope = 0.0 if floating[i] else alpha[i if alpha.size > 1 else 0]
            field[p >> 6, i, p & 63] = np.int32(np.rint((slope * (np.float64(code[p, i]) * lsb)) * scale))
