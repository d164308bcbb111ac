"""Continuous Thermodynamic Descent, and persistent contrastive divergence as what is left of it without averaging."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.learning.base import ChipEstimator
from tsu_apps.learning.concurrent import Roles, TickLoop, check_planes
from tsu_apps.learning.examples import Draw, Layout
from tsu_apps.learning.masters import Floats
from tsu_apps.learning.teacher import Teacher
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Linear, Logarithmic
from tsu_driver.rules import UpdateRule
from tsu_driver.schedules import temperature_codes


@dataclass(eq=False, repr=False)
class Ctd(ChipEstimator):
    """A Boltzmann machine trained by Continuous Thermodynamic Descent with the host in the loop.

        dw/dt = eta+ <s s>_data - eta- <s s>_free - lambda w

    Deposition builds basins where the data are, erosion wears down where the machine goes by itself, weathering pulls every
    weight towards 0. Biases follow the same rule with <s>. Planes pinned to examples and planes left alone run side by side, and
    the chip averages both all the time: no phases. The defaults suit 8x8 digits.

    Beside the parameters of `ChipEstimator`, whose learning rate is eta+:
    ratio : r = eta- / eta+, erosion over deposition
    centred : whether couplings see cells less their means in the data (`UpdateRule.ctd`)
    rule : another rule in place of all these; each tick applies it, scaled by the learning rate. Then ratio, weathering and
        centred say nothing.
    tau_data, tau_free : time constants of the chip's correlation averages, in sweeps, >= 1
    data_planes, free_planes : planes clamped to examples, and planes without clamps
    sweeps_per_tick : sweeps from one update of the weights to the next
    dwell : ticks for which a plane keeps its example
    rungs : temperatures of the free planes, which exchange them once a tick (parallel tempering); those at T are averaged, a
        free_planes / rungs of them. 1: all are at T
    hottest : greatest multiplier of T; those between are a geometric row
    cooling : T over the sweeps of training, e.g. Eq. 8 of the paper, Logarithmic(t0, alpha, tau, sweeps); after its last sweep T
        stays. None: T = 1. The machine is asked at the T at which training ends.
    teacher : moments in place of the data's; with one that knows all of them, fit(None) needs no data
    pull : soft clamp: examples pull at their cells with a field of so many kT, instead of pinning them. None: they pin
    """

    ratio: float = 1.0
    centred: bool = False
    rule: UpdateRule | None = None
    tau_data: float = 2.0
    tau_free: float = 2.0
    data_planes: int = 32
    free_planes: int = 32
    sweeps_per_tick: int = 4
    dwell: int = 1
    rungs: int = 1
    hottest: float = 3.0
    cooling: Linear | Logarithmic | None = None
    teacher: Teacher | None = None
    pull: float | None = None

    def _rule(self) -> UpdateRule:
        return self.rule or UpdateRule.ctd(1.0, self.ratio, self.weathering, self.centred)

    def _examples(self, layout: Layout, X: ArrayLike | None, y: ArrayLike | None) -> NDArray[np.int8] | None:
        if self.teacher is not None:
            self.teacher.check(self.chip.capabilities.pairs, layout.cells)
            if X is None and self.teacher.complete:
                return None
        return super()._examples(layout, X, y)

    def _first_means(self, layout: Layout, examples: NDArray[np.int8] | None) -> Floats:
        means = super()._first_means(layout, examples)
        return means if self.teacher is None else np.where(np.isnan(self.teacher.means), means, self.teacher.means)

    def _loop(self, layout: Layout, examples: NDArray[np.int8] | None, rng: np.random.Generator) -> TickLoop:
        data = self.data_planes if examples is not None else 0
        roles = self._roles(data)
        words = None if examples is None else Draw(layout.clamp_words(examples), data, rng, self.dwell)
        return TickLoop(self.chip, layout, roles, words, self._temperatures(), self.teacher, self.pull)

    def _roles(self, data: int) -> Roles:
        """Planes of both roles; ValueError if the chip has too few."""
        check_planes(self.chip, data, self.free_planes)
        ladders = data + np.arange(self.free_planes).reshape(-1, self.rungs)
        multipliers = np.geomspace(1.0, self.hottest, self.rungs)
        return Roles(np.arange(data), ladders, multipliers, self.tau_data, self.tau_free, self.sweeps_per_tick)

    def _temperatures(self) -> NDArray[np.int64] | None:
        """(ticks,) codes of T; None for T = 1."""
        if self.cooling is None:
            return None
        c = self.chip.capabilities
        sweeps = np.minimum(np.arange(self.ticks) * self.sweeps_per_tick, self.cooling.sweeps - 1)
        temperatures = self.cooling.temperatures(sweeps.astype(np.float64))
        return temperature_codes(temperatures, c.temp_lsb * LSB_SCALE, (1 << c.temp_bits) - 1)

    def _check(self) -> None:
        super()._check()
        self._counts("data_planes", "free_planes", "sweeps_per_tick", "dwell", "rungs")
        self._numbers(1, "hottest")
        self._demand("pull", self.pull is None or self.pull > 0, "None, or a field greater than 0")
        self._demand("rungs", self.free_planes % self.rungs == 0, f"a divisor of free_planes = {self.free_planes}")
        self._numbers(1, "tau_data", "tau_free")
        self._numbers(0, "ratio")


@dataclass(eq=False, repr=False)
class Pcd(ChipEstimator):
    """A Boltzmann machine trained by persistent contrastive divergence (Tieleman 2008): free chains that never start anew.

    k : sweeps of every chain from one update to the next; the averages are those of the last sweep, over planes alone
    data_planes, free_planes : planes clamped to examples, and chains
    """

    k: int = 1
    data_planes: int = 32
    free_planes: int = 32

    def _rule(self) -> UpdateRule:
        return UpdateRule.ctd(1.0, 1.0, self.weathering)

    def _loop(self, layout: Layout, examples: NDArray[np.int8] | None, rng: np.random.Generator) -> TickLoop:
        assert examples is not None
        data = self.data_planes
        check_planes(self.chip, data, self.free_planes)
        ladders = data + np.arange(self.free_planes)[:, None]
        roles = Roles(np.arange(data), ladders, np.ones(1), 1.0, 1.0, self.k)
        return TickLoop(self.chip, layout, roles, Draw(layout.clamp_words(examples), data, rng))

    def _check(self) -> None:
        super()._check()
        self._counts("k", "data_planes", "free_planes")
