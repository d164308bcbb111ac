"""Fixed-point arithmetic: Qn is an integer in steps of 2^-n. The same integers as firmware/fixed.c gives."""

from __future__ import annotations

from math import isqrt

ONE_Q30 = 1 << 30
LIMIT_Q30 = 1073634449
"""A mean of .9999."""
HALF_LN2_Q32 = 1488522236
FRACTION_BITS = 24


def ratio(a: int, b: int) -> int:
    """a / b to the nearest integer, halves away from 0; b > 0."""
    return -((b // 2 - a) // b) if a < 0 else (a + b // 2) // b


def log2(value: int) -> int:
    """log2, Q24, of 1 .. 2^32 - 1; off by less than 2^-22. Each squaring of what the top bit leaves gives a bit more."""
    whole = value.bit_length() - 1
    log, y = whole, value << 31 - whole
    for _ in range(FRACTION_BITS):
        y = y * y >> 31
        log *= 2
        if y >> 32:
            y >>= 1
            log += 1
    return log


def atanh(mean: int) -> int:
    """atanh of a Q30 number, Q24; its size is limited to .9999."""
    mean = min(max(mean, -LIMIT_Q30), LIMIT_Q30)
    return ratio((log2(ONE_Q30 + mean) - log2(ONE_Q30 - mean)) * HALF_LN2_Q32, 1 << 32)


def root(value: int) -> int:
    """Greatest integer whose square is at most value."""
    return isqrt(value)


def signed(word: int) -> int:
    """A 32-bit word as a signed number."""
    return (word & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
