"""Names of code in a 32-bit little-endian ELF file."""

from __future__ import annotations

import struct
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from tsu_emu.cpu.elf import HEADER

SECTION = struct.Struct("<10I")
SYMBOL = struct.Struct("<IIIBBH")
SYMTAB, EXECUTABLE_CODE, NO_TYPE, FUNCTION = 2, 0x4, 0, 2


class Symbols:
    """Which function an address lies in.

    data : a file that the core has loaded. A file without a table of symbols, or with a broken one, has no names.
    """

    def __init__(self, data: bytes) -> None:
        try:
            found = sorted(_symbols(data))
        except (struct.error, IndexError, ValueError):
            found = []
        self._addresses = [address for address, _ in found]
        self._names = [name for _, name in found]

    def name(self, address: int) -> str:
        """The last symbol at or before an address, else the address."""
        k = bisect_right(self._addresses, address)
        return self._names[k - 1] if k else f"{address:#010x}"

    def numbers(self, base: int, halfwords: int) -> NDArray[np.int32]:
        """(halfwords,) of memory at `base`: the same number for those of one name, 0 for all that lies before the first."""
        return np.searchsorted(self._addresses, base + 2 * np.arange(halfwords), side="right").astype(np.int32)

    def __bool__(self) -> bool:
        return bool(self._addresses)


def _symbols(data: bytes) -> set[tuple[int, str]]:
    """(address, name) of functions and of labels in sections of code; the first name by alphabet of several at an address."""
    header = HEADER.unpack_from(data)
    offset, size, number = header[6], header[11], header[12]
    sections = [SECTION.unpack_from(data, offset + k * size) for k in range(number)]
    names: dict[int, str] = {}
    for kind, start, length, link in ((s[1], s[4], s[5], s[6]) for s in sections):
        if kind != SYMTAB:
            continue
        strings = data[sections[link][4] : sections[link][4] + sections[link][5]]
        for at in range(start, start + length - length % SYMBOL.size, SYMBOL.size):
            text, address, _, info, _, section = SYMBOL.unpack_from(data, at)
            name = strings[text : strings.index(b"\0", text)].decode("ascii", "replace")
            is_code = 0 < section < number and sections[section][2] & EXECUTABLE_CODE
            if info & 15 in (NO_TYPE, FUNCTION) and is_code and name and name[0] not in ".$":
                names[address] = min(name, names.get(address, name))
    return set(names.items())
