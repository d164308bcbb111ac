"""Every instruction on its corner cases, against an oracle written from the manuals."""

from __future__ import annotations

import numpy as np
import pytest

from cpu.meanings import BRANCH_NAMES, BRANCHES, COMPUTE, LOAD_NAMES, PLAIN, TIMES
from cpu.pair import NOP, RAM_BASE, ROM_BASE, VARIED, Pair, imm, op

CORNERS = [0, 1, 2, 3, 31, 32, 0x7FF, 0x800, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFE, 0xFFFFFFFF, 0x12345678, 0xDEADBEEF]
PC = ROM_BASE + 8


def all_words() -> dict[str, list[int]]:
    """Words by the instruction that they are; x5 and x6 are operands, x7 the result."""
    words = {name: [op(0x33, 7, f3, 5, 6, 0), imm(0x13, 7, f3, 5, 17)] for f3, name in enumerate(PLAIN)}
    words |= {name: [op(0x33, 7, f3, 5, 6, 1)] for f3, name in enumerate(TIMES)}
    for f3, name in enumerate(PLAIN):
        if name not in ("sll", "srl"):
            words[name] += [imm(0x13, 7, f3, 5, value) for value in (-2048, -1, 2047)]
    words |= {"sub": [op(0x33, 7, 0, 5, 6, 32)], "sra": [op(0x33, 7, 5, 5, 6, 32), imm(0x13, 7, 5, 5, 0x41F)]}
    words |= {name: [op(0x63, 0x1D, f3, 5, 6, 0x7F), op(0x63, 0x08, f3, 5, 6, 0)] for f3, name in BRANCH_NAMES.items()}
    words |= {name: [imm(0x03, 7, f3, 8, value) for value in (-4, 0, 5, 6, 7)] for f3, name in LOAD_NAMES.items()}
    words |= {name: [op(0x23, k, f3, 8, 5) for k in (0, 1, 2, 3, 8)] for f3, name in enumerate(("sb", "sh", "sw"))}
    words["csr"] = [imm(0x73, 7, f3, 5, 0x340) for f3 in (1, 2, 3, 5, 6, 7)]
    words["lui"], words["auipc"] = [0xFFFFF3B7, 0x123453B7], [0xFFFFF397, 0x80000397]
    words["jal"], words["jalr"] = [0x0080_03EF, 0xFFDFF3EF, op(0x6F)], [imm(0x67, 7, 0, 9, v) for v in (0, 1, 2, -3)]
    words["jalr"].append(imm(0x67, 9, 0, 9, 4))
    return words


WORDS = all_words()


def disagreement(words: list[int], mutate: str = "") -> str:
    """The first one on all pairs of corner cases, or nothing."""
    pair = Pair([NOP] * 8, [0x80FF7F01, 0xFEDCBA98, 0x01234567, 0x8000FFFF], PC, VARIED, mutate)
    for word in words:
        pair.put(PC, word)
        for a in CORNERS:
            for b in CORNERS:
                pair.set_registers([0, 1, 2, 3, 4, a, b, 7, RAM_BASE + 4, PC, *range(10, 32)])
                pair.go(PC)
                pair.step()
                if pair.differences() or not pair.same_memory():
                    return f"{word:#010x} of {a:#x}, {b:#x}: {pair.differences()}"
    return ""


@pytest.mark.parametrize("name", WORDS)
def test_instruction_on_corner_cases(name: str) -> None:
    """Results, memory, pc, cycles and traps; loads and stores also across boundaries and past the end."""
    assert disagreement(WORDS[name]) == ""


@pytest.mark.parametrize("name", [*COMPUTE, *BRANCHES, *LOAD_NAMES.values(), "sb", "sh", "sw", "csr"])
def test_the_oracle_sees_a_wrong_instruction(name: str) -> None:
    """Power: one bit wrong in one instruction is noticed."""
    assert disagreement(WORDS[name], mutate=name) != ""


def test_every_compressed_instruction() -> None:
    """All halfwords that are no 32-bit instructions, most of them reserved, each on one set of registers."""
    rng = np.random.default_rng(1)
    pair = Pair([NOP] * 256, rng.integers(0, 1 << 32, 64).tolist(), PC)
    x = [0, *(RAM_BASE + 4 * k for k in range(1, 16)), *rng.integers(0, 1 << 32, 16).tolist()]
    at = ROM_BASE + 0x100
    for h in range(1 << 16):
        if h & 3 == 3:
            continue
        pair.put(at, h)
        pair.set_registers(x)
        pair.go(at)
        pair.step()
        if (found := pair.differences()) != []:
            raise AssertionError(f"{h:#06x}: {found}")
    assert pair.same_memory()


def test_words_of_every_opcode() -> None:
    """Random fields in every opcode, legal or not: 200 words each; illegal ones leave the word in mtval."""
    rng = np.random.default_rng(2)
    pair = Pair([NOP] * 8, rng.integers(0, 1 << 32, 64).tolist(), PC)
    illegal = 0
    for opcode in range(3, 128, 4):
        for word in rng.integers(0, 1 << 32, 200).tolist():
            word = word & ~127 | opcode
            if opcode in (0x33, 0x13) and word & 1 << 31:
                word &= ~(0x5E << 25)
            pair.put(PC, word)
            pair.set_registers([0, *(RAM_BASE + 4 * k for k in range(1, 32))])
            pair.go(PC)
            pair.step()
            assert pair.differences() == [], hex(word)
            illegal += int(pair.hart["mcause"][0]) == 2 and int(pair.hart["mtval"][0]) == word
    assert illegal > 200 * 32 / 2
    assert pair.same_memory()
