"""What an experiment is: cases that are measured once a seed, and a judgement of them all."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tsu_apps.report import Row

Measured = Mapping[str, Any]
"""What one run of a case gave: numbers and lists of numbers by name."""


@dataclass(frozen=True)
class Case:
    """One thing to measure with several seeds.

    name : within its experiment
    measure : called as measure(seed=..., **parameters) in a process of its own; a function of a module, returning `Measured`
    parameters : of JSON values; they tell a stored result from that of another case
    seeds : how many are enough, if fewer than asked for
    """

    name: str
    measure: Callable[..., Measured]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seeds: int | None = None

    def run(self, seed: int) -> tuple[Measured, float]:
        """One run: what it gave, and the seconds that it took."""
        begun = time.perf_counter()
        measured = self.measure(seed=seed, **self.parameters)
        return measured, time.perf_counter() - begun

    def fingerprint(self) -> str:
        """Changes with the function's name and the parameters."""
        text = json.dumps([self.measure.__module__, self.measure.__qualname__, dict(self.parameters)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Results:
    """Everything measured in an experiment, by case."""

    def __init__(self, runs: Mapping[str, Sequence[Measured]]) -> None:
        self.runs = runs

    def values(self, case: str, name: str) -> np.ndarray:
        """(seeds, ...) array of one quantity."""
        return np.array([run[name] for run in self.runs[case]], np.float64)

    def mean(self, case: str, name: str) -> float:
        """Mean over seeds."""
        return float(self.values(case, name).mean())

    def spread(self, case: str, name: str) -> float | None:
        """Standard deviation over seeds; None for a single one."""
        values = self.values(case, name)
        return float(values.std(ddof=1)) if len(values) > 1 else None

    def error(self, case: str, name: str) -> float:
        """Standard error of the mean; 0 for a single seed."""
        values = self.values(case, name)
        return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0

    def row(self, case: str, name: str, label: str, unit: str = "") -> Row:
        """Mean and spread without a goal."""
        return Row(label, self.mean(case, name), unit, self.spread(case, name))

    def at_least(self, case: str, name: str, goal: float, label: str, unit: str = "") -> Row:
        """Mean and spread; good if the mean reaches the goal."""
        return Row.at_least(label, self.mean(case, name), goal, unit, self.spread(case, name))

    def at_most(self, case: str, name: str, goal: float, label: str, unit: str = "") -> Row:
        """Mean and spread; good if the mean does not exceed the goal."""
        return Row.at_most(label, self.mean(case, name), goal, unit, self.spread(case, name))


@dataclass(frozen=True)
class Experiment:
    """Cases, what they say together, and how they look.

    name : on the command line; title : one line for people
    cases : called with quick (bool): the cases in full, or the few small ones of a fast check
    judge : rows with goals; called with quick too, for bars that a small run cannot reach are left out there
    draw : writes figures into a directory; None if there are none
    """

    name: str
    title: str
    cases: Callable[[bool], Sequence[Case]]
    judge: Callable[[Results, bool], list[Row]]
    draw: Callable[[Results, Path], None] | None = None
