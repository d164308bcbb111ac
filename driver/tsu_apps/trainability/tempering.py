"""Ladders of temperatures for replica exchange: where the rungs go, and how often neighbours swap.

Neighbouring rungs at inverse temperatures a and b swap their states with probability min(1, exp((a - b) (E_a - E_b))). With
Gaussian energies its mean is erfc(L / 2), L being the thermodynamic length between them, the integral of sqrt(Var E) d beta
(Nadler and Hansmann, Phys. Rev. E 75, 026109, 2007): rungs equally long apart are accepted equally often. Var E comes from
enumeration (`enumerated_moments`), from a formula of the machine's own, or from pilot runs on a chip (`measure.pilot`).

Energies in kT at T = 1; beta = 1 / T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfc, logsumexp

Floats = NDArray[np.float64]


def energies(spins: ArrayLike, J: Floats, h: Floats) -> Floats:
    """(...) energies E = -sum_{i<j} J_ij s_i s_j - sum_i h_i s_i of (..., cells) spins; J symmetric."""
    s = np.asarray(spins, np.float64)
    return np.asarray(-(s * (0.5 * (s @ J) + h)).sum(axis=-1))


def enumerated_moments(energy: ArrayLike, betas: ArrayLike) -> tuple[Floats, Floats]:
    """(mean, variance) of E, (betas,) each, of a machine whose states have the energies (S,)."""
    e, beta = np.asarray(energy, np.float64), np.atleast_1d(np.asarray(betas, np.float64))[:, None]
    weight = -beta * e
    p = np.exp(weight - logsumexp(weight, axis=1, keepdims=True))
    mean = p @ e
    return mean, np.asarray((p * (e - mean[:, None]) ** 2).sum(axis=1))


def enumerated_acceptance(energy: ArrayLike, betas: ArrayLike) -> Floats:
    """(betas - 1,) acceptance of neighbours in equilibrium, exact, of a machine whose states have the energies (S,).

    A swap that is refused with some probability is the reverse of one that is not, so that the acceptance of states i at the
    colder, j at the hotter rung is 2 P(E_i > E_j) + P(i = j), ties counting half of each.
    """
    e, beta = np.sort(np.asarray(energy, np.float64)), _falling(betas)[:, None]
    weight = -beta * e
    p = np.exp(weight - logsumexp(weight, axis=1, keepdims=True))
    below = np.cumsum(p, axis=1) - p
    return np.asarray((p[:-1] * (2 * below[1:] + p[1:])).sum(axis=1))


def sampled_acceptance(energy: ArrayLike, betas: ArrayLike) -> Floats:
    """(rungs - 1,) mean of min(1, exp((a - b) (E_a - E_b))) over samples (..., rungs) of the energies at `betas`, (rungs,)."""
    e, beta = np.asarray(energy, np.float64), _falling(betas)
    if e.ndim < 2 or e.shape[-1] != len(beta):
        raise ValueError(f"energies have shape {e.shape}; (..., {len(beta)}) is expected, one for each rung")
    exponent = (beta[:-1] - beta[1:]) * (e[..., :-1] - e[..., 1:])
    return np.asarray(np.exp(np.minimum(exponent, 0)).mean(axis=tuple(range(e.ndim - 1))))


@dataclass(frozen=True)
class Acceptance:
    """Measured acceptance per neighbour pair: rate and its standard error, (rungs - 1,) each."""

    rate: Floats
    error: Floats


def measured_acceptance(accepted: ArrayLike, attempted: ArrayLike) -> Acceptance:
    """From counts of swaps, of a host's or of a chip's exchange.

    accepted : (ladders, rungs - 1); attempted : the same shape, or (rungs - 1,) of every ladder
    The error is from the scatter of the ladders; of one ladder binomial, which ignores that attempts are correlated.
    ValueError if a pair was never tried or accepted more often than tried.
    """
    yes = np.atleast_2d(np.asarray(accepted, np.float64))
    tries = np.broadcast_to(np.asarray(attempted, np.float64), yes.shape)
    wrong = (tries <= 0) | (yes < 0) | (yes > tries)
    if wrong.any():
        ladder, pair = np.argwhere(wrong)[0].tolist()
        raise ValueError(f"pair {pair} of ladder {ladder}: {yes[ladder, pair]:g} of {tries[ladder, pair]:g} attempts accepted")
    each = yes / tries
    rate = each.mean(axis=0)
    if len(yes) == 1:
        return Acceptance(rate, np.sqrt(rate * (1 - rate) / tries[0]))
    return Acceptance(rate, each.std(axis=0, ddof=1) / np.sqrt(len(yes)))


@dataclass(frozen=True)
class Ladder:
    """Rungs of replica exchange, the coldest first.

    betas : (rungs,) falling; lengths : (rungs - 1,) thermodynamic length between neighbours
    """

    betas: Floats
    lengths: Floats

    @property
    def temperatures(self) -> Floats:
        """(rungs,) T = 1 / beta, rising: multipliers of planes at T = 1."""
        return 1 / self.betas

    @property
    def predicted(self) -> Floats:
        """(rungs - 1,) acceptance erfc(L / 2) of neighbours with Gaussian energies."""
        return np.asarray(erfc(self.lengths / 2))


def thermodynamic_length(betas: ArrayLike, variances: ArrayLike) -> Floats:
    """(n,) integral of sqrt(Var E) d beta from the first point of the grid, by the trapezoid rule; betas (n,) rising."""
    beta, variance = np.asarray(betas, np.float64), np.asarray(variances, np.float64)
    if beta.ndim != 1 or len(beta) < 2 or beta.shape != variance.shape:
        raise ValueError(
            f"betas {beta.shape} and variances {variance.shape}; two lists of equal length, at least 2, are expected"
        )
    if not (np.diff(beta) > 0).all() or not beta[0] >= 0:
        raise ValueError("betas must rise from 0 or more")
    if not (variance >= 0).all():
        at = int(np.argmin(variance >= 0))
        raise ValueError(f"the variance at beta = {beta[at]:g} is {variance[at]:g}; it must be 0 or more")
    root = np.sqrt(variance)
    return np.concatenate([[0.0], np.cumsum((root[1:] + root[:-1]) / 2 * np.diff(beta))])


def ladder(rungs: ArrayLike, betas: ArrayLike, variances: ArrayLike) -> Ladder:
    """Given rungs (falling betas within the grid) and how long they are apart; betas, variances (n,) as the length takes them."""
    beta, grid = _falling(rungs), np.asarray(betas, np.float64)
    length = thermodynamic_length(grid, variances)
    if beta[0] > grid[-1] * (1 + 1e-9) or beta[-1] < grid[0] * (1 - 1e-9):
        raise ValueError(f"rungs {beta[-1]:g} .. {beta[0]:g} leave the grid {grid[0]:g} .. {grid[-1]:g} of known variances")
    return Ladder(beta, -np.diff(np.interp(beta, grid, length)))


def equal_length_ladder(rungs: int, betas: ArrayLike, variances: ArrayLike) -> Ladder:
    """`rungs` rungs from the end of the grid to its beginning, equally long apart; betas, variances as in `thermodynamic_length`.

    ValueError if there are fewer than two, or if Var E is 0 all over the grid.
    """
    if rungs < 2:
        raise ValueError(f"rungs = {rungs}; at least 2 are expected")
    grid = np.asarray(betas, np.float64)
    length = thermodynamic_length(grid, variances)
    if not length[-1] > 0:
        raise ValueError("Var E is 0 everywhere: every ladder is accepted always, none is better")
    return ladder(np.interp(np.linspace(length[-1], 0, rungs), length, grid), grid, variances)


def _falling(betas: ArrayLike) -> Floats:
    beta = np.atleast_1d(np.asarray(betas, np.float64))
    if beta.ndim != 1 or not (np.diff(beta) < 0).all() or not beta[-1] >= 0:
        raise ValueError(f"rungs {beta.tolist()}; falling inverse temperatures, 0 or more, are expected, the coldest first")
    return beta
