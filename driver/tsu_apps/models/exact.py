"""Exact laws of small machines, by enumeration; of any machine, what can be summed in closed form.

States are numbered so that bit k of the number is cell k (or cell visible[k]), 1 for +1. Energies of all 2^n states are built
by doubling:
a further cell appends a copy of what there is, with the other sign of its part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.models.boltzmann import Boltzmann, Floats, Ints, cell_numbers, checked_spins

ENUMERABLE = 22
"""Most cells whose states are enumerated, 2^22 of them."""


@dataclass(frozen=True, eq=False)
class Exact:
    """The law of a small machine.

    log_z : natural logarithm of Z = sum over states of exp(-E)
    probabilities : (2^n,) of all states
    means : (n,) <s_i>
    correlations : (n, n) <s_i s_j>, 1 on the diagonal
    """

    log_z: float
    probabilities: Floats
    means: Floats
    correlations: Floats


def state_spins(numbers: ArrayLike, cells: int) -> NDArray[np.int8]:
    """(k, cells) spins of state numbers (k,)."""
    bits = (np.asarray(numbers, np.int64)[:, None] >> np.arange(cells)) & 1
    return (2 * bits - 1).astype(np.int8)


def state_numbers(spins: ArrayLike) -> Ints:
    """(...) state numbers of (..., cells) spins."""
    up = np.asarray(spins) > 0
    out: Ints = (up.astype(np.int64) << np.arange(up.shape[-1])).sum(axis=-1)
    return out


def exact(model: Boltzmann) -> Exact:
    """The law of a machine of up to ENUMERABLE cells; ValueError if it has more."""
    log_weights = -_energies(model, np.arange(model.cells))
    log_z = log_sum_exp(log_weights)
    probabilities = np.exp(log_weights - log_z)
    moments = _moments(probabilities)
    bit = 1 << np.arange(model.cells)
    return Exact(log_z, probabilities, moments[bit], moments[bit[:, None] ^ bit])


def exact_log_z(model: Boltzmann) -> float:
    """log Z of a machine in which at most ENUMERABLE cells have another colour than the largest class; ValueError if there are
    more.

    They are enumerated, and the largest class, whose cells are not coupled to each other, is summed out in closed form.
    """
    largest = model.colours == np.bincount(model.colours).argmax()
    return log_sum_exp(_log_marginal_weights(model, np.flatnonzero(~largest)))


def log_marginals(model: Boltzmann, visible: ArrayLike) -> Floats:
    """(2^v,) log probabilities of all states of the visible cells, the others summed out.

    visible : (v,) cell numbers; bit k of a state's number is visible[k]
    ValueError if v, or v + hidden cells where hidden cells are coupled to each other, is more than ENUMERABLE.
    """
    cells = cell_numbers(visible, model.cells, "visible")
    if _coupled(model, cells):
        hidden = np.setdiff1d(np.arange(model.cells), cells)
        energies = _energies(model, np.concatenate([cells, hidden])).reshape(1 << len(hidden), 1 << len(cells))
        log_weights = log_sum_exp_rows(-energies.T)
    else:
        log_weights = _log_marginal_weights(model, cells)
    return log_weights - log_sum_exp(log_weights)


def independent_hidden(model: Boltzmann, visible: ArrayLike) -> bool:
    """Whether no two hidden cells (those not in `visible`) are coupled, so that they are independent given the visible ones."""
    return not _coupled(model, cell_numbers(visible, model.cells, "visible"))


def log_weights(model: Boltzmann, visible: ArrayLike, X: ArrayLike) -> Floats:
    """(examples,) logarithms of sum over hidden states of exp(-E(x, hidden)), minus the free energies, in closed form.

    X : (examples, v) spins of the visible cells
    sum_i b_i x_i + sum_{i<j} w_ij x_i x_j + sum_hidden log 2 cosh(field); ValueError if hidden cells are coupled to each other.
    """
    cells = cell_numbers(visible, model.cells, "visible")
    if _coupled(model, cells):
        raise ValueError("hidden cells are coupled to each other; there is no closed form, see likelihood.log_likelihood")
    spins = np.zeros((len(np.asarray(X)), model.cells))
    spins[:, cells] = checked_spins(X, (-1, len(cells)), "X")
    hidden = np.setdiff1d(np.arange(model.cells), cells)
    # with hidden spins at 0 the energy is that of the visible cells alone
    out: Floats = log_2cosh(model.fields(spins)[:, hidden]).sum(axis=1) - model.energies(spins)
    return out


def log_2cosh(x: Floats) -> Floats:
    """log(2 cosh x) without overflow."""
    size = np.abs(x)
    out: Floats = size + np.log1p(np.exp(-2 * size))
    return out


def log_sum_exp(x: Floats) -> float:
    """log of the sum of exp(x) without overflow."""
    return float(log_sum_exp_rows(x.reshape(1, -1))[0])


def log_sum_exp_rows(x: Floats) -> Floats:
    """(rows,) log of the sum of exp(x) over the last axis of (rows, columns)."""
    top = x.max(axis=1)
    out: Floats = top + np.log(np.exp(x - top[:, None]).sum(axis=1))
    return out


def _coupled(model: Boltzmann, visible: Ints) -> bool:
    hidden = np.ones(model.cells, bool)
    hidden[visible] = False
    return bool(hidden[model.pairs].all(axis=1).any())


def _doubled(first: Floats, parts: Floats) -> Floats:
    """(..., 2^k) values first + sum_i s_i parts_i in all states of k cells; first (...,), parts (..., k)."""
    values = first[..., None]
    for part in np.moveaxis(parts, -1, 0):
        values = np.concatenate([values - part[..., None], values + part[..., None]], axis=-1)
    return values


def _energies(model: Boltzmann, cells: Ints) -> Floats:
    """(2^k,) energies of k cells among themselves, the others left out; bit k of a state is cells[k]."""
    if len(cells) > ENUMERABLE:
        raise ValueError(f"{len(cells)} cells are too many to enumerate; at most {ENUMERABLE}")
    couplings, biases = _dense(model, cells, cells), model.biases[cells]
    energies = np.zeros(1)
    for k in range(len(cells)):
        field = _doubled(biases[k], couplings[k, :k])
        energies = np.concatenate([energies + field, energies - field])
    return energies


def _log_marginal_weights(model: Boltzmann, cells: Ints) -> Floats:
    """(2^k,) log sums over the states of all other cells, which are not coupled to each other, for each state of `cells`."""
    out = -_energies(model, cells)
    others = np.setdiff1d(np.arange(model.cells), cells)
    couplings = _dense(model, others, cells)
    for bias, row in zip(model.biases[others], couplings, strict=True):
        out += log_2cosh(_doubled(bias, row))
    return out


def _dense(model: Boltzmann, rows: Ints, columns: Ints) -> Floats:
    piece = model.couplings[rows][:, columns]
    out: Floats = piece if isinstance(piece, np.ndarray) else piece.toarray()
    return out


def _moments(probabilities: Floats) -> Floats:
    """(2^n,) means of products of spins, those of the cells whose bits are set in the index: a Walsh-Hadamard transform."""
    values = probabilities
    for k in range(len(probabilities).bit_length() - 1):
        pieces = values.reshape(-1, 2, 1 << k)
        values = np.stack([pieces[:, 0] + pieces[:, 1], pieces[:, 1] - pieces[:, 0]], axis=1).ravel()
    return values
