"""How a laboratory measures a converter: pure functions of its codes for a coherent sine, or for a steady input.

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


def histogram_error(samples: int, bits: int, overdrive: float, noise_lsb: float) -> Real:
    """(2^B - 1,) standard errors of the transitions that `sine_histogram` finds, LSB.

    rho samples lie in an LSB at code c, rho = samples / (pi sqrt(A^2 - u^2)), A = overdrive 2^B / 2, u the distance from the
    middle. Each falls below the transition with a probability of its own, Phi; the counts have variance rho integral Phi (1 -
    Phi) = rho sigma / sqrt(pi), and 1/3 more for the grid of phases.
    """
    half = 2.0 ** (bits - 1)
    u = np.arange(1, 1 << bits) - half
    density = samples / (np.pi * np.sqrt((overdrive * half) ** 2 - u**2))
    error: Real = np.sqrt(noise_lsb / math.sqrt(math.pi) * density + 1 / 3) / density
    return error


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


def mean_codes(transitions: Real, inputs: Real, lsb: float) -> Real:
    """Mean codes of steady inputs (n,) whose places are spread over one LSB; transitions (2^B - 1,) and lsb in their unit."""
    out: Real = np.clip((inputs[:, None] - transitions) / lsb + 0.5, 0.0, 1.0).sum(axis=1)
    return out


def two_point_line(codes: Real, inputs: Real, bits: int) -> tuple[float, float]:
    """(offset in LSB, gain) of the line through two points: mean codes (2,) of inputs (2,) in units of the range, -1 .. 1.

    A perfect converter answers x with (x + 1) 2^(B-1) - 1/2 on average.
    """
    place, ideal = codes + 0.5, (inputs + 1) * 2.0 ** (bits - 1)
    gain = float((place[1] - place[0]) / (ideal[1] - ideal[0]))
    return float(place[0] - gain * ideal[0]), gain


def noise_of_spread(variance: float) -> float:
    """RMS noise in LSB of a converter whose codes for steady inputs have that variance, averaged over places within an LSB.

    With Gaussian noise sigma it is sigma^2 + 1/12 - sum_k exp(-(2 pi k sigma)^2) / (2 pi^2 k^2): the mean of codes follows the
    input but for a ripple whose harmonics the noise takes away (Widrow, Kollar, Quantization Noise, 2008, ch. 4).
    """
    sigma = np.concatenate([np.linspace(0.0, 1.0, 401), np.linspace(1.01, 20.0, 1900)])
    k = np.arange(1, 1000)[:, None]
    ripple = np.sum(np.exp(-((2 * np.pi * k * sigma) ** 2)) / (2 * np.pi**2 * k**2), axis=0)
    return float(np.interp(variance, sigma**2 + 1 / 12 - ripple, sigma))
