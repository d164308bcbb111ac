"""The host of a firmware under test: registers by name, at exact cycles, on a chip in this process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsu_contract.extension import BASE, RegisterMap
from tsu_contract.operations import RECORD, Op
from tsu_emu.chip import Chip, Result

Row = tuple[int, int, int, int]
"""op, address, value, arg."""
READY, FAILED = 2, 3
TO_CORE, FROM_CORE, BITTEN = 1, 2, 4


def address_of(name: str, index: int = 0, registers: RegisterMap = BASE) -> int:
    """Byte address of a register, or of word `index` of a window. KeyError: there is no such thing."""
    return registers.windows[name].address + 4 * index if name in registers.windows else registers.register(name).at(index)


class Host:
    """Reads and writes of one chip. BusError: the chip refused an operation."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip

    @property
    def now(self) -> int:
        """The link's clock."""
        return self.chip.link_time

    def operate(self, rows: Sequence[Row]) -> tuple[int, ...]:
        """A list of operations; a value for each."""
        result = self._execute(rows)
        if result.failure is not None:
            raise BusError(result.failure.message)
        return tuple(result.values.tolist())

    def _execute(self, rows: Sequence[Row]) -> Result:
        return self.chip.execute(np.array([(op, 0, 0, address, value, 0, arg) for op, address, value, arg in rows], RECORD))

    def read(self, name: str, index: int = 0) -> int:
        """A word."""
        return self.operate([(Op.READ, address_of(name, index, self.chip.map), 0, 0)])[0]

    def write(self, name: str, value: int, index: int = 0) -> None:
        """A word."""
        self.operate([(Op.WRITE, address_of(name, index, self.chip.map), value & 0xFFFFFFFF, 0)])

    def words(self, name: str, count: int) -> tuple[int, ...]:
        """The first words of a window or a row of registers."""
        return self.operate([(Op.READ, address_of(name, k, self.chip.map), 0, 0) for k in range(count)])

    def until(self, cycle: int) -> None:
        """Chip time goes on to a cycle."""
        self.operate([(Op.DELAY_UNTIL, 0, 0, cycle)])

    def poll(self, name: str, mask: int, wanted: int, patience: int, every: int = 200) -> bool:
        """Looks at a register every so many cycles until it has a value in the bits of a mask; False after `patience` cycles."""
        now, address = self.now, address_of(name, 0, self.chip.map)
        end = now + patience
        while now < end:
            _, word = self.operate([(Op.DELAY_UNTIL, 0, 0, now + every), (Op.READ, address, 0, 0)])
            if word & mask == wanted:
                return True
            now = self.now
        return False

    def ready(self, patience: int) -> bool:
        """Waits for boot; False if it failed or takes longer."""
        return self.poll("SYS.BOOT", 0xFF, READY, patience)

    def send(self, word: int) -> None:
        """A word into the mailbox."""
        self.write("MAILBOX.TO_CORE", word)

    def receive(self, patience: int) -> int | None:
        """The next word out of the mailbox, which is taken; None if none comes."""
        if not self.poll("MAILBOX.STATUS", FROM_CORE, FROM_CORE, patience):
            return None
        word = self.read("MAILBOX.FROM_CORE")
        self.write("MAILBOX.STATUS", FROM_CORE)
        return word


class BusError(RuntimeError):
    """The chip refused an operation of the host."""
