"""Instruction words: golden words, round trips, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsu_contract.program import OPERAND_MAX, Instruction, Opcode, assemble, disassemble

WITH_OPERAND = (Opcode.SET_T, Opcode.RUN, Opcode.LOOP, Opcode.DELAY, Opcode.ADC_CAPTURE, Opcode.CLAMP_NEXT)
GOLDEN = {
    Instruction(Opcode.HALT): 0x0000000000000000,
    Instruction(Opcode.SET_T, 0x40): 0x0100000000000040,
    Instruction(Opcode.RUN, 1000): 0x02000000000003E8,
    Instruction(Opcode.STROBE): 0x0300000000000000,
    Instruction(Opcode.CORR_LATCH): 0x0400000000000000,
    Instruction(Opcode.LOOP, 0xFFFFFFFF): 0x05000000FFFFFFFF,
    Instruction(Opcode.END): 0x0600000000000000,
    Instruction(Opcode.WAIT_SETTLE): 0x0700000000000000,
    Instruction(Opcode.DELAY, 0x12345678): 0x0800000012345678,
    Instruction(Opcode.IRQ): 0x0900000000000000,
    Instruction(Opcode.ADC_SCAN): 0x0A00000000000000,
    Instruction(Opcode.ADC_CAPTURE, 65536): 0x0B00000000010000,
    Instruction(Opcode.CLAMP_NEXT, 3): 0x0C00000000000003,
    Instruction(Opcode.LEARN): 0x0D00000000000000,
    Instruction(Opcode.SWAP): 0x0E00000000000000,
}


def _instructions() -> st.SearchStrategy[Instruction]:
    bare = st.sampled_from([Instruction(o) for o in Opcode if o not in WITH_OPERAND])
    full = st.builds(Instruction, st.sampled_from(WITH_OPERAND), st.integers(0, OPERAND_MAX))
    return st.one_of(bare, full)


def test_each_opcode_assembles_to_its_golden_word() -> None:
    assert len(GOLDEN) == len(Opcode)
    words = assemble(GOLDEN)
    assert (words.dtype, words.tolist()) == (np.dtype(np.uint64), list(GOLDEN.values()))


def test_golden_words_disassemble_to_their_instructions() -> None:
    assert disassemble(np.array(list(GOLDEN.values()), np.uint64)) == list(GOLDEN)


def test_word_is_sent_low_half_first() -> None:
    assert assemble([Instruction(Opcode.RUN, 5)]).tobytes().hex() == "0500000000000002"


@settings(deadline=None, database=None)
@given(st.lists(_instructions(), max_size=20))
def test_programs_come_back_from_their_words(program: list[Instruction]) -> None:
    assert disassemble(assemble(program)) == program


@settings(deadline=None, database=None)
@given(st.integers(0, (1 << 64) - 1))
def test_a_word_either_is_refused_or_comes_back_unchanged(word: int) -> None:
    """`disassemble` checks form only; what has an operand where none belongs, `assemble` refuses in turn."""
    try:
        program = disassemble(np.array([word], np.uint64))
    except ValueError:
        assert word >> 56 > 14 or word >> 32 & 0xFFFFFF
        return
    assert program == [Instruction(Opcode(word >> 56), word & 0xFFFFFFFF)]


@pytest.mark.parametrize("opcode", [o for o in Opcode if o not in WITH_OPERAND])
def test_operand_where_none_belongs_is_refused_by_position(opcode: Opcode) -> None:
    with pytest.raises(ValueError, match=f"instruction 1, {opcode.name}: operand 1; none expected"):
        assemble([Instruction(Opcode.RUN, 1), Instruction(opcode, 1)])


@pytest.mark.parametrize("operand", [-1, OPERAND_MAX + 1])
def test_operand_beyond_32_bits_is_refused(operand: int) -> None:
    with pytest.raises(ValueError, match=f"instruction 0, RUN: operand {operand}; 0 to 4,294,967,295 expected"):
        assemble([Instruction(Opcode.RUN, operand)])


@pytest.mark.parametrize("word", [0x0F00000000000000, 0xFF00000000000000, 0x0200000100000000, 0x0280000000000000])
def test_word_that_is_no_instruction_is_named(word: int) -> None:
    with pytest.raises(ValueError, match=f"word 2 = {word:#018x} is no instruction"):
        disassemble(np.array([0, 0, word], np.uint64))


def test_empty_program_has_no_words() -> None:
    assert assemble([]).shape == (0,)
    assert disassemble(np.empty(0, np.uint64)) == []
