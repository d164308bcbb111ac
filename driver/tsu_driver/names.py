"""Register and field names of the contract, resolved once, with errors that list what there is."""

from __future__ import annotations

import os
from functools import cache
from numbers import Real
from operator import index as as_integer

from tsu_contract.extension import BASE, RegisterMap, load_map
from tsu_contract.registers import Field, MapError, Register, Window
from tsu_driver.errors import HostError

WORD_MAX = 0xFFFFFFFF
WRITABLE = ("rw", "w", "w1c", "pulse")

FieldValue = int | str | bool
"""A field's value: a number, a flag, or the label of an enumerated one."""


def find_map(path: str | os.PathLike[str] | None) -> RegisterMap:
    """The register map of a folded table's file, the contract's if there is none; HostError if it is none."""
    try:
        return BASE if path is None else load_map(path)
    except (MapError, OSError) as error:
        raise HostError(f"map: {error}") from None


@cache
def find_register(name: str, within: RegisterMap = BASE) -> Register:
    """The register `name`; HostError lists the near names."""
    try:
        return within.register(name)
    except KeyError as error:
        raise HostError(str(error.args[0])) from None


@cache
def find_field(path: str, within: RegisterMap = BASE) -> tuple[Register, Field]:
    """Register and field of a path such as `SEQ.STATUS.STATE`; HostError lists the legal ones."""
    name, _, label = path.rpartition(".")
    if not name:
        find_register(path, within)
    if path in within.registers:
        raise HostError(f"{path} is a register; name one of its fields: {', '.join(within.registers[path].fields)}")
    reg = find_register(name, within)
    if label not in reg.fields:
        raise HostError(f"{name} has no field {label!r}; there are {', '.join(reg.fields)}")
    return reg, reg.fields[label]


@cache
def find_window(name: str, within: RegisterMap = BASE) -> Window:
    """The window `name`; HostError lists all."""
    if name not in within.windows:
        raise HostError(f"no window {name!r}; there are {', '.join(within.windows)}")
    return within.windows[name]


def address_of(reg: Register, index: int) -> int:
    """Address of element `index` of a register; HostError if it has fewer."""
    try:
        return reg.at(index)
    except IndexError as error:
        raise HostError(str(error)) from None


def integer(value: object, what: str) -> int:
    """`value` as an int; HostError naming `what` if it is none."""
    try:
        return as_integer(value)  # type: ignore[arg-type]
    except TypeError:
        raise HostError(f"{what} is {value!r}; an integer expected") from None


def seconds(value: object, what: str) -> float:
    """`value` as a time, infinity included; HostError naming `what` if it is none, or not more than 0."""
    if not isinstance(value, Real) or not float(value) > 0:
        raise HostError(f"{what} = {value}; a positive number of seconds expected")
    return float(value)


def field_bits(reg: Register, fields: dict[str, FieldValue]) -> tuple[int, int]:
    """(value, mask) that set the named fields of a register; HostError says which name or value is not legal."""
    value = mask = 0
    for name, given in fields.items():
        fld = reg.fields.get(name)
        if fld is None or fld.access not in WRITABLE:
            why = "has no field" if fld is None else "cannot be written in"
            legal = [f.name for f in reg.fields.values() if f.access in WRITABLE]
            raise HostError(
                f"{reg.name} {why} {name!r}; fields to write: {', '.join(legal) or 'none'}", field=f"{reg.name}.{name}"
            )
        value |= field_value(reg, fld, given) << fld.low
        mask |= fld.mask
    return value, mask


def field_value(reg: Register, fld: Field, given: FieldValue) -> int:
    """A field's value as a number, checked against labels, range and width."""
    if isinstance(given, str):
        if given not in fld.values:
            legal = ", ".join(fld.values) or "numbers only"
            raise HostError(f"{reg.name}.{fld.name} has no value {given!r}; there are {legal}", field=f"{reg.name}.{fld.name}")
        return fld.values[given]
    number = given if isinstance(given, int) else integer(given, f"{reg.name}.{fld.name}")
    low = 0 if fld.minimum is None else fld.minimum
    high = (1 << fld.width) - 1 if fld.maximum is None else fld.maximum
    if not low <= number <= high:
        raise HostError(f"{reg.name}.{fld.name} = {number} is not in {low} .. {high}", field=f"{reg.name}.{fld.name}")
    return number


def word(value: object, what: str) -> int:
    """`value` as an unsigned 32-bit number; HostError naming `what` otherwise."""
    number = integer(value, what)
    if not 0 <= number <= WORD_MAX:
        raise HostError(f"{what} = {number} is not in 0 .. {WORD_MAX:#x}")
    return number
