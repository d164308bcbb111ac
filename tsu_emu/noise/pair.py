"""Pairs of normal deviates in float32 that are the same on every machine: + - x and square root only, without a branch.

Box and Muller, Annals of Mathematical Statistics 29 (1958) 610: a radius of one noise word and an angle of another. Logarithm,
sine and cosine are polynomials of the Cephes Mathematical Library (S. Moshier; logf, sinf, cosf). A loop of calls becomes one of
vectors; docs/arithmetic.md, "Pair of normal deviates".
"""

from __future__ import annotations

import numpy as np

from tsu_emu.jit import unfolded

F, INT, U = np.float32, np.int32, np.uint32

L9, L8, L7, L6, L5, L4, L3, L2, L1 = (
    F(float.fromhex(c))
    for c in (
        "0x1.204376p-4", "-0x1.d7a370p-4", "0x1.de4a34p-4", "-0x1.fcba9ep-4", "0x1.23d37ep-3", "-0x1.555ca0p-3", "0x1.999d58p-3",
        "-0x1.fffff8p-3", "0x1.555554p-2",
    )
)  # fmt: skip
"""Of f^11 .. f^3 in ln(1 + f), 1 + f in [sqrt(1/2), sqrt(2))."""
S3, S2, S1 = (F(float.fromhex(c)) for c in ("-0x1.9943f2p-13", "0x1.11073cp-7", "-0x1.555546p-3"))
"""Of t^7, t^5, t^3 in sin t, |t| <= pi / 4."""
C3, C2, C1 = (F(float.fromhex(c)) for c in ("0x1.99eb9cp-16", "-0x1.6c0c34p-10", "0x1.55554ap-5"))
"""Of t^8, t^6, t^4 in cos t."""
HALF, ONE, LN2 = F(0.5), F(1.0), F(float.fromhex("0x1.62e430p-1"))
HALF_RANGE, EIGHTH_TURN = F(2.0**-31), F(float.fromhex("0x1.921fb6p-32"))
"""What a 31-bit number is multiplied with to make a number in (0, 1], and a signed 32-bit one to make an angle up to pi / 4."""
SQRT_HALF = INT(0x3F3504F3)
"""Bits of sqrt(1/2)."""


@unfolded
def normal_pair(a, b):  # type: ignore[no-untyped-def]
    """Two independent standard normal deviates, float32, |x| < 6.7, of two uint32 noise words."""
    u = F((F(INT(a >> U(1))) + HALF) * HALF_RANGE)
    bits = u.view(INT)
    k = INT(INT(bits - SQRT_HALF) >> INT(23))
    m = INT(bits - INT(k << INT(23)))
    f = m.view(F) - ONE
    q = L9 * f + L8
    q = q * f + L7
    q = q * f + L6
    q = q * f + L5
    q = q * f + L4
    q = q * f + L3
    q = q * f + L2
    q = q * f + L1
    z = f * f
    log = F(k) * LN2 + (f + ((q * f) * z - HALF * z))
    radius = np.sqrt(F(-2.0) * log)
    t = F(INT(b << U(2))) * EIGHTH_TURN
    w = t * t
    sine = t + (t * w) * ((S3 * w + S2) * w + S1)
    cosine = (ONE - HALF * w) + (w * w) * ((C3 * w + C2) * w + C1)
    turned = INT(b) < INT(0)
    x = F(radius * (sine if turned else cosine))
    y = F(radius * (cosine if turned else sine))
    sign = INT(U(b << U(1)) & U(0x80000000))
    first, second = INT(x.view(INT) ^ sign), INT(y.view(INT) ^ sign)
    return first.view(F), second.view(F)
