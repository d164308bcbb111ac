"""Options of hardware, each in steps from cheap to dear, and what a combination of them costs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Value = float | int
Place = tuple[int, ...]
"""The number of its value for each option."""
Point = dict[str, Value]
MOST_POINTS = 10_000


@dataclass(frozen=True)
class Option:
    """One thing about a chip that may be had better at a price; values : the cheapest first, none worse than the one before."""

    name: str
    values: Sequence[Value]
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) < len(self.values):
            raise ValueError(f"option {self.name}: {len(self.values)} values, of which {len(set(self.values))} differ")


class Lattice:
    """All combinations.

    options : of names that differ; cost : of a point, greater after a step of any option towards the dear end
    places : (points, options) numbers of values, the cheapest point first; costs : (points,)
    """

    def __init__(self, options: Sequence[Option], cost: Callable[[Point], float]) -> None:
        if len({o.name for o in options}) < len(options) or not options:
            raise ValueError(f"options {[o.name for o in options]}: names that differ are expected")
        self.options = tuple(options)
        shape = [len(o.values) for o in options]
        if np.prod(shape, dtype=float) > MOST_POINTS:
            raise ValueError(f"options have {np.prod(shape, dtype=float):.3g} combinations; at most {MOST_POINTS}")
        places = np.array(list(itertools.product(*map(range, shape))), np.int64)
        costs = np.array([cost(self.point(place)) for place in places], np.float64)
        grid = costs.reshape(shape)
        for axis, option in enumerate(self.options):
            if (np.diff(grid, axis=axis) <= 0).any():
                raise ValueError(f"option {option.name}: a step towards the dear end does not always cost more")
        order = np.argsort(costs, kind="stable")
        self.places, self.costs = places[order], costs[order]

    def __len__(self) -> int:
        return len(self.costs)

    def point(self, place: Sequence[int] | NDArray[np.int64]) -> Point:
        """Values by the names of the options."""
        return {option.name: option.values[int(k)] for option, k in zip(self.options, place, strict=True)}

    def no_better(self, number: int) -> NDArray[np.bool_]:
        """(points,) whether a point has no option better than the point of this number, itself included."""
        return np.asarray((self.places <= self.places[number]).all(axis=1))

    def steps_down(self, number: int) -> list[tuple[str, int]]:
        """(name of an option, number of the point that has it one step cheaper), where there is one."""
        out = []
        for axis, option in enumerate(self.options):
            place = self.places[number].copy()
            place[axis] -= 1
            if place[axis] >= 0:
                out.append((option.name, int(np.flatnonzero((self.places == place).all(axis=1))[0])))
        return out
