"""Block-Gibbs samples against exact laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.apps.models_machines import bipartite, machine
from tsu_apps.models import Boltzmann, Exact, Gibbs, exact
from tsu_apps.models.blocks import draw

CHAINS = 20_000
SIGMAS = 4.5
"""Of up to 50 moments of a machine, all lie within 4.5 standard errors with probability .9997."""
BURN = 60
"""Sweeps that the small machines below have forgotten their start after."""

MODELS = {
    "two colours": bipartite(5, 4, seed=1),
    "complete": machine(7, 1.0, seed=2, scale=0.3),
    "sparse": machine(9, 0.3, seed=3),
}


def worst(spins: NDArray[np.int8], law: Exact) -> float:
    """Largest distance of a mean or a correlation from the law in standard errors; chains are independent, so that one of m is
    sqrt((1 - m^2) / chains)."""
    s = spins.astype(np.float64)
    upper = np.triu_indices(s.shape[1], 1)
    found = np.concatenate([s.mean(axis=0), (s.T @ s / len(s))[upper]])
    meant = np.concatenate([law.means, law.correlations[upper]])
    return float(np.max(np.abs(found - meant) / np.sqrt((1 - meant**2) / len(s))))


def final(model: Boltzmann, **options: Any) -> NDArray[np.int8]:
    chains = Gibbs(model, CHAINS, seed=4, **options)
    chains.run(BURN)
    return chains.spins


@pytest.mark.parametrize("name", MODELS)
def test_samples_follow_the_law_and_notice_another(name: str) -> None:
    """Power: weights 1.5 times as large are noticed."""
    model = MODELS[name]
    spins = final(model)
    assert worst(spins, exact(model)) < SIGMAS
    assert worst(spins, exact(model.with_values(1.5 * model.weights, model.biases))) > 2 * SIGMAS


@pytest.mark.parametrize("name", MODELS)
def test_temperature(name: str) -> None:
    """Half of the chains at T = 1, half at T = 2; each half is at its own temperature and not at the other's."""
    model = MODELS[name]
    spins = final(model, temperature=np.repeat([1.0, 2.0], CHAINS // 2))
    for k, half in enumerate((spins[: CHAINS // 2], spins[CHAINS // 2 :])):
        assert worst(half, exact(model.at_temperature((1.0, 2.0)[k]))) < SIGMAS
        assert worst(half, exact(model.at_temperature((2.0, 1.0)[k]))) > 2 * SIGMAS


@pytest.mark.parametrize("name", MODELS)
def test_clamped_cells_stay_and_the_others_follow_the_conditional_law(name: str) -> None:
    """Power: clamped the other way round it is another law."""
    model, cells, values = MODELS[name], [4, 1], np.array([1, -1])
    spins = final(model, clamped=(cells, values))
    assert (spins[:, cells] == values).all()
    rest = model.conditioned(cells, values)
    assert worst(spins[:, rest.cells], exact(rest.model)) < SIGMAS
    assert worst(spins[:, rest.cells], exact(model.conditioned(cells, -values).model)) > 2 * SIGMAS


def test_each_chain_may_be_clamped_to_values_of_its_own() -> None:
    model, cells = MODELS["two colours"], [0, 1, 2]
    values = np.where(np.arange(CHAINS)[:, None] % 2, [1, 1, -1], [-1, 1, 1])
    spins = final(model, clamped=(cells, values))
    np.testing.assert_array_equal(spins[:, cells], values)
    for odd in (0, 1):
        rest = model.conditioned(cells, values[odd])
        assert worst(spins[odd::2][:, rest.cells], exact(rest.model)) < SIGMAS
        assert worst(spins[1 - odd :: 2][:, rest.cells], exact(rest.model)) > 2 * SIGMAS


def test_draws_have_the_probability_of_their_field() -> None:
    """Float32 throughout. 500,000 draws of each of 13 fields, within 4.5 binomial standard errors and the 1e-7 of the docstring;
    a field off by 2 % would be noticed."""
    fields = np.linspace(-6, 6, 13, dtype=np.float32)
    n = 500_000
    spins = np.empty((n, 13), np.float32)
    draw(spins, np.tile(fields, (n, 1)), np.random.default_rng(5))
    assert set(np.unique(spins)) == {-1.0, 1.0}
    up = (spins > 0).mean(axis=0)

    def errors(wanted: NDArray[np.float32]) -> float:
        p = 1 / (1 + np.exp(-2.0 * wanted.astype(np.float64)))
        return float(np.max((np.abs(up - p) - 1e-7) / np.sqrt(p * (1 - p) / n)))

    assert errors(fields) < SIGMAS
    assert errors(fields * np.float32(1.02)) > SIGMAS


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_fields_in_float32_are_off_by_less_than_1e_4_kt(share: float) -> None:
    """300 cells with weights such that fields reach 100 kT."""
    model = machine(300, share, seed=6, scale=2.0 / share**0.5)
    chains = Gibbs(model, 50, seed=7)
    spins, columns = chains.spins, chains._layout.order
    exactly = model.fields(spins)[:, columns]
    assert np.abs(exactly).max() > 100
    for cells, heard, part in zip(chains._layout.classes, chains._layout.heard, chains._parts, strict=True):
        single = spins[:, columns][:, heard].astype(np.float32) @ part.couplings + part.biases
        assert np.abs(single - exactly[:, cells]).max() < 1e-4


def test_sparse_couplings_give_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights on a grid of 1/64 kT, so that float32 sums are exact in any order."""
    model = machine(30, 0.2, seed=8)
    model = model.with_values(np.round(model.weights * 64) / 64, np.round(model.biases * 64) / 64)
    dense = Gibbs(model, 20, seed=9, clamped=([3], [1])).sample(5)
    monkeypatch.setattr("tsu_apps.models.boltzmann.DENSE_CELLS", 0)
    fresh = model.with_values(model.weights, model.biases)
    np.testing.assert_array_equal(Gibbs(fresh, 20, seed=9, clamped=([3], [1])).sample(5), dense)


def test_sampling_is_running_and_looking() -> None:
    model = MODELS["sparse"]
    one, other, third = (Gibbs(model, 10, seed=seed) for seed in (1, 1, 2))
    looks = one.sample(4, every=3, burn=5)
    other.run(5)
    for look in looks:
        other.run(3)
        np.testing.assert_array_equal(look, other.spins)
    assert looks.dtype == np.int8
    assert (third.sample(4, every=3, burn=5) != looks).any()


def test_a_start_is_taken_and_colours_order_the_updates() -> None:
    """In a pair that copies, the cell that is updated first takes the start of the other."""
    start = np.array([[1, -1, 1], [-1, -1, 1]])
    copying = Boltzmann([[0, 1]], [50.0], [0.0, 0.0, 0.0])
    for colours, expected in (([0, 1, 0], [-1, -1]), ([1, 0, 0], [1, -1])):
        chains = Gibbs(copying, 2, seed=0, start=start, colours=colours)
        np.testing.assert_array_equal(chains.spins, start)
        chains.run(1)
        np.testing.assert_array_equal(chains.spins[:, 0], expected)
        np.testing.assert_array_equal(chains.spins[:, 1], expected)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"chains": 0}, "chains = 0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": [1.0, 2.0]}, "one for each of 3 chains"),
        ({"start": np.ones((3, 4))}, r"start has shape \(3, 4\); \(3, 7\) is expected"),
        ({"start": np.zeros((3, 7))}, r"start\[0, 0\] is 0.0; spins are -1 and \+1"),
        ({"clamped": ([7], [1])}, "clamped names cell 7"),
        ({"clamped": ([0], [2])}, r"values of clamped cells\[0, 0\] is 2"),
        ({"colours": [0] * 7}, "both have colour 0"),
    ],
)
def test_bad_input_is_named(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Gibbs(MODELS["complete"], **({"chains": 3, "seed": 0} | options))
