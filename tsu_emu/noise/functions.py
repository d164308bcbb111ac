"""Exponential and sine in float64 that are the same on every machine: + - x, roundings to an integer and powers of two only.

Range reduction and Taylor polynomials (Cody and Waite, Software Manual for the Elementary Functions, 1980, chapters 6 and 8).
"""

from __future__ import annotations

import math

import numpy as np

from tsu_emu.jit import inner, kernel

LOG2_E = float.fromhex("0x1.71547652b82fep+0")
LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
"""The first 33 bits of ln 2: its product with an exponent is exact."""
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
TWO_PI = 6.283185307179586

EXP = tuple(1.0 / math.factorial(n) for n in range(2, 14))
"""(e^r - 1 - r) / r^2; the remainder on |r| <= ln 2 / 2 is below 4e-18."""
SIN = tuple((-1.0) ** n / math.factorial(2 * n + 1) for n in range(1, 9))
"""(sin a / a - 1) / a^2 in powers of a^2; the remainder of the sine on |a| <= pi/4 is below 1e-19."""
COS = tuple((-1.0) ** n / math.factorial(2 * n) for n in range(1, 9))
"""(cos a - 1) / a^2 in powers of a^2; the remainder of the cosine is below 3e-18."""


@inner
def polynomial(c, x):  # type: ignore[no-untyped-def]
    """c[0] + c[1] x + c[2] x^2 ... by Horner's rule."""
    s = c[len(c) - 1]
    for k in range(len(c) - 2, -1, -1):
        s = s * x + c[k]
    return s


@inner
def _power_of_two(n):  # type: ignore[no-untyped-def]
    """2^n, float64, for an int64 n of -1022 .. 1023."""
    return np.int64((n + 1023) << 52).view(np.float64)


@kernel
def exponential(x):  # type: ignore[no-untyped-def]
    """e^x of a float64, to 3e-16 relative where that is a normal number; 0 below -746, infinity above 709.79."""
    if x != x:
        return x
    y = min(max(x, -746.0), 710.0)
    n = np.rint(y * LOG2_E)
    high, low = y - n * LN2_HIGH, n * LN2_LOW
    r = high - low
    mantissa = 1.0 + (high + (r * r * polynomial(EXP, r) - low))
    k = np.int64(n)
    return (mantissa * _power_of_two(k >> 1)) * _power_of_two(k - (k >> 1))


@kernel
def sine(turns):  # type: ignore[no-untyped-def]
    """sin(2 pi turns) of a finite float64, to 3e-16; exact at multiples of a quarter."""
    r = turns - np.rint(turns)
    quarter = np.rint(4.0 * r)
    a = TWO_PI * (r - 0.25 * quarter)
    z = a * a
    sin, cos = a + a * z * polynomial(SIN, z), 1.0 + z * polynomial(COS, z)
    y = cos if abs(quarter) == 1.0 else sin
    return -y if quarter == -1.0 or abs(quarter) == 2.0 else y
