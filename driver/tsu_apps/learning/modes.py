"""What a machine has learnt of the shape of its data: their principal components one by one; and how sparse its couplings are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kurtosis

from tsu_apps.learning.masters import Floats
from tsu_apps.models.boltzmann import checked_spins

MODES = 10
"""Components that are followed."""
SMOOTH = 5
"""Looks over which shares are averaged before they are compared with a half: a look of P planes errs by sqrt(2 / P)."""


@dataclass(frozen=True, eq=False)
class Modes:
    """Principal components of examples, coarse ones first.

    components : (k, cells) orthonormal
    variances : (k,) variance of the examples along each, descending
    independent : (k,) the share of it that independent cells with the examples' means have: what a machine has before it learns
    """

    components: Floats
    variances: Floats
    independent: Floats

    def shares(self, spins: ArrayLike) -> Floats:
        """(k,) variance of (n, cells) spins along each component over that of the examples: 1 where the component is learnt.

        n is at least 2; the standard error of a share of n independent spins is about its size times sqrt(2 / n).
        """
        s = checked_spins(spins, (-1, self.components.shape[1]), "spins")
        if len(s) < 2:
            raise ValueError("spins holds one state; a variance needs at least 2")
        out: Floats = np.var(s @ self.components.T, axis=0, ddof=1) / self.variances
        return out

    def half_times(self, ticks: ArrayLike, shares: ArrayLike) -> Floats:
        """(k,) ticks at which each component is first half learnt: half-way from independent cells to the examples.

        ticks : (looks,); shares : (looks, k). Means of SMOOTH looks count, at the tick of the last of them. NaN where it never
        is, or where independent cells have half of the variance or more, so that there is little to learn. Coarse before fine is
        times that ascend with the number of the component.
        """
        at, values = np.asarray(ticks), np.asarray(shares, np.float64)
        if values.shape != (len(at), len(self.variances)):
            raise ValueError(f"shares has shape {values.shape}; ({len(at)}, {len(self.variances)}) is expected, a row a tick")
        if len(at) < SMOOTH:
            return np.full(len(self.variances), np.nan)
        smooth = np.lib.stride_tricks.sliding_window_view(values, SMOOTH, axis=0).mean(axis=-1)
        done = smooth >= (1 + self.independent) / 2
        known = done.any(axis=0) & (self.independent < 0.5)
        return np.where(known, at[SMOOTH - 1 :][done.argmax(axis=0)], np.nan)


def modes(examples: ArrayLike, count: int = MODES) -> Modes:
    """The leading principal components of (n, cells) spins, at most `count`, those without variance left out."""
    s = checked_spins(examples, (-1, np.shape(examples)[-1]), "examples").astype(np.float64)
    centred = s - s.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(s))
    order = np.argsort(-values)[:count]
    order = order[values[order] > 1e-9]
    components = vectors.T[order]
    alone: Floats = np.square(components) @ s.var(axis=0)
    return Modes(components, values[order], alone / values[order])


@dataclass(frozen=True)
class Sparsity:
    """How few of the couplings bear the landscape.

    zeros : fraction within one LSB of 0
    kurtosis : fourth moment about the mean over the square of the second, less 3: 0 for a normal law, 3 for a Laplace law
    participation : (sum w^2)^2 / (n sum w^4): 1 for couplings of equal size, 1/3 for normal ones, 1 / n for a single one
    NaN where all couplings are 0.
    """

    zeros: float
    kurtosis: float
    participation: float


def sparsity(weights: ArrayLike, lsb: float) -> Sparsity:
    """Of (n,) couplings; lsb is the step of their DAC, in the same unit."""
    w: NDArray[np.float64] = np.asarray(weights, np.float64)
    if w.ndim != 1 or not len(w) or not lsb > 0:
        raise ValueError(f"weights of shape {w.shape} and lsb = {lsb}; (n,) and a number greater than 0 are expected")
    squares = np.square(w)
    bulk, peak = float(squares.sum() ** 2), float(len(w) * np.square(squares).sum())
    flat = w.std() == 0
    return Sparsity(
        zeros=float(np.mean(np.abs(w) <= lsb)),
        kurtosis=np.nan if flat else float(kurtosis(w)),
        participation=bulk / peak if peak else np.nan,
    )
