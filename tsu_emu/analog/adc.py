"""Successive-approximation ADCs, each with a binary capacitor array of its own.

Charge redistribution: McCreary and Gray, IEEE JSSC 10, 1975, 371. An array has capacitors of 1, 2, 4 .. 2^(B-1) units and one
unit that always stays at the low reference; the bits of a code switch theirs to the high reference, and the level of the code is
their share of the whole array. Without errors code c, 0 .. 2^B - 1, covers low + c lsb <= input < low + (c + 1) lsb with
lsb = (high - low) / 2^B. This is the plain array, not mid-tread: transitions lie at whole LSBs and a code stands for the middle
of its step.

What the comparator sees, in LSB: ((input - low) / lsb) gain (1 + gain trim) + offset + offset trim + sampled noise. A positive
offset raises the codes; gain turns about `low`. The conversion is the search itself: B comparisons with the array's own levels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.config import Adc
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.normal import normal_of, normals
from tsu_emu.noise.streams import Stream
from tsu_emu.noise.threefry import threefry

U = np.uint32

_FIXED, _OFFSET, _GAIN = 14, 15, 16
"""Draws of a die beside those of the bits (0 .. 13): the unit at the low reference, offset, gain."""
REACH = 8.3
"""In standard deviations; no normal deviate exceeds 8.21."""


class AdcBank(NamedTuple):
    """The converters that a die has.

    weights : (bits, K) float64, LSB; share of each bit's capacitor in its array, bit 0 first
    offset, gain : (K,) float64; LSB, and a factor near 1
    low, lsb : float64, unit of the input: the range, -1 .. 1
    noise, comparator_noise, metastability : float64, LSB
    memory : float64, what remains of the value last sampled, exp(-t_acq / tau_mux)
    trim_offset, trim_gain : float64, step of each trim
    """

    weights: NDArray[np.float64]
    offset: NDArray[np.float64]
    gain: NDArray[np.float64]
    low: float
    lsb: float
    noise: float
    comparator_noise: float
    metastability: float
    memory: float
    trim_offset: float
    trim_gain: float


def conversion_cycles(config: Adc) -> int:
    """Clock cycles of a conversion: acquisition, one per comparison, one to sample, one to hand over the code."""
    return config.acquisition_cycles + config.bits + 2


def _memory(config: Adc, clock_hz: float) -> float:
    if config.mux_tau_s == 0:
        return 0.0
    return float(exponential(-config.acquisition_cycles / (config.mux_tau_s * clock_hz)))


def make_bank(config: Adc, die_seed: int, clock_hz: float) -> AdcBank:
    """The `config.count` converters of a die."""
    bits, count = config.bits, config.count

    def draws(subs: int, first: int) -> NDArray[np.float64]:
        return normals(np.uint64(die_seed), int(Stream.ADC_ARRAY), 0, count, subs, first)

    nominal = np.array([1 << k for k in range(bits)], np.float64)
    weight = np.maximum(nominal + (config.capacitor_sigma * np.sqrt(nominal)) * draws(bits, 0), 0.0)
    total = np.maximum(1.0 + config.capacitor_sigma * draws(1, _FIXED)[:, 0], 0.0)
    for k in range(bits):
        total = total + weight[:, k]
    return AdcBank(
        weights=np.ascontiguousarray((weight * (float(1 << bits) / total)[:, None]).T),
        offset=config.offset_sigma_lsb * draws(1, _OFFSET)[:, 0],
        gain=1.0 + config.gain_sigma * draws(1, _GAIN)[:, 0],
        low=-1.0,
        lsb=2.0 / (1 << bits),
        noise=float(config.noise_lsb),
        comparator_noise=float(config.comparator_noise_lsb),
        metastability=float(config.metastability_lsb),
        memory=_memory(config, clock_hz),
        trim_offset=float(config.trim_offset_lsb),
        trim_gain=float(config.trim_gain),
    )


@inner
def _transfer(bank, adc, trims):  # type: ignore[no-untyped-def]
    """Offset (LSB) and gain of a converter under trim codes (offset, gain)."""
    return bank.offset[adc] + bank.trim_offset * trims[0], bank.gain[adc] * (1.0 + bank.trim_gain * trims[1])


@inner
def _words(adc, trial, number, key):  # type: ignore[no-untyped-def]
    """Noise words of a conversion: trial 0 is the sampling, 1 .. B the comparisons in their order."""
    return threefry(U(adc), U(trial), U(number & 0xFFFFFFFF), U(number >> 32), key[0], key[1], key[2], U(0))


@inner
def _search(bank, weights, adc, held, number, key):  # type: ignore[no-untyped-def]
    """Code of the held value (LSB). A comparison that no draw could turn takes none."""
    reach = REACH * bank.comparator_noise + bank.metastability
    bits = weights.size
    code, level = 0, 0.0
    for trial in range(1, bits + 1):
        k = bits - trial
        difference = held - (level + weights[k])
        keep = difference >= 0.0
        if abs(difference) < reach:
            a, b, c, _ = _words(adc, trial, number, key)
            difference = difference + bank.comparator_noise * normal_of(a, b)
            keep = difference >= 0.0
            if abs(difference) < bank.metastability:
                keep = c >> U(31) != U(0)
        if keep:
            code += 1 << k
            level = level + weights[k]
    return code


@kernel
def convert(bank, adc, inputs, trims, previous, key, first, out):  # type: ignore[no-untyped-def]
    """Conversions first, first + 1, .. of converter `adc`, one after the other.

    inputs : (n,) float64, unit of the input; trims : (offset code, gain code), int
    previous : float64, value on the sampling capacitor before; key : uint32, words (run seed lo, hi, ADC_NOISE)
    out : (n,) uint16, the codes
    Returns the value left on the sampling capacitor, float64, and how many held values lay outside 0 <= x < 2^B LSB, noise
    included; their codes saturate at 0 and 2^B - 1. The memory is of the input, not of its noise.
    """
    weights = bank.weights[:, adc].copy()
    full = np.float64(1 << weights.size)
    offset, gain = _transfer(bank, adc, trims)
    held_input, clipped = np.float64(previous), 0
    for n in range(inputs.size):
        number = np.int64(first) + n
        held_input = inputs[n] + (held_input - inputs[n]) * bank.memory
        held = ((held_input - bank.low) / bank.lsb) * gain + offset
        if bank.noise > 0.0:
            a, b, _, _ = _words(adc, 0, number, key)
            held = held + bank.noise * normal_of(a, b)
        if held < 0.0 or held >= full:
            clipped += 1
        out[n] = np.uint16(_search(bank, weights, adc, held, number, key))
    return held_input, clipped


@kernel
def thresholds(bank, adc, trims=(0, 0)):  # type: ignore[no-untyped-def]
    """Transition levels of converter `adc` without noise, (2^B - 1,) float64, unit of the input, never descending.

    Element c - 1 is the least input whose code is c or more, under trim codes (offset, gain). The array's level of c can lie
    outside the interval in which the search compares with it; the transition is then the nearer end of that interval. Code c is
    missing where elements c - 1 and c are equal.
    """
    weights = bank.weights[:, adc].copy()
    top = 1 << weights.size
    transition = np.empty(top + 1, np.float64)
    transition[0], transition[top] = -np.inf, np.inf
    for bit in range(weights.size - 1, -1, -1):
        half = 1 << bit
        for code in range(half, top, 2 * half):
            level = 0.0
            for k in range(weights.size - 1, -1, -1):
                if code >> k & 1:
                    level = level + weights[k]
            transition[code] = min(max(level, transition[code - half]), transition[code + half])
    offset, gain = _transfer(bank, adc, trims)
    return bank.low + bank.lsb * ((transition[1:top] - offset) / gain)
