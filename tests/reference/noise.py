"""Random numbers of the chip: Threefry, streams, normal deviates; docs/arithmetic.md, "Noise", "Normal deviate"."""

from __future__ import annotations

import math
from functools import lru_cache

MASK32 = 0xFFFFFFFF
ROTATIONS = ((10, 26), (11, 21), (13, 27), (23, 5), (6, 20), (17, 11), (25, 10), (18, 20))
PARITY = 0x1BD11BDA
ROUNDS = 13
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)

FLIPS, POWER_ON, COUPLING_DAC, BIAS_DAC, TEMPERATURE_DAC, COUPLER_GAIN, PBIT, SCAN_ORDER = range(1, 9)
DEAD_CELLS, STUCK_BITS = 17, 18
LEARNING, SWAPS = 26, 27
TRIM_OFFSETS, TRIM_SLOPES = 28, 29
"""Streams."""

A = (
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
)  # fmt: skip
B = (
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
)  # fmt: skip
C = (
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
    1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
)  # fmt: skip
D = (
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
)  # fmt: skip
E = (
    6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
    2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
)  # fmt: skip
F = (
    1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
)  # fmt: skip

Words = tuple[int, int, int, int]


def _mix(a: int, b: int, rotation: int) -> tuple[int, int]:
    a = (a + b) & MASK32
    b = (b << rotation | b >> 32 - rotation) & MASK32
    return a, b ^ a


@lru_cache(maxsize=1024)
def threefry(key: Words, counter: Words) -> Words:
    """Threefry4x32 with 13 rounds."""
    keys = (*key, PARITY ^ key[0] ^ key[1] ^ key[2] ^ key[3])
    x = [(counter[i] + keys[i]) & MASK32 for i in range(4)]
    for number in range(ROUNDS):
        first, second = ROTATIONS[number % 8]
        partner = 1 if number % 2 == 0 else 3
        x[0], x[partner] = _mix(x[0], x[partner], first)
        x[2], x[4 - partner] = _mix(x[2], x[4 - partner], second)
        if number % 4 == 3:
            injection = number // 4 + 1
            x = [(x[i] + keys[(injection + i) % 5]) & MASK32 for i in range(4)]
            x[3] = (x[3] + injection) & MASK32
    return x[0], x[1], x[2], x[3]


def draw(seed: int, stream: int, counter: Words) -> Words:
    """Four words of a stream."""
    return threefry((seed & MASK32, seed >> 32, stream, 0), counter)


def _times(a: int, b: int) -> int:
    """Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, 4.2)."""
    total = 0
    for bit in range(8):
        if b >> bit & 1:
            total ^= a << bit
    for bit in range(14, 7, -1):
        if total >> bit & 1:
            total ^= 0x11B << bit - 8
    return total


@lru_cache(maxsize=256)
def _substitute(byte: int) -> int:
    """S-box (FIPS 197, 5.1.1)."""
    inverse = next((x for x in range(256) if _times(byte, x) == 1), 0)
    twice = inverse | inverse << 8
    return 0x63 ^ (inverse ^ twice >> 4 ^ twice >> 5 ^ twice >> 6 ^ twice >> 7) & 0xFF


def _round(state: bytes, mix: bool) -> bytes:
    """Shifted rows, substitution and, unless it is the last round, mixed columns (FIPS 197, 5.1); column after column."""
    moved = [_substitute(state[(4 * (column + row) + row) % 16]) for column in range(4) for row in range(4)]
    if not mix:
        return bytes(moved)
    out = []
    for column in range(4):
        a = moved[4 * column : 4 * column + 4]
        out += [_times(2, a[r]) ^ _times(3, a[(r + 1) % 4]) ^ a[(r + 2) % 4] ^ a[(r + 3) % 4] for r in range(4)]
    return bytes(out)


@lru_cache(maxsize=1024)
def ars(key: Words, counter: Words, rounds: int = 5) -> Words:
    """ARS4x32: rounds of AES whose keys are key + n WEYL, each 64-bit half by itself."""
    low, high = key[0] | key[1] << 32, key[2] | key[3] << 32
    x = sum((a ^ b) << 32 * k for k, (a, b) in enumerate(zip(counter, key, strict=True)))
    for n in range(1, rounds + 1):
        round_key = (low + n * WEYL[0]) % 2**64 | (high + n * WEYL[1]) % 2**64 << 64
        x = int.from_bytes(_round(x.to_bytes(16, "little"), n < rounds), "little") ^ round_key
    return x & MASK32, x >> 32 & MASK32, x >> 64 & MASK32, x >> 96


def ars_spin_word(seed: int, stream: int, rank: int, plane: int, visit: int, sweep: int) -> int:
    """The noise word of one spin at one sweep, by AES."""
    counter = (rank, (plane >> 2) + 65536 * visit, sweep & MASK32, sweep >> 32)
    return ars((seed & MASK32, seed >> 32, stream, 0), counter)[plane & 3]


def spin_word(seed: int, stream: int, rank: int, plane: int, sweep: int) -> int:
    """The noise word of one spin at one sweep, for flips and for the state at power-on."""
    return draw(seed, stream, (rank >> 2, plane, sweep & MASK32, sweep >> 32))[rank & 3]


def _horner(coefficients: tuple[float, ...], r: float) -> float:
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * r + coefficient
    return total


def logarithm(x: float) -> float:
    """ln x of a positive normal number, as the datasheet evaluates it."""
    m, k = math.frexp(x)
    if m < 0.7071067811865476:
        m = m + m
        k = k - 1
    f = (m - 1.0) / (m + 1.0)
    z = f * f
    s = 1.0 / 21.0
    for n in range(19, 0, -2):
        s = s * z + 1.0 / n
    return k * 0.6931471805599453 + (f + f) * s


def normal_of(a: int, b: int) -> float:
    """The normal deviate of two words."""
    m = a << 20 | b >> 12
    u = (2 * m + 1) * 2.0**-53
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return (q * _horner(A, r)) / _horner(B, r)
    r = math.sqrt(-logarithm(min(u, 1.0 - u)))
    if r <= 5.0:
        r = r - 1.6
        size = _horner(C, r) / _horner(D, r)
    else:
        r = r - 5.0
        size = _horner(E, r) / _horner(F, r)
    return -size if q < 0 else size


def die_draw(seed: int, stream: int, element: int, sub: int) -> float:
    """One normal deviate of the die."""
    a, b, _, _ = draw(seed, stream, (element, sub, 0, 0))
    return normal_of(a, b)
