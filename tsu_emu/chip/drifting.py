"""A parameter's drift over the elements of a die: a pure function of epoch and effective age."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tsu_emu.config import Drift, Seeds
from tsu_emu.jit import kernel
from tsu_emu.noise.drift import LAST_EPOCH, Flicker, Ou, Walk, nothing
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.normal import natural_log, normals
from tsu_emu.noise.streams import Stream

COMPONENTS = 64
"""Numbers of the generator's fourth key word that one parameter has."""
_WALK, _NU, _FLICKER = 1, 2, 3

# which parameter drifts
OFFSET, SLOPE, COUPLING, TEMPERATURE = range(4)


@kernel
def powers(nu, log):  # type: ignore[no-untyped-def]
    """(n,) float64: e^(-nu log) - 1."""
    out = np.empty(nu.size, np.float64)
    for k in range(nu.size):
        out[k] = exponential(-nu[k] * log) - 1.0
    return out


class Drifting:
    """The drift of `count` elements of one parameter.

    epoch_s : s; seeds : the run seed drives the drift, the die seed has fixed each element's power law
    """

    def __init__(self, drift: Drift, count: int, parameter: int, epoch_s: float, seeds: Seeds) -> None:
        seed = seeds.run
        self._drift, self._count, self._epoch_s = drift, count, epoch_s
        self.on = any(
            (drift.ou_sigma, drift.walk_per_sqrt_hour, drift.flicker_rms, drift.ageing, drift.power_nu, drift.power_nu_sigma)
        )

        def key(component: int) -> NDArray[np.uint32]:
            return np.array([seed & 0xFFFFFFFF, seed >> 32, Stream.DRIFT, COMPONENTS * parameter + component], np.uint32)

        self._ou = Ou(key(0), count, drift.ou_tau_s / epoch_s) if drift.ou_sigma else None
        self._walk = Walk(key(_WALK), count) if drift.walk_per_sqrt_hour else None
        band = drift.flicker_low_hz * epoch_s, drift.flicker_high_hz * epoch_s
        self._flicker = Flicker(key(_FLICKER), count, *band) if drift.flicker_rms else None
        self._nu = drift.power_nu + np.zeros(1)
        if drift.power_nu_sigma:
            xi = normals(np.uint64(seeds.die), int(Stream.DRIFT), 0, count, 1, 1 + parameter)[:, 0]
            self._nu = drift.power_nu + drift.power_nu_sigma * xi

    def at(self, epoch: int, age_s: float, pause: Callable[[], None] = nothing) -> NDArray[np.float64]:
        """(count,) float64 in the parameter's unit, or (1,) where all elements have the same.

        epoch : number, from 0; drift stands still from 2^46 on; age_s : effective age, s
        pause : called every now and then
        """
        drift, out = self._drift, np.zeros(1)
        epoch = min(epoch, LAST_EPOCH)
        if self._ou is not None:
            out = out + drift.ou_sigma * self._ou.at(epoch, pause)
        if self._walk is not None:
            out = out + (drift.walk_per_sqrt_hour * np.sqrt(self._epoch_s / 3600)) * self._walk.at(epoch, pause)
        if self._flicker is not None:
            out = out + drift.flicker_rms * self._flicker.at(epoch, pause)
        if drift.ageing:
            out = out + drift.ageing * natural_log(1.0 + age_s / drift.ageing_t0_s)
        if drift.power_nu or drift.power_nu_sigma:
            log = natural_log(1.0 + epoch * self._epoch_s / drift.power_t0_s)
            out = out + powers(self._nu, log)
        return out
