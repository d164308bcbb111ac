"""The temperature schedule; docs/arithmetic.md, "Temperature schedule"."""

from __future__ import annotations

import math

from tsu_emu.config import ChipConfig

from . import noise
from .blocks import Block
from .fabric import Fabric

OFF, LINEAR, LOGARITHMIC = range(3)
"""TEMP.SCHEDULE.MODE; TABLE follows."""

LAST_STEP = 2**32 - 1


class Schedule(Block):
    """Sets TDAC at every SWEEP edge, unless it is OFF."""

    def __init__(self, config: ChipConfig, fabric: Fabric) -> None:
        super().__init__("TEMP.", without=("TEMP.TDAC", "TEMP.SENSOR"))
        self.fabric = fabric
        self.highest = 2**config.temperature.dac.bits - 1
        self.table = [1] * config.sequencer.table_entries

    def begin_sweep(self) -> None:
        step = self.value("TEMP.STEP")
        if self.value("TEMP.SCHEDULE") == OFF:
            return
        self.fabric.tdac = min(self.code(step), self.highest)
        self.held["TEMP.STEP"][0] = min(step + 1, LAST_STEP)

    def code(self, step: int) -> int:
        """The code of a step, before it is cut to the DAC's width."""
        mode, start, end = self.value("TEMP.SCHEDULE"), self.value("TEMP.START"), self.value("TEMP.END")
        length = self.value("TEMP.LENGTH")
        if mode == LINEAR:
            return end if step >= length else (start * (length - step) + end * step + (length >> 1)) // length
        if mode == LOGARITHMIC:
            growth = noise.logarithm(1.0 + step / self.value("TEMP.TAU"))
            return max(1, math.floor(start / (1.0 + (self.value("TEMP.ALPHA") * 2.0**-16) * growth) + 0.5))
        entries = min(self.value("TEMP.ENTRIES"), len(self.table))
        return self.table[min(step // length, entries - 1)]
