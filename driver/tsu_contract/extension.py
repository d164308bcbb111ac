"""A register map of one's own: the contract's blocks and windows, perhaps at other addresses, and after them registers of a user,
which are plain storage for host and core.

A folded table, as `tools/regmap.py --with FILE --out DIR` makes one, has the contract's rows in front, unchanged but for their
addresses and the sizes of windows, and the user's after them. Its hash is another, so that chip, driver and firmware that do not
know the same map refuse each other.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.operations import Op
from tsu_contract.places import AS_THE_CONTRACT, Places, placed
from tsu_contract.registers import (
    EXTENSION_BASE,
    MAP_HASH,
    REGISTER_SPACE,
    REGISTERS,
    WINDOW_AT,
    WINDOW_STRIDE,
    WINDOWS,
    AccessTable,
    MapError,
    Register,
    Window,
    access_of,
    access_table,
    base_table,
    hash_of,
    register,
    register_of,
    window_of,
)

EXTENSION_WORDS = 256
"""Words that a map of one's own may add, and fields that may have a range there; fields may be four times as many."""
ACCESS = ("r", "rw", "w1c")
NAME = re.compile(r"[A-Z][A-Z0-9_]*\.[A-Z][A-Z0-9_]*")


@dataclass(frozen=True, eq=False)
class RegisterMap:
    """The registers and windows of a chip.

    hash : of its folded table; registers, windows : by name, with their addresses on the bus, the contract's first
    places : where they lie, if not where the contract has them
    inside : the registers by name, the contract's with its addresses and a user's from EXTENSION_BASE on
    """

    hash: str
    registers: Mapping[str, Register]
    windows: Mapping[str, Window]
    places: Places
    inside: Mapping[str, Register]

    @property
    def hash_word(self) -> int:
        """What SYS.MAP_HASH reads."""
        return int(self.hash[:8], 16)

    @cached_property
    def access(self) -> AccessTable:
        """The rules of all words, the contract's with their numbers; its addresses are those of `inside`."""
        return access_table() if self.inside is REGISTERS else access_of(self.inside)

    def register(self, name: str) -> Register:
        """The register of that name; KeyError with the near names otherwise."""
        return register(name, self.registers)

    def inward(self, records: NDArray[Any]) -> NDArray[Any]:
        """Operations (n,) of `operations.RECORD` with the addresses of `inside`; the same array if they are those of the bus."""
        if not self.places:
            return records
        out, here = records.view(np.uint8).copy().view(records.dtype), records["op"] < Op.DELAY
        out["addr"][here] = self.places.inward(records["addr"][here])
        return out

    def name_at(self, address: int) -> str:
        """Name of the register or window at an address on the bus; KeyError if there is none."""
        inside = self.places.inward_one(address)
        if inside >= WINDOW_STRIDE:
            return WINDOW_AT[inside // WINDOW_STRIDE].name
        word = int(self.access.decode[inside >> 2]) if inside < REGISTER_SPACE else -1
        if word < 0:
            raise KeyError(f"nothing at {address:#010x}")
        name: str = self.access.names[self.access.register[word]]
        return name

    @property
    def own(self) -> tuple[Register, ...]:
        """What the contract does not have."""
        return tuple(r for name, r in self.registers.items() if name not in REGISTERS)


BASE = RegisterMap(MAP_HASH, REGISTERS, WINDOWS, AS_THE_CONTRACT, REGISTERS)
"""The contract's own."""


def load_map(path: str | os.PathLike[str]) -> RegisterMap:
    """The map of a folded table's file. MapError says what is wrong, and OSError if it cannot be read."""
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise MapError(f"{path}: no folded table, such as tools/run regmap --with makes of a SystemRDL file: {error}") from None
    try:
        return map_of(table)
    except MapError as error:
        raise MapError(f"{path}: {error}") from None


def map_of(table: Any) -> RegisterMap:
    """The map of a folded table; MapError names the row that the contract does not allow."""
    base = base_table()
    try:
        rows, count = table["registers"], len(base["registers"])
        theirs = _without(rows[:count], "address"), _without(table["windows"], "address", "size")
        if theirs != (_without(base["registers"], "address"), _without(base["windows"], "address", "size")):
            raise MapError("its first rows are not this contract's; it was made for another version of the register map")
        registers, windows = [register_of(row) for row in rows], [window_of(row) for row in table["windows"]]
        return _map_of(hash_of(table), registers[:count], registers[count:], windows)
    except (TypeError, KeyError, AttributeError) as error:
        raise MapError(f"it is no folded table: {type(error).__name__}: {error}") from None


def _map_of(digest: str, ours: list[Register], own: list[Register], windows: list[Window]) -> RegisterMap:
    """The map of registers of the contract and of a user, and windows."""
    elsewhere = ours != list(REGISTERS.values()) or windows != list(WINDOWS.values())
    _check(own, elsewhere)
    if not elsewhere:
        mine = {r.name: r for r in own}
        return RegisterMap(digest, REGISTERS | mine, WINDOWS, AS_THE_CONTRACT, REGISTERS | mine) if own else BASE
    inside, at = dict(REGISTERS), EXTENSION_BASE
    for r in own:
        inside[r.name], at = replace(r, address=at), at + 4 * r.count
    registers = {r.name: r for r in [*ours, *own]}
    return RegisterMap(digest, registers, {w.name: w for w in windows}, placed(registers.values(), windows, inside), inside)


def _without(rows: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in keys} for row in rows]


def _check(own: list[Register], anywhere: bool) -> None:
    """Whether these registers may stand beside the contract's; anywhere : their addresses are not looked at."""
    blocks = {name.split(".")[0] for name in REGISTERS}
    taken: dict[int, str] = {}
    for r in own:
        if NAME.fullmatch(r.name) is None:
            raise MapError(f"{r.name}: a name is BLOCK.REGISTER, of capitals, digits and underscores")
        if r.name.split(".")[0] in blocks:
            raise MapError(f"{r.name}: the block {r.name.split('.')[0]} is the contract's; give yours another name")
        if any(r.name == other.name for other in own if other is not r):
            raise MapError(f"{r.name}: there are two of that name")
        if r.words != 1 or r.per_plane or r.free_running or r.count < 1:
            raise MapError(f"{r.name}: registers of one's own are 32 bits wide, not per plane and not free-running")
        for index in range(min(r.count, EXTENSION_WORDS + 1)):
            if not anywhere:
                _place(r, r.at(index), taken)
        _check_fields(r)
    words = sum(r.count for r in own)
    if words > EXTENSION_WORDS:
        raise MapError(f"{words} words; a map of one's own has {EXTENSION_WORDS} at most")
    if sum(f.maximum is not None for f in _fields(own)) > EXTENSION_WORDS or sum(1 for _ in _fields(own)) > 4 * EXTENSION_WORDS:
        raise MapError(f"more than {EXTENSION_WORDS} fields with a range, or than {4 * EXTENSION_WORDS} fields")


def _fields(own: Iterable[Register]) -> Iterable[Any]:
    """One for each word that has it."""
    return (f for r in own for f in r.fields.values() for _ in range(r.count))


def _place(r: Register, address: int, taken: dict[int, str]) -> None:
    if address % 4 or not EXTENSION_BASE <= address < REGISTER_SPACE:
        last = REGISTER_SPACE - 4
        raise MapError(f"{r.name} at {address:#x}: registers of one's own lie on words from {EXTENSION_BASE:#x} to {last:#x}")
    if address in taken:
        raise MapError(f"{r.name} at {address:#x}: {taken[address]} is there")
    taken[address] = r.name


def _check_fields(r: Register) -> None:
    used = 0
    for f in r.fields.values():
        at, top = f"{r.name}.{f.name}", (1 << f.width) - 1
        if f.access not in ACCESS:
            raise MapError(f"{at}: access {f.access}; there are {', '.join(ACCESS)}")
        if not 0 <= f.low < f.low + f.width <= 32 or f.mask & used:
            raise MapError(f"{at}: bits {f.low + f.width - 1}..{f.low} leave the word or are another field's")
        low, high = (0, top) if f.maximum is None else (f.minimum or 0, f.maximum)
        if not 0 <= low <= f.reset <= high <= top:
            raise MapError(f"{at}: its reset value {f.reset} and its range {low} .. {high} do not fit {f.width} bits")
        used |= f.mask
    if not used:
        raise MapError(f"{r.name}: it has no field")
