"""Many cells on many workers: batches of a fit size, repeated when their worker dies, and given up if they kill several."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil

from tsu_apps.study.engine import Batch, Died, Engine, Finished
from tsu_apps.study.local import Here, LocalPool
from tsu_apps.study.task import Outcome, Task, Work

BATCH_S = 0.3
"""Seconds that a batch is to take, so that what is done once a batch does not count; cells that take longer come alone."""
GROWTH = 4
"""How many times larger than the last a batch may be."""
DEATHS = 3
"""Workers that a cell may kill before it is given up."""


class Pace:
    """How large batches are to be, by what the last ones took."""

    def __init__(self) -> None:
        self._size, self._seconds, self._cells = 1, 0.0, 0.0

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """A batch has been measured; what was long ago fades."""
        self._seconds = 0.8 * self._seconds + sum(outcome.seconds for outcome in outcomes)
        self._cells = 0.8 * self._cells + len(outcomes)

    def size(self, left: int, workers: int) -> int:
        """Cells of the next batch, when `left` are left: towards the end smaller ones, so that all workers end together."""
        if self._cells:
            wanted = ceil(BATCH_S * self._cells / max(self._seconds, 1e-9))
            self._size = min(wanted, GROWTH * self._size)
        return max(1, min(self._size, ceil(left / (2 * workers))))


class Fleet:
    """Workers for studies.

    workers : processes on this machine, 0 to measure in this process; one for each processor if None
    scheduler : address of a Dask scheduler, whose workers are used instead
    seconds : of all workers together, from when they were ready to the end of the last `map`; busy : of it, spent in measuring
    ValueError: fewer than 0 workers.
    """

    def __init__(self, workers: int | None = None, scheduler: str | None = None) -> None:
        if workers is not None and workers < 0:
            raise ValueError(f"{workers} workers; 0, for none but this process, or more are expected")
        self._workers, self._scheduler = (os.cpu_count() or 1) if workers is None else workers, scheduler
        self.seconds = self.busy = 0.0

    def map(self, task: Task, work: Sequence[Work]) -> Iterator[list[Outcome]]:
        """Outcomes of all the work, some at a time, in the order in which they come; every cell has one.

        While the caller deals with them the workers go on. EngineLost: the scheduler is gone.
        """
        with self.ready(task, len(work)) as engine:
            begun, self.seconds, self.busy = time.perf_counter(), 0.0, 0.0
            for outcomes in served(engine, work):
                self.busy += sum(outcome.seconds for outcome in outcomes)
                self.seconds = engine.workers * (time.perf_counter() - begun)
                yield outcomes

    @contextmanager
    def ready(self, task: Task, most: int | None = None) -> Iterator[Engine]:
        """Workers that have the task at hand, of this machine at most so many."""
        engine = self._engine(task, self._workers if most is None else min(self._workers, most))
        try:
            yield engine
        finally:
            engine.close()

    def _engine(self, task: Task, workers: int) -> Engine:
        if self._scheduler is not None:
            from tsu_apps.study.cluster import Cluster

            return Cluster(task, self._scheduler)
        return LocalPool(task, workers) if workers else Here(task)


def served(engine: Engine, work: Sequence[Work]) -> Iterator[list[Outcome]]:
    """Outcomes of the work, as those of `Fleet.map`."""
    left, again, pace, under_way = deque(work), deque[Batch](), Pace(), 0
    ended: list[Finished] = []
    while True:
        outcomes = _settled(ended, again, pace)
        while (left or again) and under_way < engine.capacity:
            engine.start(_next(left, pace, engine.workers) if left else again.popleft())
            under_way += 1
        if outcomes:
            yield outcomes
        if not (under_way or left or again):
            return
        ended = engine.wait()
        under_way -= len(ended)


def _next(left: deque[Work], pace: Pace, workers: int) -> Batch:
    return Batch(tuple(left.popleft() for _ in range(pace.size(len(left), workers))))


def _settled(ended: Sequence[Finished], again: deque[Batch], pace: Pace) -> list[Outcome]:
    """Outcomes of batches that ended. The cells of one whose worker died are repeated at the end, each by itself."""
    outcomes: list[Outcome] = []
    for batch, result in ended:
        if not isinstance(result, Died):
            pace.note(result)
            outcomes += result
        elif len(batch.work) > 1 or batch.deaths + 1 < DEATHS:
            again.extend(Batch((work,), min(batch.deaths + 1, DEATHS - 1)) for work in batch.work)
        else:
            outcomes.append(Outcome(batch.work[0].cell, 0.0, failure=f"{DEATHS} workers died of it: {result.why}\n"))
    return outcomes
