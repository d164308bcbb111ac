"""The way to one chip that all verbs share: batches, named access, and what the host remembers of the chip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tsu_contract.capabilities import Capabilities
from tsu_contract.program import Opcode
from tsu_driver.batch import Batch
from tsu_driver.calibration import Correction
from tsu_driver.names import FieldValue, find_field, word
from tsu_driver.session import Session
from tsu_driver.windows import Layouts

RESET, START = "SYS.CTRL", "SEQ.CTRL"

CHANGED_BY: Mapping[Opcode, frozenset[str]] = {
    Opcode.CLAMP_NEXT: frozenset({"CLAMP_VALUE"}),
    Opcode.LEARN: frozenset({"COUPLING", "BIAS"}),
    Opcode.SWAP: frozenset({"PLANE_TEMP", "CORR.DATA_PLANES", "CORR.FREE_PLANES"}),
}
"""Registers and windows, of those that the host remembers, that a running program changes."""
CODES = CHANGED_BY[Opcode.LEARN]


class Bus:
    """A session, the chip's capabilities, and a shadow.

    shadow : what is known of a register or window, by its name. A batch that writes there removes it before it goes
        out; whoever needs it then reads the chip. It takes for granted that no other session writes.
    changing : names that a program under way may change at any time, which are therefore not remembered
    learnt : the codes come from the learning engine, and the host has not written any since
    correction : what codes make up for, of the calibration that is applied
    opened_at : LEARN.VERSION when the session began
    """

    def __init__(self, session: Session, capabilities: Capabilities) -> None:
        self.session = session
        self.capabilities = capabilities
        self.layouts = Layouts(capabilities, session.map)
        self.shadow: dict[str, Any] = {}
        self.changing: frozenset[str] = frozenset()
        self.learnt = False
        self.correction: Correction | None = None
        self.opened_at = self.read_register("LEARN.VERSION")

    def batch(self) -> Batch:
        """An empty batch."""
        return Batch(self.session, self.layouts, self._forget)

    def read_register(self, path: str, index: int = 0) -> int:
        """A register's value, or a field's if the path names one."""
        batch = self.batch()
        ticket = batch.read_path(path, index)
        batch.execute()
        return ticket.value

    def write_register(self, path: str, value: FieldValue | None = None, index: int = 0, **fields: FieldValue) -> None:
        """Write a register by word or by field names; a field's path changes that field alone."""
        batch = self.batch()
        if path in self.session.map.registers or value is None:
            batch.write(path, None if value is None else word(value, path), index, **fields)
        else:
            reg, fld = find_field(path, self.session.map)
            batch.update(reg.name, index, **{fld.name: value})
        batch.execute()

    def seconds(self, cycles: int) -> float:
        """Chip time in seconds."""
        return cycles / self.capabilities.clock_hz

    def remember(self, known: Mapping[str, Any]) -> None:
        """Put into the shadow what no program under way changes."""
        self.shadow |= {name: value for name, value in known.items() if name not in self.changing}

    def settled(self) -> None:
        """No program is under way: what the host writes stays."""
        self.changing = frozenset()

    def _forget(self, written: set[str], opcodes: frozenset[Opcode] | None) -> None:
        """Called before a batch goes out: until it is known to have succeeded, nothing it writes is known.

        opcodes : those of the program that the batch starts, None if unknown: it may then do anything
        """
        for name in written:
            self.shadow.pop(name, None)
        if not CODES.isdisjoint(written):
            self.learnt = False
        if START in written:
            self.changing = frozenset().union(*(names for o, names in CHANGED_BY.items() if opcodes is None or o in opcodes))
            self.learnt = self.learnt or Opcode.LEARN in (opcodes or ())
            for name in self.changing:
                self.shadow.pop(name, None)
        if RESET in written:
            # what of the windows a reset clears is the chip's policy
            self.shadow.clear()
