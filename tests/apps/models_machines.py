"""Random Boltzmann machines that tests share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_apps.models import Boltzmann


def machine(cells: int, share: float, seed: int, scale: float = 0.4) -> Boltzmann:
    """Random weights and biases on a random graph that has this share of all pairs."""
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(np.triu(rng.random((cells, cells)) < share, 1))
    return Boltzmann(pairs, rng.normal(0, scale, len(pairs)), rng.normal(0, scale, cells))


def bipartite(visible: int, hidden: int, seed: int, scale: float = 0.4) -> Boltzmann:
    """Random weights between visible cells, which come first, and hidden ones."""
    rng = np.random.default_rng(seed)
    v, h = np.divmod(np.arange(visible * hidden), hidden)
    pairs = np.stack([v, h + visible], axis=1)
    return Boltzmann(pairs, rng.normal(0, scale, len(pairs)), rng.normal(0, scale, visible + hidden))


def all_pairs(cells: int) -> NDArray[np.int64]:
    return np.argwhere(np.triu(np.ones((cells, cells)), 1))


def ferromagnet(coupling: float, bias: float, cells: int = 20) -> Boltzmann:
    """Every cell coupled to every other: two modes, all up and all down."""
    pairs = all_pairs(cells)
    return Boltzmann(pairs, np.full(len(pairs), coupling / cells), np.full(cells, bias))
