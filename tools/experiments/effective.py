"""The Boltzmann machine that a chip with errors really is, read from the oracle by the tool (never by an app)."""

from __future__ import annotations

import numpy as np

from tsu_apps.models import Boltzmann
from tsu_driver import Chip
from tsu_emu.bench.client import Oracle

DEAD_KT = 8.0
"""Field that stands for a cell that is stuck: it is up with probability 1 - 1e-7."""
ALIVE, DOWN, UP, FLOATING = range(4)


def fields_of(chip: Chip) -> tuple[np.ndarray, np.ndarray]:
    """((couplers,) J, (cells,) h) of a chip whose cells are ideal ones at T = 1, and which has the law that this chip has now.

    A cell's field is slope (sum J s + h + offset) / T; J keeps its direction. The chip was opened with `bench=1`.
    """
    assert chip.oracle_url is not None
    with Oracle(chip.oracle_url) as oracle:
        J, h, slope, offset, gain, dac, dead = (
            oracle.truth(name) for name in ("J", "h", "slope", "offset", "noise_temperature", "temperature_dac", "dead")
        )
    temperature = gain[0] * dac[chip.read_register("TEMP.TDAC")] + gain[1]
    target = np.repeat(np.arange(len(h)), np.diff(np.asarray(chip.topology.row)))
    J = J * slope[target] / temperature
    h = (h + offset) * slope / temperature
    J = np.where(dead[target] == ALIVE, J, 0.0)
    return J, np.where(dead == DOWN, -DEAD_KT, np.where(dead == UP, DEAD_KT, np.where(dead == FLOATING, 0.0, h)))


def effective_model(chip: Chip) -> tuple[Boltzmann, float]:
    """The machine of a chip's couplings, biases, slopes, offsets and temperature as they are now (`fields_of`), with J_ij and
    J_ji averaged, and the asymmetry that was averaged away (rms over rms of J).
    """
    J, h = fields_of(chip)
    return Boltzmann.symmetrised(np.asarray(chip.topology.row), chip.topology.source, J, h)
