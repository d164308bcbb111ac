"""Exact answers for small asynchronous chips without synapse delay: the Markov chain in continuous time of all their spins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from physics.exact import states

Floats = NDArray[np.float64]


@dataclass
class Generator:
    """Q (2^n, 2^n): Q[a, b] is the rate from state a to b, -Q[a, a] the rate out of a; states numbered as in `exact.states`."""

    Q: Floats

    @classmethod
    def of(cls, J: Floats, h: Floats, T: float, tau: Floats, kinetics: str, fixed: dict[int, int]) -> Generator:
        """J[i, j] is what cell i hears of cell j; J need not be symmetric. Cells in `fixed` never flip."""
        s = states(len(h))
        x = -s * (s @ J.T + h) / T
        rates = (np.exp(x) if kinetics == "arrhenius" else 1 + np.tanh(x)) / (2 * tau)
        Q = np.zeros((len(s), len(s)))
        here = np.arange(len(s))
        for i in range(len(h)):
            if i not in fixed:
                Q[here, here ^ (1 << i)] = rates[:, i]
        return cls(Q - np.diag(Q.sum(1)))

    def after(self, time: float) -> Floats:
        """(2^n, 2^n): row a is the distribution a time after state a."""
        return np.asarray(expm(self.Q * time))

    def stationary(self, fixed: dict[int, int]) -> tuple[Floats, float]:
        """Null vector among the states that `fixed` allows, and the gap: the slowest rate of decay of anything else, 1/s."""
        s = states(len(self.Q).bit_length() - 1)
        allowed = np.flatnonzero(np.all([s[:, i] == v for i, v in fixed.items()], axis=0) if fixed else np.ones(len(s), bool))
        Q = self.Q[np.ix_(allowed, allowed)]
        system = np.vstack([Q.T, np.ones(len(Q))])
        p = np.zeros(len(s))
        p[allowed] = np.linalg.lstsq(system, np.eye(len(Q) + 1)[-1], rcond=None)[0]
        decay = np.sort(-np.linalg.eigvals(Q).real)
        return p, float(decay[1]) if len(decay) > 1 else float("inf")

    def flux(self, p: Floats, time: float) -> Floats:
        """(2^n, 2^n): net probability of going from a to b from one look to the next, p_a P_ab - p_b P_ba."""
        joint = p[:, None] * self.after(time)
        return joint - joint.T
