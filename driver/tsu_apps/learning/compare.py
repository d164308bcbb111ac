"""The same learning on several chips: what their errors cost, and what training through the chip wins back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

import tsu_driver
from tsu_apps.learning.base import ChipEstimator
from tsu_apps.report import Row
from tsu_driver import Chip

Factory = Callable[[Chip, int], ChipEstimator]
"""Makes an estimator on a chip with a seed."""


def compare(
    factory: Factory,
    urls: Sequence[str],
    X: ArrayLike,
    y: ArrayLike,
    test: tuple[ArrayLike, ArrayLike],
    seeds: Iterable[int],
    *,
    progress: bool = True,
) -> list[Row]:
    """Train on each chip with each seed; rows of means over the seeds, with their standard deviation if there are several.

    urls : chips of one topology, an ideal one first, such as emu:digits-ideal, emu:digits-typical, emu:digits-corner
    test : X and y of examples that are not trained on
    Rows of each chip: accuracy of the weights trained on it; of those trained on the first chip and deployed here; chip time
    and energy of a training.
    """
    numbers = list(seeds)
    if not urls or not numbers:
        raise ValueError(f"{len(urls)} chips and {len(numbers)} seeds; at least one of each is needed")
    first: dict[int, ChipEstimator] = {}
    rows: list[Row] = []
    for url in urls:
        measured: dict[str, list[float]] = {}
        for seed in numbers:
            if progress:
                print(f"{url}, seed {seed}", file=sys.stderr)
            with tsu_driver.open(url) as chip:
                for name, value in _one(factory, chip, seed, first, X, y, test, progress).items():
                    measured.setdefault(name, []).append(value)
        rows += [_row(f"{url}: {name}", values) for name, values in measured.items()]
    return rows


def _one(
    factory: Factory,
    chip: Chip,
    seed: int,
    first: dict[int, ChipEstimator],
    X: ArrayLike,
    y: ArrayLike,
    test: tuple[ArrayLike, ArrayLike],
    progress: bool,
) -> dict[str, float]:
    """One training, and the first chip's weights beside it."""
    trained = factory(chip, seed).fit(X, y, progress=progress)
    found = {"accuracy": trained.score(*test)}
    if seed in first:
        found["accuracy, deployed"] = factory(chip, seed).deploy(first[seed]).score(*test)
    first.setdefault(seed, trained)
    return found | {"chip time": trained.counters_.chip_seconds, "energy": trained.counters_.joules}


def _row(name: str, values: list[float]) -> Row:
    unit = "s" if name.endswith("chip time") else "J" if name.endswith("energy") else ""
    return Row(name, float(np.mean(values)), unit, float(np.std(values, ddof=1)) if len(values) > 1 else None)
