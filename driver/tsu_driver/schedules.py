"""Annealing schedules: temperature as a function of sweeps, compiled to steps of the temperature DAC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tsu_driver.errors import HostError
from tsu_driver.names import WORD_MAX, integer

BLOCK = 1 << 20
"""Sweeps whose temperatures are worked out at a time."""

Step = tuple[int, int]
"""(code, sweeps)"""


class Schedule(Protocol):
    """A temperature for every sweep."""

    def steps(self, lsb: float, code_max: int, offset: float = 0.0) -> list[Step]:
        """(code, sweeps) in order, neighbours differing in code; HostError if a temperature is out of range.

        Codes 1 .. code_max give T = code lsb + offset.
        """


@dataclass(frozen=True)
class Linear:
    """From `start` in the first sweep to `stop` in the last, in equal steps of T; with one sweep, T = start."""

    start: float
    stop: float
    sweeps: int

    def temperatures(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """T in sweeps t."""
        return self.start + (self.stop - self.start) * t / max(1, self.sweeps - 1)

    def steps(self, lsb: float, code_max: int, offset: float = 0.0) -> list[Step]:
        """As `Schedule.steps`."""
        return _compile(self, count_of(self.sweeps), lsb, code_max, offset)


@dataclass(frozen=True)
class Logarithmic:
    """T(t) = t0 / (1 + alpha ln(1 + t / tau)) in sweep t = 0 .. sweeps - 1; tau in sweeps."""

    t0: float
    alpha: float
    tau: float
    sweeps: int

    def temperatures(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """T in sweeps t."""
        if not self.tau > 0 or not self.alpha >= 0:
            given = f"got tau = {self.tau}, alpha = {self.alpha}"
            raise HostError(f"a logarithmic schedule needs tau > 0 and alpha >= 0; {given}")
        return self.t0 / (1 + self.alpha * np.log1p(t / self.tau))

    def steps(self, lsb: float, code_max: int, offset: float = 0.0) -> list[Step]:
        """As `Schedule.steps`."""
        return _compile(self, count_of(self.sweeps), lsb, code_max, offset)


@dataclass(frozen=True)
class Table:
    """Rows (T, sweeps), one after the other."""

    rows: Sequence[tuple[float, int]]

    def steps(self, lsb: float, code_max: int, offset: float = 0.0) -> list[Step]:
        """As `Schedule.steps`."""
        if not self.rows:
            raise HostError("the table of temperatures is empty")
        for k, row in enumerate(self.rows):
            if np.shape(row) != (2,):
                raise HostError(f"row {k} of the table is {row!r}; (T, sweeps) expected")
        codes = temperature_codes(np.array([float(t) for t, _ in self.rows]), lsb, code_max, offset)
        return list(_merge((int(c), count_of(n)) for c, (_, n) in zip(codes, self.rows, strict=True)))


def temperature_codes(temperatures: NDArray[np.float64], lsb: float, code_max: int, offset: float = 0.0) -> NDArray[np.int64]:
    """(n,) codes nearest to temperatures; HostError names the first that is out of range, and the range."""
    codes = np.rint((temperatures - offset) / lsb)
    good = (codes >= 1) & (codes <= code_max) & (temperatures > 0)
    if not good.all():
        bad = temperatures[int(np.argmin(good))]
        reach = f"{lsb + offset:g} .. {code_max * lsb + offset:g} in steps of {lsb:g}"
        raise HostError(f"T = {bad:g} cannot be set; the chip reaches {reach}")
    return codes.astype(np.int64)


def _compile(schedule: Linear | Logarithmic, sweeps: int, lsb: float, code_max: int, offset: float) -> list[Step]:
    return list(_merge(_blocks(schedule, sweeps, lsb, code_max, offset)))


def _blocks(schedule: Linear | Logarithmic, sweeps: int, lsb: float, code_max: int, offset: float) -> Iterator[Step]:
    """Run lengths of the codes of all sweeps, block by block."""
    for first in range(0, sweeps, BLOCK):
        t = np.arange(first, min(first + BLOCK, sweeps), dtype=np.float64)
        codes = temperature_codes(schedule.temperatures(t), lsb, code_max, offset)
        starts = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1])
        lengths = np.diff(np.append(starts, len(codes)))
        yield from zip(codes[starts].tolist(), lengths.tolist(), strict=True)


def _merge(steps: Iterable[Step]) -> Iterator[Step]:
    """Join neighbours of one code as far as one RUN can count."""
    code, count = 0, 0
    for new, sweeps in steps:
        if new == code and count + sweeps <= WORD_MAX:
            count += sweeps
            continue
        if count:
            yield code, count
        code, count = new, sweeps
    yield code, count


def count_of(sweeps: int) -> int:
    number = integer(sweeps, "sweeps")
    if not 1 <= number <= WORD_MAX:
        raise HostError(f"sweeps = {number} is not in 1 .. {WORD_MAX}")
    return number
