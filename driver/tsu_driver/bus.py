"""The way to one chip that all verbs share: batches, named access, and what the host remembers of the chip."""

from __future__ import annotations

from typing import Any

from tsu_contract.capabilities import Capabilities
from tsu_contract.registers import REGISTERS
from tsu_driver.batch import Batch, Ticket
from tsu_driver.names import FieldValue, find_field, word
from tsu_driver.session import Session
from tsu_driver.windows import Layouts

RESET = "SYS.CTRL"


class Bus:
    """A session, the chip's capabilities, and a shadow.

    shadow : what is known of a register or window, by its name. A batch that writes there removes it before it goes
        out; whoever needs it then reads the chip. It takes for granted that no other session writes.
    """

    def __init__(self, session: Session, capabilities: Capabilities) -> None:
        self.session = session
        self.capabilities = capabilities
        self.layouts = Layouts(capabilities)
        self.shadow: dict[str, Any] = {}

    def batch(self) -> Batch:
        """An empty batch."""
        return Batch(self.session, self.layouts, self._forget)

    def read_register(self, path: str, index: int = 0) -> int:
        """A register's value, or a field's if the path names one."""
        batch = self.batch()
        ticket = read_path(batch, path, index)
        batch.execute()
        return ticket.value

    def write_register(self, path: str, value: FieldValue | None = None, index: int = 0, **fields: FieldValue) -> None:
        """Write a register by word or by field names; a field's path changes that field alone."""
        batch = self.batch()
        if path in REGISTERS or value is None:
            batch.write(path, None if value is None else word(value, path), index, **fields)
        else:
            reg, fld = find_field(path)
            batch.update(reg.name, index, **{fld.name: value})
        batch.execute()

    def seconds(self, cycles: int) -> float:
        """Chip time in seconds."""
        return cycles / self.capabilities.clock_hz

    def _forget(self, written: set[str]) -> None:
        """Called before a batch goes out: until it is known to have succeeded, nothing it writes is known."""
        for name in written:
            self.shadow.pop(name, None)
        if RESET in written:
            for name in [n for n in self.shadow if n in REGISTERS]:
                del self.shadow[name]


def read_path(batch: Batch, path: str, index: int) -> Ticket[int]:
    """Read a register or, if the path names one, a field."""
    return batch.read(path, index) if path in REGISTERS else batch.read_field(path, index)
