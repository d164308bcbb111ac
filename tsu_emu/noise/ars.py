"""ARS: rounds of AES with round keys of a Weyl sequence map four key words and four counter words to four words.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11, doi 10.1145/2063384.2063405, who found no
flaw with five rounds or more; a round is that of FIPS 197 without its key schedule. This is what processors without AES
instructions
run; `tsu_emu.lanes` has the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner, kernel

ROUNDS = 5
WEYL_LOW, WEYL_HIGH = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
"""By which the lower and the upper half of the key grow from round to round."""
U = np.uint32
Q = np.uint64


def _doubled(x: int) -> int:
    """x times 2 in GF(2^8) of AES."""
    return (x << 1 ^ 0x11B * (x >> 7)) & 0xFF


def _substitution() -> NDArray[np.uint32]:
    """(256,) the S-box of FIPS 197: the inverse in GF(2^8), then an affine map of its bits."""
    powers = [1]
    for _ in range(254):
        powers.append(_doubled(powers[-1]) ^ powers[-1])
    box = np.full(256, 0x63, np.uint32)
    for n, x in enumerate(powers):
        inverse = powers[-n % 255]
        spread = inverse ^ inverse << 1 ^ inverse << 2 ^ inverse << 3 ^ inverse << 4
        box[x] ^= (spread ^ spread >> 8) & 0xFF
    return box


def _mixed_columns(box: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """(256,) what the top byte of a column adds to the four bytes of the mixed one: 2, 1, 1 and 3 times its substitute."""
    twice = np.array([_doubled(int(x)) for x in box], np.uint32)
    return twice | box << U(8) | box << U(16) | (twice ^ box) << U(24)


BOX = _substitution()
COLUMN = _mixed_columns(BOX)


@inner
def _rotl(x, r):  # type: ignore[no-untyped-def]
    return U((x << U(r)) | (x >> U(32 - r)))


@inner
def _mixed(a, b, c, d):  # type: ignore[no-untyped-def]
    """A column after shifted rows, substitution and mixing."""
    low = COLUMN[a & U(255)] ^ _rotl(COLUMN[(b >> U(8)) & U(255)], 8)
    return U(low ^ _rotl(COLUMN[(c >> U(16)) & U(255)], 16) ^ _rotl(COLUMN[d >> U(24)], 24))


@inner
def _substituted(a, b, c, d):  # type: ignore[no-untyped-def]
    """As `_mixed`, without mixing: the last round."""
    low = BOX[a & U(255)] | BOX[(b >> U(8)) & U(255)] << U(8)
    return U(low | BOX[(c >> U(16)) & U(255)] << U(16) | BOX[d >> U(24)] << U(24))


@kernel
def ars(c0, c1, c2, c3, k0, k1, k2, k3, rounds):  # type: ignore[no-untyped-def]
    """Four uint32 words for counter c0..c3 under key k0..k3 (all uint32) after so many rounds."""
    low, high = Q(k0) | Q(k1) << Q(32), Q(k2) | Q(k3) << Q(32)
    x0, x1, x2, x3 = U(c0 ^ k0), U(c1 ^ k1), U(c2 ^ k2), U(c3 ^ k3)
    for n in range(rounds):
        low, high = Q(low + Q(WEYL_LOW)), Q(high + Q(WEYL_HIGH))
        if n + 1 < rounds:
            y0, y1, y2, y3 = _mixed(x0, x1, x2, x3), _mixed(x1, x2, x3, x0), _mixed(x2, x3, x0, x1), _mixed(x3, x0, x1, x2)
        else:
            y0, y1, y2, y3 = (
                _substituted(x0, x1, x2, x3),
                _substituted(x1, x2, x3, x0),
                _substituted(x2, x3, x0, x1),
                _substituted(x3, x0, x1, x2),
            )
        x0, x1 = U(y0 ^ U(low & Q(0xFFFFFFFF))), U(y1 ^ U(low >> Q(32)))
        x2, x3 = U(y2 ^ U(high & Q(0xFFFFFFFF))), U(y3 ^ U(high >> Q(32)))
    return x0, x1, x2, x3
