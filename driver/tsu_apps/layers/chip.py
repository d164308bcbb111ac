"""A layer on a chip: units spread over cells and rounds, planes as replicas."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.layers.laws import Floats, Law
from tsu_apps.layers.rounds import Rounds
from tsu_apps.layers.twin import require_samples
from tsu_driver import Chip

FORGET = 6.0
"""Time constants after which a cell in continuous time is taken to have forgotten where it was: e^-6 = .25 % of it is left."""
WHOLE = 1e-6
"""How far a window may be from whole sweeps, relative."""
CLOCKED = ("pbit", "pdit")
"""Kinds that draw anew in each sweep."""


@dataclass
class Cost:
    """What a layer has asked of its chip so far.

    rounds : writes of all biases; looks : scans of the enabled planes; draws : outputs that were asked for
    clipped : biases beyond the DACs' range
    chip_s : chip time; physical_s : of it, the time in which the array was at work; energy_j : energy; wall_s : time on the wall
    """

    rounds: int = 0
    looks: int = 0
    draws: int = 0
    clipped: int = 0
    chip_s: float = 0.0
    physical_s: float = 0.0
    energy_j: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True)
class Correction:
    """What drives of cells become on a chip: a cell whose terms are d behaves as one without errors at gain * d + offset.

    gain, offset : (cells, n) of the first n terms of a cell, those that the drive sets
    """

    gain: Floats
    offset: Floats

    def apply(self, terms: Floats) -> Floats:
        """The (rounds, cells, terms) with which cells behave as meant."""
        n = self.gain.shape[1]
        return np.concatenate([(terms[..., :n] - self.offset) / self.gain, terms[..., n:]], axis=-1)


class ChipLayer:
    """A layer whose outputs are drawn by a chip's cells.

    A call with n units takes ceil(n / cells) rounds of ceil(samples / planes) looks: different inputs of a batch are different
    units, for planes share their biases. Unit k, in the order of memory, is drawn by cell k modulo the number of cells.

    law : what a cell draws; correction : of the chip's static errors, None for none; cost : what was spent
    """

    def __init__(self, chip: Chip, law: Law, tau_s: float | None = None, correction: Correction | None = None) -> None:
        """A layer on `chip`, which it sets up anew for each call.

        tau_s : time constant of a cell, s; of a mixture cell that of its choice of modes; of p-bits that of the slowest, for they
            are looked at when they have forgotten their past. Cells in continuous time need it, the others have none
        ValueError says why the chip's cells cannot follow the law.
        """
        self.chip, self.law, self.correction, self.cost = chip, law, correction, Cost()
        kind, cap = chip.kind, chip.capabilities
        if kind not in law.kinds:
            raise ValueError(
                f"a {type(law).__name__} layer needs cells of the kind {' or '.join(law.kinds)}; {chip.name} has {kind}"
            )
        terms = law.terms(np.zeros(law.drive_shape)).shape[-1]
        if terms != cap.terms:
            raise ValueError(f"{law} drives {terms} terms; a cell of {chip.name} has {cap.terms}: {', '.join(chip.terms)}")
        self._sweeps = 1 if kind in CLOCKED else self._ticks(tau_s)

    def draw(self, drive: Floats, samples: int) -> Floats:
        """As `Layer.draw`; HostError and ChipFault are the driver's."""
        with self._spending():
            draws = np.concatenate(list(self._blocks(drive, samples)), axis=1)
        return draws.reshape(samples, *self._shape(drive))

    def average(self, drive: Floats, samples: int | None) -> Floats:
        """As `Layer.average`; ValueError if samples is None."""
        if samples is None:
            raise ValueError("samples is None; a chip has no exact mean: say how many samples to average")
        with self._spending():
            means = [block.mean(axis=0) for block in self._blocks(drive, samples)]
        return np.concatenate(means).reshape(self._shape(drive))

    def _shape(self, drive: Floats) -> tuple[int, ...]:
        """Units as they came, then the axes of an output."""
        return drive.shape[: drive.ndim - len(self.law.drive_shape)] + self.law.output_shape

    def _blocks(self, drive: Floats, samples: int) -> Iterator[Floats]:
        """(samples, units, *output_shape) of successive units."""
        self.law.check(drive)
        require_samples(samples)
        cells, units = self.chip.capabilities.cells, drive.reshape(-1, *self.law.drive_shape)
        looks = -(-samples // self.chip.capabilities.planes)
        codes = self._codes(units)
        rounds = Rounds(self.chip, self._sweeps, self.law.lives is not None, -(-samples // looks))
        self.cost.rounds += len(codes)
        self.cost.looks += len(codes) * looks
        self.cost.draws += samples * len(units)
        step = max(1, rounds.looks_per_message // looks)
        for first in range(0, len(codes), step):
            readings = rounds.run(codes[first : first + step], looks)
            draws = self.law.output(readings.reshape(len(readings), -1, cells))[:, :samples]
            block = np.moveaxis(draws, 1, 0).reshape(samples, -1, *self.law.output_shape)
            yield block[:, : len(units) - first * cells]

    def _codes(self, units: Floats) -> NDArray[np.int16]:
        """(rounds, cells, terms) codes that drive the units; cells left over in the last round have the drive 0."""
        cells, shape = self.chip.capabilities.cells, self.law.drive_shape
        filled = np.zeros((-(-len(units) // cells) * cells, *shape))
        filled[: len(units)] = units
        drive = filled.reshape(-1, cells, *shape)
        terms = self.law.terms(drive)
        written = self.chip.quantise_biases(self.correction.apply(terms) if self.correction else terms)
        self.cost.clipped += written.clipped
        return written.codes

    @contextmanager
    def _spending(self) -> Iterator[None]:
        """Book the times and energy of what is done inside."""
        begun, before = time.perf_counter(), self._meters()
        yield
        after, cost = self._meters(), self.cost
        cost.chip_s += after[0] - before[0]
        cost.physical_s += after[1] - before[1]
        cost.energy_j += after[2] - before[2]
        cost.wall_s += time.perf_counter() - begun

    def _meters(self) -> tuple[float, float, float]:
        """Chip time, physical time and energy since power-on."""
        physical, spent = self.chip.physical_time(), self.chip.energy().total_j
        return self.chip.seconds, physical, spent

    def _ticks(self, tau_s: float | None) -> int:
        """Sweeps that a cell in continuous time lives before a look."""
        if tau_s is None or not tau_s > 0:
            raise ValueError(f"tau_s = {tau_s}; {self.chip.kind} cells live in continuous time: give their time constant in s")
        cap = self.chip.capabilities
        tick = cap.colour_cycles / cap.clock_hz / tau_s
        if self.law.lives is None:
            return int(np.ceil(FORGET / tick))
        ticks = round(self.law.lives / tick)
        if ticks < 1 or abs(ticks * tick / self.law.lives - 1.0) > WHOLE:
            near = max(1, ticks) * tick
            window = f"a window of {self.law.lives:g} time constants"
            raise ValueError(
                f"{window} is no whole number of ticks of {self.chip.name}; a tick is {tick:g}, {near:g} the nearest window"
            )
        return ticks
