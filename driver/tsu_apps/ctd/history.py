"""What a training run leaves behind: moments on the way, counters, weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.ctd.rule import Floats

SATURATED = 0.02
"""Fraction of couplings at the ends of their range beyond which a run is flagged: saturated weights never thaw."""


@dataclass(frozen=True)
class Moment:
    """A look at a run, between ticks.

    tick, ticks : ticks done, ticks in all
    energy_data, energy_free : mean energy over the planes of a role, in kT, from the spins and the programmed codes
    variance_data, variance_free : variance of that energy over the planes, in kT^2
    change : root-mean-square net change of the couplings since the moment before, in kT per tick
    saturation : fraction of couplings at an end of the DAC range
    bias_saturation : the same of biases
    flips : fraction of the free planes' spins that differ between two ticks in a row
    accuracy : on the validation part; NaN if it was not measured at this moment
    """

    tick: int
    ticks: int
    energy_data: float
    variance_data: float
    energy_free: float
    variance_free: float
    change: float
    saturation: float
    bias_saturation: float
    flips: float
    accuracy: float

    @property
    def saturated(self) -> bool:
        """Whether more than SATURATED of the couplings are at an end of their range."""
        return self.saturation > SATURATED


Listener = Callable[[Moment], None]
"""Called at every moment of a run."""


@dataclass(frozen=True)
class Counters:
    """What a run took: ticks, sweeps, chip time, wall time, messages and operations on the link."""

    ticks: int
    sweeps: int
    chip_seconds: float
    wall_seconds: float
    messages: int
    operations: int


@dataclass(frozen=True)
class CtdResult:
    """A finished run.

    weights, biases : (pairs,) and (cells,) float64 in kT, means over the last ticks (`CtdConfig.average_from`)
    last_weights, last_biases : the same after the last tick; they see-saw
    history : moments in order
    counters : what the run took, warm-up and validation included
    """

    weights: Floats
    biases: Floats
    last_weights: Floats
    last_biases: Floats
    history: tuple[Moment, ...]
    counters: Counters

    @property
    def saturated(self) -> bool:
        """Whether the run ended with saturated couplings."""
        return self.history[-1].saturated

    def curve(self, name: str) -> tuple[NDArray[np.int64], Floats]:
        """Ticks and values of a field of the moments, those left out at which it is NaN."""
        ticks = np.array([m.tick for m in self.history])
        values = np.array([getattr(m, name) for m in self.history], np.float64)
        known = np.isfinite(values)
        return ticks[known], values[known]


def energies(spins: NDArray[np.int8], pairs: NDArray[np.int32], weights: Floats, biases: Floats) -> Floats:
    """(planes,) energies E = -sum_{i<j} w_ij s_i s_j - sum_i b_i s_i, in kT.

    spins : (planes, cells)
    pairs : (pairs, 2) cells
    weights, biases : (pairs,) and (cells,) in kT
    """
    by_cell = np.ascontiguousarray(spins.T)
    agree = by_cell[pairs[:, 0]] * by_cell[pairs[:, 1]]
    out: Floats = -np.einsum("pk,p->k", agree, weights) - np.einsum("ck,c->k", by_cell, biases)
    return out
