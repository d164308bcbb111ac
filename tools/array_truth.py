"""What the array of an emulated chip sees of what it is given, by its oracle: parameters as they are, and as programmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.problems import SPINS, Problem
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip
from tsu_emu.config import AsynchronousPbit, ChipConfig, Gaussian, Langevin, Mixture

Floats = NDArray[np.float64]
Ask = Callable[[str, int | None], NDArray[Any]]
"""The oracle's array of a name, for an element where one is to be named."""
DOWN, UP, DEAF = 1, 2, 3
STRONG = 0.1
"""kT; offsets of couplers of code 0 are a tenth of it."""


@dataclass(frozen=True)
class Parameters:
    """What the array of a chip sees: J (couplers,), h (cells, terms), slope (cells,), offset (cells, 1 or states), T; stiffness
    (kinds, cells) and tau (cells,) s of the kinds that have them."""

    J: Floats
    h: Floats
    slope: Floats
    offset: Floats
    T: float
    stiffness: Floats
    tau: Floats


class Array:
    """The array of one chip.

    dead : (cells,) as the oracle has it; target, source : (couplers,) cells
    """

    def __init__(self, chip: Chip, ask: Ask, config: ChipConfig) -> None:
        self.chip, self.config, self._ask = chip, config, ask
        self._known: dict[tuple[bytes, ...], tuple[Parameters, Parameters]] = {}
        self.dead = np.asarray(ask("dead", None))
        self._target, self._source = chip.topology.target, chip.topology.source.astype(np.int64)

    def parameters(self, problem: Problem, strength: float) -> Parameters:
        """Under a problem, which is put on the chip the first time."""
        key = problem.h.tobytes(), *(np.ascontiguousarray(part).tobytes() for part in problem.J)
        if key not in self._known:
            self._known[key] = self._look(problem)
        nominal, true = self._known[key]
        if strength == 1.0:
            return true
        mixed = [a + strength * (b - a) for a, b in zip(vars(nominal).values(), vars(true).values(), strict=True)]
        return Parameters(*mixed[:-1], nominal.tau * (true.tau / nominal.tau) ** strength)

    def _look(self, problem: Problem) -> tuple[Parameters, Parameters]:
        """(as programmed, as it is): the latter averaged over refreshes of stored levels, which droop meanwhile."""
        chip, cap = self.chip, self.chip.capabilities
        chip.set_temperature(1.0)
        done = problem.put(chip)
        shape, storage = (cap.cells, cap.terms), self.config.storage
        looks, seen = 24 if storage.leakage_tau_s or storage.refresh_noise_lsb else 1, []
        for _ in range(looks):
            batch = chip.batch()
            batch.delay(round(1.17 * storage.refresh_s * cap.clock_hz) if looks > 1 else 1)
            batch.execute()
            chip.run(1)
            seen.append([self._ask(name, None) for name in ("J", "h", "slope", "offset", "noise_temperature")])
        J, h, slope, offset, (gain, shift) = (np.mean([one[k] for one in seen], axis=0) for k in range(5))
        T = gain * self._ask("temperature_dac", None)[chip.read_register("TEMP.TDAC")] + shift
        slope = np.where(self.dead == DEAF, 0.0, slope) if chip.kind in SPINS | {"pdit"} else slope
        tau, stiffness, ones = self._of_its_kind()
        true = Parameters(J, h.reshape(shape), slope, offset.reshape(cap.cells, -1), float(T), stiffness, tau)
        codes = done.coupling_codes * (cap.coupling_lsb * LSB_SCALE), done.bias_codes * (cap.bias_lsb * LSB_SCALE)
        nominal = Parameters(
            codes[0], codes[1].reshape(shape), np.ones(cap.cells), np.zeros_like(true.offset), 1.0, ones, self.tau()
        )
        return nominal, true

    def _of_its_kind(self) -> tuple[Floats, Floats, Floats]:
        cells = self.chip.capabilities.cells
        tau = (
            np.asarray(self._ask("tau_s", None)) * np.ones(cells)
            if isinstance(self.config.cell, AsynchronousPbit)
            else self.tau()
        )
        analog_cells = isinstance(self.config.cell, Gaussian | Langevin | Mixture)
        stiffness = (
            np.asarray(self._ask("stiffness", None), np.float64).reshape(-1, cells) if analog_cells else np.ones((1, cells))
        )
        return tau, stiffness, np.ones_like(stiffness)

    def tau(self) -> Floats:
        """Nominal time constants, s; 1 of clocked cells."""
        return np.full(self.chip.capabilities.cells, getattr(self.config.cell, "tau_s", 1.0))

    def matrix(self, J: Floats, cells: NDArray[np.int64]) -> Floats:
        """(n, n) couplings between some cells."""
        place = np.full(self.chip.capabilities.cells, -1)
        place[cells] = np.arange(len(cells))
        i, j = place[self._target], place[self._source]
        inside = (i >= 0) & (j >= 0)
        out = np.zeros((len(cells), len(cells)))
        out[i[inside], j[inside]] = J[inside]
        return out

    def heard(self, J: Floats, m: Floats) -> Floats:
        """(cells,) what cells hear of others that are at m on average."""
        return np.bincount(self._target, J * m[self._source], minlength=len(m))

    def mean_field(self, p: Parameters, h: Floats, held: dict[int, int]) -> Floats:
        """(cells,) <s> of spins that hear each other weakly: tanh of the mean field, averaged over what fluctuates of it."""
        m, known = np.zeros(len(h)), {**held, **{int(i): -1 for i in np.flatnonzero(self.dead == DOWN)}}
        known |= {int(i): 1 for i in np.flatnonzero(self.dead == UP)}
        cells, fixed = np.array(list(known), np.int64), np.array(list(known.values()), np.float64)
        for _ in range(12):
            m[cells] = fixed
            spread = (p.slope / p.T) ** 2 * self.heard(p.J**2, 1.0 - m * m)
            t = np.tanh(p.slope * (h + p.offset[:, 0] + self.heard(p.J, m)) / p.T)
            m = t - t * (1 - t * t) * spread
        m[cells] = fixed
        return m

    def strange(self, p: Parameters) -> NDArray[np.bool_]:
        """(cells,) whether a cell hears so much of another, all codes being 0, that no mean field holds: a bit is stuck."""
        return np.bincount(self._target, np.abs(p.J) > STRONG, minlength=len(p.h)) > 0
