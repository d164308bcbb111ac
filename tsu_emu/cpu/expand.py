"""Compressed instructions (RISC-V unprivileged ISA, C extension, RV32) as the 32-bit instructions that they stand for."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

LOAD, OP_IMM, STORE, OP, LUI, BRANCH, JALR, JAL, SYSTEM = 0x03, 0x13, 0x23, 0x33, 0x37, 0x63, 0x67, 0x6F, 0x73
EBREAK = 0x00100073


def _gather(h: int, places: str) -> int:
    """Bits of an immediate, given where each lies: "12:5 6:2" takes bit 12 of h to bit 5 and bit 6 to bit 2."""
    value = 0
    for pair in places.split():
        source, target = pair.split(":")
        value |= (h >> int(source) & 1) << int(target)
    return value


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _i(op: int, f3: int, rd: int, rs1: int, imm: int) -> int:
    return (imm & 0xFFF) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op


def _r(f7: int, rs2: int, rs1: int, f3: int, rd: int) -> int:
    return f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | OP


def _s(rs2: int, rs1: int, imm: int) -> int:
    return imm >> 5 << 25 | rs2 << 20 | rs1 << 15 | 2 << 12 | (imm & 31) << 7 | STORE


def _b(f3: int, rs1: int, imm: int) -> int:
    high = (imm >> 12 & 1) << 31 | (imm >> 5 & 63) << 25
    return high | rs1 << 15 | f3 << 12 | (imm >> 1 & 15) << 8 | (imm >> 11 & 1) << 7 | BRANCH


def _j(rd: int, imm: int) -> int:
    return (imm >> 20 & 1) << 31 | (imm >> 1 & 1023) << 21 | (imm >> 11 & 1) << 20 | (imm >> 12 & 255) << 12 | rd << 7 | JAL


def _quadrant_0(h: int, f3: int) -> int:
    low, high = 8 + (h >> 2 & 7), 8 + (h >> 7 & 7)
    if f3 == 0:
        imm = _gather(h, "12:5 11:4 10:9 9:8 8:7 7:6 6:2 5:3")
        return _i(OP_IMM, 0, low, 2, imm) if imm else 0
    offset = _gather(h, "12:5 11:4 10:3 6:2 5:6")
    if f3 == 2:
        return _i(LOAD, 2, low, high, offset)
    return _s(low, high, offset) if f3 == 6 else 0


def _arithmetic(h: int, imm: int) -> int:
    rd, other = 8 + (h >> 7 & 7), 8 + (h >> 2 & 7)
    kind, wide = h >> 10 & 3, h >> 12 & 1
    if kind == 2:
        return _i(OP_IMM, 7, rd, rd, imm)
    if wide:  # shifts by 32 and more, and operations on words of a wider machine
        return 0
    if kind < 2:
        return _i(OP_IMM, 5, rd, rd, kind << 10 | imm & 31)
    f3, f7 = ((0, 32), (4, 0), (6, 0), (7, 0))[h >> 5 & 3]
    return _r(f7, other, rd, f3, rd)


def _quadrant_1(h: int, f3: int) -> int:
    rd = h >> 7 & 31
    imm = _signed(_gather(h, "12:5 6:4 5:3 4:2 3:1 2:0"), 6)
    if f3 == 0:
        return _i(OP_IMM, 0, rd, rd, imm)
    if f3 == 2:
        return _i(OP_IMM, 0, rd, 0, imm)
    if f3 == 3 and rd == 2:
        imm = _signed(_gather(h, "12:9 6:4 5:6 4:8 3:7 2:5"), 10)
        return _i(OP_IMM, 0, 2, 2, imm) if imm else 0
    if f3 == 3:
        return (imm & 0xFFFFF) << 12 | rd << 7 | LUI if imm else 0
    if f3 == 4:
        return _arithmetic(h, imm)
    if f3 in (1, 5):
        offset = _signed(_gather(h, "12:11 11:4 10:9 9:8 8:10 7:6 6:7 5:3 4:2 3:1 2:5"), 12)
        return _j(1 if f3 == 1 else 0, offset)
    offset = _signed(_gather(h, "12:8 11:4 10:3 6:7 5:6 4:2 3:1 2:5"), 9)
    return _b(f3 - 6, 8 + (h >> 7 & 7), offset)


def _quadrant_2(h: int, f3: int) -> int:
    rd, rs2, wide = h >> 7 & 31, h >> 2 & 31, h >> 12 & 1
    if f3 == 0:
        return 0 if wide else _i(OP_IMM, 1, rd, rd, rs2)
    if f3 == 2:
        return _i(LOAD, 2, rd, 2, _gather(h, "12:5 6:4 5:3 4:2 3:7 2:6")) if rd else 0
    if f3 == 6:
        return _s(rs2, 2, _gather(h, "12:5 11:4 10:3 9:2 8:7 7:6"))
    if f3 != 4:
        return 0
    if rs2:
        return _r(0, rs2, rd if wide else 0, 0, rd)
    if rd:
        return _i(JALR, 0, wide, rd, 0)
    return EBREAK if wide else 0


def expand(h: int) -> int:
    """The 32-bit instruction of a compressed one, 0 if it is none or reserved; hints come as operations without effect."""
    quadrant = (_quadrant_0, _quadrant_1, _quadrant_2)
    return quadrant[h & 3](h, h >> 13) if h & 3 < 3 else 0


@cache
def expansion_table() -> NDArray[np.uint32]:
    """(65536,) uint32, `expand` of every halfword; read-only."""
    table = np.array([expand(h) for h in range(1 << 16)], np.uint32)
    table.flags.writeable = False
    return table
