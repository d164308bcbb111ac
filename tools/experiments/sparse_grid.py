"""A sparse deep Boltzmann machine on a grid of local couplers: which cells hold what, training, and questions to it.

Cells of a grid whose rules all lead from one colour of the checkerboard to the other. Pixels lie on the even colour, labels on
the odd one, each in several cells, at random places, so that every hidden cell and every label sees pixels of the whole image;
all other cells are hidden, and hear of each other over many steps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning import ChipEstimator
from tsu_driver import Chip, Linear

Ints = NDArray[np.int64]
Spins = NDArray[np.int8]

WIDTH, HEIGHT = 52, 82
RULES = [[1, 0], [2, 1], [2, 3], [4, 1]]
"""As on Z1; 4,264 cells and 32,260 couplers."""
TOPOLOGY = f'{{kind="grid",width={WIDTH},height={HEIGHT},rules={RULES}}}'
HOT, COOLING, LOOKS, EVERY = 3.0, 200, 25, 4
"""Questions are asked after cooling from this temperature over so many sweeps; looks, and sweeps between them."""


class Places(NamedTuple):
    """pixels : (copies, pixels) and labels : (copies, classes) cell numbers."""

    pixels: Ints
    labels: Ints

    @property
    def cells(self) -> Ints:
        """(n,) all of them, pixels first, copy by copy."""
        return np.concatenate([self.pixels.ravel(), self.labels.ravel()])

    def examples(self, X: Spins, y: Ints) -> Spins:
        """(examples, n) spins of `cells`: pixels X and one-hot labels y, in every copy."""
        hot = np.where(y[:, None] == np.arange(self.labels.shape[1]), 1, -1).astype(np.int8)
        return np.concatenate([np.tile(X, (1, len(self.pixels))), np.tile(hot, (1, len(self.labels)))], axis=1)


def places(pixels: int, classes: int, pixel_copies: int, label_copies: int, seed: int) -> Places:
    """Random places of so many copies; ValueError if a colour has too few cells."""
    y, x = np.divmod(np.arange(WIDTH * HEIGHT), WIDTH)
    rng = np.random.default_rng(seed)
    drawn = []
    for what, wanted, colour in (("pixel", (pixel_copies, pixels), 0), ("label", (label_copies, classes), 1)):
        cells = rng.permutation(np.flatnonzero((x + y) % 2 == colour))
        count = wanted[0] * wanted[1]
        if count > len(cells):
            raise ValueError(f"{what}_copies = {wanted[0]}: {count} cells are needed; the grid has {len(cells)} of that colour")
        drawn.append(cells[:count].reshape(wanted))
    return Places(*drawn)


def label_means(machine: ChipEstimator, places: Places, X: Spins) -> NDArray[np.float64]:
    """(examples, classes) mean spins of the labels, over looks and copies, with the pixels pinned, one example to a plane."""
    chip, planes = _ready(machine)
    found = []
    for first in range(0, len(X), planes):
        block = X[first : first + planes]
        filled = np.concatenate([block, np.repeat(block[:1], planes - len(block), axis=0)])
        chip.clamp(places.pixels.ravel(), np.tile(filled, (1, len(places.pixels))), np.arange(planes))
        chip.anneal(Linear(HOT, 1.0, COOLING))
        seen = chip.sample(LOOKS, every=EVERY)[:, : len(block), places.labels]
        found.append(seen.mean(axis=(0, 2)))
    return np.concatenate(found)


def draw(machine: ChipEstimator, places: Places, y: Ints) -> NDArray[np.float64]:
    """(k, pixels) mean spins over the copies of each pixel, drawn by cooling with the labels pinned.

    y : (k,) classes, one to a plane, so that k is at most the number of planes
    """
    chip, planes = _ready(machine)
    hot = np.where(np.resize(y, planes)[:, None] == np.arange(places.labels.shape[1]), 1, -1)
    chip.clamp(places.labels.ravel(), np.tile(hot, (1, len(places.labels))), np.arange(planes))
    chip.anneal(Linear(HOT, 1.0, COOLING))
    drawn: NDArray[np.float64] = chip.read()[: len(y), places.pixels].mean(axis=1)
    return drawn


def _ready(machine: ChipEstimator) -> tuple[Chip, int]:
    """The chip with the averaged weights, all planes enabled, without clamps; how many planes."""
    chip = machine.chip
    chip.program_couplings((machine.pairs_, machine.weights_), machine.biases_)
    chip.enable_planes(chip.capabilities.planes)
    chip.unclamp()
    return chip, chip.capabilities.planes
