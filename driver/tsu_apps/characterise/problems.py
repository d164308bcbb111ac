"""What the procedures of sampling and dynamics share: problems on a piece of a chip, sign patterns, means with their errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.lab import Lab
from tsu_driver import Chip, Programmed, Topology

Floats = NDArray[np.float64]
LOOSE = np.empty((0, 2), np.int64), np.empty(0)
"""No couplings."""
PAUSE_S = 0.0137
"""So that what changes in some milliseconds, such as stored levels and the supply, is averaged over."""


@dataclass(frozen=True)
class Problem:
    """What a chip is programmed with.

    h : (cells,), or (cells, terms) of cells with several terms; J : as `Chip.program_couplings` takes it
    cells : the piece of the chip that is looked at, ascending; clamps : values of other cells
    """

    h: Floats
    J: Any = LOOSE
    cells: tuple[int, ...] = ()
    clamps: dict[int, int] = field(default_factory=dict)

    def put(self, chip: Chip) -> Programmed:
        """Program the chip with it."""
        chip.unclamp()
        done = chip.program_couplings(self.J, self.h)
        if self.clamps:
            chip.clamp(list(self.clamps), list(self.clamps.values()))
        return done


def biases(chip: Chip, **terms: Any) -> Floats:
    """Biases of all cells: (cells,) or (cells, terms), 0 but for the terms that are named, each one number or (cells,)."""
    h = np.zeros((chip.capabilities.cells, chip.capabilities.terms))
    for name, values in terms.items():
        h[:, chip.terms.index(name)] = values
    return h[:, 0] if chip.capabilities.terms == 1 else h


def piece(topology: Topology, n: int) -> tuple[int, ...]:
    """n cells that hang together, ascending: the first that has a neighbour, then always the one with most links to the others."""
    heard = np.diff(topology.row.astype(np.int64))
    chosen = [int(np.argmax(heard > 0))]
    while len(chosen) < min(n, topology.cells):
        links = np.bincount(np.concatenate([neighbours(topology, i) for i in chosen]), minlength=topology.cells)
        links[chosen] = 0
        if not links.any():
            break
        chosen.append(int(np.argmax(links)))
    return tuple(sorted(chosen))


def neighbours(topology: Topology, cell: int) -> NDArray[np.int64]:
    """Cells that a cell hears, ascending."""
    return topology.source[topology.row[cell] : topology.row[cell + 1]].astype(np.int64)


def pairs_within(topology: Topology, cells: tuple[int, ...]) -> NDArray[np.int64]:
    """(m, 2) coupled pairs of the piece."""
    inside = np.isin(topology.pairs, cells).all(axis=1)
    return topology.pairs[inside].astype(np.int64)


def colouring(topology: Topology) -> NDArray[np.int64]:
    """(cells,) colours from 0 on, equal for no two coupled cells: the chip's own if they are such, else least free ones."""
    own = topology.colour.astype(np.int64)
    if not np.any(own[topology.target] == own[topology.source]):
        return own
    colour = np.full(topology.cells, -1)
    for i in range(topology.cells):
        taken = set(colour[neighbours(topology, i)].tolist())
        colour[i] = next(c for c in range(len(taken) + 1) if c not in taken)
    return colour


def sign_rounds(columns: int) -> NDArray[np.int64]:
    """(rounds, columns) of -1 and +1, columns balanced and orthogonal: Sylvester's Hadamard matrix without its column of ones."""
    H = np.ones((1, 1), np.int64)
    while len(H) < columns + 1:
        H = np.block([[H, H], [H, -H]])
    return H[:, 1 : columns + 1]


def over_planes(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard error over axis 0, the planes, whose lives are independent; correlation in time is in it."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


def rms(errors: Floats) -> float:
    """Error of a usual element, about which estimates of single errors scatter."""
    return float(np.sqrt(np.mean(errors**2))) if errors.size else 0.0


def ordinary(errors: Floats) -> NDArray[np.int64]:
    """Elements that were measured about as well as most: those of an error below thrice the median. The others, such as
    saturated cells, would widen a tolerance that holds for all."""
    return np.flatnonzero(errors <= 3.0 * np.median(errors))


def pause(chip: Chip) -> None:
    """PAUSE_S of chip time."""
    batch = chip.batch()
    batch.delay(round(PAUSE_S * chip.capabilities.clock_hz))
    batch.execute()


def look(lab: Lab, n: int, every: int, burn: int, share: float) -> NDArray[Any]:
    """(n, planes, cells) samples, taken in several goes, each of which makes a part of the `share` of the procedure's work.

    Between goes the array is gated for PAUSE_S, which its cells do not notice, but levels are written anew meanwhile.
    """
    parts, goes = [], max(1, min(8, n // 32))
    for k in range(goes):
        size = n * (k + 1) // goes - n * k // goes
        pause(lab.chip)
        parts.append(lab.chip.sample(size, every, burn if k == 0 else 0))
        lab.step(share / goes)
    return np.concatenate(parts)


def memory(lab: Lab) -> tuple[int, int]:
    """(ticks between samples, ticks to forget a past) for cells of a kind: a sweep of clocked cells forgets at once."""
    return (1, 50) if lab.chip.kind in ("pbit", "pdit") else (2, 60)


def tick_s(chip: Chip) -> float:
    """How long cells in continuous time live in a sweep, s."""
    return chip.capabilities.colour_cycles / chip.capabilities.clock_hz
