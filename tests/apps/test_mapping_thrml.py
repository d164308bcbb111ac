"""Models of THRML mean the same here: the energies are compared with those that THRML itself computes, where it is installed."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tsu_apps.mapping.thrml import from_thrml

STATES = np.array(list(product((False, True), repeat=4)))


def ising(nodes: list[Any], **change: Any) -> Any:
    """Attributes of an IsingEBM with four nodes; the pair of nodes 0 and 1 is listed twice, once in each order."""
    given = {
        "nodes": nodes,
        "edges": [(nodes[0], nodes[1]), (nodes[3], nodes[1]), (nodes[2], nodes[3]), (nodes[1], nodes[0])],
        "biases": np.array([0.3, -0.7, 1.1, 0.0]),
        "weights": np.array([0.9, -0.4, 0.6, 0.25]),
        "beta": np.array(1.5),
    }
    return SimpleNamespace(**given | change)


def test_energies_are_those_of_thrml() -> None:
    """Of all 16 states, in float32, as THRML has it; with the sign or beta wrong they would not be."""
    thrml = pytest.importorskip("thrml")
    jnp = pytest.importorskip("jax.numpy")
    models = pytest.importorskip("thrml.models")
    nodes = [thrml.SpinNode() for _ in range(4)]
    given = ising(nodes)
    theirs = models.IsingEBM(nodes, given.edges, *(jnp.asarray(v) for v in (given.biases, given.weights, given.beta)))
    energies = np.array([float(theirs.energy([jnp.asarray(s)], [thrml.Block(nodes)])) for s in STATES])
    model, spins = from_thrml(theirs), 2 * STATES.astype(int) - 1
    assert np.abs(model.energies(spins) - energies).max() < 1e-5
    for wrong in (model.with_values(-model.weights, model.biases), model.at_temperature(1.5)):
        assert np.abs(wrong.energies(spins) - energies).max() > 0.1


def test_weights_and_biases_carry_beta_and_pairs_add_up() -> None:
    model = from_thrml(ising(list("abcd")))
    found = {tuple(sorted(pair)): w for pair, w in zip(model.pairs.tolist(), model.weights, strict=True)}
    assert found == {(0, 1): pytest.approx(1.5 * 1.15), (1, 3): pytest.approx(-0.6), (2, 3): pytest.approx(0.9)}
    assert model.biases.tolist() == pytest.approx([0.45, -1.05, 1.65, 0.0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"edges": [("a", "b")] * 3 + [("a", "e")]}, r"edges\[3\] joins a node that is not among the model's nodes"),
        ({"edges": [("a", "b")] * 3 + [("c", "c")]}, r"edges\[3\] joins node 2 to itself"),
        ({"biases": np.zeros(3)}, r"biases has shape \(3,\); \(4,\) is expected"),
        ({"weights": np.zeros((4, 1))}, r"weights has shape \(4, 1\); \(4,\) is expected"),
        ({"beta": np.array(np.nan)}, "finite numbers in kT are expected"),
    ],
)
def test_what_is_no_such_model_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_thrml(ising(list("abcd"), **change))
