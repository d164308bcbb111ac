"""The twin of a layer: its law in numpy, exact or sampled, for training; and what twin and chip have in common."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tsu_apps.layers.laws import Floats, Law

DRAWS_AT_ONCE = 1 << 22
"""Outputs that `average` holds in memory."""


class Layer(Protocol):
    """A layer of loose cells, on a chip or as its twin: drives in, draws or their averages out."""

    @property
    def law(self) -> Law:
        """What a cell draws."""
        ...

    def draw(self, drive: Floats, samples: int) -> Floats:
        """(samples, ..., *output_shape) independent outputs of drives (..., *drive_shape)."""
        ...

    def average(self, drive: Floats, samples: int | None) -> Floats:
        """(..., *output_shape) means of so many independent outputs; None for the exact mean, which only a twin has."""
        ...


class TwinLayer:
    """A layer as numpy has it: the law without a chip's errors, at float64.

    law : what a cell draws
    """

    def __init__(self, law: Law, seed: int = 0) -> None:
        """A layer whose draws are those of numpy's default generator with this seed."""
        self.law = law
        self._rng = np.random.default_rng(seed)

    def draw(self, drive: Floats, samples: int) -> Floats:
        """As `Layer.draw`; ValueError if drives or samples are not legal."""
        self.law.check(drive)
        require_samples(samples)
        return self.law.sample(np.broadcast_to(drive, (samples, *drive.shape)), self._rng)

    def average(self, drive: Floats, samples: int | None) -> Floats:
        """As `Layer.average`."""
        self.law.check(drive)
        if samples is None:
            return self.law.mean(drive)
        require_samples(samples)
        at_once = max(1, DRAWS_AT_ONCE // max(1, drive.size))
        total: Floats = np.zeros(1)
        for first in range(0, samples, at_once):
            total = total + self.draw(drive, min(at_once, samples - first)).sum(axis=0)
        return total / samples


def require_samples(samples: int) -> None:
    """ValueError unless it is a number of samples."""
    if samples < 1:
        raise ValueError(f"samples = {samples}; at least 1 is expected")
