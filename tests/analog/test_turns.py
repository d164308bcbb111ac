"""Threads that share phases: every piece once, phases in order, nobody waits for a thread that has not begun."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from numba import njit, prange
from numpy.typing import NDArray

from tsu_emu.analog.turns import counters_for, finish, next_piece, open_phase

COUNTS = np.array([7, 1, 0, 64, 2, 5])
"""Pieces of each phase."""


@njit
def take_all(counters: Any, thread: int, counts: Any, seen: Any, finished: Any) -> None:
    """seen[k, piece] counts who had it; finished[k] the pieces of earlier phases that were not done by then."""
    until, before = np.zeros(counters.shape[0] - 2, np.int64), 0
    for k in range(counts.size):
        before = open_phase(counters, until, thread, before, counts[k])
        if before < 0:
            return
        while True:
            piece = next_piece(counters, until, thread, counts[k])
            if piece < 0:
                break
            for earlier in range(k):
                finished[k] += counts[earlier] - seen[earlier].sum()
            seen[k, piece] += 1
            finish(counters)


@njit
def take_one(counters: Any, thread: int, counts: Any) -> int:
    """A piece of the first phase that this thread will not have done for long."""
    until = np.zeros(counters.shape[0] - 2, np.int64)
    open_phase(counters, until, thread, 0, counts[0])
    return int(next_piece(counters, until, thread, counts[0]))


@njit
def finish_one(counters: Any) -> None:
    finish(counters)


@njit(nogil=True)
def take_rest(counters: Any, thread: int, counts: Any, seen: Any, finished: Any) -> None:
    take_all(counters, thread, counts, seen, finished)


@njit
def new_counters(threads: int) -> Any:
    return counters_for(threads)


@njit(parallel=True)
def by_threads(counters: Any, counts: Any, seen: Any, finished: Any) -> None:
    for thread in prange(counters.shape[0] - 2):
        take_all(counters, thread, counts, seen, finished)


def rooms() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.zeros((len(COUNTS), 64), np.int64), np.zeros(len(COUNTS), np.int64)


def expected() -> NDArray[np.int64]:
    return (np.arange(64) < COUNTS[:, None]).astype(np.int64)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_a_thread_alone_does_what_others_never_begin(threads: int) -> None:
    counters, (seen, unfinished) = new_counters(threads), rooms()
    take_all(counters, threads - 1, COUNTS, seen, unfinished)
    assert np.array_equal(seen, expected())
    take_all(counters, 0, COUNTS, seen, unfinished)
    assert np.array_equal(seen, expected())


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_every_piece_once_and_phases_in_order(threads: int) -> None:
    for _ in range(50):
        counters, (seen, unfinished) = new_counters(threads), rooms()
        by_threads(counters, COUNTS, seen, unfinished)
        assert np.array_equal(seen, expected())
        assert not unfinished.any()


def test_a_thread_that_waited_long_goes_on_alone() -> None:
    """Thread 1 keeps a piece of the first phase; thread 0 waits for it, and does the rest of the later phases by itself."""
    counters, (seen, unfinished) = new_counters(2), rooms()
    kept = take_one(counters, 1, COUNTS)
    seen[0, kept] += 1
    other = threading.Thread(target=take_rest, args=(counters, 0, COUNTS, seen, unfinished))
    other.start()
    while counters[-1, 0] == 0:
        time.sleep(0.001)
    finish_one(counters)
    take_rest(counters, 1, COUNTS, np.zeros_like(seen), unfinished)
    other.join()
    assert counters[-1, 0] == 1
    assert np.array_equal(seen, expected())
    assert not unfinished.any()
