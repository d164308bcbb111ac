"""What a worker is told and what it answers: a task, cells of it in batches, an outcome for each cell."""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.study.definition import Cell, Measure, Quantity, Study, Value, code_digest

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """Where a worker finds the function of a study.

    module, name : of the function; path : where modules are looked for
    file, looks, source : the function's file, and `code_digest` of it, so that no worker measures by another version
    quantities : what it is to return
    """

    module: str
    name: str
    path: tuple[str, ...]
    file: str
    looks: tuple[str, ...]
    source: str
    quantities: tuple[Quantity, ...]

    @classmethod
    def of(cls, study: Study) -> Task:
        """The task of a study."""
        f, path = study.measure, tuple(entry or str(Path.cwd()) for entry in sys.path)
        source = code_digest(study.source, study.looks)
        return cls(f.__module__, f.__qualname__, path, str(study.source), study.looks, source, tuple(study.quantities))

    def __hash__(self) -> int:
        return hash((self.module, self.name, self.source))

    def load(self) -> Measure:
        """The function; ImportError if this process has none or another version of it."""
        return _load(self)


@dataclass(frozen=True)
class Work:
    """A cell, with its point and the seed of its die."""

    cell: Cell
    point: Mapping[str, Value]
    die_seed: int


@dataclass(frozen=True)
class Outcome:
    """What came of a cell: values by quantity and the seconds that they took, or why there are none."""

    cell: Cell
    seconds: float
    values: Mapping[str, Floats] = field(default_factory=dict)
    failure: str = ""


@lru_cache(maxsize=16)
def _load(task: Task) -> Measure:
    sys.path.extend(entry for entry in task.path if entry not in sys.path)
    if code_digest(Path(task.file), task.looks) != task.source:
        raise ImportError(f"{task.file} has changed since the study began")
    found: Any = importlib.import_module(task.module)
    for part in task.name.split("."):
        found = getattr(found, part)
    measure: Measure = found
    return measure


def work_of(study: Study, cells: Sequence[Cell]) -> list[Work]:
    """The cells with what is needed to measure them."""
    seeds = {die: study.die_seed(die) for die in {cell.die for cell in cells}}
    return [Work(cell, study.points[cell.point], seeds[cell.die]) for cell in cells]


def run_batch(task: Task, batch: Sequence[Work]) -> list[Outcome]:
    """Measure cells one after the other. What goes wrong with one of them is in its outcome; the others go on."""
    return [_run(task, work) for work in batch]


def _run(task: Task, work: Work) -> Outcome:
    begun = time.perf_counter()
    try:
        measured = task.load()(work.point, work.die_seed)
        seconds = time.perf_counter() - begun
        return Outcome(work.cell, seconds, _checked(measured, task.quantities))
    except (Exception, SystemExit):
        return Outcome(work.cell, time.perf_counter() - begun, failure=traceback.format_exc())


def _checked(measured: Mapping[str, Any], quantities: Sequence[Quantity]) -> dict[str, Floats]:
    """What was measured as arrays of float64; ValueError if it is not what was promised."""
    names = {quantity.name for quantity in quantities}
    if set(measured) != names:
        raise ValueError(f"measured {sorted(measured)}; the study's quantities are {sorted(names)}")
    values = {quantity.name: np.array(measured[quantity.name], np.float64) for quantity in quantities}
    for quantity in quantities:
        if values[quantity.name].shape != quantity.shape:
            raise ValueError(f"{quantity.name} has shape {values[quantity.name].shape}; {quantity.shape} is expected")
    return values
