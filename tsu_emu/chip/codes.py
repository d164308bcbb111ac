"""Codes of the coupling and bias DACs as they change: outputs, settling, energy and the weight version follow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.chip.machine import Plant
from tsu_emu.chip.parameters import Parameters
from tsu_emu.digital import words as W


class Codes:
    """What follows from new codes, whoever wrote them."""

    def __init__(self, plant: Plant, state: S.ChipState, parameters: Parameters) -> None:
        self._plant, self._state, self._parameters = plant, state, parameters

    def written(self, bank: int, first: int, count: int, writes: int, times: NDArray[np.int64] | None = None) -> None:
        """Codes first .. first + count - 1 of a bank are new; writes : that cost energy; times : (count,) cycles, or NOW."""
        times = self._state.time[S.NOW : S.NOW + 1].copy() if times is None else times
        self._state.core["counts"][0, S.WRITES] += writes
        self._parameters.written(bank, first, count, times)
        self._settle()

    def trimmed(self, first: int, count: int) -> None:
        """Trim codes of cells first .. first + count - 1 are new at NOW."""
        self._state.core["counts"][0, S.WRITES] += count
        self._parameters.trimmed(first, count)
        self._settle()

    def _settle(self) -> None:
        settled_at = int(self._state.time[S.NOW] + self._plant.timing["settle"][0])
        self._state.time[S.SETTLED_AT] = settled_at
        self._state.events[S.EVENT_SETTLED] = settled_at
        self._state.registers[W.FABRIC_STATUS] &= ~np.uint32(W.SETTLED)

    def new_version(self, writes: int = 1) -> None:
        """LEARN.VERSION rises by one for each write."""
        self._state.registers[W.VERSION] += np.uint32(writes)
