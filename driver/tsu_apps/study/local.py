"""Workers on this machine: processes that are watched, and replaced when they die.

The standard library's pool of processes gives up all that it has in hand when one process is killed, and does not say whose fault
it was. A pool of one process for each worker knows both: one batch is under way in it, and the others notice nothing.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tsu_apps.study.engine import Batch, Died, EngineLost, Finished
from tsu_apps.study.task import Outcome, Task, run_batch

FALSE_STARTS = 20
"""Workers that may die before they are ready, one after the other."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Here:
    """No workers: everything in this process, one batch at a time."""

    capacity = workers = 1

    def __init__(self, task: Task) -> None:
        self._task, self._done = task, list[Finished]()

    def start(self, batch: Batch) -> None:
        """Measure it now."""
        self._done.append(Finished(batch, run_batch(self._task, batch.work)))

    def wait(self) -> list[Finished]:
        """What was measured."""
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Nothing is to be let go of."""


class LocalPool:
    """`workers` processes, each with one batch at a time. They end when this process ends, however it does.

    A worker has its first batch when it is ready, so that a batch is not blamed for one that dies before.
    EngineLost: one worker after the other dies before it is ready.
    """

    def __init__(self, task: Task, workers: int) -> None:
        self._task, self.workers, self._false_starts = task, workers, 0
        self._idle: list[_Worker] = []
        self._busy: dict[Future[list[Outcome]], tuple[_Worker, Batch]] = {}
        self._starting = {worker.ready: worker for worker in (_started(task) for _ in range(workers))}
        while self._starting:
            self._greet(concurrent.futures.wait(self._starting, return_when=FIRST_COMPLETED).done)

    @property
    def capacity(self) -> int:
        """Workers that are ready."""
        return len(self._idle) + len(self._busy)

    def start(self, batch: Batch) -> None:
        """Give a batch to an idle worker."""
        worker = self._idle.pop()
        try:
            future = worker.pool.submit(run_batch, self._task, batch.work)
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        self._busy[future] = worker, batch

    def wait(self) -> list[Finished]:
        """Batches that have ended since the last call; none, if all that happened is that a worker got ready."""
        under_way: list[Future[Any]] = [*self._busy, *self._starting]
        done = concurrent.futures.wait(under_way, return_when=FIRST_COMPLETED).done
        self._greet(done & self._starting.keys())
        found: list[Finished] = []
        for future in [future for future in self._busy if future in done]:
            worker, batch = self._busy.pop(future)
            try:
                found.append(Finished(batch, future.result()))
                self._idle.append(worker)
            except BrokenProcessPool:
                found.append(Finished(batch, Died("its worker process was killed or ended by itself")))
                self._replace(worker)
        return found

    def close(self) -> None:
        """End all workers, also those in the midst of a batch."""
        workers = [*self._idle, *self._starting.values(), *(worker for worker, _ in self._busy.values())]
        for worker in workers:
            with suppress(Exception):
                os.kill(worker.ready.result(timeout=0), signal.SIGKILL)
        for worker in workers:
            worker.pool.shutdown(cancel_futures=True)

    def _greet(self, ready: Iterable[Future[int]]) -> None:
        """Workers that have started, or have died before."""
        for future in list(ready):
            worker = self._starting.pop(future)
            try:
                future.result()
                self._idle.append(worker)
                self._false_starts = 0
            except BrokenProcessPool:
                self._false_starts += 1
                if self._false_starts > FALSE_STARTS:
                    raise EngineLost(
                        f"{FALSE_STARTS} worker processes one after the other died before they were ready; with 0 workers the "
                        "study is measured in this process, which shows why"
                    ) from None
                self._replace(worker)

    def _replace(self, worker: _Worker) -> None:
        worker.pool.shutdown(wait=False)
        new = _started(self._task)
        self._starting[new.ready] = new


@dataclass
class _Worker:
    """One process, in a pool of its own; `ready` tells its number when it has loaded the task."""

    pool: ProcessPoolExecutor
    ready: Future[int]


def _started(task: Task) -> _Worker:
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_settle)
    return _Worker(pool, pool.submit(_prepare, task))


def _prepare(task: Task) -> int:
    """Load the task before the first batch comes; what is wrong with it is told by the batch."""
    with suppress(Exception):
        task.load()
    return os.getpid()


def _settle() -> None:
    """One thread for linear algebra; an interrupt from the keyboard is the parent's; without a parent there is no going on."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    with suppress(ImportError):
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
