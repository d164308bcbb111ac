"""Blocks of registers that hold what is written and go back to their reset values with SYS.CTRL.RESET."""

from __future__ import annotations

from tsu_contract.registers import REGISTERS


class Block:
    """The registers whose names begin with `prefix`, but for those in `without`.

    held : name to values, one for each element of the register; of a register with pulses, its rw bits
    kept : names that RESET does not touch
    """

    def __init__(self, prefix: str, without: tuple[str, ...] = (), kept: tuple[str, ...] = ()) -> None:
        names = [name for name in REGISTERS if name.startswith(prefix) and name not in without]
        self.resets = {name: [REGISTERS[name].reset] * REGISTERS[name].count for name in names}
        self.kept = kept
        self.held = {name: list(values) for name, values in self.resets.items()}

    def reset(self) -> None:
        kept = {name: self.held[name] for name in self.kept}
        self.held = {name: list(values) for name, values in self.resets.items()} | kept

    def value(self, name: str, index: int = 0) -> int:
        return self.held[name][index]

    def write(self, name: str, index: int, bits: int, value: int, now: int) -> None:
        """`bits` are the bits as written, `value` the new value of all rw bits."""
        self.held[name][index] = value

    def count(self, name: str, by: int) -> None:
        """A counter goes on, modulo its width."""
        self.held[name][0] = self.held[name][0] + by & (1 << 32 * REGISTERS[name].words) - 1
