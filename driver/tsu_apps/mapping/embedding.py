"""A model on a chip: each variable a chain of cells that couplings hold together.

Chains and couplings are those of a minor embedding: Choi, "Minor-embedding in adiabatic quantum computation: I. The parameter
setting problem", Quantum Information Processing 7 (2008) 193, arXiv 0804.4884.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.mapping.graphs import checked_pairs, components, pair_keys
from tsu_apps.models import Boltzmann
from tsu_driver import Topology

Floats = NDArray[np.float64]
Edges = tuple[NDArray[np.int64], Floats]
"""(pairs (m, 2) of cells, values (m,))."""
BROKEN = 0.05
"""Odds that two cells disagree which nothing but a coupler of the default chain strength less its torque holds together."""


@dataclass(frozen=True)
class Overhead:
    """What an embedding costs.

    variables : of the model; cells : that hold them; cell_fraction : of all cells of the chip
    chain_max, chain_mean : cells of a chain
    model_couplers, chain_couplers : coupled pairs of cells between chains and inside; coupler_fraction : of all pairs of the chip
    """

    variables: int
    cells: int
    cell_fraction: float
    chain_max: int
    chain_mean: float
    model_couplers: int
    chain_couplers: int
    coupler_fraction: float


class Unembedded(NamedTuple):
    """spins : (..., variables) int8, by majority; broken : (...) float64, fraction of the chains whose cells disagree."""

    spins: NDArray[np.int8]
    broken: Floats


def chain_strength(model: Boltzmann, temperature: float = 1.0) -> float:
    """Default coupling inside chains of a model that is sampled at a temperature, in kT at T = 1.

    sqrt(2) rms(w) sqrt(mean degree) against what pulls a chain apart, the uniform torque compensation of Raymond et al., arXiv
    2006.04913, and T / 2 ln(1 / BROKEN) against noise: two cells with the coupling C alone disagree with the odds exp(-2 C / T).
    """
    weights = model.weights[model.weights != 0]
    torque = np.sqrt(2 * np.mean(weights**2) * 2 * len(weights) / model.cells) if len(weights) else 0.0
    return float(torque + temperature / 2 * np.log(1 / BROKEN))


class Embedding:
    """Chains of cells of a chip, one for each variable.

    chains : (k,) int64 cells of each variable; pairs : (m, 2) int64 variables that can be coupled; topology : of the chip
    """

    def __init__(self, chains: Sequence[ArrayLike], pairs: ArrayLike, topology: Topology) -> None:
        """ValueError names a chain that is empty, shares a cell, names no cell or falls apart, or a pair without a coupler."""
        if not len(chains):
            raise ValueError("there are no chains; at least one is expected")
        self.chains = tuple(np.asarray(chain, np.int64).reshape(-1) for chain in chains)
        self.pairs, self.topology = checked_pairs(pairs, len(self.chains)), topology
        self._sizes = np.array([len(chain) for chain in self.chains])
        self._cells = np.concatenate(self.chains)
        self._owner = self._owners()
        ends = self._owner[topology.pairs]
        both = (ends >= 0).all(axis=1)
        inside = both & (ends[:, 0] == ends[:, 1])
        self._inside = topology.pairs[inside].astype(np.int64)
        self._check_whole()
        place, known = self._find(ends)
        joined = both & ~inside & known
        self._between, self._pair_of = topology.pairs[joined].astype(np.int64), place[joined]
        couplers = np.bincount(self._pair_of, minlength=len(self.pairs))
        if (couplers == 0).any():
            i, j = self.pairs[int(np.argmin(couplers))]
            raise ValueError(f"no coupler joins the chains of variables {i} and {j}, which are a pair")

    @property
    def variables(self) -> int:
        """How many spins the model has."""
        return len(self.chains)

    @cached_property
    def overhead(self) -> Overhead:
        """What the embedding costs."""
        cells, couplers = len(self._cells), len(self._between) + len(self._inside)
        return Overhead(
            variables=self.variables,
            cells=cells,
            cell_fraction=cells / self.topology.cells,
            chain_max=int(self._sizes.max()),
            chain_mean=cells / self.variables,
            model_couplers=len(self._between),
            chain_couplers=len(self._inside),
            coupler_fraction=couplers / max(1, len(self.topology.pairs)),
        )

    def couplings(
        self, model: Boltzmann, strength: float | None = None, steps: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[Edges, Floats]:
        """(J, h) for `Chip.program_couplings`, in kT at T = 1: J an edge list of cells, h (cells,).

        A bias is spread evenly over its chain, a weight over all couplers between its two chains. All couplers inside chains are
        `strength`; None for `chain_strength(model)`.
        steps : of couplings and of biases, kT; with a step, shares are multiples of it, and their sum is the one nearest to the
            whole: rounded each by itself, they would add up to a larger error
        ValueError names a pair of the model that the embedding does not have.
        """
        if model.cells != self.variables:
            raise ValueError(f"the model has {model.cells} variables, the embedding has {self.variables}")
        place, known = self._find(model.pairs)
        if not known.all():
            i, j = model.pairs[int(np.argmin(known))]
            raise ValueError(f"the model couples variables {i} and {j}; the embedding was made without that pair")
        weights = np.zeros(len(self.pairs))
        weights[place] = model.weights
        held = chain_strength(model) if strength is None else strength
        h = np.zeros(self.topology.cells)
        h[self._cells] = _shares(model.biases, self._owner[self._cells], steps[1])
        values = np.concatenate([_shares(weights, self._pair_of, steps[0]), np.full(len(self._inside), held)])
        return (np.concatenate([self._between, self._inside]), values), h

    def unembed(self, spins: NDArray[Any]) -> Unembedded:
        """The variables' spins from (..., cells) spins of the chip: the majority of each chain; at a tie, its first cell."""
        held = spins[..., self._cells].astype(np.int64)
        first = np.cumsum(self._sizes) - self._sizes
        sums = np.add.reduceat(held, first, axis=-1)
        majority = np.where(sums == 0, held[..., first], np.sign(sums))
        return Unembedded(majority.astype(np.int8), np.asarray(np.mean(np.abs(sums) < self._sizes, axis=-1)))

    def _owners(self) -> NDArray[np.int64]:
        """(cells,) variable that a cell belongs to, -1 for none."""
        if (self._sizes == 0).any():
            raise ValueError(f"the chain of variable {int(np.argmin(self._sizes))} is empty")
        variable = np.repeat(np.arange(self.variables), self._sizes)
        outside = (self._cells < 0) | (self._cells >= self.topology.cells)
        if outside.any():
            at, last = int(np.argmax(outside)), self.topology.cells - 1
            raise ValueError(f"the chain of variable {variable[at]} names cell {self._cells[at]}; the chip has cells 0 .. {last}")
        used = np.bincount(self._cells)
        if used.max() > 1:
            raise ValueError(f"cell {int(np.argmax(used))} is named {used.max()} times in the chains")
        owner = np.full(self.topology.cells, -1)
        owner[self._cells] = variable
        return owner

    def _check_whole(self) -> None:
        """ValueError names a chain whose couplers do not join all of its cells."""
        heads = components(self._inside, self.topology.cells)[self._cells]
        lone = heads != np.repeat(heads[np.cumsum(self._sizes) - self._sizes], self._sizes)
        if lone.any():
            cell = self._cells[int(np.argmax(lone))]
            raise ValueError(
                f"the chain of variable {self._owner[cell]} falls apart: couplers do not join cell {cell} to its others"
            )

    def _find(self, pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(m,) number of each of (m, 2) pairs of variables among the embedding's, and whether it is there."""
        keys = pair_keys(self.pairs, self.variables)
        order = np.argsort(keys)
        wanted = pair_keys(pairs, self.variables)
        at = np.minimum(np.searchsorted(keys, wanted, sorter=order), max(0, len(keys) - 1))
        if not len(keys):
            return at, np.zeros(len(wanted), bool)
        return order[at], keys[order[at]] == wanted


def _shares(whole: Floats, part_of: NDArray[np.int64], step: float) -> Floats:
    """(parts,) shares of whole[part_of], even, or as even as multiples of a step can be."""
    count = np.bincount(part_of, minlength=len(whole))
    if step == 0:
        return np.asarray((whole / np.maximum(count, 1))[part_of])
    order = np.argsort(part_of, kind="stable")
    rank = np.empty(len(part_of), np.int64)
    rank[order] = np.arange(len(part_of)) - (np.cumsum(count) - count)[part_of[order]]
    low, more = np.divmod(np.rint(whole / step).astype(np.int64), np.maximum(count, 1))
    return step * (low[part_of] + (rank < more[part_of]))
