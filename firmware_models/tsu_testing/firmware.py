"""A firmware under test: its image on a chip in this process, with a host, its variables by name and a trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsu_emu.chip import Chip
from tsu_emu.chip.core import MEMORY
from tsu_testing.divergence import image_of, listing
from tsu_testing.host import Host
from tsu_testing.tracing import Tracer


class Firmware(Host):
    """Reads, writes and mailbox words as of `Host`, and what the core does.

    chip : with a core and an image, ValueError else; trace : instructions that are kept
    tracer : of all that the core executes
    """

    def __init__(self, chip: Chip, trace: int = 1000) -> None:
        super().__init__(chip)
        self.tracer = Tracer(chip, trace)
        self.path = Path(chip.config.cpu.image)
        self.image = image_of(self.path)

    def close(self) -> None:
        """The core runs untraced again."""
        self.tracer.stop()

    def ask(self, *words: int, answer: int = 1, patience: int = 1_000_000) -> list[int]:
        """Words into the mailbox, each when the last was taken, then `answer` words out of it. TimeoutError: it takes longer than
        `patience` cycles for one."""
        for word in words:
            self.send(word)
            if not self.poll("MAILBOX.STATUS", 1, 0, patience):
                raise TimeoutError(f"the firmware does not take {word:#x} within {patience} cycles")
        found = []
        for k in range(answer):
            word_back = self.receive(patience)
            if word_back is None:
                raise TimeoutError(f"{k} of {answer} words of an answer within {patience} cycles")
            found.append(word_back)
        return found

    def address(self, symbol: str) -> int:
        """Where a function or variable lies. KeyError: there is none; ImportError: pyelftools is not installed."""
        if self.image is None:
            raise ImportError("names of an image need pyelftools: pip install 'tsu-emu[coverage]'")
        return self.image.address(symbol)

    def word(self, symbol: str, index: int = 0) -> int:
        """A 32-bit variable, or an element of an array of such, as it is in memory now."""
        memory, at = self._memory(self.address(symbol) + 4 * index)
        return int(memory[at])

    def poke(self, symbol: str, value: int, index: int = 0) -> None:
        """Overwrite one."""
        memory, at = self._memory(self.address(symbol) + 4 * index)
        memory[at] = value & 0xFFFFFFFF

    def _memory(self, address: int) -> tuple[NDArray[np.uint32], int]:
        assert self.chip.core is not None
        for base, memory in ((MEMORY.ram_base, self.chip.state.core_ram), (MEMORY.rom_base, self.chip.core.rom)):
            if base <= address < base + 4 * len(memory) and address % 4 == 0:
                return memory, (address - base) // 4
        raise ValueError(f"{address:#010x} is no word of ROM or RAM")

    def entered(self, function: str) -> int:
        """How often the first instruction of a function has been executed."""
        address = self.address(function)
        region, base = (1, MEMORY.ram_base) if address >= MEMORY.ram_base else (0, MEMORY.rom_base)
        return int(self.tracer.executed[region, (address - base) // 2])

    def trace(self, last: int = 20) -> list[str]:
        """The last instructions in words."""
        return listing(self.tracer.last()[-last:], self.image)
