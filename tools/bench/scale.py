"""One machine, a million cells: what an update costs as the chip grows, and what memory a coupler takes."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from measuring import Effort, median_row, most_row, zero_row
from running import Running, Subject

from tsu_apps.report import Row

SIDES, QUICK_SIDES = (128, 1024), (16, 32)
"""Of the grid of z1-128, degree 16: 16,384 cells, and 1,048,576 with 16.7 million couplers."""
UPDATES, QUICK_UPDATES = 200_000_000, 2_000_000
"""Attempted updates of one repetition, about."""
PLANES, THREADS = 64, 2
GROWTH = 1.3
"""Of the cost of an update from the small chip to the large one, at most."""


def _resident() -> int:
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _peak() -> int:
    """The most that it has had, bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _grid(side: int, quick: bool) -> Running:
    from tsu_emu.config import load

    config = load("z1-128", {"fabric.topology.width": str(side), "fabric.topology.height": str(side)})
    sweeps = max(1, (QUICK_UPDATES if quick else UPDATES) // (PLANES * side * side))
    return Running(Subject(f"{side * side:,} cells", config, PLANES, THREADS, sweeps))


def bench_scale(effort: Effort) -> list[Row]:
    """Rates of both chips, with all errors of z1-128, in turn; then how long the large one took to make, and its memory."""
    sides = QUICK_SIDES if effort.quick else SIDES
    small = _grid(sides[0], effort.quick)
    before, begin = _resident(), time.perf_counter()
    large = _grid(sides[1], effort.quick)
    made, couplers = time.perf_counter() - begin, large.chip.capabilities.couplers
    held, peak = _resident() - before, _peak() - before
    rates: list[tuple[float, float]] = []
    for _ in range(effort.repeats):
        rates.append((small.rate(), large.rate()))
        effort.step()
    rows = []
    for k, chip in enumerate((small, large)):
        rows.append(median_row(chip.subject.name, [pair[k] for pair in rates], "M/s"))
        rows.append(zero_row(f"{chip.subject.name}: <s I> - <I tanh I>", *chip.moment(), "kT"))
    rows.append(most_row("growth of the cost of an update", [a / b for a, b in rates], "", effort.goal(GROWTH)))
    rows.append(Row(f"making {large.subject.name} and writing all codes", made, "s"))
    rows.append(Row("memory of a coupler", held / couplers, "bytes"))
    rows.append(Row("memory of a coupler, at most while the chip is made", peak / couplers, "bytes"))
    return rows
