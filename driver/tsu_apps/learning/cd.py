"""Contrastive divergence: from the data, and a few sweeps away from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.base import ChipEstimator
from tsu_apps.learning.examples import Draw, Layout
from tsu_apps.learning.masters import Codes
from tsu_apps.learning.phases import DATA, FREE, PhaseLoop
from tsu_driver import Batch, Chip
from tsu_driver.rules import UpdateRule


@dataclass(eq=False, repr=False)
class Cd(ChipEstimator):
    """A Boltzmann machine trained by contrastive divergence (Hinton 2002).

    Data pinned, `settle` sweeps, correlations; then all cells released and k sweeps on, correlations. On a bipartite chip
    whose visible cells have the lower colour, one sweep with the data pinned draws the hidden cells exactly, and a free sweep
    draws visible cells and then hidden ones: the textbook's CD-k of a restricted Boltzmann machine, with sampled hidden cells.

    k : sweeps after the release
    settle : sweeps with the data pinned; more than 1 where hidden cells are coupled among each other
    planes : examples of a tick
    """

    k: int = 1
    settle: int = 1
    planes: int = 32

    def _rule(self) -> UpdateRule:
        return UpdateRule.ctd(1.0, 1.0, self.weathering)

    def _loop(self, layout: Layout, examples: NDArray[np.int8] | None, rng: np.random.Generator) -> CdLoop:
        assert examples is not None
        draw = Draw(layout.clamp_words(examples), self.planes, rng)
        return CdLoop(self.chip, layout, draw, self.planes, (self.settle, self.k))

    def _check(self) -> None:
        super()._check()
        self._counts("k", "settle", "planes")


class CdLoop(PhaseLoop):
    """Pinned, then released."""

    roles = DATA, FREE

    def __init__(self, chip: Chip, layout: Layout, examples: Draw, planes: int, sweeps: tuple[int, int]) -> None:
        super().__init__(chip, layout, planes, sweeps, tau=1.0)
        self._examples = examples

    def _first(self, batch: Batch, codes: Codes) -> None:
        self._write_codes(batch, codes)
        self._pin(batch, self._layout.clamped)
        self._send(batch, "CLAMP_VALUE", self._examples.words().reshape(-1))

    def _second(self, batch: Batch, codes: Codes) -> None:
        self._pin(batch, np.empty(0, np.int64))
