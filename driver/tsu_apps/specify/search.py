"""The cheapest point of a lattice at which the loss is tolerable, by bisection of what is still in question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.specify.lattice import Lattice, Point
from tsu_apps.specify.sequential import DIES, Verdict, verdict

SEARCHED, FRESH = range(max(DIES)), range(max(DIES), 2 * max(DIES))
"""Dies of the search, and of what confirms it."""
Losses = Callable[[Point, Sequence[int]], Sequence[float]]
"""losses(point, numbers of dies): the loss of each die; never more, on the mean over dies, when an option is better."""


class Unreachable(ValueError):
    """Not even the dearest point is shown to do; `best` is what it reaches."""

    def __init__(self, point: Point, best: Verdict, tolerated: float) -> None:
        self.point, self.best = point, best
        error = float(np.std(best.losses, ddof=1) / np.sqrt(len(best.losses)))
        super().__init__(f"a loss of {tolerated:g} is not reached: the dearest of all has {best.mean:.3g} ± {error:.2g}")


Told = Callable[[Point, float, Verdict], None]
"""Called with a point, its cost and its verdict."""


@dataclass(frozen=True)
class Neighbour:
    """A point that has one option a step cheaper: which, the point, and the verdict that rules it out; `by` is the point of that
    verdict, itself or one that is no worse in any option."""

    option: str
    point: Point
    by: Point
    verdict: Verdict


@dataclass(frozen=True)
class Specification:
    """What was found.

    point, cost : the cheapest; passed : its verdict in the search; confirmed : on dies that the search has not seen
    tests : every point that was measured, in order, with its cost and verdict
    neighbours : the points next to it that are cheaper, all ruled out
    points, chips : of the lattice; dies that were measured, over all points
    """

    point: Point
    cost: float
    passed: Verdict
    confirmed: Verdict
    tests: tuple[tuple[Point, float, Verdict], ...]
    neighbours: tuple[Neighbour, ...]
    points: int
    chips: int


class _Search:
    """Verdicts so far, and what follows from them, since a loss grows with no option that is better."""

    def __init__(self, lattice: Lattice, losses: Losses, tolerated: float, told: Told) -> None:
        self.lattice, self._losses, self._tolerated, self._told = lattice, losses, tolerated, told
        self.verdicts: dict[int, Verdict] = {}
        self.ruled_out_by = np.full(len(lattice), -1)
        self.chips = 0

    def test(self, number: int, dies: Sequence[int]) -> Verdict:
        """Measure a point."""
        point = self.lattice.point(self.lattice.places[number])
        found = verdict(lambda some: self._losses(point, some), dies, self._tolerated)
        self.chips += len(found.losses)
        self._told(point, float(self.lattice.costs[number]), found)
        if not found.passes:
            below = self.lattice.no_better(number) & (self.ruled_out_by < 0)
            self.ruled_out_by[below] = number
        return found

    def search(self) -> int | None:
        """Number of the cheapest point that passes, once nothing cheaper is in question; None if none passes."""
        while True:
            passing = [k for k, v in self.verdicts.items() if v.passes and self.ruled_out_by[k] < 0]
            best = min(passing, default=len(self.lattice))
            open_ = np.flatnonzero(self.ruled_out_by[:best] < 0)
            if not len(open_):
                return best if passing else None
            number = self._middle(open_)
            self.verdicts[number] = self.test(number, SEARCHED)

    def _middle(self, open_: NDArray[np.int64]) -> int:
        """The point whose verdict settles most others in the worse case: those that cost as much, or those no better."""
        settled = [min(len(open_) - i, int(self.lattice.no_better(k)[open_].sum())) for i, k in enumerate(open_.tolist())]
        return int(open_[int(np.argmax(settled))])


def find(lattice: Lattice, losses: Losses, tolerated: float, *, told: Told = lambda point, cost, found: None) -> Specification:
    """The cheapest point whose mean loss over dies is shown to be at most `tolerated`, in the search and again on fresh dies.

    losses : is asked for dies 0 to 39 in the search, at all points for the same ones, and for dies 40 to 79 after it
    told : called with every point that was measured. Unreachable: the dearest point is not shown to do.
    """
    search = _Search(lattice, losses, tolerated, told)
    top = len(lattice) - 1
    search.verdicts[top] = search.test(top, SEARCHED)
    while (best := search.search()) is not None:
        confirmed = search.test(best, FRESH)
        if confirmed.passes:
            return _specification(search, best, confirmed)
        search.verdicts[best] = confirmed
    raise Unreachable(lattice.point(lattice.places[top]), search.verdicts[top], tolerated)


def _specification(search: _Search, best: int, confirmed: Verdict) -> Specification:
    lattice = search.lattice

    def point(number: int) -> Point:
        return lattice.point(lattice.places[number])

    neighbours = []
    for option, number in lattice.steps_down(best):
        by = int(search.ruled_out_by[number])
        neighbours.append(Neighbour(option, point(number), point(by), search.verdicts[by]))
    tests = tuple((point(k), float(lattice.costs[k]), v) for k, v in search.verdicts.items())
    return Specification(
        point(best), float(lattice.costs[best]), search.verdicts[best], confirmed, tests, tuple(neighbours), len(lattice),
        search.chips,
    )  # fmt: skip
