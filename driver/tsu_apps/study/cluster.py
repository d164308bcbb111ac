"""Workers of a Dask cluster. The scheduler's address comes from whoever started it; this is its client alone."""

from __future__ import annotations

import importlib
from concurrent.futures import CancelledError
from typing import Any

from tsu_apps.study.engine import Batch, Died, EngineLost, Finished
from tsu_apps.study.task import Task, run_batch

CONNECT_S = 20.0
"""How long a scheduler may take to answer."""
LOOK_S = 2.0
"""Between two looks whether the scheduler is still there."""
AHEAD = 2
"""Batches for each worker, so that it need not wait for the next one."""


class Cluster:
    """The workers behind a scheduler, `tcp://host:port`. They need tsu_apps, and the study's file at the same path.

    EngineLost: no scheduler answers. ImportError: Dask's distributed is not installed.
    """

    def __init__(self, task: Task, address: str) -> None:
        try:
            self._dask: Any = importlib.import_module("distributed")
        except ImportError:
            raise ImportError("a scheduler needs Dask: pip install 'tsu-driver[cluster]'") from None
        self._task, self._address = task, address
        try:
            self._client: Any = self._dask.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise EngineLost(f"no scheduler answers at {address}: {error}") from None
        self._busy: dict[Any, Batch] = {}

    @property
    def workers(self) -> int:
        """Threads of all workers that there are now, at least 1."""
        return max(1, sum(int(threads) for threads in self._client.nthreads().values()))

    @property
    def capacity(self) -> int:
        """AHEAD times as many."""
        return AHEAD * self.workers

    def start(self, batch: Batch) -> None:
        """Hand it to the scheduler."""
        future = self._client.submit(run_batch, self._task, batch.work, pure=False)
        self._busy[future] = batch

    def wait(self) -> list[Finished]:
        """Batches that have ended. The scheduler repeats one whose worker dies by itself, some times."""
        while self._client.status == "running":
            try:
                with self._client.as_current():
                    done = self._dask.wait(list(self._busy), LOOK_S, "FIRST_COMPLETED").done
                return [self._finished(future) for future in done]
            except TimeoutError:
                continue
            except (CancelledError, OSError):
                break
        raise EngineLost(f"the scheduler at {self._address} is gone; what was finished is in the store")

    def close(self) -> None:
        """Leave the cluster as it is; what is under way is given up."""
        self._client.close(timeout=LOOK_S)

    def _finished(self, future: Any) -> Finished:
        try:
            result = future.result()
        except self._dask.KilledWorker as error:
            result = Died(str(error))
        return Finished(self._busy.pop(future), result)
