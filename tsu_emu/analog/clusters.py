"""Where defects are dense: the probability of a defect varies over a die and from die to die, its mean stays.

A defect is the first event of a Poisson process whose intensity is a gamma variate of parameter alpha, so that a device works
with probability (1 + lambda / alpha)^-alpha: the negative binomial law of yields (Stapper, Armstrong, Saji, Proc. IEEE 71, 1983,
453). The variates are means of 2 alpha squared normal fields (McCullagh, Moller, Adv. Appl. Prob. 38, 2006, 873), whose
correlation is the square of the fields'; with radius 0 a die has one variate. Alpha and radius are assumed; maps of the dead
cells of many dies would settle them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.process import deviates
from tsu_emu.config import Process
from tsu_emu.jit import kernel
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.normal import natural_log

FIRST_FIELD = 16
"""Component of the first of the normal fields, which all defects of a die share."""


def local_rates(process: Process, rate: float, position: NDArray[np.generic], die_seed: int) -> NDArray[np.float64]:
    """Probability of a defect of each of n elements of a die, (n,) float64, its mean over dies being `rate`.

    (1,), the rate itself, if defects do not cluster, or if none or all are to be defect. position : (n, 2), as for `deviates`
    """
    if process.defect_alpha == 0 or rate <= 0 or rate >= 1:
        return np.array([rate])
    radius, still = process.defect_radius, np.zeros(len(position))
    law = Process(field=1.0, white=0.0, length=radius) if radius else Process(die=1.0, white=0.0)
    square = np.zeros(len(position))
    for field in range(round(2 * process.defect_alpha)):
        z = deviates(law, still, position, die_seed, FIRST_FIELD + field)
        square = square + z * z
    return _rates(square, 0.5 * (exponential(-natural_log(1.0 - rate) / process.defect_alpha) - 1.0))


@kernel
def _rates(square, scale):  # type: ignore[no-untyped-def]
    out = np.empty_like(square)
    for e in range(square.size):
        out[e] = 1.0 - exponential(-(scale * square[e]))
    return out
