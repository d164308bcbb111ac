"""The folded register table, by name, and its access rules word by word as arrays.

`tsu.json` is generated from `tsu.rdl`. `REGISTERS` and `WINDOWS` serve people and drivers; `AccessTable` serves code that
must decide per 32-bit word what a read, a write or a read-modify-write may do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

REGISTER_SPACE = 0x10000
"""Bytes of the address space that registers occupy; windows lie above."""

EXTENSION_BASE = 0x8000
"""Byte address from which on a map of one's own may have registers."""

WINDOW_STRIDE = 0x04000000
"""Bytes between the bases of two windows."""


class MapError(ValueError):
    """A table that is no register map of this contract; the message names what is wrong."""


_TEXT = resources.files("tsu_contract").joinpath("map/tsu.json").read_text(encoding="utf-8")
_TABLE: dict[str, Any] = json.loads(_TEXT)


def base_table() -> dict[str, Any]:
    """The folded table as it is kept, to be read."""
    return _TABLE


def hash_of(table: dict[str, Any]) -> str:
    """SHA-256 of a folded table in canonical JSON (keys sorted, no white space), in hexadecimal."""
    return hashlib.sha256(json.dumps(table, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


MAP_HASH: str = hash_of(_TABLE)
"""Of this contract's table."""

MAP_HASH_WORD = int(MAP_HASH[:8], 16)
"""What SYS.MAP_HASH reads."""


@dataclass(frozen=True)
class Field:
    """A bit field of a register; `access` is r, w, rw, w1c or pulse."""

    name: str
    low: int
    width: int
    reset: int
    access: str
    unit: str
    minimum: int | None
    maximum: int | None
    values: dict[str, int]
    desc: str

    @property
    def mask(self) -> int:
        return ((1 << self.width) - 1) << self.low

    def get(self, word: int) -> int:
        return (word & self.mask) >> self.low


@dataclass(frozen=True)
class Register:
    """A register, or an array of `count` equal ones; `words` is 2 for a 64-bit counter."""

    name: str
    address: int
    count: int
    words: int
    title: str
    desc: str
    firmware_write: bool
    per_plane: bool
    free_running: bool
    fields: dict[str, Field]

    @property
    def reset(self) -> int:
        return sum(f.reset << f.low for f in self.fields.values())

    def mask(self, *access: str) -> int:
        """Bits of all fields whose access is one of those named."""
        return sum(f.mask for f in self.fields.values() if f.access in access)

    def at(self, index: int = 0) -> int:
        """Address of element `index` of a register array."""
        if not 0 <= index < self.count:
            raise IndexError(f"{self.name}[{index}]: the array has {self.count} elements")
        return self.address + 4 * self.words * index


@dataclass(frozen=True)
class Window:
    """A memory window: elements of `dtype`, `shape` in words that `Capabilities.dimension` resolves."""

    name: str
    address: int
    size: int
    access: str
    shape: tuple[str, ...]
    dtype: np.dtype[Any]
    cost: str
    minimum: str | None
    maximum: str | None
    title: str
    desc: str

    @property
    def index(self) -> int:
        return self.address // WINDOW_STRIDE


def _field(row: dict[str, Any]) -> Field:
    values = {name: v["value"] for name, v in row["values"].items()}
    keys = ("name", "low", "width", "reset", "access", "unit", "desc")
    return Field(**{k: row[k] for k in keys}, minimum=row["min"], maximum=row["max"], values=values)


def register_of(row: dict[str, Any]) -> Register:
    """A register from a row of a folded table."""
    return Register(**{**row, "fields": {f["name"]: _field(f) for f in row["fields"]}})


def window_of(row: dict[str, Any]) -> Window:
    """A window from a row of a folded table."""
    row = dict(row)
    dtype, low, high = np.dtype("<" + row["dtype"][0] + str(int(row["dtype"][1:]) // 8)), row.pop("min"), row.pop("max")
    return Window(**{**row, "shape": tuple(row["shape"]), "dtype": dtype, "minimum": low, "maximum": high})


REGISTERS: dict[str, Register] = {row["name"]: register_of(row) for row in _TABLE["registers"]}
WINDOWS: dict[str, Window] = {row["name"]: window_of(row) for row in _TABLE["windows"]}
WINDOW_AT: dict[int, Window] = {w.index: w for w in WINDOWS.values()}


def register(name: str, within: Mapping[str, Register] = REGISTERS) -> Register:
    """The register of that name; KeyError with the near names otherwise."""
    if name not in within:
        block = name.split(".")[0]
        near = [n for n in within if n.startswith(block + ".")] or sorted({n.split(".")[0] for n in within})
        raise KeyError(f"no register {name!r}; there are {', '.join(near)}")
    return within[name]


def value_of(name: str, label: str) -> int:
    """Value of an enumerated field's label: `value_of("SEQ.STATUS.STATE", "HALTED")` is 2."""
    reg, fld = name.rsplit(".", 1)
    return register(reg).fields[fld].values[label]


def label_of(name: str, value: int) -> str:
    """Label of an enumerated field's value, or the number in words when it has none."""
    reg, fld = name.rsplit(".", 1)
    return next((k for k, v in register(reg).fields[fld].values.items() if v == value), f"value {value}")


@dataclass(frozen=True)
class AccessTable:
    """Access rules of every 32-bit register word, as arrays indexed by word number.

    decode : (REGISTER_SPACE / 4,) int16, word number of an address / 4, -1 where nothing is mapped
    address, register, reset : (words,) per word; `register` indexes `names`
    read, write, w1c, pulse : (words,) uint32 masks of software access; `write` holds plain read-write and write-only bits
    firmware : (words,) uint32 mask of bits that the boot firmware may write beyond those
    latch : (words,) 0 a plain word, 1 the low word of a 64-bit counter, 2 its high word
    free_running, per_plane : (words,) bool
    ranges : (n, 5) int64 rows (word, low bit, mask, minimum, maximum)
    fields : (m, 2) int64 rows (word, mask) of every writable field, so that a mask that splits one is found
    """

    names: tuple[str, ...]
    decode: NDArray[np.int16]
    address: NDArray[np.uint32]
    register: NDArray[np.int32]
    reset: NDArray[np.uint32]
    read: NDArray[np.uint32]
    write: NDArray[np.uint32]
    w1c: NDArray[np.uint32]
    pulse: NDArray[np.uint32]
    firmware: NDArray[np.uint32]
    latch: NDArray[np.int8]
    free_running: NDArray[np.bool_]
    per_plane: NDArray[np.bool_]
    ranges: NDArray[np.int64]
    fields: NDArray[np.int64]

    def word(self, name: str, index: int = 0) -> int:
        """Word number of a register (its low word if it has two)."""
        return int(self.decode[register(name).at(index) >> 2])


@dataclass
class _Columns:
    rows: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, **values: Any) -> None:
        for key, value in values.items():
            self.rows.setdefault(key, []).append(value)


@cache
def access_table() -> AccessTable:
    """The table of the map, made once."""
    return access_of(REGISTERS)


def access_of(registers: Mapping[str, Register]) -> AccessTable:
    """The access rules of registers by name, whose words are numbered in their order."""
    columns, ranges, fields = _Columns(), [], []
    decode = np.full(REGISTER_SPACE // 4, -1, np.int16)
    names = tuple(registers)
    for number, reg in enumerate(registers.values()):
        for index in range(reg.count):
            for half in range(reg.words):
                word = len(columns.rows.get("address", []))
                address = reg.at(index) + 4 * half
                decode[address >> 2] = word
                shift = 32 * half
                writable = reg.mask("rw", "w")
                columns.add(
                    address=address,
                    register=number,
                    reset=reg.reset >> shift & 0xFFFFFFFF,
                    read=reg.mask("r", "rw", "w1c") >> shift & 0xFFFFFFFF,
                    write=writable >> shift & 0xFFFFFFFF,
                    w1c=reg.mask("w1c"),
                    pulse=reg.mask("pulse"),
                    firmware=reg.mask("r", "w1c") if reg.firmware_write else 0,
                    latch=0 if reg.words == 1 else 1 + half,
                    free_running=reg.free_running,
                    per_plane=reg.per_plane,
                )
                for f in reg.fields.values():
                    if f.access in ("rw", "w", "w1c", "pulse"):
                        fields.append((word, f.mask))
                    if f.maximum is not None:
                        ranges.append((word, f.low, f.mask, f.minimum, f.maximum))
    kinds = {"register": np.int32, "latch": np.int8, "free_running": np.bool_, "per_plane": np.bool_}
    arrays: dict[str, NDArray[Any]] = {k: np.array(v, kinds.get(k, np.uint32)) for k, v in columns.rows.items()}
    return AccessTable(
        names=names,
        decode=decode,
        ranges=np.array(ranges, np.int64).reshape(-1, 5),
        fields=np.array(fields, np.int64).reshape(-1, 2),
        **arrays,
    )
