"""The loader: what it places, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from cpu.images import Segment, elf
from tsu_emu.cpu.elf import ElfError, load_elf
from tsu_emu.cpu.state import MemoryMap

MEMORY = MemoryMap()
ROM, RAM = MEMORY.rom_base, MEMORY.ram_base


def loaded(data: bytes) -> tuple[int, np.ndarray, np.ndarray]:
    rom, ram = np.full(4, 0xAAAAAAAA, np.uint32), np.full(4, 0xBBBBBBBB, np.uint32)
    return load_elf(data, MEMORY, rom, ram), rom.view(np.uint8), ram.view(np.uint8)


def test_segments_are_placed() -> None:
    """At any byte; what is longer in memory than in the file is zero there, the rest stays."""
    entry, rom, ram = loaded(elf([(ROM + 2, b"code", 4), (RAM + 5, b"d", 3), (RAM, b"", 0)], ROM + 2))
    assert entry == ROM + 2
    assert rom.tobytes() == b"\xaa\xaacode" + b"\xaa" * 10
    assert ram.tobytes() == b"\xbb" * 5 + b"d\0\0" + b"\xbb" * 8


FILL: Segment = (ROM, b"code", 4)


def test_other_segments_are_passed_over() -> None:
    data = bytearray(elf([(0x9999_0000, b"note", 4), FILL]))
    data[52] = 4
    assert loaded(bytes(data))[1].tobytes() == b"code" + b"\xaa" * 12


REFUSED = {
    "not an ELF file": b"\x7fELF",
    "32-bit little-endian": elf([FILL], bits=2),
    "not RISC-V": elf([FILL], machine=40),
    "not an executable": elf([FILL], kind=3),
    "no floating point": elf([FILL], flags=5),
    "rows of 56 bytes": elf([FILL], size=56),
    "ends within its table": elf([FILL])[:60],
    "segment 0: the file ends within it": elf([FILL])[:-1],
    "longer there than in memory": elf([(ROM, b"code", 3)]),
    "segment 1: 8 bytes at 0x2000000c": elf([FILL, (RAM + 12, b"data", 8)]),
    "segment 0: 20 bytes at 0x00000000 lie in no memory .ROM 0x00000000.0x10, RAM": elf([(ROM, b"code", 20)]),
    "the entry 0x30000000: no segment": elf([FILL], entry=0x3000_0000),
    "the entry 0x00000004: no segment": elf([(ROM, b"code", 8)], entry=ROM + 4),
    "the entry 0x00000000: no segment": elf([(RAM, b"code", 4)]),
    "is odd": elf([FILL], entry=ROM + 1),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_bad_file_is_refused_and_changes_nothing(why: str) -> None:
    rom, ram = np.full(4, 0xAAAAAAAA, np.uint32), np.full(4, 0xBBBBBBBB, np.uint32)
    with pytest.raises(ElfError, match=why):
        load_elf(REFUSED[why], MEMORY, rom, ram)
    assert (rom == 0xAAAAAAAA).all()
    assert (ram == 0xBBBBBBBB).all()
