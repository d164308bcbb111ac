"""What a chip that was measured will do with a program that it has not run: means of cells and of products of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.laws import Sweep, states
from tsu_apps.twin.fit import Fit, Floats
from tsu_driver import Programmed

EXACT_CELLS = 12
"""Cells up to which the law is worked out over all states."""
GROUPS, CHAINS, BURN, LOOKS, EVERY = 16, 32, 60, 30, 4
"""Of larger chips: groups of chains on the host, chains of each, sweeps before the first look, looks, sweeps between them."""
DRAWS = 8
"""Larger chips drawn from the errors of a fit, for the error of what it predicts."""


@dataclass(frozen=True)
class Prediction:
    """<s_i> of all cells, then <s_i s_j> of all pairs in the order of `topology.pairs`.

    values, errors : (cells + pairs,) means, and standard errors by what is not known of the chip and by counting
    covariance : of `values`, (cells + pairs, cells + pairs); None beyond EXACT_CELLS cells
    law : (2^cells,) probabilities of all states, cell i being bit i; None beyond EXACT_CELLS cells
    """

    values: Floats
    errors: Floats
    covariance: Floats | None = None
    law: Floats | None = None


def predict(fit: Fit, program: Programmed, T: float = 1.0, seed: int = 0) -> Prediction:
    """Of the codes that `program_couplings` wrote, at nominal T, no cell clamped, cells updated colour by colour.

    Errors of small chips are by linear propagation, those of larger ones by drawing; seed : of the chains of larger ones
    """
    if fit.topology.cells <= EXACT_CELLS:
        law = stationary(fit, program, T)
        observed = _observed(fit, states(fit.topology.cells))
        values = law @ observed
        apart = (
            np.array([stationary(other, program, T) @ observed for other in fit.one_by_one()]).reshape(-1, len(values)) - values
        )
        covariance = apart.T @ apart
        return Prediction(values, np.sqrt(np.diag(covariance)), covariance, law)
    values, noise = _by_chains(fit, program, T, seed)
    if not any(errors.any() for errors in fit.unknown.values()):
        return Prediction(values, noise)
    rng = np.random.default_rng(seed)
    others = [_by_chains(fit.draw(rng), program, T, seed)[0] for _ in range(DRAWS)]
    return Prediction(values, np.hypot(np.sqrt(np.mean((np.array(others) - values) ** 2, axis=0)), noise))


def stationary(fit: Fit, program: Programmed, T: float = 1.0) -> Floats:
    """(2^cells,) law of a chip at the end of its sweeps, exactly: the stationary vector of the sweep."""
    J, h = fit.felt(program.coupling_codes, program.bias_codes, T)
    order = np.argsort(fit.topology.colour, kind="stable").tolist()
    return Sweep.of(_matrix(fit, J), h, 1.0, order, {}).stationary({})[0]


def _matrix(fit: Fit, J: Floats) -> Floats:
    """(cells, cells), [i, j] being what cell i hears of cell j."""
    out = np.zeros((fit.topology.cells, fit.topology.cells))
    out[fit.topology.target, fit.topology.source.astype(np.int64)] = J
    return out


def _observed(fit: Fit, spins: Floats | NDArray[np.int8]) -> Floats:
    """(n, cells + pairs) spins and products of coupled pairs."""
    i, j = fit.topology.pairs.T
    return np.concatenate([spins, spins[:, i] * spins[:, j]], axis=1, dtype=np.float64)


def observed(fit: Fit, spins: NDArray[np.int8]) -> Floats:
    """(planes, cells + pairs) means of each plane of samples (n, planes, cells), in the order of a prediction. Planes are
    independent, looks at one of them need not be."""
    return np.array([_observed(fit, spins[:, p]).mean(axis=0) for p in range(spins.shape[1])])


def _by_chains(fit: Fit, program: Programmed, T: float, seed: int) -> tuple[Floats, Floats]:
    """(means, standard errors from the spread of groups) by chains on the host, whose fields are float32. One seed gives chips
    that are nearly alike chains that are."""
    rng, t = np.random.default_rng(seed), fit.topology
    felt, h = fit.felt(program.coupling_codes, program.bias_codes, T)
    J, bias = _matrix(fit, felt).astype(np.float32), h.astype(np.float32)[:, None]
    classes = [np.flatnonzero(t.colour == c) for c in range(int(t.colour.max()) + 1)]
    spins = rng.choice(np.array([-1.0, 1.0], np.float32), (t.cells, GROUPS * CHAINS))
    first, pairs = np.zeros((GROUPS, t.cells)), np.zeros((GROUPS, t.cells, t.cells))
    for sweep in range(BURN + LOOKS * EVERY):
        for cells in classes:
            up = 1.0 / (1.0 + np.exp(-2.0 * (J[cells] @ spins + bias[cells])))
            spins[cells] = np.where(rng.random(up.shape, np.float32) < up, np.float32(1.0), np.float32(-1.0))
        if sweep >= BURN and (sweep - BURN) % EVERY == 0:
            seen = spins.reshape(t.cells, GROUPS, CHAINS).transpose(1, 0, 2)
            first += seen.sum(axis=2)
            pairs += seen @ seen.transpose(0, 2, 1)
    i, j = t.pairs.T
    groups = np.concatenate([first, pairs[:, i, j]], axis=1) / (LOOKS * CHAINS)
    return groups.mean(axis=0), groups.std(axis=0, ddof=1) / np.sqrt(GROUPS)
