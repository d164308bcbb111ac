"""Noise sources of clocked p-bits other than the ideal one: coloured noise, and shift registers as cheap digital p-bits have.

Each fills noise (4, 64) uint32 as `pbit.flip_noise` does: rows are ranks 4 group .. 4 group + 3, columns the planes of a block.
Only updates advance a source: of ranks low .. high - 1 in enabled planes. Other words have no meaning. `enabled` is (blocks,)
uint64, a bit for each plane.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.pbit import LANES, VISIT_SHIFT
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.functions import exponential, polynomial
from tsu_emu.noise.normal import normal_of
from tsu_emu.noise.threefry import threefry

U = np.uint32
Q = np.uint64

# Phi(-x) = e^(-x^2 / 2) P(x) / R(x), x >= 0: Hart et al., Computer Approximations (Wiley, 1968), number 5666
P = (
    220.206867912376, 221.213596169931, 112.079291497871, 33.912866078383,
    6.37396220353165, 0.700383064443688, 0.0352624965998911,
)  # fmt: skip
R = (
    440.413735824752, 793.826512519948, 637.333633378831, 296.564248779674,
    86.7807322029461, 16.064177579207, 1.75566716318264, 0.0883883476483184,
)  # fmt: skip


@kernel
def normal_cdf(x):  # type: ignore[no-untyped-def]
    """Phi(x) of a float64, to 4e-16."""
    y = abs(x)
    tail = exponential(-0.5 * (y * y)) * (polynomial(P, y) / polynomial(R, y))
    return tail if x < 0.0 else 1.0 - tail


class Coloured(NamedTuple):
    """Noise voltages z of variance 1 in which z' = rho z + gain xi from one update of a p-bit to its next."""

    rho: float
    gain: float


def make_coloured(tau_sweeps: float) -> Coloured:
    """Ornstein-Uhlenbeck noise with correlation time tau, in sweeps, seen once in a sweep; 0 is white."""
    if not 0 <= tau_sweeps <= 1e6:
        raise ValueError(f"tau_sweeps {tau_sweeps}: 0 to 1e6")
    rho = float(exponential(-1.0 / tau_sweeps)) if tau_sweeps > 0 else 0.0
    return Coloured(rho, float(np.sqrt((1.0 - rho) * (1.0 + rho))))


@kernel
def coloured_start(z, key):  # type: ignore[no-untyped-def]
    """z (planes, cells by rank) float64 takes its stationary law; stream COLOURED of the run seed in `key`, component 1."""
    for plane in range(z.shape[0]):
        for rank in range(z.shape[1]):
            a, b, _, _ = threefry(U(rank), U(plane), U(0), U(0), key[0], key[1], key[2], U(1))
            z[plane, rank] = normal_of(a, b)


@inner
def _innovations(xi, words, pair, plane0, t0, t1, key):  # type: ignore[no-untyped-def]
    """xi (2, 64) float64: normal deviates of ranks 2 pair and 2 pair + 1; words (4, 64) uint32 is scratch."""
    for lane in range(LANES):
        a, b, c, d = threefry(U(pair), U(plane0 + lane), t0, t1, key[0], key[1], key[2], U(0))
        words[0, lane] = a
        words[1, lane] = b
        words[2, lane] = c
        words[3, lane] = d
    for lane in range(LANES):
        xi[0, lane] = normal_of(words[0, lane], words[1, lane])
        xi[1, lane] = normal_of(words[2, lane], words[3, lane])


@kernel
def coloured_noise(out, z, coloured, enabled, group, low, high, plane0, tick, key):  # type: ignore[no-untyped-def]
    """z advances by one update and out = Phi(z) as 32-bit words; z (planes, cells by rank) float64.

    plane0 : first plane of the block, visit above bit VISIT_SHIFT, as in `pbit.flip_noise`
    Innovations: counter (rank >> 1, plane word, tick), stream COLOURED of the run seed in `key`.
    """
    first = plane0 & ((1 << VISIT_SHIFT) - 1)
    live = enabled[first // LANES]
    xi, words, volts = np.empty((2, LANES), np.float64), np.empty((4, LANES), np.uint32), np.zeros(LANES, np.float64)
    begin, end = max(4 * group, low), min(4 * group + 4, high)
    for rank in range(begin, end):
        if rank == begin or rank & 1 == 0:
            _innovations(xi, words, rank >> 1, plane0, U(tick & 0xFFFFFFFF), U(tick >> 32), key)
        for lane in range(LANES):
            if (live >> Q(lane)) & Q(1):
                volts[lane] = coloured.rho * z[first + lane, rank] + coloured.gain * xi[rank & 1, lane]
                z[first + lane, rank] = volts[lane]
        for lane in range(LANES):
            out[rank & 3, lane] = U(np.int64(min(normal_cdf(volts[lane]) * 4294967296.0, 4294967295.0)))


TAPS = {8: (8, 6, 5, 4), 16: (16, 15, 13, 4), 24: (24, 23, 22, 17), 32: (32, 22, 2, 1)}
"""Exponents of primitive polynomials: registers of these widths run through all states but 0."""


class Lfsr(NamedTuple):
    """Fibonacci shift registers: the XOR of the bits in `mask` enters at the top, the others move down by one.

    Cells of ranks shared r .. shared (r + 1) - 1 take their words from register r, one shift for each word, as in cheap hardware:
    each word is the one before moved down.
    """

    width: int
    mask: np.uint32
    shared: int


def make_lfsr(width: int, taps: tuple[int, ...] = (), shared: int = 1) -> Lfsr:
    """Registers of 8 to 32 bits; taps are the exponents of the feedback polynomial but 0, by default those of TAPS."""
    taps = taps or TAPS.get(width, ())
    if not 8 <= width <= 32 or shared < 1:
        raise ValueError(f"width {width}, shared {shared}: 8 to 32 bits, shared by at least one cell")
    if width not in taps or not all(1 <= t <= width for t in taps):
        raise ValueError(f"taps {taps}: exponents from 1 to the width, {width}, which must be among them")
    return Lfsr(width, U(sum(1 << (width - t) for t in set(taps))), shared)


def lfsr_start(lfsr: Lfsr, cells: int, key: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """States (registers,) uint32 at power-on, none 0: counter (register, 0, 0, 0), stream LFSR of the run seed in `key`."""
    state = np.empty((cells + lfsr.shared - 1) // lfsr.shared, np.uint32)
    _fill_states(state, (1 << lfsr.width) - 1, key)
    return state


@kernel
def _fill_states(state, states, key):  # type: ignore[no-untyped-def]
    for r in range(state.size):
        word = threefry(U(r), U(0), U(0), U(0), key[0], key[1], key[2], U(0))[0]
        state[r] = U(np.int64(word) % states + 1)


@inner
def _shift(r, lfsr):  # type: ignore[no-untyped-def]
    x = r & lfsr.mask
    x ^= x >> U(16)
    x ^= x >> U(8)
    x ^= x >> U(4)
    bit = (U(0x6996) >> (x & U(15))) & U(1)
    return U((r >> U(1)) | (bit << U(lfsr.width - 1)))


def lfsr_bits(lfsr: Lfsr, cells: int, planes: int) -> NDArray[np.uint32]:
    """Room for the bits of a phase (registers, words): what `lfsr_phase` fills and `lfsr_noise` reads; no state."""
    registers = (cells + lfsr.shared - 1) // lfsr.shared
    return np.zeros((registers, (planes * min(lfsr.shared, cells) + lfsr.width) // 32 + 2), np.uint32)


@inner
def _count(word):  # type: ignore[no-untyped-def]
    n = np.int64(0)
    for lane in range(LANES):
        n += np.int64((word >> Q(lane)) & Q(1))
    return n


@kernel
def lfsr_phase(bits, state, lfsr, enabled, low, high):  # type: ignore[no-untyped-def]
    """The registers shift through a phase that updates ranks low .. high - 1 in the enabled planes, one shift for each word.

    bits : the bottom bit of each register before each shift, then its final state: draw number k is the window from bit k + 1
    """
    if low >= high:
        return
    planes = 0
    for word in enabled:
        planes += _count(word)
    for register in range(low // lfsr.shared, (high - 1) // lfsr.shared + 1):
        cells = min((register + 1) * lfsr.shared, high) - max(register * lfsr.shared, low)
        r, held, draws = state[register], U(0), planes * cells
        for k in range(draws):
            held |= (r & U(1)) << U(k & 31)
            if k & 31 == 31:
                bits[register, k >> 5] = held
                held = U(0)
            r = _shift(r, lfsr)
        state[register] = r
        last = Q(held) | Q(r) << Q(draws & 31)
        bits[register, draws >> 5] = U(last & Q(0xFFFFFFFF))
        bits[register, (draws >> 5) + 1] = U(last >> Q(32))


@kernel
def lfsr_noise(out, bits, lfsr, enabled, group, low, high, block):  # type: ignore[no-untyped-def]
    """Words, left-aligned, of the phase whose `bits` `lfsr_phase` made with the same enabled, low and high.

    A register serves the enabled planes in turn, as the array does, and in each its cells by rank.
    """
    mask, up = U((1 << lfsr.width) - 1), U(32 - lfsr.width)
    slot0 = 0
    for b in range(block):
        slot0 += _count(enabled[b])
    for rank in range(max(4 * group, low), min(4 * group + 4, high)):
        register = rank // lfsr.shared
        first, last = max(register * lfsr.shared, low), min((register + 1) * lfsr.shared, high)
        k = slot0 * (last - first) + rank - first + 1
        for lane in range(LANES):
            if (enabled[block] >> Q(lane)) & Q(1):
                at = k >> 5
                window = (Q(bits[register, at]) | Q(bits[register, at + 1]) << Q(32)) >> Q(k & 31)
                out[rank & 3, lane] = (U(window & Q(0xFFFFFFFF)) & mask) << up
                k += last - first
