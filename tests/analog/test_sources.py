"""Coloured and shift-register noise: their laws, their flaws, and what these do to a p-bit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from tsu_emu.analog import pbit
from tsu_emu.analog.sources import (
    TAPS,
    Lfsr,
    coloured_noise,
    coloured_start,
    lfsr_bits,
    lfsr_noise,
    lfsr_phase,
    lfsr_start,
    make_coloured,
    make_lfsr,
    normal_cdf,
)
from tsu_emu.noise.streams import Stream

U = np.uint32
Floats = NDArray[np.float64]
Words = NDArray[np.uint32]
COLOURED = np.array([5, 6, Stream.COLOURED], U)
REGISTERS = np.array([5, 6, Stream.LFSR], U)
FLIP = np.array([5, 6, Stream.FLIP], U)
ALL = np.full(1, 2**64 - 1, np.uint64)
ONE = np.ones(1, np.uint64)


def coloured_run(tau: float, ticks: int) -> tuple[Words, Floats]:
    """Words and voltages (ticks, 4, 64) of ranks 0 .. 3 in 64 planes, from the start."""
    z, words, volts = np.empty((64, 4)), np.empty((ticks, 4, 64), U), np.empty((ticks, 4, 64))
    coloured_start(z, COLOURED)
    source = make_coloured(tau)
    for tick in range(ticks):
        coloured_noise(words[tick], z, source, ALL, 0, 0, 4, 0, tick, COLOURED)
        volts[tick] = z.T
    return words, volts


def lfsr_run(lfsr: Lfsr, ticks: int, enabled: NDArray[np.uint64] = ALL) -> Words:
    """Words (ticks, 4, 64) of ranks 0 .. 3."""
    state, bits = lfsr_start(lfsr, 4, REGISTERS), lfsr_bits(lfsr, 4, 64)
    words = np.zeros((ticks, 4, 64), U)
    for tick in range(ticks):
        lfsr_phase(bits, state, lfsr, enabled, 0, 4)
        lfsr_noise(words[tick], bits, lfsr, enabled, 0, 0, 4, 0)
    return words


def ideal_run(ticks: int) -> Words:
    words = np.empty((ticks, 4, 64), U)
    for tick in range(ticks):
        pbit.flip_noise(words[tick], 0, 0, tick, FLIP)
    return words


def spins(words: Words, field: float) -> Floats:
    """Spins +-1 (ticks, 4, 64) of lone p-bits that take these words at local field I / T."""
    up = np.zeros((*words.shape[:2], 64))
    grid, mantissa, bits = np.ones(64, np.int32), np.empty(64, np.float32), np.empty(64, np.int32)
    slope = np.full(64, -2 * np.log2(np.e) * field, np.float32)
    for tick, noise in enumerate(words):
        for rank in range(4):
            word = pbit.decide(grid, slope, noise, rank, mantissa, bits.view(np.float32), bits)
            up[tick, rank] = np.unpackbits(np.array([word], "<u8").view(np.uint8), bitorder="little")
    return 2 * up - 1


def correlation(x: Floats, lag: int, axis: int = 0) -> tuple[float, float]:
    """Correlation at a lag along an axis of values of mean 0, and its standard error, from the spread over the other axes."""
    n = x.shape[axis]
    lagged = np.take(x, range(lag, n), axis) * np.take(x, range(n - lag), axis)
    each = np.mean(lagged, axis=axis) / np.mean(x**2)
    return float(each.mean()), float(each.std() / np.sqrt(each.size))


def centred(words: Words) -> Floats:
    return words / 2.0**32 - 0.5


def test_the_normal_law_is_right_to_the_last_bits() -> None:
    """Absolute error below 4e-16 against scipy, tails below 3e-9 relative."""
    x = np.linspace(-9, 9, 9001)
    ours = np.array([normal_cdf(v) for v in x])
    assert np.max(np.abs(ours - ndtr(x))) < 4e-16
    tail = x[(x < 0) & (x > -7)]
    assert np.max(np.abs(np.array([normal_cdf(v) for v in tail]) / ndtr(tail) - 1)) < 3e-9


def kolmogorov(words: Words, tau: float) -> float:
    """Greatest distance from the uniform law times sqrt(n_eff), n_eff = n (1 - rho) / (1 + rho): above 2.2 one time in 10^4."""
    u = np.sort(words.ravel() / 2.0**32)
    rho = np.exp(-1 / tau)
    distance = np.max(np.abs(u - (np.arange(u.size) + 0.5) / u.size))
    return float(distance * np.sqrt(u.size * (1 - rho) / (1 + rho)))


def test_coloured_words_are_uniform_from_the_first_sweep() -> None:
    """KS test of 256 p-bits over 400 sweeps, tau 5. Power: voltages 15 % too large, or a start from z = 0."""
    words, volts = coloured_run(5.0, 400)
    assert kolmogorov(words, 5.0) < 2.2
    assert kolmogorov((ndtr(1.15 * volts) * 2.0**32).astype(U), 5.0) > 2.2
    assert np.max(np.abs(words / 2.0**32 - ndtr(volts))) < 2.0**-31
    bound = 5 * np.sqrt(2 / 256)
    assert abs(np.mean(volts[0] ** 2) - 1) < bound
    assert 1 - make_coloured(5.0).gain ** 2 > bound


def test_coloured_noise_forgets_exponentially() -> None:
    """z at lags 1 to 20 within 5 standard errors of exp(-lag / tau), from the spread of 256. Power: tau / 2, 2 tau."""
    _, volts = coloured_run(5.0, 2000)
    for lag in (1, 2, 5, 10, 20):
        found, error = correlation(volts, lag)
        assert abs(found - np.exp(-lag / 5)) < 5 * error
        if lag < 20:
            assert abs(found - np.exp(-lag / 2.5)) > 5 * error
            assert abs(found - np.exp(-lag / 10)) > 5 * error


def test_short_correlation_times_are_white() -> None:
    """tau 0 and .05: lags 1 and 2, neighbouring planes and cells below 5 standard errors. Power: tau 1 is seen."""
    for tau in (0.0, 0.05):
        u = centred(coloured_run(tau, 1000)[0])
        for found, error in (correlation(u, 1), correlation(u, 2), correlation(u, 1, 2), correlation(u, 1, 1)):
            assert abs(found) < 5 * error
    found, error = correlation(centred(coloured_run(1.0, 1000)[0]), 1)
    assert found > 5 * error
    assert make_coloured(0.0) == (0.0, 1.0)


def test_a_p_bit_with_coloured_noise_is_slow_but_has_its_mean() -> None:
    """A lone p-bit at I = 0: correlation (2 / pi) asin(exp(-lag / tau)) of its spins; at I = .4 mean tanh(.4): 5 standard errors.

    Power: ideal noise shows no correlation, twice tau another one.
    """
    words, _ = coloured_run(5.0, 2000)
    s = spins(words, 0.0)
    for lag in (1, 5, 10):
        found, error = correlation(s, lag)
        assert abs(found - 2 / np.pi * np.arcsin(np.exp(-lag / 5))) < 5 * error
        assert abs(found - 2 / np.pi * np.arcsin(np.exp(-lag / 10))) > 5 * error
    ideal, error = correlation(spins(ideal_run(2000), 0.0), 1)
    assert abs(ideal) < 5 * error
    each = spins(words, 0.4).mean(axis=0)
    assert abs(each.mean() - np.tanh(0.4)) < 5 * each.std() / 16
    assert abs(each.mean() - np.tanh(0.8)) > 5 * each.std() / 16


def test_coloured_noise_depends_on_no_call_pattern() -> None:
    """A group in two parts, fewer planes enabled, and a copy of z taken up again give the same bits; cells not updated keep z."""
    source, key = make_coloured(3.0), COLOURED
    z = np.empty((128, 10))
    coloured_start(z, key)
    start, some = z.copy(), np.array([0b1011, 2], np.uint64)
    out, parts = np.zeros((4, 64), U), np.zeros((4, 64), U)
    coloured_noise(out, z, source, np.full(2, 2**64 - 1, np.uint64), 2, 0, 10, 64, 7, key)
    assert np.array_equal(np.flatnonzero(np.any(z != start, axis=0)), [8, 9])
    assert np.array_equal(np.flatnonzero(np.any(z != start, axis=1)), range(64, 128))
    split = start.copy()
    coloured_noise(parts, split, source, np.full(2, 2**64 - 1, np.uint64), 2, 0, 9, 64, 7, key)
    low = parts[0].copy()
    assert np.array_equal(split[:, 9], start[:, 9])
    coloured_noise(parts, split, source, np.full(2, 2**64 - 1, np.uint64), 2, 9, 10, 64, 7, key)
    assert np.array_equal(split, z)
    assert np.array_equal([low, parts[1]], out[:2])
    few = start.copy()
    coloured_noise(parts, few, source, some, 2, 0, 10, 0, 7, key)
    assert np.array_equal(np.flatnonzero(np.any(few != start, axis=1)), [0, 1, 3])
    coloured_noise(out, full := start.copy(), source, np.full(2, 2**64 - 1, np.uint64), 2, 0, 10, 0, 7, key)
    assert np.array_equal(few[[0, 1, 3]], full[[0, 1, 3]])
    assert np.array_equal(parts[:2, [0, 1, 3]], out[:2, [0, 1, 3]])
    coloured_noise(parts, again := start.copy(), source, some, 2, 0, 10, 1 << pbit.VISIT_SHIFT, 7, key)
    assert not np.any(again[[0, 1, 3], 8] == few[[0, 1, 3], 8])


def shifted(states: Words, lfsr: Lfsr, times: int) -> Words:
    """States of unshared registers after so many shifts."""
    out, bits = states.copy(), lfsr_bits(lfsr, len(states), 64)
    for _ in range(times):
        lfsr_phase(bits, out, lfsr, ONE, 0, len(out))
    return out


@pytest.mark.parametrize(("width", "primes"), [(8, (3, 5, 17)), (16, (3, 5, 17, 257))])
def test_short_registers_run_through_all_states(width: int, primes: tuple[int, ...]) -> None:
    """One register shared by as many cells as it has states comes back after a phase, and after no proper divisor of that."""
    period = (1 << width) - 1
    for divisor in (1, *primes):
        cells = period // divisor
        lfsr = make_lfsr(width, shared=cells)
        state, bits = np.array([77], U), lfsr_bits(lfsr, cells, 1)
        lfsr_phase(bits, state, lfsr, ONE, 0, cells)
        assert (state[0] == 77) == (divisor == 1)
    words = np.zeros((4, 64), U)
    lfsr, seen = make_lfsr(width, shared=period), set()
    lfsr_phase(lfsr_bits(lfsr, period, 1), state := np.array([77], U), lfsr, ONE, 0, period)
    lfsr_phase(bits := lfsr_bits(lfsr, period, 1), state, lfsr, ONE, 0, period)
    for group in range((period + 3) // 4):
        lfsr_noise(words, bits, lfsr, ONE, group, 0, period, 0)
        seen.update(words[: min(4, period - 4 * group), 0].tolist())
    assert seen == {k << (32 - width) for k in range(1, period + 1)}


@pytest.mark.parametrize(
    ("width", "primes"), [(8, (3, 5, 17)), (16, (3, 5, 17, 257)), (24, (3, 5, 7, 13, 17, 241)), (32, (3, 5, 17, 257, 65537))]
)
def test_default_taps_give_the_longest_period(width: int, primes: tuple[int, ...]) -> None:
    """The shift as a matrix over GF(2) has order 2^width - 1. Power: other taps of 16 bits do not."""

    def order_is_full(taps: tuple[int, ...]) -> bool:
        images = shifted(U(1) << np.arange(width, dtype=U), make_lfsr(width, taps), 1)
        shift = ((images[None, :] >> np.arange(width, dtype=U)[:, None]) & U(1)).astype(np.int64)

        def power(exponent: int) -> NDArray[np.int64]:
            result, square = np.eye(width, dtype=np.int64), shift
            for bit in f"{exponent:b}"[::-1]:
                result = result @ square % 2 if bit == "1" else result
                square = square @ square % 2
            return result

        identity = np.eye(width, dtype=np.int64)
        full = (1 << width) - 1
        return np.array_equal(power(full), identity) and not any(np.array_equal(power(full // p), identity) for p in primes)

    assert order_is_full(TAPS[width])
    assert width != 16 or not order_is_full((16, 15, 14, 4))


def test_registers_serve_planes_in_turn_and_cells_by_rank() -> None:
    """Words of two phases on two blocks, registers of 3 cells, against a walk bit by bit; groups in any order."""
    lfsr = make_lfsr(12, (12, 6, 4, 1), shared=3)
    enabled = np.array([0x8000000000000005, 0b110], np.uint64)
    planes = [0, 2, 63, 65, 66]
    state, bits = lfsr_start(lfsr, 20, REGISTERS), lfsr_bits(lfsr, 20, 128)
    walk = {r: int(s) for r, s in enumerate(state)}
    for low, high in ((0, 11), (11, 20), (0, 11)):
        lfsr_phase(bits, state, lfsr, enabled, low, high)
        found = np.zeros((20, 128), U)
        for group in (4, 0, 2, 1, 3):
            for block in (1, 0):
                words = np.zeros((4, 64), U)
                lfsr_noise(words, bits, lfsr, enabled, group, low, high, block)
                found[4 * group : 4 * group + 4, 64 * block : 64 * block + 64] = words
        expected = np.zeros((20, 128), U)
        for plane in planes:
            for rank in range(low, high):
                r = walk[rank // 3]
                bit = sum(r >> (12 - t) for t in (12, 6, 4, 1)) & 1
                walk[rank // 3] = (r >> 1) | (bit << 11)
                expected[rank, plane] = walk[rank // 3] << 20
        assert np.array_equal(found, expected)
        assert [walk[r] for r in range(7)] == state.tolist()


def test_the_state_is_all_there_is_to_save() -> None:
    lfsr = make_lfsr(16)
    state, bits = lfsr_start(lfsr, 4, REGISTERS), lfsr_bits(lfsr, 4, 64)
    assert np.array_equal(shifted(shifted(state, lfsr, 3), lfsr, 4), shifted(state, lfsr, 7))
    lfsr_phase(bits, resumed := state.copy(), lfsr, ALL, 0, 4)
    bits[:] = 0
    lfsr_phase(bits, state, lfsr, ALL, 0, 4)
    assert np.array_equal(resumed, state)


def test_registers_start_anywhere_but_at_zero() -> None:
    """10^5 registers of 8 bits: none 0, mean state 128 within 5 standard errors; another run seed gives other states."""
    lfsr = make_lfsr(8)
    state = lfsr_start(lfsr, 10**5, REGISTERS)
    assert state.min() == 1
    assert state.max() == 255
    assert abs(state.mean() - 128) < 5 * np.sqrt((255**2 - 1) / 12 / 10**5)
    assert np.mean(state == lfsr_start(lfsr, 10**5, np.array([6, 6, Stream.LFSR], U))) < 0.01


def test_words_of_a_register_are_shifted_copies() -> None:
    """One plane, 10,000 sweeps of 24-bit registers: correlation 2^-lag; with 64 planes neighbouring planes are the copies.

    Within .035, 5 times the largest spread over 20 run seeds, .0065. Power: ideal noise has none.
    """
    serial = centred(lfsr_run(make_lfsr(24), 10_000, ONE))[:, :, :1]
    ideal = centred(ideal_run(10_000))[:, :, :1]
    for lag in (1, 2, 3):
        assert abs(correlation(serial, lag)[0] - 2.0**-lag) < 0.035
        assert abs(correlation(ideal, lag)[0]) < 0.035
    planes = centred(lfsr_run(make_lfsr(24), 200))
    assert abs(correlation(planes, 1, 2)[0] - 0.5) < 0.035
    assert abs(correlation(centred(ideal_run(200)), 1, 2)[0]) < 0.035


def test_a_p_bit_sees_the_shifted_copies() -> None:
    """P(+1) = 1/4: up when the two top bits of a word are 0, so correlated 1/3 with the sweep before; the mean is unharmed.

    10,000 sweeps of 4 cells, within .035: the spread over 20 run seeds is .006. Power: ideal noise.
    """
    words = lfsr_run(make_lfsr(24), 10_000, ONE)
    field = -np.log(3) / 2
    for noise, expected in ((words, 1 / 3), (ideal_run(10_000), 0.0)):
        up = spins(noise, field)[:, :, :1]
        assert abs(np.mean(up) + 0.5) < 0.035
        assert abs(correlation(up - up.mean(), 1)[0] - expected) < 0.035


def test_cells_that_share_a_register_are_correlated() -> None:
    """Neighbours on a register 1/2, next neighbours 1/4, cells of two registers none, shared or not.

    Within .07: 12,800 words whose copies make them worth about 5,000; spread over 20 run seeds .007 to .014.
    """
    shared, own = centred(lfsr_run(make_lfsr(32, shared=4), 200)), centred(lfsr_run(make_lfsr(32), 200))
    pairs = centred(lfsr_run(make_lfsr(32, shared=2), 200))

    def between(u: Floats, a: int, b: int) -> float:
        return float(np.mean(u[:, a] * u[:, b]) * 12)

    for found, expected in (
        (between(shared, 0, 1), 0.5),
        (between(shared, 1, 3), 0.25),
        (between(pairs, 2, 3), 0.5),
        (between(pairs, 1, 2), 0.0),
        (between(own, 0, 1), 0.0),
    ):
        assert abs(found - expected) < 0.07


def test_what_makes_no_register_is_refused() -> None:
    for width, taps, shared in ((7, (7, 6), 1), (33, (33, 1), 1), (16, (15, 4), 1), (16, (16, 17), 1), (17, (), 1), (16, (), 0)):
        with pytest.raises(ValueError, match=r"taps|width"):
            make_lfsr(width, taps, shared)
    with pytest.raises(ValueError, match="tau_sweeps"):
        make_coloured(-1.0)
