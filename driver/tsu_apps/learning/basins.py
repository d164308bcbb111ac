"""The basins of a machine in training: where its free planes lie, and whether the targets have basins of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.loop import Spins
from tsu_apps.models import Boltzmann, Census, Gibbs, census, quench

FOLLOWED = 100
"""Targets whose own basins are looked for, evenly spread if there are more; a census is of all."""
COLD, COMPLETING = 1e-3, 5
"""T and sweeps in which hidden cells fall into place while the others are pinned to a target."""


@dataclass(frozen=True)
class Basins:
    """Of the quenched free planes. NaN without targets, or where it cannot be told.

    attractors : distinct ones
    true, spurious : those within the distance of a target, and the others
    ratio : spurious to true ones; infinite where none is true
    true_share : fraction of the planes that lie in basins of true ones
    coverage : fraction of the targets that have one
    wandered : fraction of the planes that lie in another basin than their spins at the look before would, under the same weights
    kept : fraction of the targets from which a quench stays within the distance: they are at the bottom of basins of their own
    """

    attractors: int
    true: float = np.nan
    spurious: float = np.nan
    ratio: float = np.nan
    true_share: float = np.nan
    coverage: float = np.nan
    wandered: float = np.nan
    kept: float = np.nan


class Surveyor:
    """Surveys the landscape of one graph again and again.

    targets : (targets, k) spins of `cells` (k,), None for none; distance : in cells, up to which an attractor belongs to a target
    """

    def __init__(self, targets: Spins | None, cells: NDArray[np.int64], distance: int) -> None:
        self._targets, self._cells, self._distance = targets, cells, distance
        self._colours: NDArray[np.int64] | None = None
        self._before: Spins | None = None

    def targets_in(self, model: Boltzmann) -> Spins | None:
        """(targets, cells) the targets that are followed, other cells where they fall at T = 0."""
        if self._targets is None:
            return None
        number = min(len(self._targets), FOLLOWED)
        some = self._targets[np.linspace(0, len(self._targets) - 1, number).astype(np.int64)]
        settled = Gibbs(model, number, seed=0, clamped=(self._cells, some), temperature=COLD, colours=self._colours_of(model))
        settled.run(COMPLETING)
        return settled.spins

    def survey(self, model: Boltzmann, free: Spins, targets: Spins | None) -> tuple[Basins, Census | None]:
        """Basins of (planes, cells) free planes, and of `targets_in` the same model."""
        none, colours = np.empty((0, model.cells), np.int8), self._colours_of(model)
        before = none if self._before is None or self._before.shape != free.shape else self._before
        self._before = free
        starts = (free, before, none if targets is None else targets)
        ends = quench(model, np.concatenate(starts), colours=colours)
        fallen, left, bottoms = np.split(ends, np.cumsum([len(free), len(before)]))
        wandered = float(np.mean((left != fallen).any(axis=1))) if len(left) else np.nan
        if self._targets is None or targets is None:
            return Basins(len(np.unique(fallen, axis=0)), wandered=wandered), None
        found = census(model, fallen, self._targets, self._cells, distance=self._distance, colours=colours)
        moved = (bottoms != targets)[:, self._cells].sum(axis=1)
        basins = Basins(
            attractors=len(found.counts),
            true=found.true_attractors,
            spurious=found.spurious_attractors,
            ratio=found.spurious_ratio,
            true_share=found.true_share,
            coverage=found.coverage,
            wandered=wandered,
            kept=float(np.mean(moved <= self._distance)),
        )
        return basins, found

    def _colours_of(self, model: Boltzmann) -> NDArray[np.int64]:
        if self._colours is None:
            self._colours = model.colours
        return self._colours
