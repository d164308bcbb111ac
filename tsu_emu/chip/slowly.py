"""What changes slowly, on the grid of epochs: drift of parameters, supply, temperature, levels that leak and are refreshed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.analog.dac import lsb_of
from tsu_emu.analog.die import Die
from tsu_emu.analog.slow import refresh_errors
from tsu_emu.chip.drifting import COUPLING, OFFSET, SLOPE, TEMPERATURE, Drifting
from tsu_emu.chip.surroundings import Surroundings
from tsu_emu.config import ChipConfig, Drift, Pdit
from tsu_emu.noise.drift import nothing
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import Topology

LN2 = 0.6931471805599453


class Slow(NamedTuple):
    """What the slow effects of an epoch give.

    factors : common gains of couplings and biases; levels : errors of the stored levels of both, kT
    kappa : (couplers or 1,) gains of couplers; alpha, delta : slopes and offsets of cells, as `Array.place` takes them
    temperature : gain and offset of the noise temperature
    """

    factors: tuple[float, float]
    levels: tuple[NDArray[np.float64], NDArray[np.float64]]
    kappa: NDArray[np.float64]
    alpha: NDArray[np.float64]
    delta: NDArray[np.float64]
    temperature: tuple[float, float]


class SlowEffects:
    """The slow effects of one chip.

    slow : whether it has any; drifts : what drifts, by name
    pause : called every now and then while they are made, which takes long on a large chip whose epoch is the first to end
    """

    def __init__(
        self, config: ChipConfig, topology: Topology, die: Die, state: S.ChipState, surroundings: Surroundings, slow: bool
    ) -> None:
        self._config, self._die, self._state, self._surroundings, self._slow = config, die, state, surroundings, slow
        self._dacs, self._sizes = (config.coupling.dac, config.bias.dac), (len(state.coupling_code), len(state.bias_code))
        c, epoch_s, cells = config, surroundings.epoch_s, len(topology.order)
        offsets = self._sizes[1] if isinstance(c.cell, Pdit) else cells
        self._offset = Drifting(c.cell.offset_drift, offsets, OFFSET, epoch_s, c.seeds)
        self._slope = Drifting(getattr(c.cell, "slope_drift", Drift()), cells, SLOPE, epoch_s, c.seeds)
        self._gain = Drifting(c.coupling.drift, self._sizes[0], COUPLING, epoch_s, c.seeds)
        self._warmth = Drifting(c.temperature.drift, 1, TEMPERATURE, epoch_s, c.seeds)
        self.drifts = {"offset": self._offset, "slope": self._slope, "coupling": self._gain, "temperature": self._warmth}
        self._refreshed, self._level_errors = -1, (np.zeros(1), np.zeros(1))
        self._made: tuple[tuple[int, bytes, bytes], Slow] | None = None
        self.pause: Callable[[], None] = nothing

    def forget(self) -> None:
        """The die's slopes and offsets are others."""
        self._made = None

    def now(self) -> Slow:
        """What slow effects are as of the state's epoch; made anew when anything that they follow from is another."""
        core = self._state.core[0]
        epoch, age, warmer = self._when()
        key = epoch, core["heat"].tobytes(), core["lab"].tobytes()
        if self._made is None or self._made[0] != key:
            t, offset_tc = self._config.temperature, self._config.cell.offset_tc_kt_per_k
            slow = Slow(
                (self._common_gain(0, epoch, warmer), self._common_gain(1, epoch, warmer)),
                self.levels(epoch),
                self._die.kappa * (1.0 + self._gain.at(epoch, age, self.pause)),
                self._die.alpha * (1.0 + self._slope.at(epoch, age, self.pause)),
                self._die.delta + (self._offset.at(epoch, age, self.pause) + offset_tc * warmer),
                ((1.0 + float(self._warmth.at(epoch, age)[0])) * (1.0 + t.dac.gain_tc_per_k * warmer), t.tc_per_k * warmer),
            )
            self._made = key, slow
        return self._made[1]

    def _when(self) -> tuple[int, float, float]:
        """(the state's epoch, effective age in s, die temperature over that at which parameters are stated, K)."""
        warmer = self._surroundings.die_k() - self._config.thermal.reference_k if self._slow else 0.0
        return max(int(self._state.time[S.EPOCH]), 0), float(self._state.core["heat"][0, S.AGE]), warmer

    def _common_gain(self, bank: int, epoch: int, warmer: float) -> float:
        """Gain that supply, leakage and die temperature give all converters of a bank."""
        supply = self._surroundings.supply_gain(epoch) if self._slow else 1.0
        return supply * self._droop(epoch, warmer) * (1.0 + self._dacs[bank].gain_tc_per_k * warmer)

    def _since_refresh(self, epoch: int) -> tuple[int, int]:
        """Number of the last refresh before an epoch, and the cycles since then."""
        period = max(round(self._config.storage.refresh_s * self._config.clock.hz), 1)
        return divmod(epoch * self._config.slow.epoch_cycles, period)

    def _droop(self, epoch: int, warmer: float) -> float:
        """What leakage has left of stored levels since the last refresh."""
        storage = self._config.storage
        if storage.leakage_tau_s == 0:
            return 1.0
        since_s = self._since_refresh(epoch)[1] / self._config.clock.hz
        return float(exponential(-since_s / (storage.leakage_tau_s * exponential(-LN2 * warmer / 10.0))))

    def levels(self, epoch: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Errors of the stored levels since the last refresh, kT."""
        storage = self._config.storage
        if storage.refresh_noise_lsb == 0:
            return self._level_errors
        number, _ = self._since_refresh(epoch)
        if number != self._refreshed:
            seed, errors = self._config.seeds.run, []
            key = np.array([seed & 0xFFFFFFFF, seed >> 32, Stream.REFRESH], np.uint32)
            for bank in (0, 1):
                errors.append(np.empty(self._sizes[bank]))
                refresh_errors(storage.refresh_noise_lsb * lsb_of(self._dacs[bank], True), bank, number, key, errors[bank])
            self._refreshed, self._level_errors = number, (errors[0], errors[1])
        return self._level_errors
