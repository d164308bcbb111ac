"""Programs for the firmware core: one to be timed, one that lives on the bus, and random blocks that anybody can run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BASE, BLOCK_BYTES, DATA = 0x2000_0000, 0x2000, 0x1000
"""RAM of a random block: address, length, and where its data begin. A multiple of a page, as Unicorn maps."""
SP, POINTER, NEAR, COUNTER, SCRATCH = 2, 28, 15, 29, 30
"""Registers that random instructions do not write: three pointers to data, of c.lwsp, wide and c.lw, and the loop's counter;
SCRATCH holds addresses."""
FREE = [k for k in range(32) if k not in (SP, POINTER, NEAR, COUNTER, SCRATCH)]
FREE_SHORT = [8, 9, 10, 11, 12, 13, 14]
LUI, AUIPC, OP, OP_IMM, LOAD, STORE, BRANCH, JAL, JALR, SYSTEM = 0x37, 0x17, 0x33, 0x13, 0x03, 0x23, 0x63, 0x6F, 0x67, 0x73
MSCRATCH = 0x340
FACTOR = 0x9E377079
"""Of the timed loop's hash."""


def word(opcode: int, rd: int = 0, f3: int = 0, rs1: int = 0, rs2: int = 0, f7: int = 0) -> int:
    """An instruction by its fields."""
    return f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | opcode


def immediate(opcode: int, rd: int, f3: int, rs1: int, value: int) -> int:
    """An instruction with an immediate, or a CSR's number, in its upper bits."""
    return word(opcode, rd, f3, rs1) | (value & 0xFFF) << 20


def store(rs2: int, rs1: int, f3: int, offset: int) -> int:
    """SB, SH or SW."""
    return word(STORE, offset & 31, f3, rs1, rs2, offset >> 5 & 127)


def branch(f3: int, rs1: int, rs2: int, offset: int) -> int:
    """A branch by an offset."""
    high, low = (offset >> 12 & 1) << 6 | offset >> 5 & 63, offset & 30 | offset >> 11 & 1
    return word(BRANCH, low, f3, rs1, rs2, high)


def jump(rd: int, offset: int) -> int:
    """JAL by an offset."""
    return word(JAL, rd) | (offset >> 20 & 1) << 31 | (offset & 0x7FE) << 20 | (offset >> 11 & 1) << 20 | offset & 0xFF000


def timed_loop() -> list[int]:
    """Fletcher's sums and a hash over 256 words at x5 = BASE, without end: loads, stores, shifts, a product, branches.

    x10 and x11 are the sums, x12 the hash, x13 counts passes.
    """
    body = [
        immediate(LOAD, 7, 2, 6, 0),
        word(OP, 10, 0, 10, 7),
        word(OP, 11, 0, 11, 10),
        immediate(OP_IMM, 8, 5, 12, 13),
        word(OP, 12, 4, 12, 8),
        word(OP, 12, 4, 12, 7),
        word(OP, 12, 0, 12, 14, 1),
        immediate(OP_IMM, 9, 7, 10, 1),
        branch(0, 9, 0, 8),
        immediate(OP_IMM, 12, 0, 12, 5),
        store(12, 6, 2, 0),
        immediate(OP_IMM, 6, 0, 6, 4),
    ]
    begin = [
        word(LUI, 14) | FACTOR & ~0xFFF,
        immediate(OP_IMM, 14, 0, 14, FACTOR & 0xFFF),
        immediate(OP_IMM, 12, 0, 14, 0),
        immediate(OP_IMM, 6, 0, 5, 0),
        immediate(OP_IMM, 15, 0, 5, 1024),
    ]
    loop = [*body, branch(1, 6, 15, -4 * len(body)), immediate(OP_IMM, 13, 0, 13, 1)]
    return [*begin, *loop, jump(0, -4 * (len(loop) + 2))]


def timed_result(passes: int) -> list[int]:
    """x10, x11 and x12 after so many passes over words that were 0, in plain Python."""
    m32, words = 0xFFFFFFFF, [0] * 256
    a, b, h = 0, 0, FACTOR
    for _ in range(passes):
        for k, value in enumerate(words):
            a = a + value & m32
            b = b + a & m32
            h = (h ^ h >> 13 ^ value) * FACTOR + 5 * (a & 1) & m32
            words[k] = h
    return [a, b, h]


def bus_loop() -> list[int]:
    """Reads a register of the bus at x5, adds one, writes it back, without end."""
    return [immediate(LOAD, 6, 2, 5, 0), immediate(OP_IMM, 6, 0, 6, 1), store(6, 5, 2, 0), jump(0, -12)]


class Blocks(NamedTuple):
    """Random blocks of code: x (blocks, 32) and ram (blocks, words), uint32, at the start; the address at which they end."""

    x: NDArray[np.uint32]
    ram: NDArray[np.uint32]
    ends: NDArray[np.uint32]


def random_blocks(rng: np.random.Generator, blocks: int, instructions: int, turns: int) -> Blocks:
    """Blocks of so many instructions, gone through `turns` times, with forward branches and jumps and no traps."""
    made = [_block(rng, instructions, turns) for _ in range(blocks)]
    return Blocks(*(np.array(column, np.uint32) for column in zip(*made, strict=True)))


def _block(rng: np.random.Generator, instructions: int, turns: int) -> tuple[list[int], NDArray[np.uint32], int]:
    pieces = [_piece(rng) for _ in range(instructions)]
    begins = np.concatenate([[0], np.cumsum([_length(piece) for piece in pieces])]).tolist()
    halves: list[int] = []
    for k, piece in enumerate(pieces):
        distance = begins[min(k + int(rng.integers(1, 8)), instructions)] - begins[k]
        words = [_patched(w, distance) for w in piece]
        halves += [half for w in words for half in ((w & 0xFFFF, w >> 16) if w & 3 == 3 else (w,))]
    close = [immediate(OP_IMM, COUNTER, 0, COUNTER, -1), branch(0, COUNTER, 0, 8), jump(0, -begins[-1] - 8)]
    halves += [half for w in close for half in (w & 0xFFFF, w >> 16)]
    end = BASE + 2 * len(halves)
    if end - BASE > DATA:
        raise ValueError("too many instructions for a block")
    ram = rng.integers(0, 1 << 32, BLOCK_BYTES // 4, np.uint32)
    ram.view(np.uint16)[: len(halves)] = halves
    x = rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2, 3], 32).astype(np.uint32)
    x[::2] = rng.integers(0, 1 << 32, 16, np.uint32)
    x[[0, COUNTER]], x[[SP, POINTER, NEAR]] = (0, turns), (BASE + DATA + 512, BASE + DATA + 2048, BASE + DATA + 256)
    return x.tolist(), ram, end


def _length(piece: list[int]) -> int:
    return sum(4 if w & 3 == 3 else 2 for w in piece)


def _patched(w: int, distance: int) -> int:
    """The piece's offset put in where it branches or jumps."""
    if w & 127 == BRANCH:
        return w | branch(0, 0, 0, distance) & ~127
    if w & 127 == JAL:
        return w | jump(0, distance) & ~127
    if w & 127 == JALR:
        return w | (distance & 0xFFF) << 20
    if w & 3 == 1 and w >> 13 in (1, 5):
        return w | (distance >> 1 & 7) << 3 | (distance >> 4 & 1) << 11 | (distance >> 5 & 1) << 2 | (distance >> 6 & 1) << 7
    if w & 3 == 1 and w >> 13 in (6, 7):
        return w | (distance >> 1 & 3) << 3 | (distance >> 3 & 3) << 10 | (distance >> 5 & 1) << 2 | (distance >> 6 & 1) << 5
    return w


def _piece(rng: np.random.Generator) -> list[int]:
    """A random instruction, or a few that belong together."""
    rd, a, b = (int(k) for k in rng.choice(FREE, 3))
    f3, value, kind = int(rng.integers(8)), int(rng.integers(1 << 12)), int(rng.integers(16))
    size = int(rng.choice([0, 1, 2, 4, 5]))
    offset = value & 0x3FF & -(1 << (size & 3))
    if kind < 3:
        return [word(OP, rd, f3, a, b, 1 if kind else 0)]
    if kind == 3:
        return [word(OP, rd, 5 * (f3 & 1), a, b, 32)]
    if kind == 4:
        return [immediate(OP_IMM, rd, f3, a, value & 31 | (f3 == 5) * (value & 0x400) if f3 in (1, 5) else value)]
    if kind == 5:
        return [word(LUI if f3 & 1 else AUIPC, rd) | int(rng.integers(1 << 20)) << 12]
    if kind == 6:
        return [immediate(LOAD, rd, size, POINTER, offset)]
    if kind == 7:
        return [store(a, POINTER, size & 3, offset)]
    if kind == 8:
        address = [immediate(OP_IMM, SCRATCH, 7, a, 0x7FC), word(OP, SCRATCH, 0, SCRATCH, POINTER)]
        near = (value & 3) >> (size & 3) << (size & 3)
        return [*address, immediate(LOAD, rd, size, SCRATCH, near) if f3 & 1 else store(b, SCRATCH, size & 3, near)]
    if kind == 9:
        return [word(BRANCH, 0, (0, 1, 4, 5, 6, 7, 0, 1)[f3], a, b)]
    if kind == 10:
        if f3 < 4:
            return [word(JAL, rd)]
        return [word(AUIPC, SCRATCH), immediate(JALR, rd, 0, SCRATCH, 0)]
    if kind == 11:
        return [immediate(SYSTEM, rd, f3, a, MSCRATCH)] if f3 & 3 else [0x0FF0000F]
    return [_compressed(rng, kind)]


def _compressed(rng: np.random.Generator, kind: int) -> int:
    rd, rs = (int(k) for k in rng.choice([k for k in FREE if k], 2))
    low, high = (int(k) - 8 for k in rng.choice(FREE_SHORT, 2))
    f3, value = int(rng.integers(8)), int(rng.integers(1 << 12))
    short = (value & 31) << 2 | (value >> 5 & 1) << 12
    if kind == 12:
        return (
            low << 2 | (value | 8) << 5 & 0x1FE0,
            0x4000 | low << 2 | 7 << 7 | value << 5 & 0x1C60,
            0xC000 | low << 2 | 7 << 7 | value << 5 & 0x1C60,
            0x4002 | rd << 7 | value << 2 & 0x107C,
            0xC002 | rs << 2 | value << 7 & 0x1F80,
            0x0001 | rd << 7 | short,
            0x4001 | rd << 7 | short,
            0x6001 | rd << 7 | short | 4,
        )[f3]
    if kind == 13:
        return (
            (0x8401, 0x8001, 0x8801, 0x8C01, 0x8C21, 0x8C41, 0x8C61, 0x8801)[f3]
            | high << 7
            | (low << 2 if 3 <= f3 < 7 else short & 0x7C)
        )
    if kind == 14:
        return (0x0002 | rd << 7 | short & 0x7C, 0x8002 | rd << 7 | rs << 2, 0x9002 | rd << 7 | rs << 2)[f3 % 3]
    return (0x2001, 0xA001, 0xC001 | high << 7, 0xE001 | high << 7)[f3 & 3]
