"""What surrounds the array: heat, supply, and the sensor. Slow effects move from epoch to epoch; looking at them stores
nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.analog.thermal import heat_after, make_heat_model
from tsu_emu.config import ChipConfig
from tsu_emu.noise.drift import LAST_EPOCH, Ou
from tsu_emu.noise.functions import sine
from tsu_emu.noise.normal import normals
from tsu_emu.noise.streams import Stream

SENSOR_STEP_K = 1 / 64
"""Unit of TEMP.SENSOR."""


class Surroundings:
    """Heat and supply of one chip. What the lab sets lies in CORE.lab.

    epoch_s : length of an epoch, s; sensor_offset_k : error of this die's sensor, K
    """

    def __init__(self, config: ChipConfig, state: S.ChipState) -> None:
        self._config, self._state, self._epoch_cycles = config, state, config.slow.epoch_cycles
        self.epoch_s = self._epoch_cycles / config.clock.hz
        self._heat = make_heat_model(config.thermal, config.energy, self.epoch_s)
        seed = config.seeds
        key = np.array([seed.run & 0xFFFFFFFF, seed.run >> 32, Stream.SUPPLY, 0], np.uint32)
        self._noise = Ou(key, 1, config.supply.noise_tau_s / self.epoch_s) if config.supply.noise_rms_v else None
        self.sensor_offset_k = (
            config.thermal.sensor_offset_sigma_k * normals(np.uint64(seed.die), int(Stream.SENSOR), 0, 1, 1, 0)[0, 0]
        )
        e = config.energy
        self._joules = 1e-18 * np.array([e.update_aj, e.read_aj, e.write_aj, e.conversion_aj, e.learn_aj], np.float64)
        lab, heat = state.core["lab"][0], state.core["heat"][0]
        lab[S.AMBIENT_K], lab[S.SUPPLY_V] = config.thermal.ambient_k, config.supply.nominal_v
        heat[S.LAG], heat[S.POWER] = config.thermal.ambient_k, config.energy.standby_w

    def heat_at(self, epoch: int) -> NDArray[np.float64]:
        """(HEAT_SLOTS,) at an epoch not before the state's; what was spent since then is taken as spent in its first epoch."""
        core = self._state.core[0]
        since = max(int(self._state.time[S.EPOCH]), 0)
        heat: NDArray[np.float64] = core["heat"].copy()
        if epoch > since:
            spent = float(((core["counts"] - core["counts_rolled"]) * self._joules).sum())
            heat_after(self._heat, core["heat"], core["lab"][S.AMBIENT_K], spent, epoch - since, heat)
        return heat

    def roll(self, epoch: int) -> None:
        """The state's slow quantities are those of an epoch not before its own."""
        if epoch > max(int(self._state.time[S.EPOCH]), 0):
            self._state.core["heat"][0] = self.heat_at(epoch)
            self._state.core["counts_rolled"][0] = self._state.core["counts"][0]
        self._state.time[S.EPOCH] = epoch

    def die_k(self) -> float:
        """Die temperature as of the state's epoch, K."""
        core = self._state.core[0]
        return float(core["lab"][S.AMBIENT_K] + core["heat"][S.RISE] + core["heat"][S.RISE + 1])

    def supply_v(self, epoch: int) -> float:
        """Supply at the die in an epoch, V."""
        supply, core = self._config.supply, self._state.core[0]
        v = float(core["lab"][S.SUPPLY_V])
        if self._noise is not None:
            v += supply.noise_rms_v * float(self._noise.at(min(epoch, LAST_EPOCH))[0])
        for tone in supply.tones:
            v += tone.amplitude_v * float(sine(tone.hz * (epoch * self.epoch_s)))
        return v - supply.r_pdn_ohm * float(core["heat"][S.POWER]) / supply.nominal_v

    def supply_gain(self, epoch: int) -> float:
        """Gain that the supply's error gives couplings and biases."""
        supply = self._config.supply
        if supply.psrr_db >= 120:
            return 1.0
        return 1.0 + 10.0 ** (-supply.psrr_db / 20.0) * (self.supply_v(epoch) - supply.nominal_v) / supply.nominal_v

    def sensor_code(self, cycle: int) -> int:
        """What TEMP.SENSOR shows at a cycle: it samples once an epoch."""
        epoch, seed, noise = cycle // self._epoch_cycles, self._config.seeds.run, 0.0
        if self._config.thermal.sensor_noise_k:
            noise = float(normals(np.uint64(seed), int(Stream.SENSOR), epoch & 0xFFFFFFFF, 1, 1, 1 + (epoch >> 32))[0, 0])
        shown = float(self.heat_at(epoch)[S.LAG]) + self.sensor_offset_k + self._config.thermal.sensor_noise_k * noise
        return min(max(round(shown / SENSOR_STEP_K), 0), 0xFFFF)
