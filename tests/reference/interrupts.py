"""Events, PENDING and the log; docs/theory-of-operation.md, "Interrupts"."""

from __future__ import annotations

from tsu_contract.registers import register
from tsu_contract.wire import Interrupt

LOG_ENTRIES = 64


class Interrupts:
    """PENDING, ENABLE, sticky errors and the log."""

    def __init__(self) -> None:
        self.pending = 0
        self.enable = 0
        self.error = 0
        self.log: list[Interrupt] = []
        self.number = 0

    def reset(self) -> None:
        """Registers to their reset values."""
        self.pending = self.enable = self.error = 0

    def raise_event(self, name: str, now: int) -> None:
        self.raise_bits(register("IRQ.PENDING").fields[name].mask, now)

    def raise_bits(self, bits: int, now: int) -> None:
        """Bits set at once are one event."""
        self.pending |= bits
        if self.enable & bits:
            self.log.append(Interrupt(self.number, now, self.pending))
            self.number += 1

    def take_log(self) -> tuple[tuple[Interrupt, ...], int]:
        """The events since the last call that the log still holds, and how many it lost."""
        kept, lost = self.log[-LOG_ENTRIES:], max(0, len(self.log) - LOG_ENTRIES)
        self.log = []
        return tuple(kept), lost
