"""How a laboratory measures a converter: pure functions of its codes for a coherent sine.

A record is coherent when it holds a whole number of cycles that is coprime to its length: its samples then lie at as many equally
spaced phases. IEEE Std 1241; Doernberg, Lee, Hodges, IEEE JSSC 19, 1984, 820 (histogram).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]


class Linearity(NamedTuple):
    """inl (2^B - 1,): deviation of the transition to code c from the best line; dnl (2^B - 2,): of the step of code c from 1.

    Code c is at c - 1; LSB.
    """

    inl: Real
    dnl: Real


class SineFit(NamedTuple):
    """Amplitude, offset and residual rms in LSB; enob = B - log2(residual rms / (1 / sqrt(12)))."""

    amplitude: float
    offset: float
    residual: float
    enob: float


def coherent_sine(samples: int, cycles: int) -> Real:
    """sin(2 pi cycles n / samples), n = 0 .. samples - 1; (samples,) float64."""
    if math.gcd(samples, cycles) != 1:
        raise ValueError(f"{cycles} cycles and {samples} samples have a common factor: the record is not coherent")
    turns = (np.arange(samples) * cycles % samples).astype(np.float64) / samples
    sine: Real = np.sin(2 * np.pi * turns)
    return sine


def linearity(transitions: Real) -> Linearity:
    """Of transition levels 1 .. 2^B - 1 in any unit, against their least-squares line."""
    codes = np.arange(1, len(transitions) + 1)
    slope, intercept = np.polyfit(codes, transitions, 1)
    return Linearity((transitions - (slope * codes + intercept)) / slope, np.diff(transitions) / slope - 1)


def sine_histogram(codes: NDArray[Any], cycles: int, bits: int) -> Linearity:
    """INL and DNL of codes (n,) of a coherent sine that overdrives both ends of the range.

    The transition of code c lies at -cos(pi H(c)) of the amplitude, H(c) being the share of codes below c.
    """
    if math.gcd(len(codes), cycles) != 1:
        raise ValueError(f"{cycles} cycles and {len(codes)} samples have a common factor: the record is not coherent")
    counts = np.bincount(codes, minlength=1 << bits)
    if not (counts[0] and counts[-1]):
        raise ValueError("the sine must reach both end codes")
    return linearity(-np.cos((np.pi / len(codes)) * np.cumsum(counts)[:-1]))


def sine_fit(codes: NDArray[Any], cycles: int, bits: int) -> SineFit:
    """Least-squares sine of known frequency through codes (n,) of a coherent sine within the range."""
    record = codes.astype(np.float64)
    quarter = np.exp((-2j * np.pi / len(record)) * (np.arange(len(record)) * cycles % len(record)))
    offset, phasor = record.mean(), 2 * np.mean(record * quarter)
    residual = float(np.sqrt(np.mean((record - offset - np.real(phasor * np.conj(quarter))) ** 2)))
    return SineFit(float(abs(phasor)), float(offset), residual, bits - math.log2(residual * math.sqrt(12)))


def expected_enob(transitions: Real, bits: int, noise_lsb: float) -> float:
    """B - 1/2 log2(1 + 12 sigma^2 + 12 <INL^2>), <INL^2> averaged with the density of a full-scale sine about its best line.

    Over steps from c + INL_c to c + 1 + INL_(c+1), answered by c + 1/2, the mean square of the error is 1/12 + <INL^2>, since its
    other terms telescope; noise sampled with the input adds its variance.
    """
    ideal = np.arange(1, len(transitions) + 1)
    position = (ideal - 2 ** (bits - 1)) / 2 ** (bits - 1)
    density = 1 / np.sqrt(1 - position**2)
    slope, intercept = np.polyfit(ideal, transitions, 1, w=np.sqrt(density))
    inl = (transitions - (slope * ideal + intercept)) / slope
    return bits - 0.5 * math.log2(1 + 12 * noise_lsb**2 + 12 * float(np.average(inl**2, weights=density)))
