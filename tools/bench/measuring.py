"""What every benchmark does with its repetitions."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tsu_apps.report import Row


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    repeats : repetitions, over which medians and spreads are taken; quick : small sizes and no goals of speed, for a look that
    it works; step : called after each repetition; long : large sizes where there is a choice
    """

    repeats: int
    quick: bool
    step: Callable[[], None]
    long: bool = False

    def goal(self, value: float | None) -> float | None:
        """A goal of speed, which small sizes do not have."""
        return None if self.quick else value


def median_row(name: str, values: Sequence[float], unit: str, goal: float | None = None) -> Row:
    """The median of repetitions, with their spread; `goal` is a least value."""
    value, spread = statistics.median(values), statistics.stdev(values)
    return Row(name, value, unit, spread) if goal is None else Row.at_least(name, value, goal, unit, spread)


def most_row(name: str, values: Sequence[float], unit: str, goal: float | None) -> Row:
    """As `median_row`, `goal` being a greatest value."""
    row = median_row(name, values, unit)
    return row if goal is None else Row.at_most(name, row.value, goal, unit, row.spread)


def zero_row(name: str, value: float, error: float, unit: str = "") -> Row:
    """A value that is to be 0 within five of its standard errors."""
    return Row(name, value, unit, error, "|value| <= 5 spread", abs(value) <= 5 * error)
