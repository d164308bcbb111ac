"""Local minima against brute force, basins of machines whose basins are known, deposition and erosion by their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.apps.models_machines import bipartite, machine
from tsu_apps.models import (
    Boltzmann,
    Gibbs,
    balance,
    basin_survival,
    census,
    exact,
    flip_rate,
    quench,
    saturation,
    state_numbers,
    state_spins,
)


def minima(model: Boltzmann) -> set[int]:
    """Numbers of the states from which no single flip lowers the energy, by trying every flip."""
    spins = state_spins(np.arange(1 << model.cells), model.cells)
    energies = model.energies(spins)
    higher = [energies[np.arange(len(spins)) ^ (1 << i)] > energies for i in range(model.cells)]
    return set(np.flatnonzero(np.all(higher, axis=0)).tolist())


@pytest.mark.parametrize("model", [machine(11, 1.0, seed=1), machine(11, 0.3, seed=2), bipartite(6, 5, seed=3)])
def test_quench_ends_in_the_local_minima_and_reaches_them_all(model: Boltzmann) -> None:
    """From each of the 2048 states. Power: of the weakened machine of the same graph they are other states."""
    start = state_spins(np.arange(2048), 11)
    end = quench(model, start)
    assert set(state_numbers(end).tolist()) == minima(model)
    assert (model.energies(end) <= model.energies(start)).all()
    assert len(minima(model)) > 1
    stays = state_numbers(start) == state_numbers(end)
    assert stays.sum() == len(minima(model))
    assert minima(model) != minima(model.with_values(0.3 * model.weights, model.biases))


@pytest.mark.parametrize("dense", [True, False])
def test_quench_of_a_large_machine_is_single_flip_stable(dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not dense:
        monkeypatch.setattr("tsu_apps.models.boltzmann.DENSE_CELLS", 0)
    model = machine(300, 0.05, seed=4)
    end = quench(model, np.random.default_rng(5).choice([-1, 1], (50, 300)))
    assert (model.fields(end) * end > 0).all()
    assert len(np.unique(end, axis=0)) > 10


def test_quench_leaves_spins_without_a_field() -> None:
    """Among them sums that vanish but for rounding."""
    start = np.random.default_rng(6).choice([-1, 1], (20, 4)).astype(np.int8)
    np.testing.assert_array_equal(quench(Boltzmann([], [], np.zeros(4)), start), start)
    rounding = Boltzmann([[0, 3], [1, 3], [2, 3]], [0.1, 0.2, -0.3], [9.0, 9.0, 9.0, 0.0])
    end = quench(rounding, start)
    assert (end[:, :3] == 1).all()
    np.testing.assert_array_equal(end[:, 3], start[:, 3])


def test_quench_takes_colours_and_single_cells_first_decide() -> None:
    """In an antiferromagnetic pair the cell that is updated first gives way."""
    pair = Boltzmann([[0, 1]], [-1.0], np.zeros(2))
    assert quench(pair, [[1, 1]], colours=[0, 1]).tolist() == [[-1, 1]]
    assert quench(pair, [[1, 1]], colours=[1, 0]).tolist() == [[1, -1]]
    with pytest.raises(ValueError, match="both have colour 0"):
        quench(pair, [[1, 1]], colours=[0, 0])
    with pytest.raises(ValueError, match=r"spins\[0, 1\] is 0"):
        quench(pair, [[1, 0]])


def hopfield(patterns: NDArray[np.int8]) -> Boltzmann:
    """Hebb's couplings, which store the patterns and their negatives as attractors."""
    n = patterns.shape[1]
    pairs = np.argwhere(np.triu(np.ones((n, n)), 1))
    weights = (patterns[:, pairs[:, 0]] * patterns[:, pairs[:, 1]]).sum(axis=0) / n
    return Boltzmann(pairs, weights, np.zeros(n))


@pytest.fixture(scope="module")
def patterns() -> NDArray[np.int8]:
    """Three random patterns of 60 cells."""
    return np.random.default_rng(7).choice(np.array([-1, 1], np.int8), (3, 60))


def noisy(patterns: NDArray[np.int8], each: int) -> NDArray[np.int8]:
    """Copies of the patterns with a tenth of their spins flipped."""
    copies = np.repeat(patterns, each, axis=0)
    return np.where(np.random.default_rng(8).random(copies.shape) < 0.1, -copies, copies)


def test_census_of_stored_patterns(patterns: NDArray[np.int8]) -> None:
    """Noisy copies fall back to the three patterns; a fourth target that was not stored has no attractor."""
    model = hopfield(patterns)
    targets = np.concatenate([patterns, np.ones((1, 60), np.int8)])
    found = census(model, noisy(patterns, 100), targets, np.arange(60))
    assert found.true_attractors == 3
    assert found.spurious_attractors == 0
    assert found.spurious_ratio == 0
    assert found.counts.tolist() == [100, 100, 100]
    assert sorted(found.nearest.tolist()) == [0, 1, 2]
    np.testing.assert_array_equal(found.attractors, patterns[found.nearest])
    assert found.coverage == 0.75
    assert found.true_share == 1


def test_census_counts_what_was_never_stored_as_spurious(patterns: NDArray[np.int8]) -> None:
    """From random states about half of the attractors are the patterns' negatives or mixtures."""
    model = hopfield(patterns)
    start = np.random.default_rng(9).choice([-1, 1], (500, 60))
    found = census(model, start, patterns, np.arange(60))
    assert found.coverage == 1
    assert found.spurious_attractors >= 3
    negatives = census(model, start, np.concatenate([patterns, -patterns]), np.arange(60))
    assert negatives.true_attractors == found.true_attractors + 3
    assert negatives.spurious_ratio < found.spurious_ratio
    assert 0 < found.true_share < negatives.true_share < 1
    assert found.counts.sum() == 500
    assert (np.diff(found.counts) <= 0).all()


def test_census_looks_at_visible_cells_and_within_a_distance(patterns: NDArray[np.int8]) -> None:
    """Targets with two cells wrong are found within a distance of 2 and not of 1; a cell that is not visible does not matter."""
    model, wrong = hopfield(patterns), patterns.copy()
    wrong[:, [3, 10]] *= -1
    samples = noisy(patterns, 5)
    near, nearer = (census(model, samples, wrong, np.arange(60), distance=d) for d in (2, 1))
    assert near.coverage == 1
    assert near.distances.tolist() == [2, 2, 2]
    assert (nearer.coverage, nearer.true_attractors, nearer.true_share) == (0, 0, 0)
    assert nearer.spurious_ratio == np.inf
    visible = np.delete(np.arange(60), [3, 10])[::-1]
    assert census(model, samples, wrong[:, visible], visible).coverage == 1
    with pytest.raises(ValueError, match=r"distance = 60; 0 \.\. 59"):
        census(model, samples, wrong, np.arange(60), distance=60)
    with pytest.raises(ValueError, match=r"targets has shape \(3, 60\); \(any, 2\)"):
        census(model, samples, wrong, [0, 1])


def test_hot_samples_have_more_attractors_than_cold_ones(patterns: NDArray[np.int8]) -> None:
    """The machine at T = .3 keeps to the patterns it started from, at T = 3 it has forgotten them."""
    model = hopfield(patterns)
    shares = []
    for temperature in (0.3, 3.0):
        chains = Gibbs(model, 300, seed=10, start=np.repeat(patterns, 100, axis=0), temperature=temperature)
        chains.run(50)
        shares.append(census(model, chains.spins, patterns, np.arange(60)).true_share)
    assert shares[0] > 0.95
    assert shares[1] < 0.7


def test_balance_is_the_sum_of_its_parts() -> None:
    rng = np.random.default_rng(11)
    data, free, w = rng.uniform(-1, 1, 40), rng.uniform(-1, 1, 40), rng.normal(0, 0.5, 40)
    found = balance(0.02, 0.015, 0.001, data, free, w)
    expected = [0.02 * d - 0.015 * f - 0.001 * x for d, f, x in zip(data, free, w, strict=True)]
    np.testing.assert_allclose(found.net, expected, rtol=1e-12)
    assert found.rms["erosion"] == pytest.approx(0.015 * np.sqrt(np.mean(free**2)))
    assert found.rms["weathering"] == pytest.approx(0.001 * np.sqrt(np.mean(w**2)))
    assert found.rms["deposition"] == pytest.approx(0.02 * np.sqrt(np.mean(data**2)))
    assert found.rms["net"] == pytest.approx(np.sqrt(np.mean(np.square(expected))))


def test_a_machine_shown_its_own_law_stands_still() -> None:
    """And not if its weights are 1.5 times as large, when it wears itself down."""
    model = machine(8, 1.0, seed=12)
    i, j = model.pairs.T
    own = exact(model).correlations[i, j]
    strong = exact(model.with_values(1.5 * model.weights, model.biases)).correlations[i, j]
    assert balance(0.1, 0.1, 0.0, own, own, model.weights).rms["net"] == 0
    worn = balance(0.1, 0.1, 0.0, own, strong, 1.5 * model.weights)
    assert worn.rms["net"] > 0.002
    assert (worn.net * model.weights).mean() < 0


def test_basins_survive_where_deposition_outweighs_erosion_and_weathering() -> None:
    """Eq. 6 pair by pair: deposition .02 or .01 against erosion .01 and weathering .004 w; on the last pair the data disagree,
    and the weight must fall for the basin's sake."""
    c_data, c_free, weights = [0.8, 0.4, 0.8, -0.8], [0.4, 0.4, 0.4, 0.4], [0.5, 0.5, 5.0, -0.5]
    found = basin_survival(0.025, 0.025, 0.004, c_data, c_free, weights)
    np.testing.assert_allclose(found.margins, [0.02 - 0.01 - 0.002, 0.01 - 0.01 - 0.002, 0.02 - 0.01 - 0.02, 0.02 + 0.01 - 0.002])
    assert found.survives.tolist() == [True, False, False, True]
    assert found.fraction == 0.5
    turned = basin_survival(0.025, 0.025, 0.004, c_data, c_free, weights, pattern=[-1, -1, -1, -1])
    assert turned.survives.tolist() == [False, True, True, True]
    with pytest.raises(ValueError, match=r"pattern\[0\] is 0"):
        basin_survival(0.025, 0.025, 0.004, c_data, c_free, weights, pattern=[0, 1, 1, 1])
    with pytest.raises(ValueError, match=r"shapes \(4,\), \(4,\), \(3,\)"):
        balance(0.025, 0.025, 0.004, c_data, c_free, weights[:3])


def test_more_erosion_or_weathering_lets_fewer_basins_survive() -> None:
    rng = np.random.default_rng(13)
    data, w = rng.uniform(-1, 1, 500), rng.normal(0, 0.3, 500)
    free = 0.8 * data + rng.normal(0, 0.1, 500)
    fractions = [basin_survival(0.02, ratio * 0.02, 0.0, data, free, w).fraction for ratio in (0.5, 1.0, 1.5)]
    assert fractions == sorted(fractions, reverse=True)
    assert fractions[0] > fractions[2] + 0.3
    aligned = np.abs(w) * np.sign(data)
    weathered = [basin_survival(0.02, 0.02, decay, data, free, aligned).fraction for decay in (0.0, 0.01, 0.1)]
    assert weathered[0] > weathered[1] > weathered[2]


def test_flip_rate_and_saturation() -> None:
    before = np.ones((4, 5), np.int8)
    after = before.copy()
    after[0, :2] = -1
    assert flip_rate(before, after) == pytest.approx(0.1)
    assert flip_rate(before, before) == 0
    assert saturation([-2.0, 1.99, 0.0, 2.5, 1.0], -2.0, 1.99) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: flip_rate(np.ones(3), np.ones(4)), r"shapes \(3,\) and \(4,\)"),
        (lambda: saturation([0.0], 1.0, 1.0), "low < high"),
        (lambda: saturation([], -1.0, 1.0), "0 weights"),
    ],
)
def test_bad_input_is_named(call: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        call()
