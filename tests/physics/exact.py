"""Exact answers for small chips: the Boltzmann law by enumeration, and the Markov chain of a whole sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def states(cells: int) -> NDArray[np.float64]:
    """(2^cells, cells) of -1 and +1; bit i of the row number is cell i."""
    return 2.0 * ((np.arange(1 << cells)[:, None] >> np.arange(cells)) & 1) - 1.0


def number(spins: NDArray[np.int8]) -> NDArray[np.int64]:
    """Row number in `states` of spins (..., cells)."""
    return ((spins > 0).astype(np.int64) << np.arange(spins.shape[-1])).sum(axis=-1)


def boltzmann(J: NDArray[np.float64], h: NDArray[np.float64], T: float, fixed: dict[int, int]) -> NDArray[np.float64]:
    """P(s) ~ exp(-E/T) over all states, with some cells pinned. E = -sum_{i<j} J_ij s_i s_j - sum_i h_i s_i."""
    s = states(len(h))
    energy = -0.5 * np.einsum("ki,ij,kj->k", s, J, s) - s @ h
    p = np.exp(-(energy - energy.min()) / T)
    for cell, value in fixed.items():
        p[s[:, cell] != value] = 0
    return p / p.sum()


@dataclass
class Sweep:
    """The Markov chain of one sweep: `up[i]` (2^n,) is P(cell i becomes +1) in each state, -1 where it is pinned."""

    order: list[int]
    up: NDArray[np.float64]

    @classmethod
    def of(cls, J: NDArray[np.float64], h: NDArray[np.float64], T: float, order: list[int], fixed: dict[int, int]) -> Sweep:
        """J[i, j] is what cell i hears of cell j; J need not be symmetric."""
        field = states(len(h)) @ J.T + h
        up = 1.0 / (1.0 + np.exp(-2.0 * field.T / T))
        return cls([i for i in order if i not in fixed], up)

    def apply(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distribution(s) after one sweep; p (..., 2^n)."""
        here = np.arange(p.shape[-1])
        for i in self.order:
            both = p + p[..., here ^ (1 << i)]
            p = both * np.where(here >> i & 1, self.up[i], 1 - self.up[i])
        return p

    def stationary(self, fixed: dict[int, int]) -> tuple[NDArray[np.float64], float]:
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


@dataclass
class RandomSweep(Sweep):
    """One sweep in random order: as many phases as colours, each updating the cells of a colour drawn by itself."""

    colours: list[list[int]]

    def apply(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distribution(s) after one sweep; p (..., 2^n)."""
        for _ in self.colours:
            p = np.mean([Sweep([i for i in cells if i in self.order], self.up).apply(p) for cells in self.colours], axis=0)
        return p


def effective_samples(draws: int, chains: int, second: float, every: int) -> float:
    """Independent samples that `draws` draws, `every` sweeps apart, in each of `chains` chains are worth at least."""
    r = second**every
    return chains * max(draws * (1 - r) / (1 + r), 1.0)


def tv_bound(p: NDArray[np.float64], n_eff: float) -> float:
    """E[TV] of n_eff independent samples plus 4 standard deviations.

    E[TV] = 1/2 sum sqrt(2 p (1-p) / (pi n)); one sample moves TV by at most 1/n, so its standard deviation is at most
    1 / (2 sqrt(n)) (Efron and Stein).
    """
    return float(0.5 * np.sqrt(2 * p * (1 - p) / (np.pi * n_eff)).sum() + 4 / (2 * np.sqrt(n_eff)))


def total_variation(samples: NDArray[np.int64], p: NDArray[np.float64]) -> float:
    """Between the histogram of state numbers and p."""
    return float(0.5 * np.abs(np.bincount(samples, minlength=len(p)) / len(samples) - p).sum())
