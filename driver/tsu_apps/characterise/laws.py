"""Exact laws of small systems of spins and of pdits: Boltzmann by enumeration, chains of whole sweeps, continuous time.

J[i, j] is what cell i hears of cell j, in kT at T = 1; `fixed` pins cells. A row of `states` or `configurations` is a state of
the system, and its number is how laws count it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def states(cells: int) -> Floats:
    """(2^cells, cells) of -1 and +1; bit i of the row number is cell i."""
    return np.asarray(2.0 * ((np.arange(1 << cells)[:, None] >> np.arange(cells)) & 1) - 1.0, np.float64)


def number(spins: NDArray[np.int8]) -> NDArray[np.int64]:
    """Row number in `states` of spins (..., cells)."""
    return np.asarray(((spins > 0).astype(np.int64) << np.arange(spins.shape[-1])).sum(axis=-1))


def boltzmann(J: Floats, h: Floats, T: float, fixed: dict[int, int]) -> Floats:
    """P(s) ~ exp(-E/T) over all states, with some cells pinned. E = -sum_{i<j} J_ij s_i s_j - sum_i h_i s_i."""
    s = states(len(h))
    energy = -0.5 * np.einsum("ki,ij,kj->k", s, J, s) - s @ h
    p = np.exp(-(energy - energy.min()) / T)
    for cell, value in fixed.items():
        p[s[:, cell] != value] = 0
    return np.asarray(p / p.sum())


@dataclass
class Sweep:
    """The Markov chain of one sweep: `up[i]` (2^n,) is P(cell i becomes +1) in each state; pinned cells are not in `order`."""

    order: list[int]
    up: Floats

    @classmethod
    def of(cls, J: Floats, h: Floats, T: float, order: list[int], fixed: dict[int, int]) -> Sweep:
        """J need not be symmetric."""
        field = states(len(h)) @ J.T + h
        up = 1.0 / (1.0 + np.exp(-2.0 * field.T / T))
        return cls([i for i in order if i not in fixed], up)

    def apply(self, p: Floats) -> Floats:
        """Distribution(s) after one sweep; p (..., 2^n)."""
        here = np.arange(p.shape[-1])
        for i in self.order:
            both = p + p[..., here ^ (1 << i)]
            p = both * np.where(here >> i & 1, self.up[i], 1 - self.up[i])
        return p

    def stationary(self, fixed: dict[int, int]) -> tuple[Floats, float]:
        """Stationary distribution, and the modulus of the second eigenvalue, by iteration."""
        s = states(len(self.up))
        p = np.ones(len(s))
        for cell, value in fixed.items():
            p[s[:, cell] != value] = 0
        p /= p.sum()
        noise = np.random.default_rng(0).normal(size=len(p)) * (p > 0)
        for _ in range(100_000):
            after = self.apply(p)
            if np.abs(after - p).sum() < 1e-13:
                break
            p = after
        noise -= noise.sum() * p
        growth = []
        for _ in range(400):
            noise = self.apply(noise)
            noise -= noise.sum() * p
            size = np.abs(noise).sum()
            if size < 1e-200:
                return p, 0.0
            growth.append(size)
            noise /= size
        return p, float(np.exp(np.mean(np.log(growth[100:]))))

    def flux(self, p: Floats) -> Floats:
        """(2^n, 2^n): net probability of going from a to b in one sweep, p_a P_ab - p_b P_ba."""
        joint = p[:, None] * self.apply(np.eye(len(p)))
        return np.asarray(joint - joint.T)


@dataclass
class RandomSweep(Sweep):
    """One sweep in random order: as many phases as colours, each updating the cells of a colour drawn by itself."""

    colours: list[list[int]]

    def apply(self, p: Floats) -> Floats:
        """Distribution(s) after one sweep; p (..., 2^n)."""
        for _ in self.colours:
            p = np.mean([Sweep([i for i in cells if i in self.order], self.up).apply(p) for cells in self.colours], axis=0)
        return p


def exponential_of(matrix: Floats) -> Floats:
    """exp of a square matrix: Taylor's series of a 2^-k part of it, of norm below 1/2, squared k times."""
    norm = float(np.abs(matrix).sum(axis=1).max(initial=0.0))
    halvings = max(0, int(np.ceil(np.log2(max(norm, 1e-300)))) + 1)
    part = matrix / 2.0**halvings
    out = term = np.eye(len(matrix))
    for k in range(1, 20):
        term = term @ part / k
        out = out + term
    for _ in range(halvings):
        out = out @ out
    return out


@dataclass
class Generator:
    """The chain in continuous time of asynchronous spins without synapse delay.

    Q (2^n, 2^n): Q[a, b] is the rate from state a to b, -Q[a, a] the rate out of a.
    """

    Q: Floats

    @classmethod
    def of(cls, J: Floats, h: Floats, T: float, tau: Floats, kinetics: str, fixed: dict[int, int]) -> Generator:
        """J need not be symmetric. Rates (1 + tanh(s I / T)) / (2 tau) ("glauber") or exp(s I / T) / (2 tau) ("arrhenius")."""
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
        return exponential_of(self.Q * time)

    def stationary(self, fixed: dict[int, int]) -> tuple[Floats, float]:
        """Null vector among the states that `fixed` allows, and the gap: the slowest rate of decay of anything else, 1/s."""
        s = states(len(self.Q).bit_length() - 1)
        allowed = np.flatnonzero(np.all([s[:, i] == v for i, v in fixed.items()], axis=0) if fixed else np.ones(len(s), bool))
        Q = self.Q[np.ix_(allowed, allowed)]
        system = np.vstack([Q.T / np.abs(Q).max(initial=1e-300), np.ones(len(Q))])
        p = np.zeros(len(s))
        p[allowed] = np.linalg.lstsq(system, np.eye(len(Q) + 1)[-1], rcond=None)[0]
        decay = np.sort(-np.linalg.eigvals(Q).real)
        return p, float(decay[1]) if len(decay) > 1 else float("inf")

    def flux(self, p: Floats, time: float) -> Floats:
        """(2^n, 2^n): net probability of going from a to b from one look to the next, p_a P_ab - p_b P_ba."""
        joint = p[:, None] * self.after(time)
        return np.asarray(joint - joint.T)


def configurations(n: int, k: int) -> NDArray[np.int64]:
    """(k^n, n) states of n pdits of k states: row number = sum of states times k^i."""
    return np.arange(k**n)[:, None] // k ** np.arange(n) % k


def potts(J: Floats, h: Floats, T: float, fixed: dict[int, int]) -> Floats:
    """P(s) ~ exp(-E/T) over all configurations of pdits. E = -sum_{i<j} J_ij [s_i = s_j] - sum_i h_{i, s_i}; h (n, k)."""
    n, k = h.shape
    s = configurations(n, k)
    energy = -0.5 * np.einsum("cij,ij->c", s[:, :, None] == s[:, None, :], J) - h[np.arange(n), s].sum(1)
    p = np.exp(-(energy - energy.min()) / T)
    for i, a in fixed.items():
        p[s[:, i] != a] = 0
    return np.asarray(p / p.sum())


@dataclass
class Chain:
    """Sweep of pdits that updates `order`; given[i] : P(cell i becomes a | rest), (k,) * n, the last axis being cell 0."""

    order: Sequence[int]
    given: list[Floats]

    @classmethod
    def of(cls, J: Floats, h: Floats, T: float, fixed: dict[int, int], order: Sequence[int]) -> Chain:
        """As `potts`; J need not be symmetric."""
        n, k = h.shape
        s, given = configurations(n, k), []
        for i in range(n):
            field = h[i, s[:, i]] + (s[:, i, None] == s) @ np.where(np.arange(n) == i, 0, J[i])
            weight = np.exp(field / T).reshape((k,) * n)
            given.append(weight / weight.sum(axis=n - 1 - i, keepdims=True))
        return cls([int(i) for i in order if i not in fixed], given)

    def apply(self, p: Floats) -> Floats:
        """Distribution after one sweep; p (k^n,)."""
        n = len(self.given)
        q = p.reshape(self.given[0].shape)
        for i in self.order:
            q = q.sum(axis=n - 1 - i, keepdims=True) * self.given[i]
        return q.ravel()

    def stationary(self, start: Floats) -> tuple[Floats, float]:
        """Stationary law with the support of `start`, and the modulus of the second eigenvalue, by iteration."""
        p, noise, growth = start, np.random.default_rng(0).normal(size=len(start)) * (start > 0), []
        for _ in range(400):
            p = self.apply(p)
        noise -= noise.sum() * p
        for _ in range(120):
            noise = self.apply(noise)
            noise -= noise.sum() * p
            growth.append(np.abs(noise).sum())
            if growth[-1] < 1e-30:
                return p, 0.0
            noise /= growth[-1]
        return p, float(np.exp(np.mean(np.log(growth[60:]))))


def effective_samples(draws: int, chains: int, second: float, every: int) -> float:
    """Independent samples that `draws` draws, `every` sweeps apart, in each of `chains` chains are worth at least."""
    r = second**every
    return chains * max(draws * (1 - r) / (1 + r), 1.0)


def tv_bound(p: Floats, n_eff: float) -> float:
    """E[TV] of n_eff independent samples plus 4 standard deviations.

    E[TV] = 1/2 sum sqrt(2 p (1-p) / (pi n)); one sample moves TV by at most 1/n, so its standard deviation is at most
    1 / (2 sqrt(n)) (Efron and Stein).
    """
    return float(0.5 * np.sqrt(2 * p * (1 - p) / (np.pi * n_eff)).sum() + 4 / (2 * np.sqrt(n_eff)))


def total_variation(samples: NDArray[np.int64], p: Floats) -> float:
    """Between the histogram of state numbers and p."""
    return float(0.5 * np.abs(np.bincount(samples, minlength=len(p)) / len(samples) - p).sum())
