"""Questions to a programmed chip: pin some cells, let the others answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_apps.ctd.examples import Layout
from tsu_apps.ctd.rule import Floats
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip, Linear

BURN = 10
"""Sweeps before the label cells are looked at."""
HOT = 4.0
"""Temperature from which generation cools, as far as the chip allows, so that it does not begin where the last one ended."""
COOLING = 300
"""Sweeps of cooling down to T = 1."""


def label_means(chip: Chip, layout: Layout, pixels: NDArray[np.int8], planes: int, looks: int) -> Floats:
    """(n, classes) mean spins of the label cells with the pixels pinned.

    pixels : (n, pixels) spins; one example to a plane, `planes` at a time in the first planes, the only ones enabled
    looks : sweeps over which the label cells are averaged
    """
    chip.enable_planes(planes)
    chip.unclamp()
    blocks = [pixels[first : first + planes] for first in range(0, len(pixels), planes)]
    return np.concatenate([_block(chip, layout, block, planes, looks) for block in blocks])


def _block(chip: Chip, layout: Layout, pixels: NDArray[np.int8], planes: int, looks: int) -> Floats:
    """As `label_means`, for at most as many examples as planes; planes left over repeat the first example."""
    filled = np.concatenate([pixels, np.repeat(pixels[:1], planes - len(pixels), axis=0)])
    chip.clamp(layout.visible, filled, np.arange(planes))
    spins = chip.sample(looks, burn=BURN)
    means: Floats = spins[:, : len(pixels), layout.labels].mean(axis=0)
    return means


def dream(chip: Chip, layout: Layout, label: int, n: int, planes: int) -> NDArray[np.int8]:
    """(n, pixels) spins of the pixel cells with the label pinned, every one cooled down anew in a plane of its own."""
    chip.enable_planes(planes)
    chip.unclamp()
    chip.clamp(layout.labels, layout.one_hot(np.array([label]))[0], planes)
    rounds = []
    for _ in range(0, n, planes):
        chip.anneal(Linear(_hottest(chip), 1.0, COOLING))
        rounds.append(chip.sample(1)[0][:, layout.visible])
    return np.concatenate(rounds)[:n]


def _hottest(chip: Chip) -> float:
    c = chip.capabilities
    return min(HOT, ((1 << c.temp_bits) - 1) * c.temp_lsb * LSB_SCALE)
