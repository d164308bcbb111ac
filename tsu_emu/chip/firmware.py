"""The boot firmware's side of the chip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tsu_contract.registers import REGISTER_SPACE, WINDOW_STRIDE
from tsu_emu import state as S
from tsu_emu.chip.plant import Plant
from tsu_emu.chip.windows import WindowPort
from tsu_emu.digital import words as W
from tsu_emu.digital.regfile import read_word, write_word


class FirmwareBus:
    """The boot core's port: accesses act at NOW, their cost is summed."""

    def __init__(
        self, plant: Plant, state: S.ChipState, windows: WindowPort, follow: Callable[[int], None],
        sense: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._plant, self._state, self._windows, self._follow, self._sense = plant, state, windows, follow, sense
        self.cost = 0

    @property
    def now(self) -> int:
        """Cycle at which accesses act."""
        return int(self._state.time[S.NOW])

    @property
    def ram(self) -> NDArray[np.uint32]:
        """The core's memory; no words if the configuration asks for none."""
        return self._state.core_ram

    def _word(self, address: int) -> int:
        word = int(self._plant.rules["decode"][0, address >> 2]) if address < REGISTER_SPACE else -1
        if address % 4 or word < 0:
            raise AssertionError(f"firmware: nothing at {address:#010x}")
        return word

    def read(self, address: int) -> int:
        timing = self._plant.timing[0]
        self.cost += int(timing["issue"] + timing["access"] + timing["return_"])
        if address >= WINDOW_STRIDE:
            return int.from_bytes(self._windows.read(address, 1), "little")
        word = self._word(address)
        if word == W.SENSOR:
            self._sense(int(self._state.time[S.NOW]))
        return int(read_word(self._state.core[0], self._plant.rules[0], word))

    def write(self, address: int, value: int) -> None:
        timing = self._plant.timing[0]
        self.cost += int(timing["issue"] + timing["access"])
        if address >= WINDOW_STRIDE:
            self._windows.write(address, value.to_bytes(4, "little"))
            return
        word, full = self._word(address), np.uint32(0xFFFFFFFF)
        self._follow(write_word(self._state.core[0], self._plant.rules[0], timing, word, np.uint32(value), full, True))

    def read_block(self, address: int, words: int) -> NDArray[np.uint32]:
        """Words of a window, one load each."""
        timing = self._plant.timing[0]
        self.cost += words * int(timing["issue"] + timing["access"] + timing["return_"])
        return np.frombuffer(self._windows.read(address, words), np.uint32)

    def write_block(self, address: int, words: NDArray[np.uint32]) -> None:
        """Words of a window anew, one store each."""
        timing = self._plant.timing[0]
        self.cost += len(words) * int(timing["issue"] + timing["access"])
        self._windows.write(address, words.tobytes(), np.full(len(words), self.now))
