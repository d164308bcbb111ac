"""Examples from host memory; docs/theory-of-operation.md, "Examples from host memory"."""

from __future__ import annotations

from tsu_emu.config import ChipConfig

from .blocks import Block
from .fabric import Fabric, planes_of
from .interrupts import Interrupts

DMA_UNDERRUN, DMA_OVERRUN = 8, 16
"""Bits of SYS.ERROR."""

CYCLE, STALL, RESET = 1, 2, 4
"""Bits of DMA.CTRL."""

MASK32 = 0xFFFFFFFF


class Ring(Block):
    """Entries in HOSTMEM, and what CLAMP_NEXT does with them."""

    def __init__(self, config: ChipConfig, fabric: Fabric, interrupts: Interrupts) -> None:
        super().__init__("DMA.")
        self.fabric = fabric
        self.interrupts = interrupts
        self.memory = [0] * config.learning.hostmem_words

    def write(self, name: str, index: int, bits: int, value: int, now: int) -> None:
        super().write(name, index, bits, value, now)
        if name == "DMA.CTRL" and bits & RESET:
            for counter in ("DMA.HEAD", "DMA.TAIL", "DMA.UNDERRUNS", "DMA.PLACE"):
                self.held[counter][0] = 0
        if name == "DMA.HEAD" and self._ahead() > self.value("DMA.ENTRIES"):
            self.interrupts.error |= DMA_OVERRUN

    def _ahead(self) -> int:
        return self.value("DMA.HEAD") - self.value("DMA.TAIL") & MASK32

    def there(self, wanted: int) -> int:
        """Entries that a CLAMP_NEXT of `wanted` may count on."""
        return wanted if self.value("DMA.CTRL") & CYCLE else min(self._ahead(), self.value("DMA.ENTRIES"))

    @property
    def planes(self) -> list[int]:
        return sorted(planes_of(self.held["DMA.PLANES"], self.fabric.planes))

    @property
    def sound(self) -> bool:
        """There are planes, entries, and room for them in HOSTMEM."""
        entries, base = self.value("DMA.ENTRIES"), self.value("DMA.BASE")
        return bool(self.planes) and entries > 0 and base + entries * self.fabric.cell_words <= len(self.memory)

    def must_stall(self, wanted: int) -> bool:
        return bool(self.value("DMA.CTRL") & STALL) and self.there(wanted) < wanted

    def take(self, wanted: int, now: int) -> int:
        """CLAMP_NEXT of a sound ring that need not stall; how many entries it took."""
        taken = min(wanted, self.there(wanted))
        if taken < wanted:
            self.count("DMA.UNDERRUNS", wanted - taken)
            self.interrupts.error |= DMA_UNDERRUN
        planes = self.planes
        place = self.value("DMA.PLACE") if self.value("DMA.PLACE") < len(planes) else 0
        for k in range(max(0, taken - len(planes)), taken):
            self._load(self._entry(self.value("DMA.TAIL") + k), planes[(place + k) % len(planes)])
        self.held["DMA.PLACE"][0] = (place + taken) % len(planes)
        self.count("DMA.TAIL", taken)
        if not self.value("DMA.CTRL") & CYCLE and self.there(0) < self.value("DMA.LOW"):
            self.interrupts.raise_event("DMA_LOW", now)
        return taken

    def _entry(self, number: int) -> list[int]:
        """Words of an entry."""
        words = self.fabric.cell_words
        first = self.value("DMA.BASE") + (number & MASK32) % self.value("DMA.ENTRIES") * words
        return self.memory[first : first + words]

    def _load(self, entry: list[int], plane: int) -> None:
        first = plane * self.fabric.cell_words
        for k, word in enumerate(entry):
            self.fabric.clamp_value[first + k] = word & self.fabric.existing_cells(k)
