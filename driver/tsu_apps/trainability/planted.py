"""Machines with planted modes: a bipartite machine that remembers a few patterns, so that its landscape has as many valleys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.trainability.statistics import Floats, pair_products

DRAWS = 200
"""Draws of patterns, of which the least alike are taken."""


@dataclass(frozen=True)
class Planted:
    """A machine of 2 m cells, cells 0 .. m-1 coupled to cells m .. 2m-1, without biases.

    patterns : (modes, 2 m) int8; with each pattern its negative is as deep a valley
    J : (2 m, 2 m) couplings in kT at T = 1
    pairs : (m^2, 2) coupled cells
    """

    patterns: NDArray[np.int8]
    J: Floats
    pairs: NDArray[np.int64]

    @property
    def data(self) -> Floats:
        """(m^2,) <f_ij>_data of the patterns and their negatives, all equally frequent."""
        return np.asarray(pair_products(self.patterns, self.pairs).mean(axis=0, dtype=np.float64))


def planted(m: int, modes: int, seed: int, beta: float = 1.0) -> Planted:
    """Hebb's couplings J_ij = (beta / m) sum of p_i p_j over the patterns, where i is in one half and j in the other.

    The patterns are random; of DRAWS sets that whose greatest overlap within either half is least is taken.
    ValueError if m or modes is below 1.
    """
    if m < 1 or modes < 1:
        raise ValueError(f"m = {m}, modes = {modes}; at least 1 of each is expected")
    sets = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (DRAWS, modes, 2, m))
    gram = np.einsum("smhi,snhi->shmn", sets, sets, dtype=np.int64) - m * np.eye(modes, dtype=np.int64)
    patterns = sets[np.argmin(np.abs(gram).max(axis=(2, 3)).sum(axis=1))]
    J = np.zeros((2 * m, 2 * m))
    J[:m, m:] = beta / m * np.einsum("pi,pj->ij", patterns[:, 0], patterns[:, 1], dtype=np.float64)
    first, second = np.divmod(np.arange(m * m), m)
    return Planted(patterns.reshape(modes, 2 * m), J + J.T, np.stack([first, second + m], axis=1))
