"""A Boltzmann machine on the host: E(s) = -sum_{i<j} w_ij s_i s_j - sum_i b_i s_i in kT at T = 1, s = +-1, P(s) ~ exp(-E(s))."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csr_array

from tsu_apps.models.colouring import colour_graph

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Spins = NDArray[np.int8]

DENSE_CELLS = 2048
"""Cells up to which couplings are held as a dense matrix (32 MiB)."""


class Conditioned(NamedTuple):
    """A model of the cells that are left when the others are clamped.

    model : of the free cells, in ascending order of their old numbers, which are `cells`
    energy : what the clamped cells add, kT: E_before(s) = E_model(s[cells]) + energy
    """

    model: Boltzmann
    cells: Ints
    energy: float


@dataclass(frozen=True, eq=False)
class Boltzmann:
    """A Boltzmann machine.

    pairs : (m, 2) int, coupled cells, each pair once
    weights : (m,) float64, kT at T = 1
    biases : (n,) float64, kT at T = 1; n is the number of cells
    ValueError names a pair that is impossible or named twice, or a value that is not finite. The arrays are copied and read-only.
    """

    pairs: Ints
    weights: Floats
    biases: Floats

    def __post_init__(self) -> None:
        pairs = np.array(self.pairs)
        if pairs.size == 0:
            pairs = np.empty((0, 2), np.int64)
        weights, biases = np.array(self.weights, np.float64), np.array(self.biases, np.float64)
        if biases.ndim != 1 or len(biases) == 0:
            raise ValueError(f"biases has shape {biases.shape}; (cells,) is expected, with at least one cell")
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise ValueError(f"pairs is {pairs.dtype} of shape {pairs.shape}; integers of shape (m, 2) are expected")
        if weights.shape != (len(pairs),):
            raise ValueError(f"weights has shape {weights.shape}; ({len(pairs)},) is expected, one per pair")
        pairs = pairs.astype(np.int64)
        _check_pairs(pairs, len(biases))
        for name, values in (("weights", weights), ("biases", biases)):
            if not np.isfinite(values).all():
                at = int(np.argmin(np.isfinite(values)))
                raise ValueError(f"{name}[{at}] is {values[at]}; finite numbers in kT are expected")
        arrays: dict[str, NDArray[Any]] = {"pairs": pairs, "weights": weights, "biases": biases}
        for name, array in arrays.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def symmetrised(cls, row: ArrayLike, source: ArrayLike, J: ArrayLike, h: ArrayLike) -> tuple[Self, float]:
        """(the model of the mean couplings (J_ij + J_ji) / 2, the asymmetry) of a chip whose directions differ.

        row : (cells + 1,) int; couplers row[i] .. row[i+1] - 1 drive cell i (`chip.topology.row`)
        source : (couplers,) int, the cell a coupler listens to
        J : (couplers,) couplings by direction, kT; a direction without a coupler counts as 0
        h : (cells,) biases, kT
        The asymmetry is the rms of (J_ij - J_ji) / 2 over the rms of J_ij, over all directions of all pairs: 0 for symmetric
        couplings, 1 for antisymmetric ones. Where it is not 0 no Boltzmann distribution is what the chip settles to.
        """
        h, J = np.asarray(h, np.float64), np.asarray(J, np.float64)
        rows, sources = np.asarray(row).astype(np.int64), np.asarray(source).astype(np.int64)
        cells = len(h)
        if rows.shape != (cells + 1,) or rows[0] != 0 or (np.diff(rows) < 0).any() or rows[-1] != len(sources):
            raise ValueError(f"row must be {cells + 1} ascending numbers from 0 to {len(sources)}, the number of couplers")
        if J.shape != sources.shape:
            raise ValueError(f"J has shape {J.shape}; {sources.shape} is expected, one value per coupler")
        target = np.repeat(np.arange(cells), np.diff(rows))
        low, high = np.minimum(target, sources), np.maximum(target, sources)
        keys, pair = np.unique(low * cells + high, return_inverse=True)
        directions = np.zeros((len(keys), 2))
        np.add.at(directions, (pair, (target > sources).astype(np.int64)), J)
        model = cls(np.stack(np.divmod(keys, cells), axis=1), directions.mean(axis=1), h)
        total = np.sqrt(np.mean(directions**2)) if directions.size else 0.0
        difference = np.sqrt(np.mean((directions[:, 0] - directions[:, 1]) ** 2)) / 2 if directions.size else 0.0
        return model, float(difference / total) if total else 0.0

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.biases)

    @cached_property
    def couplings(self) -> Any:
        """(n, n) symmetric float64 couplings, kT: an array of up to DENSE_CELLS cells, else a scipy.sparse.csr_array."""
        (i, j), w = self.pairs.T, self.weights
        if self.cells <= DENSE_CELLS:
            dense = np.zeros((self.cells, self.cells))
            dense[i, j] = dense[j, i] = w
            dense.flags.writeable = False
            return dense
        both = (np.concatenate([w, w]), (np.concatenate([i, j]), np.concatenate([j, i])))
        return csr_array(coo_array(both, shape=(self.cells, self.cells)))

    @cached_property
    def colours(self) -> Ints:
        """(n,) colours, none shared by coupled cells: two if the graph allows it, else greedy."""
        return colour_graph(self.pairs, self.cells)

    def fields(self, spins: ArrayLike) -> Floats:
        """(..., n) local fields I_i = sum_j w_ij s_j + b_i, kT, of (..., n) spins."""
        s = self._spins(spins)
        out: Floats = (s.reshape(-1, self.cells) @ self.couplings).reshape(s.shape) + self.biases
        return out

    def energies(self, spins: ArrayLike) -> Floats:
        """(...) energies, kT, of (..., n) spins."""
        s = self._spins(spins)
        out: Floats = -0.5 * np.einsum("...i,...i->...", self.fields(s) + self.biases, s)
        return out

    def with_values(self, weights: ArrayLike, biases: ArrayLike) -> Self:
        """The same graph with other weights (m,) and biases (n,), kT."""
        return replace(self, weights=np.asarray(weights, np.float64), biases=np.asarray(biases, np.float64))

    def at_temperature(self, temperature: float) -> Self:
        """The machine whose distribution is that of this one at temperature T: weights and biases over T."""
        if not temperature > 0:
            raise ValueError(f"temperature = {temperature}; it must be greater than 0")
        return self.with_values(self.weights / temperature, self.biases / temperature)

    def conditioned(self, cells: ArrayLike, values: ArrayLike) -> Conditioned:
        """The machine of the other cells when `cells` (k,) are clamped to `values` (k,), -1 or +1."""
        clamped = cell_numbers(cells, self.cells, "cells")
        spins = np.zeros(self.cells)
        spins[clamped] = checked_spins(values, (len(clamped),), "values")
        free = np.setdiff1d(np.arange(self.cells), clamped)
        if len(free) == 0:
            raise ValueError("all cells are clamped; at least one must be left")
        place = np.full(self.cells, -1)
        place[free] = np.arange(len(free))
        inside = (place[self.pairs] >= 0).all(axis=1)
        fields = self.fields(spins)
        model = Boltzmann(place[self.pairs[inside]], self.weights[inside], fields[free])
        return Conditioned(model, free, float(-0.5 * (fields + self.biases)[clamped] @ spins[clamped]))

    def _spins(self, spins: ArrayLike) -> Floats:
        s = np.asarray(spins, np.float64)
        if s.ndim == 0 or s.shape[-1] != self.cells:
            raise ValueError(f"spins has shape {s.shape}; (..., {self.cells}) is expected, one spin per cell")
        return s


def cell_numbers(cells: ArrayLike, total: int, what: str) -> Ints:
    """(k,) cell numbers as int64; ValueError names one that is named twice or that a model of `total` cells lacks."""
    out = np.asarray(cells)
    if out.size == 0:
        return np.empty(0, np.int64)
    if out.ndim != 1 or out.dtype.kind not in "iu":
        raise ValueError(f"{what} is {out.dtype} of shape {out.shape}; a list of cell numbers is expected")
    wrong = (out < 0) | (out >= total)
    if wrong.any():
        raise ValueError(f"{what} names cell {out[np.argmax(wrong)]}; the model has cells 0 .. {total - 1}")
    numbers, counts = np.unique(out, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"{what} names cell {numbers[np.argmax(counts > 1)]} twice")
    return out.astype(np.int64)


def checked_spins(values: ArrayLike, shape: tuple[int, ...], what: str) -> Spins:
    """Spins as int8; ValueError says which shape or value is wrong. -1 in `shape` stands for any length but 0."""
    out = np.asarray(values)
    fits = out.ndim == len(shape) and all(
        have == want or (want < 0 and have > 0) for have, want in zip(out.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if want < 0 else str(want) for want in shape)
        raise ValueError(f"{what} has shape {out.shape}; ({wanted}{',' * (len(shape) == 1)}) is expected")
    wrong = (out != 1) & (out != -1)
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise ValueError(f"{what}{list(at)} is {out[at]}; spins are -1 and +1")
    return out.astype(np.int8)


def _check_pairs(pairs: Ints, cells: int) -> None:
    """ValueError names a cell out of range, a cell coupled to itself, or a pair named twice."""
    wrong = ((pairs < 0) | (pairs >= cells)).any(axis=1)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"pairs[{at}] is {pairs[at].tolist()}; the model has cells 0 .. {cells - 1}, one per bias")
    same = pairs[:, 0] == pairs[:, 1]
    if same.any():
        raise ValueError(f"pairs[{int(np.argmax(same))}] couples cell {pairs[np.argmax(same), 0]} to itself")
    keys = np.sort(pairs, axis=1) @ np.array([cells, 1])
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    if (counts > 1).any():
        i, j = pairs[first[np.argmax(counts > 1)]]
        raise ValueError(f"pairs names cells {i} and {j} twice; each pair once, in either order")
