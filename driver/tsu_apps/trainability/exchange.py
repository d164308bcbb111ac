"""Replica exchange on the host, in numpy: the reference for what a chip's ladder does.

Every sweep updates the cells colour by colour in all replicas; then neighbouring rungs try to swap their states: pairs (0, 1),
(2, 3), .. after sweeps of even number and (1, 2), (3, 4), .. after the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from tsu_apps.trainability.spectra import phases
from tsu_apps.trainability.tempering import Floats, energies


@dataclass(frozen=True)
class Exchange:
    """What a run of replica exchange gave.

    betas : (rungs,) falling
    attempted : (rungs - 1,) swaps tried in each ladder; accepted : (ladders, rungs - 1)
    round_trips : (ladders,) journeys of a state from the coldest rung to the hottest and back
    cold : (sweeps, ladders, cells) int8 spins of the coldest rung, after the swaps of each sweep
    energies : (sweeps, ladders, rungs) before the swaps
    """

    betas: Floats
    attempted: NDArray[np.int64]
    accepted: NDArray[np.int64]
    round_trips: NDArray[np.int64]
    cold: NDArray[np.int8]
    energies: Floats


def exchange(
    J: ArrayLike, h: ArrayLike, colours: ArrayLike, betas: ArrayLike, sweeps: int, *,
    ladders: int = 1, seed: int = 0, progress: Callable[[float], None] = lambda share: None,
) -> Exchange:  # fmt: skip
    """Run ladders that know nothing of each other, from random spins; a single rung is plain Gibbs sampling.

    J : (n, n) symmetric, h : (n,), kT at T = 1; colours : (n,) of the cells, no two coupled cells of one colour
    betas : (rungs,) falling, the coldest first
    progress : called with a share of the work, the shares making 1
    ValueError says which number is out of range.
    """
    couplings, biases = np.asarray(J, np.float64), np.asarray(h, np.float64)
    beta = np.atleast_1d(np.asarray(betas, np.float64))
    if couplings.shape != (len(biases),) * 2:
        raise ValueError(f"J has shape {couplings.shape}, h {biases.shape}; (n, n) and (n,) are expected")
    if not (np.diff(beta) < 0).all():
        raise ValueError(f"rungs {beta.tolist()}; falling inverse temperatures are expected, the coldest first")
    if sweeps < 1 or ladders < 1:
        raise ValueError(f"sweeps = {sweeps}, ladders = {ladders}; at least 1 of each is expected")
    run = _Run(couplings, biases, phases(couplings, colours), beta, ladders, np.random.default_rng(seed))
    cold, energy = np.empty((sweeps, ladders, len(biases)), np.int8), np.empty((sweeps, ladders, len(beta)))
    for k in range(sweeps):
        energy[k] = run.sweep()
        run.swap(k % 2, energy[k])
        cold[k] = run.spins[:, 0]
        progress(1 / sweeps)
    return Exchange(beta, run.attempted, run.accepted, run.round_trips, cold, energy)


class _Run:
    """Ladders on their way.

    spins : (ladders, rungs, cells) float64
    _journey : (ladders, rungs) of the state that is there: 0 it never was coldest; 1 it was, and 2 it has been hottest since
    """

    def __init__(
        self, J: Floats, h: Floats, order: list[NDArray[np.int64]], betas: Floats, ladders: int, rng: np.random.Generator
    ) -> None:
        self._J, self._h, self._betas, self._rng = J, h, betas, rng
        self._phases = [(cells, J[cells].T.copy(), h[cells]) for cells in order]
        rungs = len(betas)
        self.spins = rng.choice(np.array([-1.0, 1.0]), (ladders, rungs, len(h)))
        self.attempted = np.zeros(rungs - 1, np.int64)
        self.accepted = np.zeros((ladders, rungs - 1), np.int64)
        self.round_trips = np.zeros(ladders, np.int64)
        self._journey = np.zeros((ladders, rungs), np.int8)
        self._rungs = np.tile(np.arange(rungs), (ladders, 1))

    def sweep(self) -> Floats:
        """Update all cells; energies (ladders, rungs)."""
        for cells, J, h in self._phases:
            up = expit(2 * self._betas[:, None] * (self.spins @ J + h))
            self.spins[..., cells] = np.where(self._rng.random(up.shape) < up, 1.0, -1.0)
        return energies(self.spins, self._J, self._h)

    def swap(self, parity: int, energy: Floats) -> None:
        """Try the pairs that begin at rungs of this parity."""
        low = np.arange(parity, len(self._betas) - 1, 2)
        if not len(low):
            return
        exponent = (self._betas[low] - self._betas[low + 1]) * (energy[:, low] - energy[:, low + 1])
        yes = np.log(self._rng.random(exponent.shape)) < exponent
        self.attempted[low] += 1
        self.accepted[:, low] += yes
        source = self._rungs.copy()
        source[:, low] += yes
        source[:, low + 1] -= yes
        self.spins = np.take_along_axis(self.spins, source[..., None], axis=1)
        self._journey = np.take_along_axis(self._journey, source, axis=1)
        self.round_trips += self._journey[:, 0] == 2
        self._journey[:, 0] = 1
        self._journey[:, -1] *= 2
        np.minimum(self._journey, 2, out=self._journey)
