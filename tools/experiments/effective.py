"""The Boltzmann machine that a chip with errors really is, read from the oracle by the tool (never by an app)."""

from __future__ import annotations

import numpy as np

from tsu_apps.models import Boltzmann
from tsu_driver import Chip
from tsu_emu.bench.client import Oracle

DEAD_KT = 8.0
"""Field that stands for a cell that is stuck: it is up with probability 1 - 1e-7."""
ALIVE, DOWN, UP, FLOATING = range(4)


def effective_model(chip: Chip) -> tuple[Boltzmann, float]:
    """The machine of a chip's couplings, biases, slopes, offsets and temperature as they are now, with J_ij and J_ji averaged,
    and the asymmetry that was averaged away (rms over rms of J).

    A cell's field is slope (sum J s + h + offset) / T. The chip was opened with `bench=1`.
    """
    assert chip.oracle_url is not None
    with Oracle(chip.oracle_url) as oracle:
        J, h, slope, offset, gain, dac, dead = (
            oracle.truth(name) for name in ("J", "h", "slope", "offset", "noise_temperature", "temperature_dac", "dead")
        )
    temperature = gain[0] * dac[chip.read_register("TEMP.TDAC")] + gain[1]
    row = np.asarray(chip.topology.row)
    target = np.repeat(np.arange(len(h)), np.diff(row))
    J = J * slope[target] / temperature
    h = (h + offset) * slope / temperature
    J = np.where(dead[target] == ALIVE, J, 0.0)
    h = np.where(dead == DOWN, -DEAD_KT, np.where(dead == UP, DEAD_KT, np.where(dead == FLOATING, 0.0, h)))
    return Boltzmann.symmetrised(row, chip.topology.source, J, h)
