"""What a training run leaves behind: moments on the way, counters, weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.loop import Seen
from tsu_apps.learning.masters import Floats
from tsu_driver.rules import UpdateRule

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
    temperature : T of the tick
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
    temperature: float = math.nan

    @property
    def saturated(self) -> bool:
        """Whether more than SATURATED of the couplings are at an end of their range."""
        return self.saturation > SATURATED


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All that a look at a run shows. The arrays are its own: a watcher may keep what it wants.

    moment : the numbers
    pairs : (pairs, 2) the cells that the weights couple
    rule : of this tick, its rates in kT per tick
    weights, biases : (pairs,) and (cells,) masters after this tick's update, in kT
    programmed_weights, programmed_biases : what the codes nominally stood for that the chip held during this tick, in kT
    coupling_lsb : step of the coupling DACs, in kT
    seen : averages of both roles in this tick, and the spins of the data planes and of the free planes at its end
    """

    moment: Moment
    pairs: NDArray[np.int32]
    rule: UpdateRule
    weights: Floats
    biases: Floats
    programmed_weights: Floats
    programmed_biases: Floats
    coupling_lsb: float
    seen: Seen


Watcher = Callable[[Snapshot], None]
"""Called at every look at a run."""
Listener = Callable[[Moment], None]
"""A watcher of the numbers alone."""


class Dated(Protocol):
    """What belongs to a tick."""

    @property
    def tick(self) -> int: ...


def curve(history: Sequence[Dated], name: str) -> tuple[NDArray[np.int64], Floats]:
    """Ticks and values of a field of the moments, or of other things that have a tick; those left out at which it is NaN.

    name : may lead through fields, as "basins.true"
    """
    field = attrgetter(name)
    ticks = np.array([m.tick for m in history], np.int64)
    values = np.array([field(m) for m in history], np.float64)
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
