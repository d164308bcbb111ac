"""Packing of spins: exact layout and round trips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tsu_contract.bits import pack_spins, unpack_spins


@pytest.mark.parametrize("cell", [0, 1, 7, 8, 31, 32, 39])
def test_one_spin_up_sets_bit_i_mod_32_of_word_i_div_32(cell: int) -> None:
    spins = np.full(40, -1, np.int8)
    spins[cell] = 1
    expected = [0, 0]
    expected[cell // 32] = 1 << cell % 32
    assert pack_spins(spins).tolist() == expected


def test_known_pattern_packs_to_known_words() -> None:
    spins = [1, -1, -1, 1] + [-1] * 28 + [1, 1, -1]
    assert pack_spins(spins).tolist() == [0x00000009, 0x00000003]
    assert pack_spins(spins).dtype == np.dtype("<u4")


def test_padding_bits_are_zero_and_are_ignored_when_unpacked() -> None:
    assert pack_spins(np.ones(33)).tolist() == [0xFFFFFFFF, 1]
    words = np.array([0xFFFFFFFF, 0xFFFFFFFE], np.uint32)
    assert unpack_spins(words, 33).tolist() == [1] * 32 + [-1]


def test_unpacked_spins_are_plus_and_minus_one_in_int8() -> None:
    out = unpack_spins(np.array([0b0110], np.uint32), 4)
    assert (out.dtype, out.tolist()) == (np.dtype(np.int8), [-1, 1, 1, -1])


def test_bool_and_zero_count_as_not_up() -> None:
    assert pack_spins(np.array([True, False, True])).tolist() == [5]
    assert pack_spins(np.array([0, 1, -3, 2])).tolist() == [0b1010]


@settings(deadline=None, database=None)
@given(st.data(), st.integers(0, 3), st.integers(1, 100))
def test_pack_and_unpack_are_inverse_for_any_leading_axes(data: st.DataObject, axes: int, cells: int) -> None:
    shape = (*data.draw(st.tuples(*[st.integers(0, 3)] * axes)), cells)
    bits = np.random.default_rng(data.draw(st.integers(0, 1 << 32))).integers(0, 2, shape)
    spins: NDArray[np.int8] = (2 * bits - 1).astype(np.int8)
    words = pack_spins(spins)
    assert words.shape == (*shape[:-1], (cells + 31) // 32)
    assert np.array_equal(unpack_spins(words, cells), spins)


@settings(deadline=None, database=None)
@given(st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=4))
def test_unpack_and_pack_are_inverse_on_whole_words(words: list[int]) -> None:
    packed = np.array(words, np.uint32)
    assert pack_spins(unpack_spins(packed, 32 * len(words))).tolist() == words


def test_unpack_accepts_a_strided_view() -> None:
    words = np.arange(12, dtype=np.uint32).reshape(3, 4)[:, ::2]
    assert np.array_equal(unpack_spins(words, 64), unpack_spins(words.copy(), 64))
