"""A chip in this process by the names of its own map."""

from __future__ import annotations

from tsu_contract.operations import Op
from tsu_testing.host import Host as Registers


class Host(Registers):
    """Registers by name, and chip time that goes on."""

    def live(self, cycles: int) -> None:
        """So many cycles."""
        self.operate([(Op.DELAY, 0, 0, cycles)])
