"""Loads a 32-bit little-endian RISC-V ELF file into ROM and RAM."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from tsu_emu.cpu.state import MemoryMap

HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
SEGMENT = struct.Struct("<IIIIIIII")
MAGIC, CLASS_32, LITTLE, EXECUTABLE, RISCV, PT_LOAD = b"\x7fELF", 1, 1, 2, 243, 1
FLAGS_ALLOWED = 0x1
"""e_flags of code that this core runs: compressed instructions, the soft-float ABI."""


class ElfError(ValueError):
    """A file cannot be loaded; says why."""


def load_elf(data: bytes, memory: MemoryMap, rom: NDArray[np.uint32], ram: NDArray[np.uint32]) -> int:
    """Copies all loadable segments to their physical addresses, zeros after their file's part; returns the entry address.

    data : the file; memory : bases of rom and ram, which are words and are overwritten where segments lie. ElfError if it is not
    an executable for RV32 with the soft-float ABI, if it ends early, if a segment lies outside both memories, or if the file has
    nothing for the entry's address.
    """
    entry, offset, size, number = _header(data)
    regions = (("ROM", memory.rom_base, rom.view(np.uint8)), ("RAM", memory.ram_base, ram.view(np.uint8)))
    segments = [_segment(data, offset + k * size, k) for k in range(number)]
    loads = [(k, address, part, length) for k, (kind, address, part, length) in enumerate(segments) if kind == PT_LOAD and length]
    places = [_place(regions, address, length, f"segment {k}") for k, address, _, length in loads]
    if not any(address <= entry < entry + 2 <= address + len(part) for _, address, part, _ in loads):
        raise ElfError(f"the entry {entry:#010x}: no segment of the file has code there; is its symbol defined?")
    if entry % 2:
        raise ElfError(f"the entry {entry:#010x} is odd")
    for (_, _, part, _), place in zip(loads, places, strict=True):
        place[:] = 0
        place[: len(part)] = np.frombuffer(part, np.uint8)
    return entry


def _header(data: bytes) -> tuple[int, int, int, int]:
    """Entry, and where the segments' table lies: offset, bytes a row, rows."""
    if len(data) < HEADER.size or data[:4] != MAGIC:
        raise ElfError("not an ELF file")
    ident, kind, machine, _, entry, offset, _, flags, _, size, number, *_ = HEADER.unpack_from(data)
    if ident[4] != CLASS_32 or ident[5] != LITTLE:
        raise ElfError("not a 32-bit little-endian file")
    if machine != RISCV:
        raise ElfError(f"for machine {machine}, not RISC-V ({RISCV})")
    if kind != EXECUTABLE:
        raise ElfError(f"of type {kind}, not an executable ({EXECUTABLE}): link it statically")
    if flags & ~FLAGS_ALLOWED:
        raise ElfError(f"flags {flags:#x}: the core has no floating point and 32 registers (-march=rv32imc_zicsr -mabi=ilp32)")
    if number and size != SEGMENT.size:
        raise ElfError(f"rows of {size} bytes in its table of segments, not {SEGMENT.size}")
    return entry, offset, size, number


def _segment(data: bytes, at: int, k: int) -> tuple[int, int, bytes, int]:
    """Type, physical address, bytes from the file, length in memory."""
    if at + SEGMENT.size > len(data):
        raise ElfError("the file ends within its table of segments")
    kind, offset, _, address, in_file, length, *_ = SEGMENT.unpack_from(data, at)
    if kind == PT_LOAD and (offset + in_file > len(data) or in_file > length):
        raise ElfError(f"segment {k}: the file ends within it, or it is longer there than in memory")
    return kind, address, data[offset : offset + in_file], length


def _place(
    regions: tuple[tuple[str, int, NDArray[np.uint8]], ...], address: int, length: int, what: str
) -> NDArray[np.uint8]:  # fmt: skip
    """The bytes of a memory that `length` bytes at an address are."""
    for _, base, memory in regions:
        if base <= address and address + length <= base + len(memory):
            return memory[address - base : address - base + length]
    spans = ", ".join(f"{name} {base:#010x}+{len(memory):#x}" for name, base, memory in regions)
    raise ElfError(f"{what}: {length} bytes at {address:#010x} lie in no memory ({spans})")
