"""Boltzmann machines against their definition written out, and against enumeration state by state."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.apps.models_machines import bipartite, machine
from tsu_apps.characterise.laws import Sweep, boltzmann, states
from tsu_apps.models import Boltzmann, exact, exact_log_z, log_marginals, log_weights, state_numbers, state_spins
from tsu_apps.models.colouring import checked_colours


def energy(model: Boltzmann, spins: Any) -> float:
    """The definition, term by term."""
    pairs = zip(model.weights.tolist(), model.pairs.tolist(), strict=True)
    alone = zip(model.biases.tolist(), spins, strict=True)
    return -sum(w * spins[i] * spins[j] for w, (i, j) in pairs) - sum(b * s for b, s in alone)


def law(model: Boltzmann) -> NDArray[np.float64]:
    """(2^n,) probabilities by a second implementation."""
    J = np.zeros((model.cells, model.cells))
    J[model.pairs[:, 0], model.pairs[:, 1]] = model.weights
    return boltzmann(J + J.T, model.biases, 1.0, {})


@pytest.fixture(params=["dense", "sparse"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of holding couplings."""
    if request.param == "sparse":
        monkeypatch.setattr("tsu_apps.models.boltzmann.DENSE_CELLS", 0)


@pytest.mark.usefixtures("storage")
def test_energies_and_fields_are_the_definition() -> None:
    model = machine(7, 0.6, seed=0)
    spins = np.random.default_rng(1).choice([-1, 1], (3, 4, 7))
    expected = [[energy(model, s) for s in row] for row in spins.tolist()]
    np.testing.assert_allclose(model.energies(spins), expected, rtol=1e-12)
    flipped = spins.copy()
    flipped[..., 2] *= -1
    change = model.energies(flipped) - model.energies(spins)
    np.testing.assert_allclose(change, 2 * spins[..., 2] * model.fields(spins)[..., 2], rtol=1e-12)
    assert model.fields(spins[0, 0]).shape == (7,)


def test_a_model_is_read_only_and_its_own() -> None:
    weights = np.array([0.5])
    model = Boltzmann(np.array([[0, 1]]), weights, np.zeros(2))
    weights[0] = 9.0
    assert model.weights[0] == 0.5
    with pytest.raises(ValueError, match="read-only"):
        model.weights[0] = 1.0
    assert Boltzmann(np.empty((0, 2), np.int64), np.empty(0), np.zeros(3)).energies(np.ones(3)) == 0


@pytest.mark.parametrize(
    ("pairs", "weights", "biases", "what"),
    [
        ([[0, 3]], [1.0], np.zeros(3), r"pairs\[0\] is \[0, 3\]; the model has cells 0 .. 2"),
        ([[0, 1], [2, 2]], [1.0, 1.0], np.zeros(3), r"pairs\[1\] couples cell 2 to itself"),
        ([[0, 1], [1, 0]], [1.0, 1.0], np.zeros(3), "cells 0 and 1 twice"),
        ([[0, 1]], [1.0, 2.0], np.zeros(3), r"weights has shape \(2,\); \(1,\) is expected"),
        ([[0, 1]], [np.nan], np.zeros(3), r"weights\[0\] is nan"),
        ([[0, 1]], [1.0], np.array([0.0, np.inf]), r"biases\[1\] is inf"),
        ([[0.0, 1.0]], [1.0], np.zeros(3), "pairs is float64"),
        ([], [], np.zeros(0), r"biases has shape \(0,\)"),
    ],
)
def test_impossible_models_are_named(pairs: Any, weights: Any, biases: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Boltzmann(pairs, weights, biases)


def directed(model: Boltzmann, difference: NDArray[np.float64]) -> tuple[Any, Any, Any]:
    """(row, source, J) of a chip in which the lower cell of a pair hears w + d and the higher one w - d."""
    i, j = model.pairs.T
    target, source = np.concatenate([i, j]), np.concatenate([j, i])
    J = np.concatenate([model.weights + difference, model.weights - difference])
    order = np.lexsort([source, target])
    row = np.searchsorted(target[order], np.arange(model.cells + 1))
    return row, source[order], J[order]


def test_asymmetric_couplings_are_symmetrised_and_measured() -> None:
    model = machine(6, 0.7, seed=3)
    difference = np.random.default_rng(4).normal(0, 0.1, len(model.weights))
    row, source, J = directed(model, difference)
    found, asymmetry = Boltzmann.symmetrised(row, source, J, model.biases)
    np.testing.assert_array_equal(found.pairs, model.pairs)
    np.testing.assert_allclose(found.weights, model.weights, atol=1e-15)
    assert asymmetry == pytest.approx(math.sqrt(np.mean(difference**2) / np.mean(J**2)))
    assert Boltzmann.symmetrised(*directed(model, 0 * difference), model.biases)[1] == 0
    antisymmetric = model.with_values(0 * model.weights, model.biases)
    assert Boltzmann.symmetrised(*directed(antisymmetric, difference), model.biases)[1] == pytest.approx(1)


def test_a_direction_without_a_coupler_counts_as_zero() -> None:
    model, asymmetry = Boltzmann.symmetrised([0, 1, 1], [1], [0.6], [0.0, 0.0])
    assert model.weights.tolist() == [0.3]
    assert asymmetry == pytest.approx(0.3 / math.sqrt(0.6**2 / 2))
    with pytest.raises(ValueError, match="row must be 3 ascending numbers from 0 to 1"):
        Boltzmann.symmetrised([0, 1], [1], [0.6], [0.0, 0.0])


def test_the_asymmetry_tells_whether_a_chip_settles_to_the_model() -> None:
    """The exact stationary law of a chip's sweeps is the model's if J is symmetric, and far from it if the asymmetry is .5."""
    model = machine(4, 1.0, seed=5, scale=0.6)
    distances = []
    for size in (0.0, 0.4):
        row, source, J = directed(model, size * np.sign(model.weights - 0.1))
        found, asymmetry = Boltzmann.symmetrised(row, source, J, model.biases)
        dense = np.zeros((4, 4))
        dense[np.repeat(np.arange(4), np.diff(row)), source] = J
        stationary, _ = Sweep.of(dense, model.biases, 1.0, [0, 1, 2, 3], {}).stationary({})
        distances.append((asymmetry, 0.5 * np.abs(stationary - exact(found).probabilities).sum()))
    assert distances[0][0] == 0
    assert distances[0][1] < 1e-9
    assert distances[1][0] > 0.3
    assert distances[1][1] > 0.02


@pytest.mark.usefixtures("storage")
def test_clamping_leaves_the_conditional_law() -> None:
    model = machine(7, 0.7, seed=6)
    rest = model.conditioned([5, 0], [-1, 1])
    assert rest.cells.tolist() == [1, 2, 3, 4, 6]
    full = np.ones((32, 7))
    full[:, rest.cells] = state_spins(np.arange(32), 5)
    full[:, 5] = -1
    np.testing.assert_allclose(rest.model.energies(full[:, rest.cells]) + rest.energy, model.energies(full), rtol=1e-12)
    joint = law(model)[state_numbers(full)]
    np.testing.assert_allclose(exact(rest.model).probabilities, joint / joint.sum(), rtol=1e-9)
    with pytest.raises(ValueError, match="all cells are clamped"):
        model.conditioned(np.arange(7), np.ones(7))
    with pytest.raises(ValueError, match=r"values\[1\] is 0"):
        model.conditioned([0, 1], [1, 0])


def lattice(size: int) -> NDArray[np.int64]:
    """Nearest neighbours on a square of size x size cells."""
    cell = np.arange(size * size).reshape(size, size)
    pairs = [np.stack([cell[:, :-1].ravel(), cell[:, 1:].ravel()], 1), np.stack([cell[:-1].ravel(), cell[1:].ravel()], 1)]
    return np.concatenate(pairs)


@pytest.mark.parametrize(
    ("pairs", "cells", "colours"),
    [
        (lattice(6), 36, 2),
        (np.array([[k, (k + 1) % 8] for k in range(8)]), 8, 2),
        (np.array([[k, (k + 1) % 9] for k in range(9)]), 9, 3),
        (np.argwhere(np.triu(np.ones((7, 7)), 1)), 7, 7),
        (np.empty((0, 2), np.int64), 4, 1),
        (np.random.default_rng(0).permutation(36)[lattice(6)], 36, 2),
    ],
    ids=["lattice", "even-ring", "odd-ring", "complete", "loose", "shuffled"],
)
def test_colours(pairs: Any, cells: int, colours: int) -> None:
    model = Boltzmann(pairs, np.ones(len(pairs)), np.zeros(cells))
    assert checked_colours(model.colours, model.pairs, cells).max() + 1 == colours


def test_random_graphs_are_coloured_within_their_degree() -> None:
    """A greedy colouring takes at most one colour more than the greatest number of neighbours."""
    for seed in range(20):
        model = machine(40, 0.2, seed)
        most = np.bincount(model.pairs.ravel()).max()
        assert checked_colours(model.colours, model.pairs, 40).max() <= most
    with pytest.raises(ValueError, match="are coupled and both have colour 0"):
        checked_colours(np.zeros(40, np.int64), model.pairs, 40)


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_exact_is_the_sum_over_states(share: float) -> None:
    model = machine(6, share, seed=7)
    listed = list(itertools.product([-1, 1], repeat=6))
    weights = np.array([math.exp(-energy(model, s)) for s in listed])
    p, s = weights / weights.sum(), np.array(listed)
    found = exact(model)
    assert found.log_z == pytest.approx(math.log(weights.sum()), rel=1e-12)
    np.testing.assert_allclose(found.probabilities[state_numbers(s)], p, rtol=1e-9)
    np.testing.assert_allclose(found.means, p @ s, atol=1e-12)
    np.testing.assert_allclose(found.correlations, np.einsum("k,ki,kj->ij", p, s, s), atol=1e-12)
    np.testing.assert_array_equal(state_spins(np.arange(64), 6), states(6))
    changed = exact(model.with_values(1.5 * model.weights, model.biases))
    assert share == 0 or np.abs(changed.correlations - found.correlations).max() > 0.02


def test_temperature_divides_the_energy() -> None:
    model = machine(5, 1.0, seed=8)
    weights = np.exp(-model.energies(states(5)) / 2)
    np.testing.assert_allclose(exact(model.at_temperature(2.0)).probabilities, weights / weights.sum(), rtol=1e-9)


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("model", [bipartite(5, 4, seed=9), machine(9, 0.6, seed=10)], ids=["closed", "enumerated"])
def test_hidden_cells_are_summed_out(model: Boltzmann) -> None:
    """By closed form where hidden cells are not coupled to each other, else by enumeration; visible cells in any order."""
    visible = [3, 0, 4, 2, 1]
    joint, spins = law(model), states(9)
    expected = np.bincount(state_numbers(spins[:, visible]), joint, minlength=32)
    np.testing.assert_allclose(log_marginals(model, visible), np.log(expected), rtol=1e-9)
    assert exact_log_z(model) == pytest.approx(exact(model).log_z, rel=1e-12)


@pytest.mark.usefixtures("storage")
def test_free_energies_are_closed_forms_of_the_same_sums() -> None:
    model, visible = bipartite(5, 4, seed=11), [3, 0, 4, 2, 1]
    X = state_spins(np.arange(32), 5)
    log_z = exact(model).log_z
    np.testing.assert_allclose(log_weights(model, visible, X) - log_z, log_marginals(model, visible), rtol=1e-9)
    with pytest.raises(ValueError, match="hidden cells are coupled"):
        log_weights(machine(9, 1.0, seed=0), visible, X)


def test_sixteen_and_sixteen_is_exact() -> None:
    """2^16 visible states of 32 cells; the same law seen from the hidden side has the same Z."""
    model = bipartite(16, 16, seed=12, scale=0.3)
    logs = log_marginals(model, range(16))
    X = np.random.default_rng(0).choice([-1, 1], (20, 16))
    log_z = log_weights(model, range(16), X) - logs[state_numbers(X)]
    np.testing.assert_allclose(log_z, exact_log_z(model), rtol=1e-12)
    hidden = log_weights(model, range(16, 32), X) - log_marginals(model, range(16, 32))[state_numbers(X)]
    np.testing.assert_allclose(hidden, log_z, rtol=1e-12)


def test_what_cannot_be_enumerated_is_refused() -> None:
    with pytest.raises(ValueError, match="30 cells are too many to enumerate; at most 22"):
        exact(machine(30, 0.1, seed=0))
    with pytest.raises(ValueError, match=r"visible names cell 9; the model has cells 0 \.\. 8"):
        log_marginals(machine(9, 0.5, seed=0), [0, 9])
    with pytest.raises(ValueError, match="visible names cell 1 twice"):
        log_marginals(machine(9, 0.5, seed=0), [0, 1, 1])
    with pytest.raises(ValueError, match="temperature = 0"):
        machine(3, 1.0, seed=0).at_temperature(0)
    with pytest.raises(ValueError, match=r"spins has shape \(2, 4\)"):
        machine(3, 1.0, seed=0).energies(np.ones((2, 4)))
