"""Langevin cells; docs/arithmetic.md, "Pair of normal deviates", "Langevin cells"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reference.noise import MASK32, draw

LANGEVIN = 15
F, INT = np.float32, np.int32
Floats = NDArray[np.float64]
OF_F = (
    "0x1.204376p-4", "-0x1.d7a370p-4", "0x1.de4a34p-4", "-0x1.fcba9ep-4", "0x1.23d37ep-3", "-0x1.555ca0p-3", "0x1.999d58p-3",
    "-0x1.fffff8p-3", "0x1.555554p-2",
)  # fmt: skip
OF_SINE = ("-0x1.9943f2p-13", "0x1.11073cp-7", "-0x1.555546p-3")
OF_COSINE = ("0x1.99eb9cp-16", "-0x1.6c0c34p-10", "0x1.55554ap-5")


def single(hexadecimal: str) -> np.float32:
    """A float32 as the page writes it."""
    return F(float.fromhex(hexadecimal))


def _horner(coefficients: tuple[str, ...], x: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.full_like(x, single(coefficients[0]))
    for coefficient in coefficients[1:]:
        total = total * x + single(coefficient)
    return total


def normal_pairs(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both deviates of each pair of words."""
    u = ((a >> np.uint32(1)).astype(INT).astype(F) + F(0.5)) * F(2.0**-31)
    bits = u.view(INT)
    k = (bits - INT(0x3F3504F3)) >> INT(23)
    f = (bits - (k << INT(23))).view(F) - F(1)
    q, z = _horner(OF_F, f), f * f
    log = k.astype(F) * single("0x1.62e430p-1") + (f + ((q * f) * z - F(0.5) * z))
    r = np.sqrt(F(-2) * log)
    t = (b << np.uint32(2)).view(INT).astype(F) * single("0x1.921fb6p-32")
    w = t * t
    s, c = t + (t * w) * _horner(OF_SINE, w), (F(1) - F(0.5) * w) + (w * w) * _horner(OF_COSINE, w)
    turned, sign = b >> np.uint32(31) == 1, np.where(b >> np.uint32(30) & np.uint32(1), F(-1), F(1))
    return sign * (r * np.where(turned, s, c)), sign * (r * np.where(turned, c, s))


def deviates(cells: int, plane: int, number: int, seed: int) -> Floats:
    """xi_number of each cell."""
    point, groups = (number & MASK32, number >> 32), range((cells + 3) // 4)
    words = np.array([draw(seed, LANGEVIN, (g, plane, *point)) for g in groups], np.uint32)
    even, odd = normal_pairs(np.ascontiguousarray(words[:, ::2]), np.ascontiguousarray(words[:, 1::2]))
    return np.stack((even, odd), axis=-1).ravel()[:cells].astype(np.float64)


def heard(x: Floats, row: NDArray[np.int64], source: NDArray[np.uint32], J: Floats, i: int) -> np.float32:
    """What cell i hears."""
    y, w = x[source[row[i] : row[i + 1]]].astype(F), J[row[i] : row[i + 1]].astype(F)
    products, g = w * y, F(0)
    whole = len(products) // 4 * 4
    for e in range(0, whole, 4):
        p0, p1, p2, p3 = products[e : e + 4]
        g = g + ((p0 + p1) + (p2 + p3))
    for p in products[whole:]:
        g = g + p
    return F(g)


def step(x: Floats, wells: Floats, net: tuple[NDArray[np.int64], NDArray[np.uint32], Floats], noise: Floats, h: float, T: float,
         rail: float) -> Floats:  # fmt: skip
    """Values after a step; wells : (4, cells), a, c, b, h; noise : (cells,), xi_n + xi_{n+1}."""
    a, c, b, drive = wells
    g = np.array([heard(x, *net, i) for i in range(len(x))]).astype(np.float64)
    f = (drive - x * (a + x * (c + x * b))) + g
    moved = (x + h * f) + np.sqrt((0.5 * T) * h) * noise
    return np.minimum(np.maximum(moved, -rail), rail)
