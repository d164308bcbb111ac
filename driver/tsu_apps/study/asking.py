"""Cells of a study one after the other, as somebody who does not know beforehand which ones asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tsu_apps.study.definition import Cell, Study, Value
from tsu_apps.study.engine import Engine
from tsu_apps.study.fleet import Fleet, served
from tsu_apps.study.progress import bar
from tsu_apps.study.store import Store
from tsu_apps.study.task import Floats, Outcome, Task, work_of


class MeasureFailed(RuntimeError):
    """A cell could not be measured; the message has it in words, and why."""


class Asking:
    """A study of which only what is asked for is measured; a context manager. What was measured is kept in the store, and found
    again, by `study.run` as well. Workers start with the first cell that the store does not have, and stay.

    store : directory, as of `study.run`; fresh : forget what it has of this study
    BlockingIOError: another run of this study is under way.
    """

    def __init__(self, study: Study, fleet: Fleet, store: Path, *, fresh: bool = False) -> None:
        self._study, self._fleet, self._where, self._fresh = study, fleet, store, fresh
        self._stack = ExitStack()
        self._known: dict[Cell, Outcome] = {}
        self._engine: Engine | None = None

    def __enter__(self) -> Self:
        self._store = self._stack.enter_context(Store(self._where, self._study))
        if self._fresh:
            self._store.forget()
        self._known = self._store.load()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def values(self, point: Mapping[str, Value], dies: Sequence[int], text: str = "") -> list[Mapping[str, Floats]]:
        """Quantities by name of each die at a point.

        point : one of `study.points`; dies : numbers, any from 0 on; text : beside the bar
        MeasureFailed: of one of them. EngineLost: the workers are gone. ValueError: the study has no such point.
        """
        if dict(point) not in self._study.points:
            raise ValueError(f"study {self._study.name} has no point {dict(point)}")
        number = self._study.points.index(dict(point))
        cells = [Cell(number, die) for die in dies]
        missing = [cell for cell in cells if cell not in self._known]
        if missing:
            with bar(text or self._study.name, len(cells), len(cells) - len(missing)) as advance:
                for outcomes in served(self._workers(), work_of(self._study, missing)):
                    self._store.save(outcomes)
                    self._known |= {outcome.cell: outcome for outcome in outcomes}
                    advance(len(outcomes))
        failed = [cell for cell in cells if self._known[cell].failure]
        if failed:
            why = self._known[failed[0]].failure.rstrip()
            raise MeasureFailed(f"{len(failed)} of {len(cells)} failed; {self._study.describe(failed[0])}\n{why}")
        return [self._known[cell].values for cell in cells]

    def _workers(self) -> Engine:
        if self._engine is None:
            self._engine = self._stack.enter_context(self._fleet.ready(Task.of(self._study)))
        return self._engine
