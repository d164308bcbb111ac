"""Window dimensions and times that follow from the CAP block."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tsu_contract.capabilities import LSB_SCALE, ROLES, Capabilities
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
)

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


def test_dimension_of_an_unknown_word_is_an_error() -> None:
    with pytest.raises(AttributeError):
        CAP.dimension("furlongs")


@pytest.mark.parametrize(("cells", "words"), [(1, 1), (31, 1), (32, 1), (33, 2), (64, 2), (65, 3)])
def test_cell_words_round_up(cells: int, words: int) -> None:
    assert replace(CAP, cells=cells).dimension("cell_words") == words


def test_limits_follow_code_widths() -> None:
    limits = {w.name: CAP.limits(w) for w in WINDOWS.values() if CAP.limits(w) is not None}
    assert limits == {"COUPLING": (-128, 127), "BIAS": (-512, 511), "PLANE_TEMP": (1, 65535)}


def test_sweep_time_is_overhead_phases_and_correlation() -> None:
    assert CAP.sweep_time(10, correlate=False) == 1 + 3 * (5 + 10 * 2)
    assert CAP.sweep_time(10, correlate=True) == 1 + 3 * (5 + 10 * 2) + 10 * 7
    assert CAP.sweep_time(0, correlate=True) == 1 + 3 * 5


def test_constants() -> None:
    assert (ROLES, LSB_SCALE) == (2, 1 / 268435456)
