"""Which cells hold which layer, and what a network then uses of a chip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_driver import Chip

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Embedding:
    """A network on a chip.

    layers : cell numbers of each layer, inputs first
    cells, cells_total : cells used, and the chip's
    couplers, couplers_total : directed couplers whose value is not 0, and the chip's
    temperature : at which the chip runs; couplings and biases are those of the network times it, which fills the DACs' range
    residual_lsb : root-mean-square rounding of couplings and biases, LSB
    """

    layers: tuple[NDArray[np.int64], ...]
    cells: int
    cells_total: int
    couplers: int
    couplers_total: int
    temperature: float
    residual_lsb: float


def shapes(weights: list[Floats], biases: list[Floats]) -> list[int]:
    """Sizes of the layers, inputs first; ValueError says which array does not fit, or is not finite."""
    if not weights or len(weights) != len(biases):
        raise ValueError(f"{len(weights)} weight matrices and {len(biases)} bias vectors; one of each for each layer is expected")
    sizes = [weights[0].shape[0] if weights[0].ndim == 2 else 0]
    for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
        if w.ndim != 2 or w.shape[0] != sizes[-1] or 0 in w.shape:
            raise ValueError(f"weights[{k}] has shape {w.shape}; ({sizes[-1]}, units) is expected, as of the layer before")
        if b.shape != w.shape[1:]:
            raise ValueError(f"biases[{k}] has shape {b.shape}; {w.shape[1:]} is expected, the columns of weights[{k}]")
        if not (np.isfinite(w).all() and np.isfinite(b).all()):
            raise ValueError(f"weights[{k}] or biases[{k}] holds a number that is not finite")
        sizes.append(w.shape[1])
    return sizes


def place(chip: Chip, sizes: list[int]) -> tuple[NDArray[np.int64], ...]:
    """Cells for layers of these sizes: in order, where the chip has two colours alternating between them.

    So a layer's neighbours are on the other side of a bipartite or layered graph, and anywhere in a dense one. ValueError if
    cells do not suffice.
    """
    colour = chip.topology.colour.astype(np.int64)
    sides = 2 if chip.capabilities.colours == 2 else 1
    queues = [np.flatnonzero(colour == c) if sides == 2 else np.arange(len(colour)) for c in range(sides)]
    layers = []
    for k, size in enumerate(sizes):
        queue = queues[k % sides]
        if len(queue) < size:
            raise ValueError(f"layer {k} has {size} units; {chip.name} has {len(queue)} cells left on its side of the graph")
        layers.append(queue[:size])
        queues[k % sides] = queue[size:]
    return tuple(layers)


def spins_of(X: ArrayLike, inputs: int) -> NDArray[np.int8]:
    """X as (n, inputs) int8; ValueError says which shape or value is wrong."""
    values = np.asarray(X)
    if values.ndim != 2 or values.shape[1] != inputs or not len(values):
        raise ValueError(f"X has shape {values.shape}; (examples, {inputs}) is expected, a spin for each input")
    wrong = (values != 1) & (values != -1)
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise ValueError(f"X{list(at)} is {values[at]}; spins are -1 and +1")
    return values.astype(np.int8)
