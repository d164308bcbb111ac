"""Likelihoods by annealed importance sampling against exact ones, and where they must be distrusted."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tests.apps.models_machines import all_pairs, bipartite, ferromagnet, machine
from tsu_apps.models import (
    Boltzmann,
    Gibbs,
    exact,
    exact_log_z,
    kl_to,
    log_likelihood,
    log_marginals,
    log_weights,
    pseudo_likelihood,
    state_numbers,
    state_spins,
    trajectory_log_z,
)
from tsu_apps.models.annealing import Annealing
from tsu_apps.models.likelihood import EXAMPLE_CHAINS

SIGMAS = 4.5
"""Errors of an estimate with many effective samples are nearly normal: beyond 4.5 standard errors once in 150,000 times."""


@pytest.fixture(scope="module")
def digits() -> tuple[Boltzmann, NDArray[np.int8]]:
    """(64 visible and 20 hidden cells, two tied to each of the mean images of the ten digits; 300 images)."""
    images, labels = load_digits(return_X_y=True)
    X = np.where(images >= 8, 1, -1).astype(np.int8)
    means = np.array([X[labels == digit].mean(axis=0) for digit in range(10)])
    weights = 0.12 * np.repeat(means - means.mean(axis=0), 2, axis=0)
    rng = np.random.default_rng(0)
    weights += rng.normal(0, 0.1, weights.shape)
    h, v = np.divmod(np.arange(weights.size), 64)
    biases = np.concatenate([np.arctanh(np.clip(X.mean(axis=0), -0.95, 0.95)), rng.normal(0, 0.2, 20)])
    return Boltzmann(np.stack([v, h + 64], axis=1), weights.ravel(), biases), X[:300]


def test_float32_moves_a_log_weight_by_less_than_5e_4(digits: tuple[Boltzmann, NDArray[np.int8]]) -> None:
    """With all visible cells fixed there is nothing random in a weight: after 2000 steps it is the closed form in float64."""
    model, X = digits
    spins = np.concatenate([X, np.ones((len(X), 20), np.int8)], axis=1)
    loose = model.with_values(0 * model.weights, np.zeros(84))
    annealing = Annealing(loose, spins, np.arange(64), np.random.default_rng(0))
    annealing.to(model, np.arange(1, 2001) / 2000)
    errors = np.abs(annealing.log_weights - log_weights(model, range(64), X))
    assert 0 < errors.max() < 5e-4


def test_digits_with_hidden_cells(digits: tuple[Boltzmann, NDArray[np.int8]]) -> None:
    """Ten modes and 84 cells, log Z exact by enumeration of the hidden ones. Half the default steps are enough for .05 nat."""
    model, X = digits
    exactly = log_likelihood(model, range(64), X, log_z=exact_log_z(model))
    assert exactly.standard_error == 0
    assert exactly.trusted
    found = log_likelihood(model, range(64), X, steps=1000, seed=6)
    assert found.trusted
    assert found.standard_error < 0.05
    assert abs(found.mean - exactly.mean) < SIGMAS * found.standard_error
    assert found.nats.shape == (300,)
    assert found.mean == pytest.approx(found.nats.mean())
    stronger = model.with_values(1.5 * model.weights, model.biases)
    other = log_likelihood(stronger, range(64), X, log_z=exact_log_z(stronger))
    assert abs(found.mean - other.mean) > 10 * SIGMAS * found.standard_error


def test_hidden_cells_that_are_coupled_to_each_other() -> None:
    """All 64 visible states of a complete machine against its exact marginals. The log of a mean of 20 weights lies low by about
    half its variance, which at more than 19 effective samples of 20 is below .002 nat."""
    model = machine(13, 1.0, seed=7, scale=0.35)
    X, exactly = state_spins(np.arange(64), 6), log_marginals(model, range(6))
    found = log_likelihood(model, range(6), X, steps=500, seed=8)
    assert found.trusted
    assert found.standard_error < 0.05
    assert abs(found.mean - exactly.mean()) < SIGMAS * found.standard_error + 0.002
    assert np.abs(found.nats - exactly).max() < 0.3
    other = log_marginals(model.with_values(1.5 * model.weights, model.biases), range(6))
    assert abs(found.mean - other.mean()) > 10 * found.standard_error


def test_the_error_of_sums_over_hidden_states_is_counted() -> None:
    """With log Z exact the whole error is that of the annealed sums: its size is that of 40 repetitions, within 4.5 / sqrt(2
    40)."""
    model = machine(13, 1.0, seed=7, scale=0.8)
    X, log_z, exactly = state_spins(np.arange(64), 6), exact_log_z(model), log_marginals(model, range(6)).mean()
    runs = [log_likelihood(model, range(6), X, log_z=log_z, seed=seed) for seed in range(40)]
    ratios = np.array([(run.mean - exactly) / run.standard_error for run in runs])
    assert all(run.standard_error > 0 for run in runs)
    assert abs(ratios.std() - 1) < SIGMAS / math.sqrt(2 * 40)


def test_sums_over_hidden_states_may_be_distrusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden cells among themselves a ferromagnet of two modes far apart, annealed in one step."""
    pairs = all_pairs(24)
    inside = (pairs >= 4).all(axis=1)
    model = Boltzmann(pairs, np.where(inside, 0.3, 0.0) + np.where(pairs[:, 0] == 0, 0.3, 0.0), np.zeros(24))
    monkeypatch.setattr("tsu_apps.models.likelihood.EXAMPLE_STEPS", 1)
    found = log_likelihood(model, range(4), state_spins(np.arange(16), 4), log_z=100.0)
    assert not found.trusted
    assert f"of {EXAMPLE_CHAINS} chains" in str(found)


def test_a_machine_without_hidden_cells_needs_log_z_alone() -> None:
    model = machine(12, 1.0, seed=2, scale=0.3)
    X = state_spins(np.arange(1 << 12), 12)[::13]
    found = log_likelihood(model, range(12), X, steps=300, seed=9)
    np.testing.assert_allclose(found.nats, -model.energies(X) - found.log_z, rtol=1e-12)
    assert abs(found.log_z - exact_log_z(model)) < SIGMAS * found.standard_error


def test_columns_may_be_in_any_order() -> None:
    model = bipartite(5, 4, seed=10)
    visible, X = [3, 0, 4, 2, 1], state_spins(np.arange(32), 5)
    found = log_likelihood(model, visible, X, log_z=exact_log_z(model))
    np.testing.assert_allclose(found.nats, log_marginals(model, visible), rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_sudden_change_on_the_way_collapses_the_effective_samples_and_is_flagged(seed: int) -> None:
    """A ferromagnet whose base points up while its own mode is down: chains flip together or not at all, and the few that do
    carry all weight. From a base on the right side the same machine is estimated well."""
    model = ferromagnet(3.0, -0.2)
    X = np.full((1, 20), -1)
    found = log_likelihood(model, range(20), X, base=np.full(20, 0.46), steps=100, seed=seed)
    assert found.effective_samples < 25
    assert not found.trusted
    assert "NOT TRUSTED: log Z" in str(found)
    good = log_likelihood(model, range(20), X, steps=100, seed=seed)
    assert good.trusted
    assert "NOT" not in str(good)
    assert abs(good.log_z - exact_log_z(model)) < SIGMAS * good.standard_error


def test_a_missed_mode_is_flagged_when_the_data_are_in_it() -> None:
    """No chain reaches the mode that has .88 of the probability: many effective samples, and a data probability
    above 1."""
    model = ferromagnet(3.0, -0.05)
    found = log_likelihood(model, range(20), -np.ones((1, 20)), base=np.full(20, 0.46), steps=50, seed=0)
    assert found.effective_samples > 25
    assert found.log_z < exact_log_z(model) - 1
    assert not found.trusted
    assert "a mode was missed" in str(found)


def test_pseudo_likelihood_is_the_sum_of_conditionals() -> None:
    model = machine(6, 1.0, seed=15)
    p = exact(model).probabilities
    spins = state_spins(np.arange(64), 6)
    expected = []
    for s in spins:
        flipped = [np.where(np.arange(6) == i, -s, s) for i in range(6)]
        here = p[state_numbers(s)]
        expected.append([math.log(here / (here + p[state_numbers(f)])) for f in flipped])
    assert pseudo_likelihood(model, spins) == pytest.approx(np.sum(expected, axis=1).mean(), rel=1e-9)
    assert pseudo_likelihood(model, spins, [4, 1]) == pytest.approx(np.array(expected)[:, [4, 1]].sum(axis=1).mean(), rel=1e-9)


def test_pseudo_likelihood_prefers_the_machine_that_drew_the_samples() -> None:
    model = machine(10, 1.0, seed=16, scale=0.3)
    chains = Gibbs(model, 2000, seed=17)
    chains.run(50)
    own = pseudo_likelihood(model, chains.spins)
    for factor in (0.5, 1.5):
        assert pseudo_likelihood(model.with_values(factor * model.weights, model.biases), chains.spins) < own - 0.05


def bars(size: int) -> NDArray[np.int8]:
    """Bars and stripes: images whose rows are uniform, or whose columns are, each once."""
    rows = [np.repeat(np.array(line)[:, None], size, axis=1) for line in itertools.product([-1, 1], repeat=size)]
    return np.unique(np.array([image.ravel() for row in rows for image in (row, row.T)], np.int8), axis=0)


def test_kl_of_a_small_machine_is_the_sum() -> None:
    model, data = bipartite(4, 4, seed=18), bars(2)
    assert len(data) == 6
    p = np.arange(1, 7) / 21
    q = np.exp(log_marginals(model, range(4)))[state_numbers(data)]
    assert kl_to(model, range(4), data, p) == pytest.approx(float((p * np.log(p / q)).sum()), rel=1e-9)
    everything = state_spins(np.arange(16), 4)
    assert kl_to(model, range(4), everything, np.exp(log_marginals(model, range(4)))) == pytest.approx(0, abs=1e-12)


def test_kl_of_a_four_by_four_machine_made_of_rows_is_that_of_its_rows() -> None:
    """Four hidden cells for each row of 4x4 bars and stripes, by hand: one ties the row together, three tie neighbours. Seen
    as one machine of 16 visible and 16 hidden cells it must agree with one row of eight cells, whose law is summed state by
    state. Power: a row coupling 1.5 times as large is noticed."""
    tie = np.array([[1.2, 1.2, 1.2, 1.2], [0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5]])
    h, v = np.nonzero(tie)
    row = Boltzmann(np.stack([v, h + 4], axis=1), tie[h, v], np.linspace(-0.2, 0.2, 8))
    listed = np.array(list(itertools.product([-1, 1], repeat=8)))
    weights = np.exp(-row.energies(listed))
    single = np.bincount(state_numbers(listed[:, :4]), weights / weights.sum(), minlength=16)

    place = np.random.default_rng(19).permutation(32)
    visible, hidden = place[:16].reshape(4, 4), place[16:].reshape(4, 4)
    cells = [np.concatenate([visible[k], hidden[k]]) for k in range(4)]
    biases = np.empty(32)
    biases[np.concatenate(cells)] = np.tile(row.biases, 4)
    model = Boltzmann(np.concatenate([c[row.pairs] for c in cells]), np.tile(row.weights, 4), biases)

    data = bars(4)
    assert len(data) == 30
    expected = -math.log(30) - np.log(single[state_numbers(data.reshape(30, 4, 4))]).sum(axis=1).mean()
    assert kl_to(model, visible.ravel(), data) == pytest.approx(expected, rel=1e-9)
    weights = model.weights.copy()
    weights[0] *= 1.5
    assert abs(kl_to(model.with_values(weights, biases), visible.ravel(), data) - expected) > 0.01
    found = log_likelihood(model, visible.ravel(), data, steps=500, seed=20)
    assert abs(-math.log(30) - found.mean - expected) < SIGMAS * found.standard_error


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"X": np.zeros((2, 5))}, r"X\[0, 0\] is 0.0; spins are -1 and \+1"),
        ({"X": np.ones((2, 4))}, r"X has shape \(2, 4\); \(any, 5\) is expected"),
        ({"X": np.ones((0, 5))}, r"X has shape \(0, 5\)"),
        ({"visible": [0, 1, 2, 3, 9]}, "visible names cell 9"),
        ({"base": np.zeros(3)}, "base must be 5 means"),
        ({"base": np.full(5, 1.5)}, "base must be 5 means"),
        ({"chains": 10}, "chains = 10; at least 25"),
        ({"steps": 0}, "steps = 0"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], what: str) -> None:
    given: dict[str, Any] = {"visible": range(5), "X": np.ones((2, 5)), "steps": 2} | change
    with pytest.raises(ValueError, match=what):
        log_likelihood(bipartite(5, 4, seed=0), given.pop("visible"), given.pop("X"), **given)


def test_more_bad_input_is_named() -> None:
    model = bipartite(5, 4, seed=0)
    with pytest.raises(ValueError, match="checkpoints is empty"):
        trajectory_log_z(model.pairs, [])
    with pytest.raises(ValueError, match="names a pattern twice"):
        kl_to(model, range(5), np.ones((2, 5)))
    for wrong in ([0.5, 0.6], [1.5, -0.5], [1.0]):
        with pytest.raises(ValueError, match="probabilities must be 2 numbers >= 0 that sum to 1"):
            kl_to(model, range(5), state_spins([0, 1], 5), wrong)
