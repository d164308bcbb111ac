"""What each device of a die has by itself: normal deviates, or Student's with heavier tails.

Student's t as the ratio of a normal deviate and the root of a chi-square one (Student, Biometrika 6, 1908, 1); degrees are
assumed, quantiles of many cells of one die would settle them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu.config import Process
from tsu_emu.jit import kernel
from tsu_emu.noise.normal import normal_of, normals
from tsu_emu.noise.threefry import threefry

U = np.uint32


def own_deviates(process: Process, die_seed: int, stream: int, count: int, sub: int) -> NDArray[np.float64]:
    """(count,) float64 of mean 0 and variance 1, independent; docs/arithmetic.md, "Noise"."""
    out = normals(np.uint64(die_seed), int(stream), 0, count, 1, sub)[:, 0]
    if process.tail_degrees:
        _fatten(out, process.tail_degrees, sub, U(die_seed & 0xFFFFFFFF), U(die_seed >> 32), U(stream))
    return out


@kernel
def _fatten(out, degrees, sub, k0, k1, k2):  # type: ignore[no-untyped-def]
    """Each normal deviate times the root of (degrees - 2) over a chi-square deviate of its own."""
    for e in range(out.size):
        square = 0.0
        for pair in range((degrees + 1) // 2):
            a, b, c, d = threefry(U(e), U(sub), U(pair + 1), U(0), k0, k1, k2, U(0))
            one, other = normal_of(a, b), normal_of(c, d)
            square = square + one * one
            if 2 * pair + 1 < degrees:
                square = square + other * other
        out[e] = out[e] * np.sqrt((degrees - 2.0) / square)
