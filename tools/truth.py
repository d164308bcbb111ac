"""What the measurements of `tsu_apps.characterise` would give on an emulated chip if they had no errors, by the chip's oracle.

A measurement's conditions are set up anew, the oracle says what the array then sees, and the exact law of that gives the value.
`strength` scales all that the die does: 1 as it is, 0 a chip that does what it is told, 2 one twice as bad.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from device_truth import device_truth
from numpy.typing import NDArray

from tsu_apps.characterise import Measurement, dynamics, sampling
from tsu_apps.characterise import analog_laws as analog
from tsu_apps.characterise.laws import Chain, Generator, RandomSweep, Sweep, exponential_of, potts
from tsu_apps.characterise.problems import LOOSE, Problem, biases, tick_s
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip
from tsu_emu.config import AsynchronousPbit, ChipConfig, ColouredNoise, Gaussian, IdealNoise, Langevin, Mixture, Pbit

Floats = NDArray[np.float64]
Ask = Callable[[str, int | None], NDArray[Any]]
"""The oracle's array of a name, for an element where one is to be named."""
DOWN, UP, DEAF = 1, 2, 3
STRONG = 0.1
"""kT; offsets of couplers of code 0 are a tenth of it."""
CORNER_TAU = 0.5
"""Sweeps that the noise of digits-corner remembers: the memory that must be seen."""


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


class Truth:
    """Ground truth of one chip, by the keys of measurements."""

    def __init__(self, chip: Chip, ask: Ask, config: ChipConfig) -> None:
        self.chip, self.config, self._ask = chip, config, ask
        self._known: dict[int, tuple[Problem, Parameters, Parameters]] = {}
        self._dead = np.asarray(ask("dead", None))
        t = chip.topology
        self._target, self._source = t.target, t.source.astype(np.int64)
        self._tellers: dict[str, Callable[[Measurement, float], Any]] = {
            "law.probabilities": lambda m, s: self._law(s),
            "law.tv": self._law_tv,
            "cell.slope": lambda m, s: self._slopes(s)[0][_cells(m)],
            "cell.offset": lambda m, s: self._slopes(s)[1][_cells(m)],
            "coupler.gain": lambda m, s: self._gains(s),
            "coupler.asymmetry": lambda m, s: 0.5 * np.subtract(*self._gains(s).T),
            "cell.fault": lambda m, s: self._faults(s),
            "cell.relaxation": lambda m, s: np.log(self._spin_times(0.0, s)[_cells(m)]),
            "cell.relaxation.mean": lambda m, s: np.nanmean(np.log(self._spin_times(0.0, s)[_cells(m)])),
            "kinetics.rate": self._kinetics,
            "cell.relaxation_s": lambda m, s: self._analog_times(s),
            "cell.relaxation_s.mean": lambda m, s: self._analog_times(s).mean(),
            "cell.ringing_hz": lambda m, s: self._ringing(s)[:, 0],
            "cell.quality": lambda m, s: self._ringing(s)[:, 1],
            "gaussian.covariance.symmetric": lambda m, s: self._covariance(True, s),
            "gaussian.covariance.asymmetric": lambda m, s: self._covariance(False, s),
            "langevin.x2": lambda m, s: self._moments(s)[_cells(m), 0],
            "langevin.x4": lambda m, s: self._moments(s)[_cells(m), 1],
            "langevin.x2.mean": lambda m, s: np.nanmean(self._moments(s)[:, 0]),
            "langevin.x4.mean": lambda m, s: np.nanmean(self._moments(s)[:, 1]),
            "mixture.weights": lambda m, s: self._mixture(s)[0],
            "mixture.means": lambda m, s: self._mixture(s)[1],
            "noise.serial": lambda m, s: self._serial(m),
        }
        for order in ("chromatic", "palindromic", "random", "asynchronous"):
            self._tellers[f"flux.{order}"] = lambda m, s, order=order: self._flux(order, s)
    def of(self, measurement: Measurement) -> Floats | None:
        """The true value of a measurement, NaN where it is not known; None if none of it is."""
        teller = self._tellers.get(measurement.key)
        if teller is None:
            known = device_truth(self._ask, self.config, measurement)
            return None if known is None else np.asarray(known[0], np.float64)
        return np.asarray(teller(measurement, 1.0), np.float64)

    def wrong(self, measurement: Measurement) -> dict[str, Floats]:
        """What it would be on chips on which an effect is missing, or another: each has to be told from this chip."""
        key = measurement.key
        if key not in self._tellers:
            known = device_truth(self._ask, self.config, measurement)
            return {} if known is None else known[1]
        if key.startswith("flux."):
            order = key.removeprefix("flux.")
            if order == "chromatic":
                return {"the other way round": -self._flux(order, 1.0)}
            if order == "asynchronous":
                return {"one-way couplings": self._flux(order, 1.0, one_way=True)}
            return {"chromatic order": self._flux("chromatic", 1.0)}
        if key == "noise.serial":
            ideal = isinstance(self.config.cell, Pbit) and isinstance(self.config.cell.noise, IdealNoise)
            other = 2 / np.pi * np.arcsin(np.exp(-np.asarray(measurement.x) / CORNER_TAU)) if ideal else np.zeros(measurement.value.shape)
            return {"coloured noise" if ideal else "ideal noise": other}
        if key == "kinetics.rate":
            return {"other kinetics": self._kinetics(measurement, 1.0, other=True)}
        if key in ("cell.quality", "cell.relaxation_s", "cell.relaxation_s.mean"):
            true = np.asarray(self._tellers[key](measurement, 1.0), np.float64)
            return {"halved": 0.5 * true, "doubled": 2 * true}
        if key == "cell.relaxation.mean":
            true = np.asarray(self._tellers[key](measurement, 1.0), np.float64)
            return {"halved": true - np.log(2), "doubled": true + np.log(2)}
        if key == "mixture.weights":
            return {f"T {by}": self._mixture(1.0, factor)[0] for by, factor in (("halved", 0.5), ("doubled", 2.0))}
        if key in ("langevin.x2.mean", "langevin.x4.mean"):
            column = 0 if key == "langevin.x2.mean" else 1
            return {f"T {by}": np.nanmean(self._moments(1.0, factor)[:, column]) for by, factor in (("halved", 0.5), ("doubled", 2.0))}
        if key == "cell.fault":
            return {"nothing at fault": np.zeros(measurement.value.shape)}
        return {name: np.asarray(self._tellers[key](measurement, s), np.float64) for name, s in (("off", 0.0), ("doubled", 2.0))}

    # What the array sees

    def parameters(self, problem: Problem, strength: float) -> Parameters:
        """Under a problem, which is put on the chip the first time."""
        key = hash((problem.h.tobytes(), str(problem.J[0].tobytes() if isinstance(problem.J, tuple) else problem.J.tobytes()),
                    problem.J[1].tobytes() if isinstance(problem.J, tuple) else b""))  # fmt: skip
        if key not in self._known:
            self._known[key] = (problem, *self._look(problem))
        _, nominal, true = self._known[key]
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
        slope = np.where(self._dead == DEAF, 0.0, slope) if chip.kind in sampling.DISCRETE else slope
        tau, stiffness, ones = self._of_its_kind()
        true = Parameters(J, h.reshape(shape), slope, offset.reshape(cap.cells, -1), float(T), stiffness, tau)
        codes = done.coupling_codes * (cap.coupling_lsb * LSB_SCALE), done.bias_codes * (cap.bias_lsb * LSB_SCALE)
        nominal = Parameters(codes[0], codes[1].reshape(shape), np.ones(cap.cells), np.zeros_like(true.offset), 1.0, ones, self._tau())
        return nominal, true

    def _of_its_kind(self) -> tuple[Floats, Floats, Floats]:
        cells = self.chip.capabilities.cells
        tau = np.asarray(self._ask("tau_s", None)) * np.ones(cells) if isinstance(self.config.cell, AsynchronousPbit) else self._tau()
        analog_cells = isinstance(self.config.cell, Gaussian | Langevin | Mixture)
        stiffness = np.asarray(self._ask("stiffness", None), np.float64).reshape(-1, cells) if analog_cells else np.ones((1, cells))
        return tau, stiffness, np.ones_like(stiffness)

    def _tau(self) -> Floats:
        """Nominal time constants, s; 1 of clocked cells."""
        return np.full(self.chip.capabilities.cells, getattr(self.config.cell, "tau_s", 1.0))

    def _matrix(self, J: Floats, cells: NDArray[np.int64]) -> Floats:
        """(n, n) couplings between some cells."""
        place = np.full(self.chip.capabilities.cells, -1)
        place[cells] = np.arange(len(cells))
        i, j = place[self._target], place[self._source]
        inside = (i >= 0) & (j >= 0)
        out = np.zeros((len(cells), len(cells)))
        out[i[inside], j[inside]] = J[inside]
        return out

    def _heard(self, J: Floats, m: Floats) -> Floats:
        """(cells,) what cells hear of others that are at m on average."""
        return np.bincount(self._target, J * m[self._source], minlength=len(m))

    def _mean_field(self, p: Parameters, h: Floats, held: dict[int, int]) -> Floats:
        """(cells,) <s> of spins that hear each other weakly: tanh of the mean field, averaged over what fluctuates of it."""
        m, known = np.zeros(len(h)), {**held, **{int(i): -1 for i in np.flatnonzero(self._dead == DOWN)}}
        known |= {int(i): 1 for i in np.flatnonzero(self._dead == UP)}
        cells, fixed = np.array(list(known), np.int64), np.array(list(known.values()), np.float64)
        for _ in range(12):
            m[cells] = fixed
            spread = (p.slope / p.T) ** 2 * self._heard(p.J**2, 1.0 - m * m)
            t = np.tanh(p.slope * (h + p.offset[:, 0] + self._heard(p.J, m)) / p.T)
            m = t - t * (1 - t * t) * spread
        m[cells] = fixed
        return m

    def _strange(self, p: Parameters) -> NDArray[np.bool_]:
        """(cells,) whether a cell hears so much of another, all codes being 0, that no mean field holds: a bit is stuck."""
        return np.bincount(self._target, np.abs(p.J) > STRONG, minlength=len(p.h)) > 0

    # Laws of spins and pdits

    def _piece(self, problem: Problem, s: float) -> tuple[Floats, Floats, float, Floats, dict[int, int]]:
        """(J, h, T, tau, cells that are stuck) of a problem's piece, whose surroundings are clamped; slopes included."""
        p, cells, cap = self.parameters(problem, s), np.array(problem.cells), self.chip.capabilities
        outside, states = p.J.copy(), np.zeros(cap.cells)
        inside = np.zeros(cap.cells, bool)
        inside[cells] = True
        outside[inside[self._source]] = 0.0
        states[list(problem.clamps)] = list(problem.clamps.values())
        slope, J = p.slope[cells], self._matrix(p.J, cells)
        if self.chip.kind == "pdit":
            states[self._dead == UP] = cap.states - 1
            heard = [self._heard(outside, (states == a).astype(float))[cells] for a in range(cap.states)]
            h = p.h[cells] + p.offset[cells] + np.stack(heard, axis=1)
            stuck = {k: (0 if self._dead[i] == DOWN else cap.states - 1) for k, i in enumerate(cells) if self._dead[i] in (DOWN, UP)}
            return slope[:, None] * J, slope[:, None] * h, p.T, p.tau[cells], stuck
        states[self._dead == DOWN], states[self._dead == UP] = -1, 1
        h = p.h[cells, 0] + p.offset[cells, 0] + self._heard(outside, states)[cells]
        stuck = {k: (-1 if self._dead[i] == DOWN else 1) for k, i in enumerate(cells) if self._dead[i] in (DOWN, UP)}
        return slope[:, None] * J, slope * h, p.T, p.tau[cells], stuck

    def _order(self, problem: Problem) -> list[int]:
        """Cells of the piece as a sweep updates them."""
        colour = self.chip.topology.colour[list(problem.cells)]
        return np.argsort(colour, kind="stable").tolist()

    def _law(self, s: float) -> Floats:
        problem = sampling.law_problem(self.chip)
        J, h, T, tau, stuck = self._piece(problem, s)
        if self.chip.kind == "pdit":
            return Chain.of(J, h, T, stuck, self._order(problem)).stationary(potts(J, h, T, stuck))[0]
        if isinstance(self.config.cell, AsynchronousPbit):
            return Generator.of(J, h, T, tau, self.config.cell.kinetics, stuck).stationary(stuck)[0]
        return Sweep.of(J, h, T, self._order(problem), stuck).stationary(stuck)[0]

    def _law_tv(self, m: Measurement, s: float) -> float:
        return 0.5 * float(np.abs(self._law(s) - sampling.nominal_law(self.chip, sampling.law_problem(self.chip))).sum())

    def _flux(self, order: str, s: float, one_way: bool = False) -> Floats:
        problem = sampling.flux_problem(self.chip)
        J, h, T, tau, stuck = self._piece(problem, s)
        J = np.triu(J) if one_way else J
        upper = np.triu_indices(1 << len(h), 1)
        if isinstance(self.config.cell, AsynchronousPbit):
            generator = Generator.of(J, h, T, tau, self.config.cell.kinetics, stuck)
            return generator.flux(generator.stationary(stuck)[0], tick_s(self.chip))[upper]
        chain = Sweep.of(J, h, T, self._order(problem), stuck)
        if order == "palindromic":
            chain = Sweep(chain.order + chain.order[::-1], chain.up)
        elif order == "random":
            colour = self.chip.topology.colour[list(problem.cells)]
            groups = [np.flatnonzero(colour == c).tolist() for c in range(self.chip.capabilities.colours)]
            chain = RandomSweep(chain.order, chain.up, groups)
        return chain.flux(chain.stationary(stuck)[0])[upper]

    # Cells and couplers

    def _slopes(self, s: float) -> tuple[Floats, Floats]:
        chip, signs = self.chip, sampling.slope_signs(self.chip)
        levels = sampling.slope_levels(chip, len(signs))
        means = np.empty((len(levels), len(signs), 1, chip.capabilities.cells))
        for k, level in enumerate(levels):
            up, down = (self.parameters(Problem(biases(chip, h=sign * level)), s) for sign in (1, -1))
            for r, row in enumerate(signs):
                means[k, r, 0] = self._mean_field(up, np.where(row > 0, up.h[:, 0], down.h[:, 0]), {})
        slope, offset = sampling.slope_estimate(means, signs, levels)
        strange = self._strange(up)
        return np.where(strange, np.nan, slope[0]), np.where(strange, np.nan, offset[0])

    def _gains(self, s: float) -> Floats:
        chip, pairs = self.chip, sampling.coupler_pairs(self.chip)
        rounds, out = sampling.sign_rounds(len(pairs)), []
        for side in (1, 0):
            means = np.empty((len(rounds), len(pairs)))
            for r, signs in enumerate(rounds):
                problem = sampling.coupler_problem(chip, pairs, signs, side)
                p = self.parameters(problem, s)
                means[r] = self._mean_field(p, p.h[:, 0], problem.clamps)[pairs[:, 1 - side]]
            out.append(sampling.coupler_estimate(means, rounds) / sampling.pair_coupling(chip))
        return np.stack(out, axis=1)

    def _faults(self, s: float) -> NDArray[np.int64]:
        response = []
        for problem in sampling.fault_problems(self.chip):
            p = self.parameters(problem, s)
            if self.chip.kind == "pdit":
                law = analog.mixture_weights(p.slope[:, None] * (p.h + p.offset), p.T)
                shown = law[:, -1] - law[:, 0]
                shown = np.where(self._dead == DOWN, -1.0, np.where(self._dead == UP, 1.0, shown))
                response.append(shown)
            else:
                response.append(self._mean_field(p, p.h[:, 0], {}))
        return sampling.fault_of(*response)

    # Dynamics

    def _spin_times(self, bias: float, s: float, other: bool = False) -> Floats:
        """(cells,) relaxation times, s, of spins left to themselves under a bias."""
        p = self.parameters(dynamics.relaxing(self.chip, bias), s)
        field = p.slope * (p.h[:, 0] + p.offset[:, 0] + self._heard(p.J, self._mean_field(p, p.h[:, 0], {}))) / p.T
        assert isinstance(self.config.cell, AsynchronousPbit)
        arrhenius = (self.config.cell.kinetics == "arrhenius") != other
        return np.where(self._strange(p), np.nan, p.tau / np.cosh(field) if arrhenius else p.tau)

    def _kinetics(self, m: Measurement, s: float, other: bool = False) -> Floats:
        rates = np.stack([1 / self._spin_times(bias, s, other)[_cells(m)] for bias in dynamics.BIASES])
        return np.asarray(np.exp(np.nanmean(np.log(rates / rates[0]), axis=1)))

    def _stiffness(self, p: Parameters) -> Floats:
        """(cells, cells) stiffness matrix of Gaussian cells."""
        return np.diag(p.h[:, 1] * p.stiffness[0]) - self._matrix(p.J, np.arange(len(p.h)))

    def _analog_times(self, s: float) -> Floats:
        p = self.parameters(dynamics.relaxing(self.chip), s)
        tick = tick_s(self.chip) / self._tau()[0]
        if isinstance(self.config.cell, Gaussian):
            A = self._stiffness(p)
            phi, P = exponential_of(-A * tick), analog.network_covariance(A, p.T)
            c = np.stack([np.diag(phi @ P), np.diag(phi @ phi @ P)])
        else:
            h, a, c3, b = p.h.T
            wells = np.stack([a * p.stiffness[0], c3, b * p.stiffness[1], h + p.offset[:, 0]], axis=1)
            assert isinstance(self.config.cell, Langevin)
            step = tick / self.config.cell.substeps
            c = np.stack([analog.well_autocovariance(*well, p.T, (tick, 2 * tick), step) for well in wells.tolist()], axis=1)
        return -tick_s(self.chip) / np.log(c[1] / c[0])

    def _ringing(self, s: float) -> Floats:
        """(cells, 2): what the fit makes of exact autocovariances, in which cells that hear each other beat."""
        p = self.parameters(dynamics.relaxing(self.chip), s)
        assert isinstance(self.config.cell, Gaussian)
        B, D = analog.drift_of(self._stiffness(p), self.config.cell.quality)
        phi, P = exponential_of(-B * (tick_s(self.chip) / self.config.cell.tau_s)), analog.lyapunov(B, D)
        c = []
        for _ in range(dynamics.RING_LAGS + 1):
            c.append(np.diag(P)[: len(p.h)])
            P = phi @ P
        return dynamics.ring_fit(np.array(c), tick_s(self.chip)).T

    def _covariance(self, symmetric: bool, s: float) -> Floats:
        p = self.parameters(dynamics.network_problem(self.chip, symmetric), s)
        assert isinstance(self.config.cell, Gaussian)
        C = analog.network_covariance(self._stiffness(p), p.T, self.config.cell.quality)
        return C[np.triu_indices(len(C))]

    def _moments(self, s: float, heat: float = 1.0) -> Floats:
        p = self.parameters(dynamics.well_problem(self.chip), s)
        h, a, c, b = p.h.T
        wells = np.stack([a * p.stiffness[0], c, b * p.stiffness[1], h + p.offset[:, 0]], axis=1).tolist()
        moments = np.stack([analog.well_moments(*well, heat * p.T, (2, 4)) for well in wells])
        return np.where(self._strange(p)[:, None], np.nan, moments)

    def _mixture(self, s: float, heat: float = 1.0) -> tuple[Floats, Floats]:
        p, modes = self.parameters(dynamics.mixture_problem(self.chip), s), self.chip.capabilities.states
        assert isinstance(self.config.cell, Mixture)
        w, m = p.h[:, :modes], p.h[:, modes:] + p.offset
        speed = self.config.cell.stiffness * p.stiffness[0] * (self.config.cell.mode_tau_s / self.config.cell.tau_s)
        return analog.mixture_weights(w, heat * p.T), analog.mixture_means(w, m, heat * p.T, speed)

    def _serial(self, m: Measurement) -> Floats:
        """Of ideal and of coloured noise; mean over cells that are not stuck."""
        lags = np.asarray(m.x)
        if not isinstance(self.config.cell, Pbit) or not isinstance(self.config.cell.noise, ColouredNoise):
            return np.zeros(len(lags))
        p = self.parameters(Problem(biases(self.chip), LOOSE), 1.0)
        up = 0.5 * (1 + self._mean_field(p, p.h[:, 0], {}))
        up = up[(4 * up * (1 - up) > 0.05) & ~np.isin(self._dead, (DOWN, UP))]
        rho = np.exp(-lags / self.config.cell.noise.tau_sweeps)
        few = np.quantile(up, (np.arange(16) + 0.5) / 16).tolist()
        return np.array([np.mean([analog.coloured_correlation(u, float(r)) for u in few]) for r in rho])


def _cells(m: Measurement) -> NDArray[np.int64]:
    """Cells that a measurement's values belong to."""
    return np.asarray(m.x, np.int64)
