"""Words between host and firmware core, of a chip whose core is silent; docs/core.md, "In the chip"."""

from __future__ import annotations

from .blocks import Block

TO_CORE = 1


class Mailbox(Block):
    """MAILBOX: what the host writes is full until somebody clears its bit."""

    def __init__(self) -> None:
        super().__init__("MAILBOX.")

    def write(self, name: str, index: int, bits: int, value: int, now: int) -> None:
        status = self.held["MAILBOX.STATUS"]
        if name == "MAILBOX.STATUS":
            status[0] &= ~bits
            return
        super().write(name, index, bits, value, now)
        status[0] |= TO_CORE
