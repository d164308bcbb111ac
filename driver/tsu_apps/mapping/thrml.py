"""Models of THRML (github.com/extropic-ai/thrml), the JAX library for thermodynamic computers, as models of this project."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.mapping.graphs import pair_keys
from tsu_apps.models import Boltzmann


def from_thrml(model: Any) -> Boltzmann:
    """A `thrml.models.IsingEBM` at T = 1: variable k is `model.nodes[k]`, spin +1 is THRML's True.

    THRML's energy is E(s) = -beta (sum b_i s_i + sum J_ij s_i s_j) with P(s) ~ exp(-E(s)), s = -1 or +1, so weights are beta J
    and biases beta b; what is listed for a pair several times adds up. Nothing of THRML is imported. ValueError names an edge
    with a node that has no bias or with one node only, and values that are not one for each node or edge.
    """
    number = {node: k for k, node in enumerate(model.nodes)}
    beta = float(np.asarray(model.beta))
    biases, values = _values(model.biases, len(number), "biases"), _values(model.weights, len(model.edges), "weights")
    ends = np.empty((len(model.edges), 2), np.int64)
    for k, edge in enumerate(model.edges):
        for side, node in enumerate(edge):
            if node not in number:
                raise ValueError(f"edges[{k}] joins a node that is not among the model's nodes; give it a bias, of 0 if need be")
            ends[k, side] = number[node]
    alone = ends[:, 0] == ends[:, 1]
    if alone.any():
        at = int(np.argmax(alone))
        raise ValueError(f"edges[{at}] joins node {ends[at, 0]} to itself")
    _, first, pair = np.unique(pair_keys(ends, len(number)), return_index=True, return_inverse=True)
    return Boltzmann(ends[first], np.asarray(beta * np.bincount(pair, values, len(first))), beta * biases)


def _values(given: Any, count: int, what: str) -> NDArray[np.float64]:
    values = np.asarray(given, np.float64)
    if values.shape != (count,):
        raise ValueError(f"{what} has shape {values.shape}; ({count},) is expected")
    return values
