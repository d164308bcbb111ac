"""A run of a scenario that is remembered, and runs that depart from it at a cycle.

The host of a scenario is a program that depends on nothing but what its chip answers, so a run can be taken up in its midst: up
to there the host is given the answers of the first run, and the chip a state that was saved then.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.operations import Op
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_testing.host import Host, Row


@dataclass(frozen=True)
class Call:
    """One list of operations, its answer, and the link's clock before and after it."""

    rows: tuple[Row, ...]
    values: tuple[int, ...]
    begin: int
    end: int

    @property
    def waits_until(self) -> int:
        """Cycle up to which chip time passes in it before anything else, so that it may be divided."""
        return self.rows[0][3] if self.rows[0][0] == Op.DELAY_UNTIL else self.begin


@dataclass
class Recording:
    """calls : of a run; saved : states by the number of the call before which they were saved."""

    calls: list[Call] = field(default_factory=list)
    saved: dict[int, dict[str, NDArray[Any]]] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The link's clock at the end."""
        return self.calls[-1].end

    @property
    def waits_until(self) -> int:
        """The end of the host's last wait."""
        return max(call.waits_until for call in self.calls if call.waits_until > call.begin)

    def waiting_at(self, cycle: int) -> tuple[int, int]:
        """(number of the call, cycle): where the host waits, at this cycle or as soon after it as it does."""
        k = bisect_right([call.begin for call in self.calls], cycle) - 1
        while k < len(self.calls) and cycle >= self.calls[k].waits_until:
            k += 1
            if k < len(self.calls):
                cycle = max(cycle, self.calls[k].begin)
        if k == len(self.calls):
            raise ValueError(f"the host does not wait at or after cycle {cycle}")
        return k, cycle


class Recorder(Host):
    """A host whose calls are remembered, and the chip's state each `spacing` cycles."""

    def __init__(self, chip: Chip, spacing: int) -> None:
        super().__init__(chip)
        self.recording, self._spacing, self._next = Recording(), spacing, 0

    def operate(self, rows: Sequence[Row]) -> tuple[int, ...]:
        """As `Host.operate`."""
        begin = self.now
        if begin >= self._next:
            self.recording.saved[len(self.recording.calls)] = S.save(self.chip.state)
            self._next = begin + self._spacing
        values = super().operate(rows)
        self.recording.calls.append(Call(tuple(rows), values, begin, self.now))
        return values


class Departing(Host):
    """A host that goes through a recorded run up to a cycle, at which `act` is called; from then on it is on its own.

    budget : cycles after the end of the recording in which it has to come to its end; OutOfBudget else
    """

    def __init__(self, chip: Chip, recording: Recording, cycle: int, act: Callable[[], None], budget: int) -> None:
        super().__init__(chip)
        self._recording, self._act = recording, act
        self._last, self.cycle = recording.waiting_at(cycle)
        self._first = max(k for k in recording.saved if k <= self._last)
        self._number, self._end = 0, recording.end + budget
        self._take_up()

    def _take_up(self) -> None:
        """Where the host's own way begins, the chip is as it was."""
        if self._number == self._first:
            self.chip.restore(self._recording.saved[self._first])

    @property
    def now(self) -> int:
        """The link's clock, as of the recording so far as that is followed."""
        return self._recording.calls[self._number].begin if self._number < self._first else super().now

    def operate(self, rows: Sequence[Row]) -> tuple[int, ...]:
        """As `Host.operate`."""
        k = self._number
        self._number += 1
        if k < self._first:
            if self._recording.calls[k].rows != tuple(rows):
                raise ValueError(
                    f"the host's call {k} is another than in the recording; what it does may depend on answers alone"
                )
            self._take_up()
            return self._recording.calls[k].values
        if k == self._last:
            super().operate([(Op.DELAY_UNTIL, 0, 0, self.cycle)])
            self._act()
        values = super().operate(rows)
        if super().now > self._end:
            raise OutOfBudget(f"not at its end by cycle {self._end}")
        return values


class OutOfBudget(RuntimeError):
    """A run takes longer than it may."""


def ram_in_use(recording: Recording) -> NDArray[np.int64]:
    """Words of RAM that are not 0, or not the same, in all saved states."""
    states = np.array([saved["core_ram"] for saved in recording.saved.values()])
    return np.flatnonzero(states.any(axis=0))
