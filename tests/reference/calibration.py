"""Stamp, age and limit of a calibration; docs/theory-of-operation.md, "Calibration"."""

from __future__ import annotations

from .blocks import Block
from .interrupts import Interrupts

STALE, STAMPED = 1, 2


class Calibration(Block):
    """CAL: `due` is the cycle at which the age reaches the limit, or None."""

    def __init__(self, interrupts: Interrupts) -> None:
        super().__init__("CAL.", without=("CAL.AGE",), kept=("CAL.STATUS",))
        self.interrupts = interrupts
        self.stamped_at = 0
        self.due: int | None = None

    def reset(self) -> None:
        super().reset()
        self.due = None

    def write(self, name: str, index: int, bits: int, value: int, now: int) -> None:
        super().write(name, index, bits, value, now)
        status, limit = self.held["CAL.STATUS"], self.value("CAL.LIMIT")
        if name == "CAL.CTRL":
            if not bits & 1:
                return
            self.stamped_at = now
            status[0] |= STAMPED
        status[0] &= ~STALE
        self.due = self.stamped_at + (limit << 16) if limit else None
        self.look(now)

    def look(self, now: int) -> None:
        """The edge at which the age reaches the limit, if it is due."""
        if self.due is not None and self.due <= now:
            self.due = None
            self.held["CAL.STATUS"][0] |= STALE
            self.interrupts.raise_event("STALE", now)
