"""Threefry4x32-13: four key words and four counter words to four words.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11, doi 10.1145/2063384.2063405. 13 is the
least number of rounds for which its authors published known answers.
"""

from __future__ import annotations

import numpy as np

from tsu_emu.jit import inner, unfolded

U = np.uint32
_PARITY = U(0x1BD11BDA)


@inner
def _rotl(x, r):  # type: ignore[no-untyped-def]
    return U((x << U(r)) | (x >> U(32 - r)))


@inner
def _mix_even(x0, x1, x2, x3, a, b):  # type: ignore[no-untyped-def]
    x0 = U(x0 + x1)
    x1 = U(_rotl(x1, a) ^ x0)
    x2 = U(x2 + x3)
    x3 = U(_rotl(x3, b) ^ x2)
    return x0, x1, x2, x3


@inner
def _mix_odd(x0, x1, x2, x3, a, b):  # type: ignore[no-untyped-def]
    x0 = U(x0 + x3)
    x3 = U(_rotl(x3, a) ^ x0)
    x2 = U(x2 + x1)
    x1 = U(_rotl(x1, b) ^ x2)
    return x0, x1, x2, x3


@unfolded
def threefry(c0, c1, c2, c3, k0, k1, k2, k3):  # type: ignore[no-untyped-def]
    """Four uint32 words for counter c0..c3 under key k0..k3 (all uint32)."""
    k4 = U(_PARITY ^ k0 ^ k1 ^ k2 ^ k3)
    x0, x1, x2, x3 = U(c0 + k0), U(c1 + k1), U(c2 + k2), U(c3 + k3)
    x0, x1, x2, x3 = _mix_even(x0, x1, x2, x3, 10, 26)
    x0, x1, x2, x3 = _mix_odd(x0, x1, x2, x3, 11, 21)
    x0, x1, x2, x3 = _mix_even(x0, x1, x2, x3, 13, 27)
    x0, x1, x2, x3 = _mix_odd(x0, x1, x2, x3, 23, 5)
    x0, x1, x2, x3 = U(x0 + k1), U(x1 + k2), U(x2 + k3), U(x3 + k4 + U(1))
    x0, x1, x2, x3 = _mix_even(x0, x1, x2, x3, 6, 20)
    x0, x1, x2, x3 = _mix_odd(x0, x1, x2, x3, 17, 11)
    x0, x1, x2, x3 = _mix_even(x0, x1, x2, x3, 25, 10)
    x0, x1, x2, x3 = _mix_odd(x0, x1, x2, x3, 18, 20)
    x0, x1, x2, x3 = U(x0 + k2), U(x1 + k3), U(x2 + k4), U(x3 + k0 + U(2))
    x0, x1, x2, x3 = _mix_even(x0, x1, x2, x3, 10, 26)
    x0, x1, x2, x3 = _mix_odd(x0, x1, x2, x3, 11, 21)
    x0, x1, x2, x3 = _mix_even(x0, x1, x2, x3, 13, 27)
    x0, x1, x2, x3 = _mix_odd(x0, x1, x2, x3, 23, 5)
    x0, x1, x2, x3 = U(x0 + k3), U(x1 + k4), U(x2 + k0), U(x3 + k1 + U(3))
    return _mix_even(x0, x1, x2, x3, 6, 20)
