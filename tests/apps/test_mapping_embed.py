"""From a model's graph to chains of cells, and back from cells to variables. No chip runs here; all is exact."""

from __future__ import annotations

import sys
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import config
from tsu_apps.mapping import Embedding, NoEmbedding, chain_strength, embed
from tsu_apps.mapping.graphs import components
from tsu_apps.mapping.layers import _turned, by_layers, layers
from tsu_apps.mapping.quality import exact_quality
from tsu_apps.models import Boltzmann
from tsu_driver import Topology
from tsu_emu.config import load
from tsu_emu.topology import build

Pairs = NDArray[np.int64]


def topology(fabric: dict[str, Any] | str) -> Topology:
    """As a chip of a shipped name, or with that graph, would tell it."""
    t = build(load(fabric).fabric if isinstance(fabric, str) else config(fabric).fabric)
    return Topology(t.row.astype(np.uint32), t.source, t.colour, t.position)


def edges(cells: int, pairs: Any) -> Topology:
    return topology({"kind": "edges", "cells": cells, "pairs": [tuple(p) for p in pairs]})


def complete(n: int) -> Pairs:
    return np.array(list(combinations(range(n), 2)), np.int64)


def between(sizes: list[int]) -> Pairs:
    """Consecutive layers fully coupled."""
    first = np.cumsum([0, *sizes])
    blocks = zip(first[:-2], first[1:-1], first[2:], strict=True)
    return np.array([p for a, b, c in blocks for p in product(range(a, b), range(b, c))])


def shuffled(pairs: Pairs, variables: int, seed: int) -> Pairs:
    return np.asarray(np.random.default_rng(seed).permutation(variables)[pairs])


def random_model(pairs: Pairs, variables: int, seed: int = 0) -> Boltzmann:
    rng = np.random.default_rng(seed)
    return Boltzmann(pairs, rng.normal(0, 0.5, len(pairs)), rng.normal(0, 0.3, variables))


@pytest.fixture
def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if minorminer were not installed."""
    monkeypatch.setitem(sys.modules, "minorminer", None)


@pytest.mark.usefixtures("no_search")
def test_what_the_chip_has_is_taken_as_it_is() -> None:
    pairs = topology("small-world-256").pairs[::3].astype(np.int64)
    made = embed(pairs[:, ::-1], topology("small-world-256"), variables=256)
    assert [chain.tolist() for chain in made.chains] == [[i] for i in range(256)]
    assert (made.overhead.cells, made.overhead.model_couplers, made.overhead.chain_couplers) == (256, len(pairs), 0)
    assert len(embed(complete(9), topology("ideal-16")).chains) == 9


@pytest.mark.usefixtures("no_search")
def test_without_minorminer_the_extra_is_named() -> None:
    with pytest.raises(ImportError, match=r"pip install 'tsu-driver\[embedding\]'"):
        embed(complete(6), topology("small-world-256"))


LAYERED = {
    "as deep as the chip": ([74, 60, 40], "layered-digits"),
    "onto two layers": ([40, 20, 30], "digits-ideal"),
    "the other way round": ([100, 70], "digits-ideal"),
    "backwards on five": ([2, 3, 6, 4], {"kind": "layered", "layers": [5, 4, 7, 3, 2]}),
    "in the middle of five": ([3, 4, 3, 1], {"kind": "layered", "layers": [2, 3, 5, 3, 1]}),
}


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize("name", LAYERED)
def test_layers_go_onto_layers_a_cell_each(name: str) -> None:
    """However the variables are numbered; that each pair has a coupler, the embedding itself checks."""
    sizes, chip = LAYERED[name]
    made = embed(shuffled(between(sizes), sum(sizes), 1), topology(chip))
    assert {len(chain) for chain in made.chains} == {1}
    assert made.overhead.model_couplers == len(between(sizes))


def test_layers_that_do_not_fit_are_told() -> None:
    five = topology({"kind": "layered", "layers": [5, 4, 7, 3, 2]})
    assert by_layers(between([2, 8, 2]), 12, five) is None
    assert by_layers(between([5, 4, 7, 3, 2]), 21, five) is not None
    assert by_layers(between([5, 4, 7, 3, 3]), 22, five) is None
    assert by_layers(complete(3), 3, topology("digits-ideal")) is None
    assert by_layers(complete(3)[:0], 3, topology("small-world-256")) is None
    assert by_layers(between([101, 101]), 202, topology("digits-ideal")) is None


def test_parts_are_turned_until_both_sides_fit() -> None:
    """Three stars of 3 and loose variables on sides of 6 and 9: two stars must stand one way and one the other."""
    stars = np.array([(4 * k, 4 * k + leaf) for k in range(3) for leaf in (1, 2, 3)])
    chip = topology({"kind": "bipartite", "visible": 6, "hidden": 9})
    cells = by_layers(stars, 15, chip)
    assert cells is not None
    assert sorted(cells.tolist()) == list(range(15))
    assert np.all((cells[stars] < 6).sum(axis=1) == 1)
    assert by_layers(stars, 12, topology({"kind": "bipartite", "visible": 2, "hidden": 12})) is None
    assert by_layers(stars, 16, chip) is None


@pytest.mark.parametrize("seed", range(20))
def test_turning_finds_what_trying_all_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, (6, 2))
    total = int(sizes.sum())
    for left in range(total + 1):
        right = total - left + int(rng.integers(0, 2))
        tried = [sizes[range(6), turn].sum() for turn in product((0, 1), repeat=6)]
        possible = any(held <= left and total - held <= right for held in tried)
        turned = _turned(sizes, left, right)
        assert (turned is not None) == possible
        if turned is not None:
            held = sizes[range(6), turned.astype(int)].sum()
            assert held <= left
            assert total - held <= right


def test_layers_are_found_where_they_are_and_nowhere_else() -> None:
    found = layers(between([2, 3, 4, 1]), 10)
    assert found is not None
    assert [layer.tolist() for layer in found] == [[0, 1], [2, 3, 4], [5, 6, 7, 8], [9]]
    assert layers(between([2, 3, 4, 1])[1:], 10) is None
    assert layers(np.concatenate([between([2, 3, 4, 1]), [[0, 1]]]), 10) is None
    assert layers(np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]]), 5) is None
    assert layers(between([2, 3, 4, 1]), 11) is None


def test_components_are_named_by_their_least_node() -> None:
    pairs = np.array([[7, 2], [5, 7], [3, 4], [1, 8], [8, 4]])
    assert components(pairs, 10).tolist() == [0, 1, 2, 1, 1, 2, 6, 2, 1, 9]


CLIQUE = 6


@pytest.fixture(scope="module")
def clique() -> Embedding:
    """A complete graph on a sparse chip, with chains of several cells."""
    pytest.importorskip("minorminer")
    return embed(complete(CLIQUE), topology("small-world-256"), seed=1)


def test_the_search_gives_whole_chains_that_touch(clique: Embedding) -> None:
    chip = {frozenset(p) for p in clique.topology.pairs.tolist()}
    cells = [c for chain in clique.chains for c in chain.tolist()]
    assert len(set(cells)) == len(cells) == clique.overhead.cells > CLIQUE
    for i, j in combinations(range(CLIQUE), 2):
        assert any(frozenset(p) in chip for p in product(clique.chains[i].tolist(), clique.chains[j].tolist()))
    for chain in clique.chains:
        reached, members = {int(chain[0])}, set(chain.tolist())
        for _ in members:
            reached |= {b for a in reached for b in members if frozenset((a, b)) in chip}
        assert reached == members


def test_a_seed_gives_the_same_chains_again(clique: Embedding) -> None:
    def chains(seed: int) -> list[list[int]]:
        return [chain.tolist() for chain in embed(complete(CLIQUE), clique.topology, seed=seed).chains]

    first = [chain.tolist() for chain in clique.chains]
    assert chains(1) == first
    assert chains(2) != first


def test_variables_without_pairs_get_cells_that_are_left(clique: Embedding) -> None:
    made = embed(complete(CLIQUE), clique.topology, variables=CLIQUE + 3, seed=1)
    cells = np.concatenate(made.chains)
    assert [len(chain) for chain in made.chains[CLIQUE:]] == [1, 1, 1]
    assert len(np.unique(cells)) == len(cells)
    with pytest.raises(NoEmbedding, match=r"5 variables without pairs are left over, and 4 cells"):
        embed(complete(3), edges(8, [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5)]), variables=8)


def test_no_embedding_says_what_was_tried() -> None:
    pytest.importorskip("minorminer")
    with pytest.raises(
        NoEmbedding, match="no embedding of 4 variables and 6 pairs on 6 cells and 6 pairs was found; another seed"
    ):
        embed(complete(4), edges(6, [(i, (i + 1) % 6) for i in range(6)]))
    with pytest.raises(NoEmbedding, match="the model has 17 variables, the chip 16 cells"):
        embed(complete(3), topology("ideal-16"), variables=17)


def states(n: int) -> NDArray[np.int8]:
    return np.array(list(product((-1, 1), repeat=n)), np.int8)


def test_with_whole_chains_energies_are_those_of_the_model(clique: Embedding) -> None:
    model = random_model(complete(CLIQUE), CLIQUE)
    (pairs, values), h = clique.couplings(model, strength=1.7)
    physical = Boltzmann(pairs, values, h)
    spins = np.ones((2**CLIQUE, clique.topology.cells), np.int8)
    for i, chain in enumerate(clique.chains):
        spins[:, chain] = states(CLIQUE)[:, i, None]
    expected = model.energies(states(CLIQUE)) - 1.7 * clique.overhead.chain_couplers
    assert np.abs(physical.energies(spins) - expected).max() < 1e-12
    voted, broken = clique.unembed(spins)
    assert np.array_equal(voted, states(CLIQUE))
    assert not broken.any()


def test_looks_without_broken_chains_follow_the_models_law_at_any_strength() -> None:
    """Energies of whole chains differ from the model's by a constant; majority votes agree as chains get strong."""
    pytest.importorskip("minorminer")
    model = random_model(complete(5), 5)
    five = embed(model.pairs, topology("small-world-256"), seed=1)
    weak, strong = (exact_quality(five, model, strength) for strength in (0.5, 4.0))
    assert max(weak.whole, strong.whole) < 1e-10
    assert weak.majority > 0.1 > 1e-2 > strong.majority
    assert weak.broken > 0.1 > 1e-2 > strong.broken
    other = exact_quality(five, model.with_values(1.1 * model.weights, model.biases), 0.5)
    assert abs(other.majority - weak.majority) > 1e-3


def test_shares_on_a_grid_add_up_to_the_nearest_value(clique: Embedding) -> None:
    """Rounded each by itself, the shares of some weight would be off by more than half a step together."""
    model, step, bias_step = random_model(complete(CLIQUE), CLIQUE), 1 / 64, 1 / 32

    def wholes(steps: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        (pairs, values), h = clique.couplings(model, 1.0, steps)
        owner = np.full(clique.topology.cells, -1)
        for i, chain in enumerate(clique.chains):
            owner[chain] = i
        ends = np.sort(owner[pairs], axis=1)
        weights = [values[(ends == p).all(axis=1)].sum() for p in np.sort(model.pairs, axis=1)]
        biases = [h[chain].sum() for chain in clique.chains]
        return np.array(weights), np.array(biases), values[ends[:, 0] != ends[:, 1]]

    weights, biases, values = wholes((step, bias_step))
    assert np.abs(values / step - np.rint(values / step)).max() < 1e-9
    assert np.abs(weights - model.weights).max() <= step / 2 + 1e-12
    assert np.abs(biases - model.biases).max() <= bias_step / 2 + 1e-12
    weights, biases, _ = wholes((0.0, 0.0))
    assert max(np.abs(weights - model.weights).max(), np.abs(biases - model.biases).max()) < 1e-12
    h = clique.couplings(model, 1.0)[1]
    by_itself = [np.rint(h[chain] / bias_step).sum() * bias_step for chain in clique.chains]
    assert np.abs(np.array(by_itself) - model.biases).max() > bias_step / 2


RING = [(i, (i + 1) % 8) for i in range(8)]


def hand_made() -> Embedding:
    """A triangle on a ring of eight, one cell unused."""
    return Embedding([[0, 1], [2, 3, 4, 5], [7]], [(0, 1), (1, 2), (0, 2)], edges(8, [*RING, (5, 7)]))


def test_overhead_of_an_embedding_made_by_hand() -> None:
    o = hand_made().overhead
    assert (o.variables, o.cells, o.chain_max, o.model_couplers, o.chain_couplers) == (3, 7, 4, 3, 4)
    assert (o.cell_fraction, o.chain_mean, o.coupler_fraction) == (7 / 8, 7 / 3, 7 / 9)


def test_majorities_ties_and_broken_chains() -> None:
    """Chains {0, 1}, {2, 3, 4, 5}, {7}: at a tie the first cell decides."""
    spins = np.array(
        [
            [+1, +1, -1, -1, -1, -1, +1, -1],
            [+1, -1, -1, +1, +1, +1, +1, -1],
            [-1, +1, +1, -1, +1, -1, -1, +1],
        ],
        np.int8,
    )  # fmt: skip
    voted, broken = hand_made().unembed(spins.reshape(3, 1, 8))
    assert voted.reshape(3, 3).tolist() == [[1, -1, -1], [1, 1, -1], [-1, 1, 1]]
    assert broken.ravel().tolist() == [0, 2 / 3, 2 / 3]
    assert voted.dtype == np.int8


def test_the_default_strength_is_torque_and_noise() -> None:
    """Weights 3 and 4 on a path of three: rms sqrt(12.5), mean degree 4/3."""
    model = Boltzmann(np.array([(0, 1), (1, 2)]), np.array([3.0, -4.0]), np.zeros(3))
    torque = np.sqrt(2 * 12.5 * 4 / 3)
    assert chain_strength(model, 0.0) == pytest.approx(torque)
    assert chain_strength(model, 2.0) == pytest.approx(torque + np.log(20))
    assert chain_strength(model.with_values(np.zeros(2), np.zeros(3))) == pytest.approx(np.log(20) / 2)
    values = hand_made().couplings(random_model(complete(3), 3))[0][1]
    assert values[-1] == chain_strength(random_model(complete(3), 3))


@pytest.mark.parametrize(
    ("chains", "pairs", "said"),
    [
        ([], [], "there are no chains"),
        ([[0], []], [], "the chain of variable 1 is empty"),
        ([[0], [8]], [], r"variable 1 names cell 8; the chip has cells 0 \.\. 7"),
        ([[0, 1], [1]], [], "cell 1 is named 2 times"),
        ([[0], [2, 3, 5, 6]], [], "variable 1 falls apart: couplers do not join cell 5"),
        ([[0], [1], [2]], [(0, 1), (2, 0)], "no coupler joins the chains of variables 2 and 0"),
        ([[0], [1]], [(0, 2)], r"pairs\[0\] is \[0, 2\]; the model has variables 0 \.\. 1"),
    ],
)
def test_chains_that_are_none_are_refused(chains: list[list[int]], pairs: list[tuple[int, int]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Embedding(chains, pairs, edges(8, RING))


@pytest.mark.parametrize(
    ("pairs", "more", "said"),
    [
        ([(0, 1), (2, 2)], {}, r"pairs\[1\] is \[2, 2\]; a variable is not coupled to itself"),
        ([(0, 1), (2, 1), (1, 0)], {}, r"pairs\[0\] and pairs\[2\] are \[1, 0\]; each pair is named once"),
        ([(0, -1)], {}, r"pairs\[0\] is \[0, -1\]"),
        ([0, 1], {}, r"pairs is int64 of shape \(2,\)"),
        ([(0.5, 1.0)], {}, "pairs is float64"),
        ([], {}, "the model has no variables"),
        (complete(4), {"timeout_s": 0}, "timeout_s = 0; a positive number"),
    ],
)
def test_what_is_no_graph_is_refused(pairs: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        embed(pairs, edges(8, RING), **more)


def test_a_model_that_the_embedding_was_not_made_for_is_refused() -> None:
    made = Embedding([[0], [1], [2]], [(0, 1)], edges(8, RING))
    with pytest.raises(ValueError, match="the model couples variables 1 and 2; the embedding was made without"):
        made.couplings(random_model(np.array([(1, 0), (1, 2)]), 3))
    with pytest.raises(ValueError, match="the model has 4 variables, the embedding has 3"):
        made.couplings(random_model(complete(4), 4))
