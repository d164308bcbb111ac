"""What instructions compute. Operands are int64 holding signed 32-bit values; of results, the low 32 bits count."""

from __future__ import annotations

import numpy as np

from tsu_emu.jit import inner, unfolded

S = np.int64
M32 = 0xFFFFFFFF


@unfolded
def integer(f3, alternate, a, b):  # type: ignore[no-untyped-def]
    """OP and OP-IMM by funct3; `alternate` takes SUB for ADD and SRA for SRL."""
    if f3 == 0:
        return a - b if alternate else a + b
    if f3 == 1:
        return a << (b & 31)
    if f3 == 2:
        return S(a < b)
    if f3 == 3:
        return S((a & M32) < (b & M32))
    if f3 == 4:
        return a ^ b
    if f3 == 5:
        return (a if alternate else a & M32) >> (b & 31)
    if f3 == 6:
        return a | b
    return a & b


@inner
def divide(f3, a, b):  # type: ignore[no-untyped-def]
    """DIV, DIVU, REM and REMU by funct3 4 .. 7, rounding towards 0: x / 0 = -1, x mod 0 = x, -2^31 / -1 = -2^31."""
    if f3 & 1:
        a, b = a & M32, b & M32
    if b == 0:
        return S(-1) if f3 < 6 else a
    quotient = abs(a) // abs(b)
    if (a < 0) != (b < 0):
        quotient = -quotient
    return quotient if f3 < 6 else a - quotient * b


@unfolded
def multiply(f3, a, b):  # type: ignore[no-untyped-def]
    """MUL, MULH, MULHSU and MULHU by funct3 0 .. 3."""
    if f3 == 0:
        return a * b
    if f3 == 2:
        b = b & M32
    elif f3 == 3:
        a, b = a & M32, b & M32
    return (a * b) >> 32


@unfolded
def compare(f3, a, b):  # type: ignore[no-untyped-def]
    """Whether a branch is taken, by funct3 0, 1, 4 .. 7."""
    if f3 == 0:
        return a == b
    if f3 == 1:
        return a != b
    if f3 == 4:
        return a < b
    if f3 == 5:
        return a >= b
    if f3 == 6:
        return (a & M32) < (b & M32)
    return (a & M32) >= (b & M32)


@unfolded
def immediate_b(w):  # type: ignore[no-untyped-def]
    """Offset of a branch."""
    value = (w >> 31) << 12 | (w >> 7 & 1) << 11 | (w >> 25 & 63) << 5 | (w >> 8 & 15) << 1
    return (value << 51) >> 51


@unfolded
def immediate_j(w):  # type: ignore[no-untyped-def]
    """Offset of JAL."""
    value = (w >> 31) << 20 | (w >> 12 & 255) << 12 | (w >> 20 & 1) << 11 | (w >> 21 & 1023) << 1
    return (value << 43) >> 43
