"""Fields of cells by pseudo-likelihood: what each cell hears of its neighbours, from how often it is up under patterns of them.

A cell at T = 1 is up with probability 1 / (1 + exp(-2 F)), F = b + sum_j w_j s_j: a logistic regression for each cell (Besag,
The Statistician 24, 1975, 179), which is unbiased however few the looks at a pattern are, where an inverse tanh of means is not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STEPS, NEAR = 40, 0.03
"""Steps at most, and the step, in standard errors, that is the last."""
SHORTER = 0.5
"""Share of the step before, of which a step must be less to go on with the same curvature."""
LONGEST = 0.5
"""Greatest change of any term in a step, kT; a longer step keeps its direction."""
AT_ONCE = 4_000_000
"""Numbers that are held at once."""


def fit_fields(
    ups: Floats, looks: int, spins: NDArray[np.int8], sources: NDArray[np.int64], start: Floats, ridge: float
) -> tuple[Floats, Floats]:
    """(estimates, errors), (cells, 1 + d) each: bias and couplings of cells that hear d neighbours each.

    ups : (cells, patterns) how often a cell was +1 in `looks` looks; spins : (patterns, all cells), what was clamped
    sources : (cells, d) the cells that each hears; start : (cells, 1 + d), kT; ridge : weight, 1 / kT^2, that holds them there
    """
    cells, d = sources.shape
    estimates, errors = start.copy(), np.zeros_like(start)
    together = (sources == sources[0]).all()
    size = cells if together else max(1, AT_ONCE // (len(spins) * (d + 1)))
    for first in range(0, cells, size):
        part = slice(first, min(first + size, cells))
        heard = spins[:, sources[0] if together else sources[part]]
        fit = _Shared(heard, looks) if together else _Own(heard.transpose(1, 0, 2), looks)
        estimates[part], errors[part] = _climb(fit, ups[part], start[part], ridge)
    return estimates, errors


class _Own:
    """Designs of cells with neighbours of their own: (n, patterns, 1 + d)."""

    def __init__(self, heard: NDArray[np.int8], looks: int) -> None:
        self.looks = looks
        self._design = np.ones((*heard.shape[:2], heard.shape[2] + 1))
        self._design[:, :, 1:] = heard

    def fields(self, w: Floats) -> Floats:
        """(n, patterns) of (n, 1 + d) estimates."""
        return np.asarray(np.matmul(self._design, w[..., None])[..., 0])

    def gradient(self, residual: Floats) -> Floats:
        """(n, 1 + d) of (n, patterns)."""
        return np.asarray(np.matmul(residual[:, None, :], self._design)[:, 0])

    def curvature(self, weight: Floats) -> Floats:
        """(n, 1 + d, 1 + d) of (n, patterns) weights."""
        return np.asarray(np.matmul(self._design.transpose(0, 2, 1), self._design * weight[:, :, None]))


class _Shared:
    """The one design, (patterns, 1 + d), of cells that all hear the same neighbours: matrix products over all cells."""

    def __init__(self, heard: NDArray[np.int8], looks: int) -> None:
        self.looks = looks
        self._design = np.ones((len(heard), heard.shape[1] + 1))
        self._design[:, 1:] = heard

    def fields(self, w: Floats) -> Floats:
        return w @ self._design.T

    def gradient(self, residual: Floats) -> Floats:
        return residual @ self._design

    def curvature(self, weight: Floats) -> Floats:
        patterns, terms = self._design.shape
        out = np.zeros((len(weight), terms * terms))
        step = max(1, AT_ONCE // terms**2)
        for first in range(0, patterns, step):
            some = self._design[first : first + step]
            out += weight[:, first : first + step] @ (some[:, :, None] * some[:, None, :]).reshape(len(some), -1)
        return out.reshape(len(weight), terms, terms)


def _climb(fit: _Own | _Shared, ups: Floats, start: Floats, ridge: float) -> tuple[Floats, Floats]:
    """Greatest likelihood by Newton's steps, and the errors by the last curvature. It is kept as long as steps become shorter:
    near a start that is right to some percent it is that of the start, and a step costs 1 / d of a whole one."""
    w, looks, longest = start.copy(), fit.looks, np.inf
    inverse = _inverse(fit, w, ridge)
    for _ in range(STEPS):
        gradient = fit.gradient(2.0 * ups - looks - looks * np.tanh(fit.fields(w))) - ridge * (w - start)
        step = np.matmul(inverse, gradient[..., None])[..., 0]
        before, longest = longest, float((abs(step) / _errors(inverse)).max())
        if longest > max(SHORTER * before, NEAR):
            inverse, longest = _inverse(fit, w, ridge), np.inf
            continue
        w += step * np.minimum(1.0, LONGEST / np.maximum(abs(step).max(axis=1, keepdims=True), 1e-9))
        if longest < NEAR:
            break
    return w, _errors(inverse)


def _inverse(fit: _Own | _Shared, w: Floats, ridge: float) -> Floats:
    """Covariances (cells, 1 + d, 1 + d) of estimates w."""
    weight = fit.looks * (1.0 - np.tanh(fit.fields(w)) ** 2)
    return np.asarray(np.linalg.inv(fit.curvature(weight) + ridge * np.eye(w.shape[1])))


def _errors(inverse: Floats) -> Floats:
    return np.asarray(np.sqrt(np.diagonal(inverse, axis1=1, axis2=2)))
