"""What chips are given to do: problems on a piece of a chip, its surroundings, sign patterns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_driver import Chip, Programmed, Topology

Floats = NDArray[np.float64]
LOOSE = np.empty((0, 2), np.int64), np.empty(0)
"""No couplings."""
SPINS = frozenset({"pbit", "async-pbit"})
SOFT = {"a": 1.0, "b": 0.0625}
"""Of Langevin cells at rest: b = 0 would leave its sign to the offset of a DAC, and cells would run off to the rails."""


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
    """n cells that hang together, ascending: the first that has a neighbour, then always the one with most links to the others,
    and among these the one that comes nearest to closing a ring."""
    heard = np.diff(topology.row.astype(np.int64))
    chosen = [int(np.argmax(heard > 0))]
    while len(chosen) < min(n, topology.cells):
        links = np.bincount(np.concatenate([neighbours(topology, i) for i in chosen]), minlength=topology.cells)
        free = links.copy()
        free[chosen] = 0
        if not free.any():
            break
        best = np.flatnonzero(free == free.max()).tolist()
        chosen.append(max(best, key=lambda cell: int(links[neighbours(topology, cell)].sum())))
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


def surroundings(chip: Chip, seed: int, inside: tuple[int, ...]) -> dict[int, int]:
    """Clamps of all cells but those inside: random spins, or state 0 of pdits."""
    rest = np.setdiff1d(np.arange(chip.capabilities.cells), inside)
    signs = np.random.default_rng(seed).choice([-1, 1], len(rest))
    return dict(zip(rest.tolist(), np.zeros(len(rest), int).tolist() if chip.kind == "pdit" else signs.tolist(), strict=True))


def relaxing(chip: Chip, bias: float = 0.0) -> Problem:
    """Cells left to themselves: J = 0, a = 1, and of Langevin cells a little b."""
    rest = {"gaussian": {"a": 1.0}, "langevin": SOFT}.get(chip.kind, {})
    return Problem(biases(chip, h=bias, **rest))


def tick_s(chip: Chip) -> float:
    """How long cells in continuous time live in a sweep, s."""
    return chip.capabilities.colour_cycles / chip.capabilities.clock_hz
