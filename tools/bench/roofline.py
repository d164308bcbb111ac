"""What this machine allows: integer operations and reading, measured, and what an update of a spin needs of them at least.

An update by plain sums needs one addition for each coupler, beside its noise and its decision; it reads, for each coupler, a
weight and a source once per 64 planes and a word of 64 spins. Kernels that look sums up in tables need fewer operations, so
a share above 1 is possible.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from measuring import median_row
from numba import njit
from numpy.typing import NDArray
from running import Subject

from tsu_apps.report import Row

NOISE_OPERATIONS = 25
"""Of one word of Threefry4x32-13: 13 rounds of two times add, rotate, xor and 4 key injections of 5 additions, over 4 words."""
DECISION_OPERATIONS = 16
"""Clip, floor, five multiply-adds, exponent, two multiply-adds and the comparison."""
LINE = 4 + 4 + 8
"""Bytes of a coupler: weight, source, 64 spins."""
STEPS = 7
"""Operations of `_operations` for each element."""
L2_BYTES, DRAM_BYTES = 1 << 18, 1 << 28


@njit(nogil=True)
def _operations(values: NDArray[np.int32], repeats: int) -> int:
    """STEPS operations on int32 for each element that is read."""
    a, b, c, d = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
    for n in range(repeats):
        k = np.int32(n)
        for i in range(values.size):
            x = values[i]
            a = np.int32(a + x)
            b = np.int32(b + (x ^ k))
            c = np.int32(c + (x & k))
            d = np.int32(d + (x | k))
    return a ^ b ^ c ^ d


@njit(nogil=True)
def _read(values: NDArray[np.int64], repeats: int) -> int:
    """Every element once in each repetition."""
    total = np.int64(0)
    for n in range(repeats):
        for i in range(values.size):
            total += values[i] ^ n
    return total


def _best(call: Callable[[], object], times: int = 5) -> float:
    """Least seconds of some calls, after one that compiles."""
    call()
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        took.append(time.perf_counter() - begin)
    return min(took)


@cache
def operations() -> float:
    """Giga operations on 32-bit integers a second that one core does on its first cache."""
    values, repeats = np.arange(4096, dtype=np.int32), 3000
    return STEPS * values.size * repeats / _best(lambda: _operations(values, repeats)) / 1e9


@cache
def _bandwidth(size: int) -> float:
    values = np.arange(size // 8, dtype=np.int64)
    repeats = max(1, (1 << 28) // values.nbytes)
    return values.nbytes * repeats / _best(lambda: _read(values, repeats)) / 1e9


def bandwidth(held: int) -> float:
    """Gigabytes a second that one core reads, again and again, from a memory of `held` bytes or up to twice as many."""
    return _bandwidth(1 << max((held - 1).bit_length(), 12))


def machine_rows() -> list[Row]:
    """The peaks themselves."""
    return [
        Row("one core: int32 operations", operations(), "G/s"),
        Row("one core: reading 256 KiB", bandwidth(L2_BYTES), "GB/s"),
        Row("one core: reading 256 MiB", bandwidth(DRAM_BYTES), "GB/s"),
    ]


@dataclass(frozen=True)
class Need:
    """What an update needs at least: operations, bytes read, and from how large a memory they come."""

    operations: float
    read: float
    held: int


def need(cells: int, couplers: int, planes: int) -> Need:
    """Of an update of a clocked p-bit."""
    degree = couplers / cells
    held = 8 * couplers + 8 * cells * ((planes + 63) // 64)
    return Need(degree + NOISE_OPERATIONS + DECISION_OPERATIONS, degree * LINE / min(planes, 64), held)


def roof_row(subject: Subject, cells: int, couplers: int, rates: Sequence[float]) -> Row:
    """Rates, M updates/s, as a share of what the machine allows; whichever of operations and bytes allows less."""
    least = need(cells, couplers, subject.planes)
    roof = 1e3 * subject.threads * min(operations() / least.operations, bandwidth(least.held) / least.read)
    name = f"{subject.name}: share of the roof, {least.operations:.0f} operations and {least.read:.3g} B an update"
    return median_row(name, [rate / roof for rate in rates], "")
