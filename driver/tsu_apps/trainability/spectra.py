"""Exact Markov chains of small machines: what one sweep does to every state, and how fast it forgets.

Two chains have Boltzmann's law: the whole sweep of a chip, colours in order, which is not reversible (`sweep`), and Glauber's
single-spin dynamics with a cell drawn at random in each step, which is (`glauber`). Of a reversible chain with eigenvalues l_k
and eigenfunctions phi_k, orthonormal under the stationary law pi, with c_k = <phi_k, f>_pi:

    tau_int = sum_k c_k^2 (1 + l_k) / (1 - l_k) / sum_k c_k^2
    MSE(K)  = (1/K) sum_k c_k^2 [(1 + l_k) / (1 - l_k) - 2 l_k (1 - l_k^K) / (K (1 - l_k)^2)]

For any chain the same follows from A = P - 1 pi^T and R = (1 - A)^-1, without modes:

    tau_int = 1 + 2 <f, A R f>_pi / <f, f>_pi
    MSE(K)  = (1/K) [<f, f>_pi + 2 <f, A R f>_pi - (2/K) <f, A (1 - A^K) R^2 f>_pi]

Couplings and biases in kT at T = 1; J symmetric; states are numbered as in `tsu_apps.characterise.laws`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, sparse
from scipy.special import expit

from tsu_apps.characterise.laws import boltzmann, number
from tsu_apps.characterise.laws import states as all_states

Floats = NDArray[np.float64]

CELLS_MAX = 12
"""Cells of a chain: 2^12 states, matrices of 128 MB."""
RELEVANT = 1e-12
"""Share of the variance from which a mode counts as seen by the observables."""


@dataclass(frozen=True)
class Chain:
    """A Markov chain over all states of a machine.

    states : (S, cells) of -1 and +1; law : (S,) stationary distribution
    matrix : (S, S), row a is the distribution one step after state a
    reversible : whether law_a matrix_ab = law_b matrix_ba
    """

    states: Floats
    law: Floats
    matrix: Floats
    reversible: bool

    def repeated(self, steps: int) -> Chain:
        """The chain seen every so many steps; ValueError if steps < 1."""
        if steps < 1:
            raise ValueError(f"steps = {steps}; at least 1 is expected")
        return Chain(self.states, self.law, np.linalg.matrix_power(self.matrix, steps), self.reversible)

    def centred(self, f: ArrayLike) -> Floats:
        """(S, d) observables less their means; f (S,) or (S, d), else ValueError."""
        values = np.asarray(f, np.float64)
        if not 1 <= values.ndim <= 2 or len(values) != len(self.law):
            raise ValueError(
                f"f has shape {values.shape}; ({len(self.law)},) or ({len(self.law)}, d) is expected, one row a state"
            )
        values = values.reshape(len(values), -1)
        return np.asarray(values - self.law @ values)

    def mean(self, f: Floats) -> Floats:
        """(d,) means of observables (S, d) under the law."""
        return np.asarray(self.law @ f)

    def variance(self, f: ArrayLike) -> float:
        """C(0), the trace of the covariance matrix of observables (S,) or (S, d)."""
        c = self.centred(f)
        return self._product(c, c)

    def correlations(self, f: ArrayLike, lags: int) -> Floats:
        """(lags + 1,) rho(t), t = 0 .. lags, of observables (S,) or (S, d), weighted by trace."""
        first = later = self.centred(f)
        out = [self._product(first, first)]
        for _ in range(lags):
            later = self.matrix @ later
            out.append(self._product(first, later))
        return np.array(out) / out[0]

    def tau(self, f: ArrayLike) -> float:
        """tau_int in steps of observables (S,) or (S, d), weighted by trace."""
        c = self.centred(f)
        return 1 + 2 * self._product(c, self.matrix @ self._resolved(c)) / self._product(c, c)

    def mse(self, f: ArrayLike, windows: ArrayLike) -> Floats:
        """(windows,) MSE(K) of means of f over K successive steps; K >= 1."""
        c = self.centred(f)
        once = self._resolved(c)
        twice = self._resolved(once)
        whole, tail = self._product(c, c) + 2 * self._product(c, self.matrix @ once), []
        for k in np.atleast_1d(windows).tolist():
            rest = self.matrix @ (twice - np.linalg.matrix_power(self.matrix, k) @ twice)
            tail.append((whole - 2 / k * self._product(c, rest)) / k)
        return np.array(tail)

    def _resolved(self, f: Floats) -> Floats:
        """R f of centred f."""
        return np.asarray(np.linalg.solve(np.eye(len(self.law)) - self.matrix + self.law, f))

    def _product(self, f: Floats, g: Floats) -> float:
        """sum over d of <f, g>_pi."""
        return float(np.einsum("a,ad,ad->", self.law, f, g))


def glauber(J: ArrayLike, h: ArrayLike | None = None, T: float = 1.0) -> Chain:
    """Single-spin steps: one cell, drawn at random, takes its value with P(+1) = 1 / (1 + exp(-2 I / T)).

    J : (n, n) symmetric, n <= CELLS_MAX; h : (n,), None for 0. ValueError says what is wrong with them.
    A chip of n cells coupled all to all, whose scan order is random, does n such steps in a sweep.
    """
    couplings, biases, T = _machine(J, h, T)
    s, n = all_states(len(biases)), len(biases)
    flip = expit(-2 * s * (s @ couplings + biases) / T) / n
    here = np.arange(len(s))
    matrix = np.zeros((len(s), len(s)))
    matrix[here[:, None], here[:, None] ^ (1 << np.arange(n))] = flip
    matrix[here, here] = 1 - flip.sum(axis=1)
    return Chain(s, boltzmann(couplings, biases, T, {}), matrix, True)


def sweep(J: ArrayLike, colours: ArrayLike, h: ArrayLike | None = None, T: float = 1.0) -> Chain:
    """A whole sweep of a chip, the colours in ascending order.

    J, h : as in `glauber`; colours : (n,) of the cells, as in `chip.topology.colour`. Cells of one colour may not be coupled.
    """
    couplings, biases, T = _machine(J, h, T)
    updates = [_update(couplings, biases, T, cells) for cells in phases(couplings, colours)]
    matrix = reduce(lambda later, update: update @ later, reversed(updates), np.eye(1 << len(biases)))
    return Chain(all_states(len(biases)), boltzmann(couplings, biases, T, {}), matrix, len(updates) == 1)


def phases(J: Floats, colours: ArrayLike) -> list[NDArray[np.int64]]:
    """Cells of each colour phase; ValueError if there is not a colour for each cell, or coupled cells have the same."""
    colour = np.asarray(colours)
    if colour.shape != (len(J),):
        raise ValueError(f"colours has shape {colour.shape}; ({len(J)},) is expected, one for each cell")
    clash = (colour[:, None] == colour) & (J != 0)
    if clash.any():
        i, j = np.argwhere(clash)[0].tolist()
        raise ValueError(f"cells {i} and {j} are coupled and have both colour {colour[i]}; they cannot be updated at once")
    return [np.flatnonzero(colour == c) for c in np.unique(colour)]


def _update(J: Floats, h: Floats, T: float, cells: NDArray[np.int64]) -> sparse.csr_array:
    """(S, S) transitions when these cells, not coupled to each other, take new values: 2^cells entries a row."""
    s, settings = all_states(len(h)), all_states(len(cells))
    field = (s @ J[cells].T + h[cells]) / T
    chance = np.exp(field @ settings.T - np.logaddexp(field, -field).sum(axis=1, keepdims=True))
    bits = ((settings > 0) << cells).sum(axis=1)
    target = (number(s.astype(np.int8)) & ~int((1 << cells).sum()))[:, None] | bits
    row = np.arange(len(s) + 1) * len(settings)
    return sparse.csr_array((chance.ravel(), target.ravel(), row), shape=(len(s), len(s)))


def _machine(J: ArrayLike, h: ArrayLike | None, T: float) -> tuple[Floats, Floats, float]:
    """Couplings, biases, temperature; ValueError if no chain can be made of them."""
    couplings = np.asarray(J, np.float64)
    if couplings.ndim != 2 or couplings.shape[0] != couplings.shape[1]:
        raise ValueError(f"J has shape {couplings.shape}; a square matrix is expected")
    n = len(couplings)
    if not 1 <= n <= CELLS_MAX:
        raise ValueError(f"J is of {n} cells; 1 .. {CELLS_MAX} can be enumerated")
    biases = np.zeros(n) if h is None else np.asarray(h, np.float64)
    if biases.shape != (n,):
        raise ValueError(f"h has shape {biases.shape}; ({n},) is expected, one for each cell of J")
    if not np.isfinite(couplings).all() or not np.isfinite(biases).all():
        raise ValueError("J or h holds a value that is not finite")
    if not np.allclose(couplings, couplings.T) or np.diag(couplings).any():
        raise ValueError("J must be symmetric with zeros on its diagonal, for only then the law is Boltzmann's")
    if not T > 0:
        raise ValueError(f"T = {T}; it must be above 0")
    return couplings, biases, float(T)


@dataclass(frozen=True)
class Spectrum:
    """The modes of a chain, the slowest first, and how much observables see of each. The stationary mode is left out.

    eigenvalues : (S - 1,) by falling modulus, real if the chain is reversible
    overlaps : (S - 1,) share of the observables' variance along the mode; of a chain that is not reversible along its left
        eigenvector, normed like those of reversible ones; the shares then do not add to 1
    variance : C(0)
    reversible : as of the chain
    """

    eigenvalues: NDArray[np.complex128] | Floats
    overlaps: Floats
    variance: float
    reversible: bool

    @property
    def gap(self) -> float:
        """1 - |l| of the slowest mode."""
        return float(1 - abs(self.eigenvalues[0]))

    @property
    def relevant(self) -> int:
        """Number of the first mode of which the observables see more than RELEVANT; 0 is the slowest of all."""
        return int(np.argmax(self.overlaps > RELEVANT))

    @property
    def relevant_gap(self) -> float:
        """1 - |l| of that mode: the rate at which what the observables measure is forgotten in the end."""
        return float(1 - abs(self.eigenvalues[self.relevant]))

    @property
    def tau(self) -> float:
        """tau_int by the formula of modes; ValueError if the chain is not reversible (`Chain.tau` serves any)."""
        c2, rate = self._modes()
        return float((c2 * (1 + rate) / (1 - rate)).sum() / c2.sum())

    def mse(self, windows: ArrayLike) -> Floats:
        """(windows,) MSE(K) by the formula of modes; ValueError if the chain is not reversible (`Chain.mse` serves any)."""
        c2, rate = self._modes()
        k = np.atleast_1d(np.asarray(windows, np.float64))[:, None]
        terms = (1 + rate) / (1 - rate) - 2 * rate * (1 - rate**k) / (k * (1 - rate) ** 2)
        return np.asarray((c2 * terms).sum(axis=1) / k[:, 0])

    def _modes(self) -> tuple[Floats, Floats]:
        if not self.reversible:
            raise ValueError("the chain is not reversible: its modes are not orthogonal, and no formula adds them up")
        return self.overlaps * self.variance, np.asarray(self.eigenvalues, np.float64)


def spectrum(chain: Chain, f: ArrayLike) -> Spectrum:
    """All modes of a chain as observables f, (S,) or (S, d), see them.

    2^8 states take .1 s, 2^10 of a reversible chain 2 s and of another 20 s, 2^12 of a reversible one 40 s.
    ValueError if a state is so improbable that float64 has no number for it.
    """
    if not chain.law.min() > 0:
        raise ValueError("a state has probability 0 in float64; weaker couplings or a higher T are needed")
    c = chain.centred(f)
    variance = chain.variance(f)
    root = np.sqrt(chain.law)
    whitened = root[:, None] * chain.matrix / root - root[:, None] * root
    if chain.reversible:
        values, left = np.linalg.eigh((whitened + whitened.T) / 2)
    else:
        values, left = linalg.eig(whitened.T)
        left = left / np.linalg.norm(left, axis=0)
    overlaps = (np.abs(left.T @ (root[:, None] * c)) ** 2).sum(axis=1) / variance
    order = np.argsort(-np.abs(values), kind="stable")[:-1]
    return Spectrum(values[order], overlaps[order], variance, chain.reversible)


def effective_gap(tau: float) -> float:
    """Gap of the chain of a single mode that has this tau_int: (2 - g) / g = tau, hence g = 2 / (tau + 1)."""
    return 2 / (tau + 1)
