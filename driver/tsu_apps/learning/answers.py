"""Questions to a programmed chip: pin some cells, let the others answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.examples import Layout
from tsu_apps.learning.masters import Floats
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip, Linear

BURN = 10
"""Sweeps before the cells that answer are looked at."""
HOT = 4.0
"""Temperature from which drawing cools, as far as the chip allows, so that it does not begin where the last one ended."""
COOLING = 300
"""Sweeps of cooling."""


def pinned_means(
    chip: Chip, cells: NDArray[np.int64], spins: NDArray[np.int8], asked: NDArray[np.int64], planes: int, looks: int
) -> Floats:
    """(n, asked) mean spins of the cells `asked` while `cells` are pinned, example by example.

    spins : (n, cells); one example to a plane, `planes` at a time in the first planes, the only ones enabled
    looks : sweeps over which the cells asked are averaged, after BURN others
    """
    chip.enable_planes(planes)
    chip.unclamp()
    blocks = [spins[first : first + planes] for first in range(0, len(spins), planes)]
    return np.concatenate([_block(chip, cells, block, asked, planes, looks) for block in blocks])


def _block(
    chip: Chip, cells: NDArray[np.int64], spins: NDArray[np.int8], asked: NDArray[np.int64], planes: int, looks: int
) -> Floats:
    """As `pinned_means`, for at most as many examples as planes; planes left over repeat the first example."""
    filled = np.concatenate([spins, np.repeat(spins[:1], planes - len(spins), axis=0)])
    chip.clamp(cells, filled, np.arange(planes))
    seen = chip.sample(looks, burn=BURN)
    means: Floats = seen[:, : len(spins), asked].mean(axis=0)
    return means


def draw(chip: Chip, layout: Layout, label: int | None, n: int, temperature: float) -> NDArray[np.int8]:
    """(n, pixels) spins of the pixel cells, every one cooled down anew in a plane of its own, the label pinned if there is one.

    temperature : where the cooling ends
    """
    planes = chip.capabilities.planes
    chip.enable_planes(planes)
    chip.unclamp()
    if label is not None:
        chip.clamp(layout.labels, layout.one_hot(np.array([label]))[0], planes)
    rounds = []
    for _ in range(0, n, planes):
        chip.anneal(Linear(max(_hottest(chip), temperature), temperature, COOLING))
        rounds.append(chip.sample(1)[0][:, layout.visible])
    return np.concatenate(rounds)[:n]


def _hottest(chip: Chip) -> float:
    c = chip.capabilities
    return min(HOT, ((1 << c.temp_bits) - 1) * c.temp_lsb * LSB_SCALE)
