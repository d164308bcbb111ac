"""The analog-to-digital converters: what each error does to the codes, measured as a laboratory would, and nothing else does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.special import ndtr

from tsu_apps.characterise.sine import Linearity, coherent_sine, expected_enob, linearity, sine_fit, sine_histogram
from tsu_contract.capabilities import TRIM_CODES
from tsu_emu.analog.adc import REACH, AdcBank, conversion_cycles, convert, make_bank, thresholds
from tsu_emu.config import Adc
from tsu_emu.noise.normal import normal_of
from tsu_emu.noise.streams import Stream

Real = NDArray[np.float64]
Codes = NDArray[np.uint16]

SAMPLES, CYCLES = 1 << 20, 9973
"""Of the sine histogram; 9973 is prime."""
CLOCK_HZ = 1e8
MANY = 400
"""Converters on a die whose spreads are measured."""


def bank(die_seed: int = 1, **fields: Any) -> AdcBank:
    fields["mux_tau_s"] = fields.pop("mux_tau_cycles", 0.0) / CLOCK_HZ
    return make_bank(Adc(**{"count": 1, **fields}), die_seed, CLOCK_HZ)


def key(run_seed: int = 1) -> NDArray[np.uint32]:
    return np.array([run_seed & 0xFFFFFFFF, run_seed >> 32, Stream.ADC_NOISE, 0], np.uint32)


def codes_of(b: AdcBank, inputs: Real, adc: int = 0, trims: tuple[int, int] = (0, 0), first: int = 0, run_seed: int = 1) -> Codes:
    out = np.empty(len(inputs), np.uint16)
    convert(b, adc, inputs, trims, b.low, key(run_seed), first, out)
    return out


def at(b: AdcBank, position: Any) -> Real:
    """Inputs at positions in nominal LSB."""
    return b.low + b.lsb * np.asarray(position, np.float64)


def worst(a: Linearity, b: Linearity) -> float:
    """Largest difference of INL or DNL, LSB."""
    return float(max(np.abs(a.inl - b.inl).max(), np.abs(a.dnl - b.dnl).max()))


# The staircase


@pytest.mark.parametrize("bits", range(8, 15))
def test_an_ideal_converter_gives_the_whole_lsbs_below_its_input(bits: int) -> None:
    """Transition to code c at low + c lsb exactly; an array with mismatch lies elsewhere."""
    b, code = bank(bits=bits), np.arange(1 << bits)
    assert np.array_equal(thresholds(b, 0), at(b, code[1:]))
    for fraction in (0.0, 0.5, 1 - 2**-20):
        assert np.array_equal(codes_of(b, at(b, code + fraction)), code)
    assert not np.array_equal(codes_of(bank(bits=bits, capacitor_sigma=0.05), at(b, code + 0.5)), code)


@pytest.mark.parametrize(("bits", "sigma"), [(8, 0.01), (10, 0.1), (14, 0.05)])
def test_codes_change_at_the_thresholds_also_where_codes_are_missing(bits: int, sigma: float) -> None:
    """200,000 inputs under offset, gain and trims: each code counts the thresholds not above its input."""
    b, trims = bank(bits=bits, count=3, capacitor_sigma=sigma, offset_sigma_lsb=2, gain_sigma=0.005), (-17, 9)
    inputs = np.random.default_rng(0).uniform(-1.025, 1.025, 200_000)
    for adc in range(3):
        levels = thresholds(b, adc, trims)
        assert np.all(np.diff(levels) >= 0)
        assert np.any(np.diff(levels) == 0) == (sigma > 0.01)
        codes = codes_of(b, inputs, adc, trims)
        assert np.array_equal(codes, np.searchsorted(levels, inputs, side="right"))
        assert not np.array_equal(codes, np.searchsorted(thresholds(b, (adc + 1) % 3, trims), inputs, side="right"))
        assert not np.array_equal(codes, np.searchsorted(thresholds(b, adc), inputs, side="right"))


def test_mismatch_gives_the_error_at_mid_scale_that_theory_expects() -> None:
    """sigma of transition 2^(B-1) = 1/2 sigma_u 2^(B/2) LSB within 5 standard errors (5 / sqrt(2 n)); not half or twice that."""
    b = bank(count=MANY, capacitor_sigma=0.01)
    middle = np.array([thresholds(b, adc)[511] / b.lsb for adc in range(MANY)])
    expected, tolerance = 0.5 * 0.01 * 2**5, 5 / np.sqrt(2 * MANY)
    assert abs(middle.std() / expected - 1) < tolerance
    assert abs(middle.mean()) < 5 * expected / np.sqrt(MANY)
    for wrong in (0.5, 2.0):
        assert abs(middle.std() / (wrong * expected) - 1) > tolerance


def test_each_converter_has_an_array_of_its_own() -> None:
    """Two converters' INL differ by more than the histogram's .15 LSB; the arrays of a die are uncorrelated (5 / sqrt(n))."""
    b = bank(count=MANY, capacitor_sigma=0.02)
    levels = [linearity(thresholds(b, adc)) for adc in range(4)]
    assert min(worst(levels[i], levels[j]) for i in range(4) for j in range(i)) > 0.15
    for bit in (9, 8, 0):
        even, odd = b.weights[bit, ::2], b.weights[bit, 1::2]
        assert abs(np.corrcoef(even, odd)[0, 1]) < 5 / np.sqrt(MANY / 2)


@pytest.fixture(scope="module")
def overdrive() -> Real:
    """A sine that exceeds the range -1 .. 1 by 2 %."""
    return 1.02 * coherent_sine(SAMPLES, CYCLES)


@pytest.mark.parametrize("die_seed", [1, 2, 3, 4])
def test_a_coherent_sine_histogram_finds_the_configured_staircase(die_seed: int, overdrive: Real) -> None:
    """INL and DNL within .15 LSB. With amplitude A, noise sigma leaves a standard error sqrt(sqrt(pi) sigma A / n) = .019 LSB at
    mid-scale (.027 for a step), of which .15 is 5.6. The staircases of twice the mismatch, of none and of another converter fail.
    """
    fields = {"count": 2, "noise_lsb": 0.4, "offset_sigma_lsb": 2, "gain_sigma": 0.005}
    b = bank(die_seed, capacitor_sigma=0.02, **fields)
    measured = sine_histogram(codes_of(b, overdrive), CYCLES, 10)
    assert worst(measured, linearity(thresholds(b, 0))) < 0.15
    doubled = bank(die_seed, capacitor_sigma=0.04, **fields)
    for wrong in (thresholds(doubled, 0), thresholds(bank(), 0), thresholds(b, 1)):
        assert worst(measured, linearity(wrong)) > 0.15


def test_a_sine_at_random_phases_does_not_find_it() -> None:
    """The same procedure without coherence errs by more than twice .15 LSB: random counts have a standard error pi A / 2 sqrt(n)
    = .8 LSB at mid-scale, part of which the line takes up.
    """
    b = bank(capacitor_sigma=0.02)
    phases = np.random.default_rng(0).uniform(size=SAMPLES)
    measured = sine_histogram(codes_of(b, 1.02 * np.sin(2 * np.pi * phases)), CYCLES, 10)
    assert worst(measured, linearity(thresholds(b, 0))) > 0.3
    with pytest.raises(ValueError, match="common factor"):
        sine_histogram(np.zeros(SAMPLES, np.uint16), 4, 10)


@pytest.mark.parametrize("die_seed", [1, 2, 3])
@pytest.mark.parametrize("noise", [0.0, 0.3, 0.5])
def test_enob_is_what_noise_and_inl_leave(die_seed: int, noise: float) -> None:
    """B - 1/2 log2(1 + 12 sigma^2 + 12 <INL^2>) within .05 bit, 6 standard errors 1 / (ln 2 sqrt(2 n)) = .008 of 2^14 samples.

    The formula with noise off or doubled, or without INL, fails.
    """
    b = bank(die_seed, capacitor_sigma=0.03, noise_lsb=noise)
    levels, sine = thresholds(b, 0), 0.995 * coherent_sine(1 << 14, 1021)
    enob = sine_fit(codes_of(b, sine), 1021, 10).enob
    assert abs(enob - expected_enob(levels, 10, noise)) < 0.05
    assert abs(enob - expected_enob(thresholds(bank(), 0), 10, noise)) > 0.05
    for wrong in {0.0, 2 * noise} - {noise}:
        assert abs(enob - expected_enob(levels, 10, wrong)) > 0.05


def test_the_sine_fit_returns_amplitude_and_offset() -> None:
    """Of an ideal converter. Steps change the fundamental of a sine of A LSB by (2 / pi) sum J1(2 pi m A) / m, below .025 LSB
    here; the offset is within 5 x .29 / sqrt(n).
    """
    b = bank()
    fit = sine_fit(codes_of(b, 0.0625 + 0.875 * coherent_sine(1 << 14, 1021)), 1021, 10)
    assert abs(fit.amplitude - 448) < 0.025
    assert abs(fit.offset + 0.5 - 544) < 5 * 0.29 / 128
    assert abs(fit.enob - 10) < 0.05


# Noise and undecided comparisons


def code_law(bits: int, held: float, sigma: float, window: float) -> Real:
    """P(code) of an ideal array for a held value (LSB): product over the search's branches of the comparisons' probabilities."""
    p, level = np.ones(1), np.zeros(1)
    for k in range(bits - 1, -1, -1):
        d = held - (level + (1 << k))
        if sigma > 0:
            up = 0.5 * (ndtr((d - window) / sigma) + ndtr((d + window) / sigma))
        else:
            up = np.where(np.abs(d) < window, 0.5, d >= 0)
        p = np.stack([p * (1 - up), p * up], axis=1).ravel()
        level = np.stack([level, level + (1 << k)], axis=1).ravel()
    return p


def unlikely(codes: Codes, p: Real) -> bool:
    """Whether any code's count, or that of all rare codes together, is 5 standard deviations (plus one) off its binomial law."""
    counts = np.bincount(codes, minlength=len(p)).astype(float)
    rare = p * len(codes) < 5
    counts, p = np.append(counts[~rare], counts[rare].sum()), np.append(p[~rare], p[rare].sum())
    return bool(np.any(np.abs(counts - len(codes) * p) > 1 + 5 * np.sqrt(len(codes) * p * np.maximum(1 - p, 0))))


@pytest.mark.parametrize("sigma", [0.3, 0.5])
def test_noise_rms_from_histograms_of_steady_inputs(sigma: float) -> None:
    """64 places across a step, 4,096 conversions each: mean square of code + 1/2 - x is sigma^2 + 1/12 within 5 sqrt(2 / n)."""
    b, x = bank(noise_lsb=sigma), 511 + (np.repeat(np.arange(64), 4096) + 0.5) / 64
    error = codes_of(b, at(b, x)) + 0.5 - x
    total, tolerance = np.mean(error**2), 5 * np.sqrt(2 / len(x))
    assert abs(total / (sigma**2 + 1 / 12) - 1) < tolerance
    assert abs(error.mean()) < 5 * np.sqrt(total / len(x))
    for wrong in (0.0, 2 * sigma):
        assert abs(total / (wrong**2 + 1 / 12) - 1) > tolerance


@pytest.mark.parametrize(("sigma", "window", "sampled"), [(0.4, 0, 0), (0, 0.4, 0), (0.3, 0.2, 0), (0.4, 0, 0.4), (3, 0, 0)])
@pytest.mark.parametrize("held", [511.7, 300.3])
def test_codes_follow_the_law_of_a_noisy_search(sigma: float, window: float, sampled: float, held: float) -> None:
    """Every code's frequency in 10^5 conversions within 5 standard deviations of the exact law; with twice or half of it, not."""
    b = bank(comparator_noise_lsb=sigma, metastability_lsb=window, noise_lsb=sampled)
    codes = codes_of(b, at(b, np.full(100_000, held)))
    nodes, weights = np.polynomial.hermite_e.hermegauss(60 if sampled else 1)
    weights = weights / weights.sum()

    def law(factor: float) -> Real:
        return weights @ np.array([code_law(10, held + sampled * x, factor * sigma, factor * window) for x in nodes])

    assert not unlikely(codes, law(1.0))
    assert unlikely(codes, law(2.0))
    assert unlikely(codes, law(0.5))


def test_noise_of_each_comparison_is_not_noise_of_the_sample() -> None:
    """Near a major carry the same rms gives two laws: neither passes for the other."""
    inputs = np.full(100_000, 511.9)
    sampled = np.diff(np.concatenate([[0.0], ndtr((np.arange(1, 1024) - 511.9) / 0.4), [1.0]]))
    for fields, is_sampled in (({"noise_lsb": 0.4}, True), ({"comparator_noise_lsb": 0.4}, False)):
        b = bank(**fields)
        codes = codes_of(b, at(b, inputs))
        assert unlikely(codes, sampled) != is_sampled
        assert unlikely(codes, code_law(10, 511.9, 0.4, 0.0)) == is_sampled


def test_each_undecided_comparison_has_a_coin_of_its_own() -> None:
    """At 511.5 LSB with a window of .6, the comparisons with 512 and 511 are undecided: codes 510, 511, 512 with 1/4, 1/4, 1/2.

    Within 5 standard deviations in 40,000 conversions. One coin per conversion never gives 511; without a window all give it.
    """
    n, b = 40_000, bank(metastability_lsb=0.6)
    counts = np.bincount(codes_of(b, at(b, np.full(n, 511.5))), minlength=1024)
    p = np.array([0.25, 0.25, 0.5])
    assert counts[510:513].sum() == n
    assert np.all(np.abs(counts[510:513] - n * p) < 5 * np.sqrt(n * p * (1 - p)))
    assert np.all(codes_of(bank(), at(b, np.full(n, 511.5))) == 511)
    assert np.all(codes_of(bank(metastability_lsb=0.4), at(b, np.full(n, 511.5))) == 511)


def test_no_deviate_reaches_a_comparison_that_draws_none() -> None:
    top = np.uint32(0xFFFFFFFF)
    assert REACH - 0.2 < max(-normal_of(np.uint32(0), np.uint32(0)), normal_of(top, top)) < REACH


# Memory of the multiplexer


def settling_error(acquisition: int, tau: float) -> float:
    """Mean shortfall, LSB, of 256 inputs spread over the top step, each after 60 conversions of the low end."""
    b = bank(acquisition_cycles=acquisition, mux_tau_cycles=tau)
    x = np.zeros((256, 61))
    x[:, -1] = 1023 + (np.arange(256) + 0.5) / 256
    codes = codes_of(b, at(b, x.ravel())).reshape(x.shape)
    return float(np.mean(x[:, -1] - (codes[:, -1] + 0.5)))


def test_the_previous_input_is_forgotten_exponentially() -> None:
    """Shortfall 1023.5 m LSB, m = exp(-t_acq / tau); half or twice tau fails.

    Within 1/256, the spacing of the inputs, plus m / 2, since the sampled values cover only 1 - m of a step.
    """
    for cycles in (10, 20, 40, 60):
        error, m = settling_error(cycles, 10.0), np.exp(-cycles / 10)
        assert abs(error - 1023.5 * m) < 1 / 256 + m / 2
        for wrong in (0.0, 5.0, 20.0):
            assert abs(settling_error(cycles, wrong) - error) > 1
    assert settling_error(1, 0.0) == 0


def test_settling_to_half_an_lsb_takes_b_plus_1_times_ln_2_time_constants() -> None:
    """11 ln 2 x 10 cycles = 76.2."""
    assert settling_error(77, 10.0) < 0.5 < settling_error(76, 10.0)


def test_the_voltage_left_is_that_last_sampled() -> None:
    b, out = bank(acquisition_cycles=2, mux_tau_cycles=4.0, noise_lsb=1.0), np.empty(2, np.uint16)
    left, _ = convert(b, 0, np.array([1.0, -3.0]), (0, 0), 2.0, key(), 0, out)
    m = np.exp(-0.5)
    assert left == pytest.approx(-3 + (1 + (2 - 1) * m + 3) * m, rel=1e-14)


# Offset, gain, trims, clipping


def test_offset_and_gain_have_their_spreads_and_draws_of_their_own() -> None:
    """5 standard errors of mean and deviation of 400 converters; switching one effect on changes no draw of another."""
    everything = bank(count=MANY, offset_sigma_lsb=2, gain_sigma=0.005, capacitor_sigma=0.02)
    for values, sigma in ((everything.offset, 2.0), (everything.gain - 1, 0.005)):
        assert abs(values.std() / sigma - 1) < 5 / np.sqrt(2 * MANY)
        assert abs(values.mean()) < 5 * sigma / np.sqrt(MANY)
    assert abs(np.corrcoef(everything.offset, everything.gain)[0, 1]) < 5 / np.sqrt(MANY)
    assert np.array_equal(everything.weights, bank(count=MANY, capacitor_sigma=0.02).weights)
    assert np.array_equal(everything.offset, bank(count=MANY, offset_sigma_lsb=2, bits=14).offset)
    assert np.array_equal(everything.gain[:3], bank(count=3, gain_sigma=0.005).gain)


def test_positive_offset_raises_codes_and_gain_turns_about_the_low_end() -> None:
    b = bank()
    x = np.array([0.5, 100.5, 500.5, 900.5])
    assert np.array_equal(codes_of(b._replace(offset=np.array([3.0])), at(b, x)), [3, 103, 503, 903])
    assert np.array_equal(codes_of(b._replace(gain=np.array([1.1])), at(b, x)), [0, 110, 550, 990])


def test_trims_move_the_staircase_by_their_steps() -> None:
    """Offset code 8 is one LSB; gain code 32 of 2^-12 is 1/128; both ends of the range."""
    b = bank()
    code = np.arange(1, 1024)
    for offset, gain in ((8, 0), (-64, 0), (63, 0), (0, 32), (0, -64), (0, 63), (5, -7)):
        expected = (code - offset / 8) / (1 + gain / 4096)
        assert np.allclose((thresholds(b, 0, (offset, gain)) - b.low) / b.lsb, expected, rtol=0, atol=1e-9)


def test_two_references_trim_offset_and_gain() -> None:
    """From 2 LSB and .5 % to below .2 LSB at both references on 16 converters: half steps are 1/16 LSB and 2^-13 of 922 LSB, and
    the mean of 20,000 conversions has a standard error of .003 LSB. Without trims nearly all are off by more. The trims reach
    4 sigma of offset and 3 of gain: this die has none beyond.
    """
    b, n = bank(2, count=16, offset_sigma_lsb=2, gain_sigma=0.005, noise_lsb=0.4), 20_000
    low, high = 102.5, 921.5

    def error(adc: int, x: float, trims: tuple[int, int], first: int) -> float:
        return float(codes_of(b, at(b, np.full(n, x)), adc, trims, first).mean()) + 0.5 - x

    before, after = [], []
    for adc in range(16):
        e = error(adc, low, (0, 0), 0), error(adc, high, (0, 0), n)
        slope = 1 + (e[1] - e[0]) / (high - low)
        gain = round((1 / slope - 1) * 4096)
        offset = round(-8 * (low + e[0] - slope * low))
        assert TRIM_CODES[0] <= min(gain, offset) <= max(gain, offset) <= TRIM_CODES[1]
        before.append(np.abs(e).max())
        after.append(max(abs(error(adc, x, (offset, gain), 2 * n)) for x in (low, high)))
    assert max(after) < 0.2
    assert np.mean(np.array(before) > 0.2) > 0.9


def test_overrange_clips_to_the_end_codes_and_is_counted() -> None:
    b, out = bank(count=2), np.empty(6, np.uint16)
    inputs = at(b, [-0.01, 0.0, 512.5, 1023.99, 1024.0, 5000.0])
    assert convert(b, 0, inputs, (0, 0), 0.0, key(), 0, out)[1] == 3
    assert np.array_equal(out, [0, 0, 512, 1023, 1023, 1023])
    assert convert(b, 0, inputs[1:4], (0, 0), 0.0, key(), 0, out[:3])[1] == 0
    assert convert(b, 0, inputs, (8, 0), 0.0, key(), 0, out)[1] == 3
    assert convert(b, 0, inputs[3:4], (8, 0), 0.0, key(), 0, out[:1])[1] == 1
    noisy = bank(noise_lsb=0.4)
    n, many = 40_000, np.empty(40_000, np.uint16)
    clipped = convert(noisy, 0, at(b, np.full(n, 0.2)), (0, 0), 0.0, key(), 0, many)[1]
    assert abs(clipped / n - ndtr(-0.5)) < 5 * 0.5 / np.sqrt(n)


# Purity


NOISY = {"capacitor_sigma": 0.02, "noise_lsb": 0.4, "comparator_noise_lsb": 0.3, "metastability_lsb": 0.05, "mux_tau_cycles": 6.0}


@pytest.mark.parametrize("first", [0, (1 << 32) - 100, (1 << 62) + 5])
def test_conversions_do_not_depend_on_how_they_are_called(first: int) -> None:
    """200 in one call, one by one, and in unequal parts: the same codes, voltage left and count of clipped values."""
    b, inputs = bank(count=3, **NOISY), np.random.default_rng(2).uniform(-5, 5, 200)
    results = []
    for parts in ([200], [1] * 200, [7, 150, 43]):
        out, left, clipped, done = np.empty(200, np.uint16), 0.5, 0, 0
        for size in parts:
            s = slice(done, done + size)
            left, count = convert(b, 2, inputs[s], (3, -4), left, key(), first + done, out[s])
            clipped, done = clipped + count, done + size
        results.append((out.tolist(), left, clipped))
    assert results[0] == results[1] == results[2]
    assert results[0][2] > 0
    assert results[0][0] != codes_of(b, inputs, 2, (3, -4), first + 1).tolist()


def test_noise_differs_between_converters_conversions_and_seeds_without_correlation() -> None:
    """Correlation of 20,000 codes at a steady input below 5 / sqrt(n); the same call gives the same codes."""
    n, b = 20_000, bank(count=2, noise_lsb=2.0)
    inputs = at(b, np.full(n, 512.5))
    one = codes_of(b, inputs)
    assert np.array_equal(one, codes_of(b, inputs))
    others = [codes_of(b, inputs, 1), codes_of(b, inputs, first=1), codes_of(b, inputs, first=1 << 32)]
    others += [codes_of(b, inputs, run_seed=2), codes_of(b, inputs, run_seed=1 + (1 << 32))]
    for other in others:
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(n)


def test_switching_one_noise_on_reshuffles_no_other() -> None:
    """A window and a comparator's noise too small to turn any of these comparisons leave every code as it was."""
    inputs = np.random.default_rng(3).uniform(-4, 4, 5000)
    alone = codes_of(bank(noise_lsb=0.4), inputs)
    assert np.array_equal(alone, codes_of(bank(noise_lsb=0.4, metastability_lsb=1e-9, comparator_noise_lsb=1e-9), inputs))
    assert not np.array_equal(alone, codes_of(bank(noise_lsb=0.4, comparator_noise_lsb=0.1), inputs))


def test_a_conversion_takes_acquisition_and_bits_plus_two_cycles() -> None:
    assert conversion_cycles(Adc(bits=10, acquisition_cycles=8)) == 20
    assert conversion_cycles(Adc(bits=14, acquisition_cycles=100)) == 116


@pytest.mark.parametrize(
    "fields", [{"bits": 7}, {"bits": 15}, {"low": 1.0, "high": 1.0}, {"noise_lsb": float("nan")}, {"tau": 1}]
)
def test_configurations_that_are_none_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Adc(**fields)
