"""What a training run leaves behind: moments on the way, counters, weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.masters import Floats

SATURATED = 0.02
"""Fraction of couplings at the ends of their range beyond which a run is flagged: saturated weights never thaw."""


@dataclass(frozen=True)
class Moment:
    """A look at a run, between ticks. NaN stands for what was not measured, or cannot be.

    tick, ticks : ticks done, ticks in all
    energy_data, energy_free : mean energy over the planes of a role, in kT at T = 1, from the spins and the programmed codes
    variance_data, variance_free : variance of that energy over the planes, in kT^2
    change : root-mean-square net change of the couplings since the moment before, in kT per tick
    saturation : fraction of couplings at an end of the DAC range
    bias_saturation : the same of biases
    flips : fraction of the free planes' spins that differ between two ticks in a row, where they go on from tick to tick
    accuracy : on the validation part
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


def curve(history: Sequence[Moment], name: str) -> tuple[NDArray[np.int64], Floats]:
    """Ticks and values of a field of the moments, those left out at which it is NaN."""
    ticks = np.array([m.tick for m in history], np.int64)
    values = np.array([getattr(m, name) for m in history], np.float64)
    known = np.isfinite(values)
    return ticks[known], values[known]


@dataclass(frozen=True)
class Counters:
    """What a run took, warm-up and validation included.

    ticks : updates of the weights
    sweeps, chip_seconds, joules : the chip's part
    wall_seconds : as this host saw it
    messages, operations : requests on the link, and operations in them
    bytes : data of windows in both directions, and records of operations; envelopes are not counted
    host_operations : multiply-adds of the host: updates, codes and averaged weights; by formula, not measured
    """

    ticks: int
    sweeps: int
    chip_seconds: float
    joules: float
    wall_seconds: float
    messages: int
    operations: int
    bytes: int
    host_operations: int


@dataclass(frozen=True)
class Result:
    """A finished run.

    weights, biases : (pairs,) and (cells,) float64 in kT, means over the last ticks
    last_weights, last_biases : the same after the last tick; they see-saw
    temperature : T of the last tick
    history : moments in order
    """

    weights: Floats
    biases: Floats
    last_weights: Floats
    last_biases: Floats
    temperature: float
    history: tuple[Moment, ...]
    counters: Counters


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
