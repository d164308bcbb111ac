"""What behavioural firmware and the chip that runs it have in common: the core's port, and a step at a time."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Port(Protocol):
    """Access to one address space of 32-bit words, with the contract's addresses."""

    def read(self, address: int) -> int:
        """A word."""
        ...

    def write(self, address: int, value: int) -> None:
        """A word anew."""
        ...


class Bus(Port, Protocol):
    """The core's port, and RAM. Accesses act at `now` and add to `cost`, in cycles."""

    cost: int

    @property
    def now(self) -> int:
        """Cycle at which accesses act."""
        ...

    @property
    def ram(self) -> NDArray[np.uint32]:
        """The core's memory; no words if the configuration asks for none."""
        ...

    def read_block(self, address: int, words: int) -> NDArray[np.uint32]:
        """Words of a window, one load each."""
        ...

    def write_block(self, address: int, words: NDArray[np.uint32]) -> None:
        """Words of a window anew, one store each."""
        ...


class Firmware(Protocol):
    """Behavioural firmware: all its memory is `state`, (16,) int64, zero at power-on and after a reset of the core, and the bus's
    RAM, which a reset leaves as it is."""

    def step(self, state: NDArray[np.int64], bus: Bus) -> int | None:
        """Do what is due; cycles until the next step, or None if nothing is left to do before something happens."""
        ...
