"""Threads that go through phases together: each takes pieces of a phase, its own part's first, until all are done.

No thread waits for one that has not begun: pieces of a thread that is late are taken by the others. A thread that waits long for
a piece that is under way knows that the machine is busy; it goes on alone from there and the others leave.
"""

from __future__ import annotations

import numpy as np

from tsu_emu.jit import inner
from tsu_emu.lanes.counters import owner, raise_by, read, seen, take, wait
from tsu_emu.lanes.values import address

LINE = 8
"""Counters to a line of the cache, of which one is used."""


@inner
def counters_for(threads):  # type: ignore[no-untyped-def]
    """(threads + 2, LINE) int64: pieces taken of each part, pieces done, since the first phase; who goes on alone, or 0."""
    return np.zeros((threads + 2, LINE), np.int64)


@inner
def open_phase(counters, until, thread, before, count):  # type: ignore[no-untyped-def]
    """Enter a phase of `count` pieces when the `before` pieces of earlier phases are done: before + count, or -1 to leave.

    until : (threads,) int64, pieces of each part in all phases up to this one; this is where they are counted
    """
    parts = until.size
    done, alone = address(counters) + 8 * LINE * parts, address(counters) + 8 * LINE * (parts + 1)
    if not seen(done, before) and owner(alone, thread + 1) == thread + 1:
        wait(done, before)
    if read(alone) != 0 and read(alone) != thread + 1:
        return -1
    for part in range(parts):
        until[part] += (part + 1) * count // parts - part * count // parts
    return before + count


@inner
def next_piece(counters, until, thread, count):  # type: ignore[no-untyped-def]
    """A piece of the open phase, 0 .. count - 1, that is nobody else's, or -1 if all are taken."""
    parts = until.size
    for k in range(parts):
        part = (thread + k) % parts
        taken = take(address(counters) + 8 * LINE * part, until[part])
        if taken >= 0:
            return (part + 1) * count // parts - (until[part] - taken)
    return -1


@inner
def finish(counters):  # type: ignore[no-untyped-def]
    """A piece is done."""
    raise_by(address(counters) + 8 * LINE * (counters.shape[0] - 2), 1)
