"""What the measurements of `tsu_apps.characterise` would give on an emulated chip if they had no errors, by the chip's oracle.

A measurement's conditions are set up anew, the oracle says what the array then sees, and the exact law of that gives the value.
`strength` scales all that the die does: 1 as it is, 0 a chip that does what it is told, 2 one twice as bad.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from array_truth import DOWN, UP, Array, Ask, Parameters
from device_truth import device_truth
from numpy.typing import NDArray

from tsu_apps.characterise import Measurement, cells, dynamics, equilibrium, sampling
from tsu_apps.characterise import analog_laws as analog
from tsu_apps.characterise.laws import Chain, Generator, RandomSweep, Sweep, exponential_of, potts
from tsu_apps.characterise.problems import LOOSE, Problem, biases, relaxing, sign_rounds, tick_s
from tsu_driver import Chip
from tsu_emu.config import AsynchronousPbit, ChipConfig, ColouredNoise, Gaussian, IdealNoise, Langevin, Mixture, Pbit

Floats = NDArray[np.float64]
CORNER_TAU = 0.5
"""Sweeps that the noise of digits-corner remembers: the memory that must be seen."""


class Truth:
    """Ground truth of one chip, by the keys of measurements."""

    def __init__(self, chip: Chip, ask: Ask, config: ChipConfig) -> None:
        self.chip, self.config, self._ask = chip, config, ask
        self._array = Array(chip, ask, config)
        self.parameters = self._array.parameters
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
            other = (
                2 / np.pi * np.arcsin(np.exp(-np.asarray(measurement.x) / CORNER_TAU))
                if ideal
                else np.zeros(measurement.value.shape)
            )
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
            return {
                f"T {by}": np.nanmean(self._moments(1.0, factor)[:, column]) for by, factor in (("halved", 0.5), ("doubled", 2.0))
            }
        if key == "cell.fault":
            return {"nothing at fault": np.zeros(measurement.value.shape)}
        return {name: np.asarray(self._tellers[key](measurement, s), np.float64) for name, s in (("off", 0.0), ("doubled", 2.0))}

    # Laws of spins and pdits

    def _piece(self, problem: Problem, s: float) -> tuple[Floats, Floats, float, Floats, dict[int, int]]:
        """(J, h, T, tau, cells that are stuck) of a problem's piece, whose surroundings are clamped; slopes included."""
        p, inner, cap = self.parameters(problem, s), np.array(problem.cells), self.chip.capabilities
        outside, states = p.J.copy(), np.zeros(cap.cells)
        inside = np.zeros(cap.cells, bool)
        inside[inner] = True
        outside[inside[self.chip.topology.source]] = 0.0
        states[list(problem.clamps)] = list(problem.clamps.values())
        slope, J = p.slope[inner], self._array.matrix(p.J, inner)
        if self.chip.kind == "pdit":
            states[self._array.dead == UP] = cap.states - 1
            heard = [self._array.heard(outside, (states == a).astype(float))[inner] for a in range(cap.states)]
            h = p.h[inner] + p.offset[inner] + np.stack(heard, axis=1)
            return slope[:, None] * J, slope[:, None] * h, p.T, p.tau[inner], self._stuck(inner, 0, cap.states - 1)
        states[self._array.dead == DOWN], states[self._array.dead == UP] = -1, 1
        h = p.h[inner, 0] + p.offset[inner, 0] + self._array.heard(outside, states)[inner]
        return slope[:, None] * J, slope * h, p.T, p.tau[inner], self._stuck(inner, -1, 1)

    def _stuck(self, some: NDArray[np.int64], down: int, up: int) -> dict[int, int]:
        """Where cells of a piece are stuck, by their place in it."""
        dead = self._array.dead[some].tolist()
        return {k: down if d == DOWN else up for k, d in enumerate(dead) if d in (DOWN, UP)}

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
        chip, signs = self.chip, cells.slope_signs(self.chip)
        levels = cells.slope_levels(chip, len(signs))
        means = np.empty((len(levels), len(signs), 1, chip.capabilities.cells))
        for k, level in enumerate(levels):
            up, down = (self.parameters(Problem(biases(chip, h=sign * level)), s) for sign in (1, -1))
            for r, row in enumerate(signs):
                means[k, r, 0] = self._array.mean_field(up, np.where(row > 0, up.h[:, 0], down.h[:, 0]), {})
        slope, offset = cells.slope_estimate(means, signs, levels)
        strange = self._array.strange(up)
        return np.where(strange, np.nan, slope[0]), np.where(strange, np.nan, offset[0])

    def _gains(self, s: float) -> Floats:
        chip, pairs = self.chip, cells.coupler_pairs(self.chip)
        rounds, out = sign_rounds(len(pairs)), []
        for side in (1, 0):
            means = np.empty((len(rounds), len(pairs)))
            for r, signs in enumerate(rounds):
                problem = cells.coupler_problem(chip, pairs, signs, side)
                p = self.parameters(problem, s)
                means[r] = self._array.mean_field(p, p.h[:, 0], problem.clamps)[pairs[:, 1 - side]]
            out.append(cells.coupler_estimate(means, rounds) / cells.pair_coupling(chip))
        return np.stack(out, axis=1)

    def _faults(self, s: float) -> NDArray[np.int64]:
        response = []
        for problem in cells.fault_problems(self.chip):
            p = self.parameters(problem, s)
            if self.chip.kind == "pdit":
                law = analog.mixture_weights(p.slope[:, None] * (p.h + p.offset), p.T)
                shown = law[:, -1] - law[:, 0]
                shown = np.where(self._array.dead == DOWN, -1.0, np.where(self._array.dead == UP, 1.0, shown))
                response.append(shown)
            else:
                response.append(self._array.mean_field(p, p.h[:, 0], {}))
        return cells.fault_of(*response)

    # Dynamics

    def _spin_times(self, bias: float, s: float, other: bool = False) -> Floats:
        """(cells,) relaxation times, s, of spins left to themselves under a bias."""
        p = self.parameters(relaxing(self.chip, bias), s)
        field = p.slope * (p.h[:, 0] + p.offset[:, 0] + self._array.heard(p.J, self._array.mean_field(p, p.h[:, 0], {}))) / p.T
        assert isinstance(self.config.cell, AsynchronousPbit)
        arrhenius = (self.config.cell.kinetics == "arrhenius") != other
        return np.where(self._array.strange(p), np.nan, p.tau / np.cosh(field) if arrhenius else p.tau)

    def _kinetics(self, m: Measurement, s: float, other: bool = False) -> Floats:
        rates = np.stack([1 / self._spin_times(bias, s, other)[_cells(m)] for bias in dynamics.BIASES])
        return np.asarray(np.exp(np.nanmean(np.log(rates / rates[0]), axis=1)))

    def _stiffness(self, p: Parameters) -> Floats:
        """(cells, cells) stiffness matrix of Gaussian cells."""
        return np.diag(p.h[:, 1] * p.stiffness[0]) - self._array.matrix(p.J, np.arange(len(p.h)))

    def _analog_times(self, s: float) -> Floats:
        p = self.parameters(relaxing(self.chip), s)
        tick = tick_s(self.chip) / self._array.tau()[0]
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
        p = self.parameters(relaxing(self.chip), s)
        assert isinstance(self.config.cell, Gaussian)
        B, D = analog.drift_of(self._stiffness(p), self.config.cell.quality)
        phi, P = exponential_of(-B * (tick_s(self.chip) / self.config.cell.tau_s)), analog.lyapunov(B, D)
        c = []
        for _ in range(dynamics.RING_LAGS + 1):
            c.append(np.diag(P)[: len(p.h)])
            P = phi @ P
        return dynamics.ring_fit(np.array(c), tick_s(self.chip)).T

    def _covariance(self, symmetric: bool, s: float) -> Floats:
        p = self.parameters(equilibrium.network_problem(self.chip, symmetric), s)
        assert isinstance(self.config.cell, Gaussian)
        C = analog.network_covariance(self._stiffness(p), p.T, self.config.cell.quality)
        return C[np.triu_indices(len(C))]

    def _moments(self, s: float, heat: float = 1.0) -> Floats:
        p = self.parameters(equilibrium.well_problem(self.chip), s)
        h, a, c, b = p.h.T
        wells = np.stack([a * p.stiffness[0], c, b * p.stiffness[1], h + p.offset[:, 0]], axis=1).tolist()
        moments = np.stack([analog.well_moments(*well, heat * p.T, (2, 4)) for well in wells])
        return np.where(self._array.strange(p)[:, None], np.nan, moments)

    def _mixture(self, s: float, heat: float = 1.0) -> tuple[Floats, Floats]:
        p, modes = self.parameters(equilibrium.mixture_problem(self.chip), s), self.chip.capabilities.states
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
        up = 0.5 * (1 + self._array.mean_field(p, p.h[:, 0], {}))
        up = up[(4 * up * (1 - up) > 0.05) & ~np.isin(self._array.dead, (DOWN, UP))]
        rho = np.exp(-lags / self.config.cell.noise.tau_sweeps)
        few = np.quantile(up, (np.arange(16) + 0.5) / 16).tolist()
        return np.array([np.mean([analog.coloured_correlation(u, float(r)) for u in few]) for r in rho])


def _cells(m: Measurement) -> NDArray[np.int64]:
    """Cells that a measurement's values belong to."""
    return np.asarray(m.x, np.int64)
