"""Window dimensions and times that follow from the CAP block."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tsu_contract.capabilities import (
    ENERGY_PARTS,
    FACTOR_BITS,
    GAIN_SCALE,
    GAUSSIAN,
    LANGEVIN,
    LEARN_TERMS,
    LSB_SCALE,
    MIXTURE,
    PBIT_ASYNC,
    PBIT_CLOCKED,
    PDIT,
    PIN_STEPS,
    RANGE_SCALE,
    RATE_SCALE,
    ROLES,
    SOFT_MAX,
    TRIM_CODES,
    Capabilities,
)
from tsu_contract.registers import REGISTERS, WINDOWS

CAP = Capabilities(
    cell_kind=1,
    cells=41,
    couplers=82,
    pairs=41,
    planes=70,
    colours=3,
    clock_hz=100_000_000,
    coupling_bits=8,
    coupling_lsb=262144,
    bias_bits=10,
    bias_lsb=65536,
    temp_bits=9,
    temp_lsb=131072,
    program_words=16,
    loop_depth=4,
    corr_fraction=16,
    sweep_cycles=1,
    colour_cycles=5,
    slot_cycles=2,
    corr_cycles=7,
    instruction_cycles=2,
    strobe_cycles=4,
    settle_cycles=20,
    states=2,
    terms=1,
    adc_count=0,
    adc_bits=0,
    adc_cycles=0,
    adc_acquire_cycles=0,
    adc_buffer=0,
    adc_trim_offset=0,
    adc_trim_gain=0,
    range_cell=0,
    range_coupling=0,
    range_bias=0,
    range_temp=0,
    learn_bits=12,
    learn_cycles=8,
    swap_cycles=16,
    hostmem_words=1000,
    table_entries=33,
    trim_bits=7,
    trim_offset_lsb=2097152,
    trim_slope_lsb=524288,
    nvm_words=9,
    serial_low=0x89ABCDEF,
    serial_high=0x01234567,
)
ADCS = {"adc_count": 3, "adc_bits": 10, "adc_cycles": 16, "adc_acquire_cycles": 4, "adc_buffer": 1001}
"""Converters of a chip that has some."""
NO_ENGINE = {"learn_bits": 0, "hostmem_words": 0, "trim_bits": 0}
"""Chips of other cells than p-bits do not learn and have no trims."""
KINDS = {
    "PBIT_CLOCKED": CAP,
    "PBIT_ASYNC": replace(CAP, cell_kind=2, colours=1),
    "PDIT": replace(CAP, cell_kind=3, states=5, terms=5, **NO_ENGINE),
    "GAUSSIAN": replace(CAP, cell_kind=4, states=0, terms=2, **ADCS, **NO_ENGINE),
    "MIXTURE": replace(CAP, cell_kind=5, couplers=0, pairs=0, states=3, terms=6, **ADCS, **NO_ENGINE),
    "LANGEVIN": replace(CAP, cell_kind=6, states=0, terms=4, **ADCS, **NO_ENGINE),
}
"""A chip of each kind of cells."""

# name: (shape, 32-bit words)
SHAPES = {
    "PROGRAM": ((16,), 32),
    "COUPLING": ((82,), 41),
    "BIAS": ((41,), 21),
    "CLAMP_MASK": ((70, 2), 140),
    "CLAMP_VALUE": ((70, 2), 140),
    "SPIN": ((70, 2), 140),
    "CORR_PAIR": ((2, 41), 82),
    "CORR_MEAN": ((2, 41), 82),
    "PLANE_TEMP": ((70,), 35),
    "TOPO_ROW": ((42,), 42),
    "TOPO_SOURCE": ((82,), 82),
    "TOPO_COLOUR": ((41,), 21),
    "TOPO_POSITION": ((41, 2), 41),
    "STATE": ((70, 0), 0),
    "VALUE": ((70, 0), 0),
    "PIN": ((70, 0), 0),
    "ADC_DATA": ((0,), 0),
    "ADC_TRIM": ((0, 2), 0),
    "TEMP_TABLE": ((33,), 17),
    "LEARN_PAIR": ((41,), 41),
    "LEARN_BIAS": ((41,), 41),
    "FREEZE_PAIR": ((2,), 2),
    "FREEZE_BIAS": ((2,), 2),
    "HOSTMEM": ((1000,), 1000),
    "LADDER": ((70,), 35),
    "SWAP_COUNT": ((70, 2), 140),
    "SOFT": ((70, 41), 1435),
    "TRIM_OFFSET": ((41,), 21),
    "TRIM_SLOPE": ((41,), 21),
    "NVM": ((9,), 9),
}

# dimension: its value on a chip of clocked p-bits, asynchronous p-bits, pdits, Gaussian, mixture and Langevin cells
BY_KIND = {
    "cell_words": (2, 2, 2, 2, 2, 2),
    "spin_words": (2, 2, 0, 0, 0, 0),
    "bias_terms": (41, 41, 205, 82, 246, 164),
    "state_cells": (0, 0, 41, 0, 41, 0),
    "value_cells": (0, 0, 0, 41, 41, 41),
    "pin_cells": (0, 0, 41, 41, 41, 41),
    "pin_min": (-2048, -2048, 0, -2048, -2048, -2048),
    "pin_max": (2047, 2047, 4, 2047, 2047, 2047),
    "adc_samples": (0, 0, 0, 1001, 1001, 1001),
    "adc_count": (0, 0, 0, 3, 3, 3),
    "trims": (2, 2, 2, 2, 2, 2),
    "trim_min": (-64, -64, -64, -64, -64, -64),
    "trim_max": (63, 63, 63, 63, 63, 63),
    "cells_plus_1": (42, 42, 42, 42, 42, 42),
    "spin_planes": (70, 70, 0, 0, 0, 0),
    "soft_cells": (41, 0, 0, 0, 0, 0),
    "plane_max": (69, 69, 69, 69, 69, 69),
    "temp_code_max": (511, 511, 511, 511, 511, 511),
    "swap_counts": (2, 2, 2, 2, 2, 2),
    "learn_pairs": (41, 41, 0, 0, 0, 0),
    "learn_cells": (41, 41, 0, 0, 0, 0),
    "learn_pair_words": (2, 2, 0, 0, 0, 0),
    "learn_cell_words": (2, 2, 0, 0, 0, 0),
    "learn_min": (-2048, -2048, 0, 0, 0, 0),
    "learn_max": (2047, 2047, 0, 0, 0, 0),
    "trim_cells": (41, 41, 0, 0, 0, 0),
    "trim_code_min": (-64, -64, 0, 0, 0, 0),
    "trim_code_max": (63, 63, 0, 0, 0, 0),
}

# window: its 32-bit words, on the same chips
WORDS_BY_KIND = {
    "BIAS": (21, 21, 103, 41, 123, 82),
    "CLAMP_MASK": (140, 140, 140, 140, 140, 140),
    "CLAMP_VALUE": (140, 140, 0, 0, 0, 0),
    "SPIN": (140, 140, 0, 0, 0, 0),
    "STATE": (0, 0, 718, 0, 718, 0),
    "VALUE": (0, 0, 0, 1435, 1435, 1435),
    "PIN": (0, 0, 1435, 1435, 1435, 1435),
    "ADC_DATA": (0, 0, 0, 501, 501, 501),
    "ADC_TRIM": (0, 0, 0, 3, 3, 3),
    "LEARN_PAIR": (41, 41, 0, 0, 0, 0),
    "LEARN_BIAS": (41, 41, 0, 0, 0, 0),
    "FREEZE_PAIR": (2, 2, 0, 0, 0, 0),
    "FREEZE_BIAS": (2, 2, 0, 0, 0, 0),
    "HOSTMEM": (1000, 1000, 0, 0, 0, 0),
    "LADDER": (35, 35, 0, 0, 0, 0),
    "SWAP_COUNT": (140, 140, 0, 0, 0, 0),
    "SOFT": (1435, 0, 0, 0, 0, 0),
    "TRIM_OFFSET": (21, 21, 0, 0, 0, 0),
    "TRIM_SLOPE": (21, 21, 0, 0, 0, 0),
}


def test_names_are_the_cap_registers_in_order() -> None:
    assert Capabilities.names() == tuple(name for name in REGISTERS if name.startswith("CAP."))


def test_every_window_has_its_shape_and_words() -> None:
    assert {w.name: (CAP.shape(w), CAP.words(w)) for w in WINDOWS.values()} == SHAPES


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("cells", 41),
        ("cell_words", 2),
        ("cells_plus_1", 42),
        ("roles", 2),
        ("axes", 2),
        ("coupling_code_min", -128),
        ("coupling_code_max", 127),
        ("bias_code_min", -512),
        ("bias_code_max", 511),
        ("program_words", 16),
        ("17", 17),
    ],
)
def test_dimension_of_a_word(word: str, value: int) -> None:
    assert CAP.dimension(word) == value


def test_kinds_of_cells_have_their_numbers_and_all_are_in_the_tables() -> None:
    kinds = (PBIT_CLOCKED, PBIT_ASYNC, PDIT, GAUSSIAN, MIXTURE, LANGEVIN)
    assert kinds == tuple(cap.cell_kind for cap in KINDS.values()) == (1, 2, 3, 4, 5, 6)
    assert tuple(KINDS) == tuple(REGISTERS["CAP.CELL_KIND"].fields["KIND"].values)


@pytest.mark.parametrize("word", BY_KIND)
def test_dimension_of_a_word_for_each_kind_of_cells(word: str) -> None:
    assert tuple(cap.dimension(word) for cap in KINDS.values()) == BY_KIND[word]


@pytest.mark.parametrize("window", WORDS_BY_KIND)
def test_words_of_a_window_for_each_kind_of_cells(window: str) -> None:
    assert tuple(cap.words(WINDOWS[window]) for cap in KINDS.values()) == WORDS_BY_KIND[window]


def test_windows_without_an_entry_are_the_same_for_all_kinds_of_cells() -> None:
    loose = {"COUPLING", "CORR_PAIR", "TOPO_SOURCE"}
    for name in WINDOWS.keys() - WORDS_BY_KIND.keys() - loose:
        assert len({cap.words(WINDOWS[name]) for cap in KINDS.values()}) == 1, name


def test_a_chip_without_converters_has_no_samples_whatever_its_buffer() -> None:
    assert replace(CAP, adc_buffer=64).dimension("adc_samples") == 0
    assert replace(CAP, adc_buffer=64, adc_count=1).dimension("adc_samples") == 64


def test_soft_fields_end_where_the_window_is_full() -> None:
    fits = replace(CAP, planes=256, cells=SOFT_MAX // 256)
    assert fits.dimension("soft_cells") == SOFT_MAX // 256
    assert fits.words(WINDOWS["SOFT"]) * 4 == WINDOWS["SOFT"].size
    assert replace(fits, cells=fits.cells + 1).dimension("soft_cells") == 0


def test_a_chip_of_pbits_may_have_no_engine() -> None:
    bare = replace(CAP, learn_bits=0)
    learning = ("LEARN_PAIR", "LEARN_BIAS", "FREEZE_PAIR", "FREEZE_BIAS")
    assert [bare.words(WINDOWS[name]) for name in learning] == [0] * 4
    assert bare.words(WINDOWS["LADDER"]) == CAP.words(WINDOWS["LADDER"])


def test_energy_parts_are_the_registers_beside_the_total() -> None:
    assert {f"MON.ENERGY_{part}" for part in ENERGY_PARTS} == {n for n in REGISTERS if n.startswith("MON.ENERGY_")}


def test_dimension_of_an_unknown_word_is_an_error() -> None:
    with pytest.raises(AttributeError):
        CAP.dimension("furlongs")


@pytest.mark.parametrize(("cells", "words"), [(1, 1), (31, 1), (32, 1), (33, 2), (64, 2), (65, 3)])
def test_cell_words_round_up(cells: int, words: int) -> None:
    assert replace(CAP, cells=cells).dimension("cell_words") == words


def test_limits_follow_code_widths() -> None:
    limits = {w.name: CAP.limits(w) for w in WINDOWS.values() if CAP.limits(w) is not None}
    assert limits == {
        "COUPLING": (-128, 127),
        "BIAS": (-512, 511),
        "PLANE_TEMP": (1, 65535),
        "PIN": (-2048, 2047),
        "ADC_TRIM": (-64, 63),
        "TEMP_TABLE": (1, 511),
        "LEARN_PAIR": (-2048, 2047),
        "LEARN_BIAS": (-2048, 2047),
        "LADDER": (0, 69),
        "SOFT": (-512, 511),
        "TRIM_OFFSET": (-64, 63),
        "TRIM_SLOPE": (-64, 63),
    }
    assert KINDS["PDIT"].limits(WINDOWS["PIN"]) == (0, 4)


def test_sweep_time_is_overhead_phases_and_correlation() -> None:
    assert CAP.sweep_time(10, correlate=False) == 1 + 3 * (5 + 10 * 2)
    assert CAP.sweep_time(10, correlate=True) == 1 + 3 * (5 + 10 * 2) + 10 * 7
    assert CAP.sweep_time(0, correlate=True) == 1 + 3 * 5


def test_serial_has_both_halves() -> None:
    assert CAP.serial == 0x0123456789ABCDEF


def test_constants() -> None:
    assert (ROLES, LSB_SCALE) == (2, 1 / 268435456)
    assert (RANGE_SCALE, PIN_STEPS, TRIM_CODES) == (1 / 1048576, 2048, (-64, 63))
    assert (SOFT_MAX, LEARN_TERMS, FACTOR_BITS) == (33554432, 8, 14)
    assert (RATE_SCALE, GAIN_SCALE) == (1 / 65536, 1 / 2147483648)
    assert ENERGY_PARTS == ("UPDATE", "READ", "WRITE", "ADC", "LEARN", "STANDBY")
