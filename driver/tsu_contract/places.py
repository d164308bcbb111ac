"""Addresses on a chip's bus whose map has the contract's blocks and windows elsewhere, and the contract's for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.registers import REGISTERS, WINDOWS, MapError, Register, Window

BUS_BYTES = 0x8000_0000
"""Of the address space that a map may use: what the firmware core sees of the bus."""
NOWHERE = 0x20000
"""An address at which the contract has nothing: that of whatever lies in no place, but for its two lowest bits."""


@dataclass(frozen=True, eq=False)
class Places:
    """Ranges of addresses that belong together.

    rows : (n, 3) int64, ascending: first address on the bus, first address of the contract, bytes; none: they are the same
    """

    rows: NDArray[np.int64]

    def __bool__(self) -> bool:
        return len(self.rows) > 0

    def inward(self, addresses: NDArray[Any]) -> NDArray[np.int64]:
        """The contract's addresses for addresses on the bus; NOWHERE for those that lie in no place."""
        given = addresses.astype(np.int64)
        if not self:
            return given
        row = self.rows[np.maximum(np.searchsorted(self.rows[:, 0], given, side="right") - 1, 0)]
        offset = given - row[..., 0]
        return np.where((offset >= 0) & (offset < row[..., 2]), row[..., 1] + offset, NOWHERE | given & 3)

    def inward_one(self, address: int) -> int:
        """As `inward`, of one address."""
        return int(self.inward(np.array(address))) if self else address

    def outward_one(self, address: int) -> int:
        """The address on the bus for one of the contract's."""
        rows = self._by_contract
        k = int(np.searchsorted(rows[:, 1], address, side="right")) - 1
        return address if k < 0 else address - int(rows[k, 1]) + int(rows[k, 0])

    @cached_property
    def _by_contract(self) -> NDArray[np.int64]:
        return self.rows[np.argsort(self.rows[:, 1])]


AS_THE_CONTRACT = Places(np.zeros((0, 3), np.int64))
"""Nothing lies elsewhere."""


def placed(registers: Iterable[Register], windows: Iterable[Window], inside: Mapping[str, Register]) -> Places:
    """Where a map has its registers and windows. MapError: a block is torn apart, or one is where another is or may not be.

    registers, windows : with their addresses on the bus; inside : the same registers with those that the chip knows them by
    """
    spans: dict[str, tuple[int, int, int]] = {}
    for r in registers:
        ours = r.name in REGISTERS
        _add(spans, r.name.split(".")[0] if ours else r.name, r, inside[r.name].address)
    for w in windows:
        if not 4 <= w.size <= WINDOWS[w.name].size or w.size % 4:
            raise MapError(f"{w.name}: {w.size} bytes; words, and at most {WINDOWS[w.name].size} bytes, expected")
        spans[w.name] = w.address, WINDOWS[w.name].address, w.size
    ordered = sorted(spans.items(), key=lambda item: item[1][0])
    for name, (start, _, size) in ordered:
        if type(start) is not int or type(size) is not int or start % 4 or start < 0 or start + size > BUS_BYTES:
            raise MapError(f"{name} at {start}: words below {BUS_BYTES:#x} expected")
    for (before, (at, _, size)), (name, (start, *_)) in pairwise(ordered):
        if start < at + size:
            raise MapError(f"{name} at {start:#x}: {before} is there")
    return Places(np.array([row for _, row in ordered], np.int64))


def _add(spans: dict[str, tuple[int, int, int]], name: str, r: Register, contract: int) -> None:
    """A register to what moves as a whole: a block of the contract, or a register of a user."""
    end = contract + 4 * r.words * r.count
    at, first, size = spans.get(name, (r.address, contract, 0))
    if r.address - contract != at - first:
        raise MapError(f"{r.name} at {r.address:#x}: {name} is at {at:#x}, and moves as a whole")
    low, high = min(first, contract), max(first + size, end)
    spans[name] = at - first + low, low, high - low
