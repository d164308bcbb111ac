"""The converters: what each error does to the staircase, and that nothing else does it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import Pins, config
from tsu_contract.operations import Op
from tsu_contract.registers import WINDOWS
from tsu_emu.analog.dac import DacBank, make_bank, output, outputs
from tsu_emu.chip import Chip
from tsu_emu.config import Dac
from tsu_emu.noise.streams import Stream

COUNT = 400


def bank(signed: bool = True, count: int = COUNT, seed: int = 3, **dac: Any) -> DacBank:
    return make_bank(Dac(**dac), signed, count, seed, Stream.COUPLING_DAC)


def staircase(b: DacBank, index: int) -> NDArray[np.float64]:
    """Outputs of a signed converter for all its codes, ascending."""
    return np.array([output(b, index, c) for c in range(-b.middle, (1 << b.bits) - b.middle)])


def inl(b: DacBank, index: int, lsb: float) -> NDArray[np.float64]:
    """Deviation from the line through the end codes, LSB."""
    v = staircase(b, index)
    return (v - np.linspace(v[0], v[-1], len(v))) / lsb


@pytest.mark.parametrize("bits", [4, 8, 12])
@pytest.mark.parametrize("thermometer_bits", [0, 3])
def test_an_ideal_converter_puts_out_code_times_lsb(bits: int, thermometer_bits: int) -> None:
    b = bank(bits=bits, thermometer_bits=thermometer_bits, full_scale=2.0)
    lsb = 2.0 / 2 ** (bits - 1)
    assert np.array_equal(staircase(b, 0), lsb * np.arange(-(1 << bits - 1), 1 << bits - 1))


def test_the_most_negative_code_is_minus_full_scale_and_there_is_no_plus_full_scale() -> None:
    v = staircase(bank(bits=8, full_scale=2.0), 0)
    assert (v[0], v[-1]) == (-2.0, 2.0 - 2.0 / 128)


def test_an_unsigned_converter_begins_at_zero() -> None:
    b = bank(signed=False, bits=8, full_scale=4.0)
    assert [output(b, 0, n) for n in (0, 1, 64, 255)] == [0.0, 1 / 64, 1.0, 255 / 64]


def test_element_mismatch_gives_the_staircase_that_theory_expects() -> None:
    """INL at mid-scale of a binary converter has sigma = 1/2 sigma_u 2^(B/2) LSB to within 5 standard errors (5 / sqrt(2 n))."""
    sigma, bits = 0.01, 8
    b = bank(bits=bits, thermometer_bits=0, element_sigma=sigma)
    expected = 0.5 * sigma * 2 ** (bits / 2)
    middle = np.array([inl(b, k, 2 / 128)[128] for k in range(COUNT)])
    assert abs(middle.std() / expected - 1) < 5 / np.sqrt(2 * COUNT)
    for wrong in (0.5, 2.0):
        assert abs(middle.std() / (wrong * expected) - 1) > 5 / np.sqrt(2 * COUNT)


def test_thermometer_coding_of_the_top_bits_tames_the_major_carry() -> None:
    """The step at mid-scale has variance sigma^2 (2^B - 1) binary coded, sigma^2 (2^(B - T + 1) - 1) with T thermometer bits."""
    steps = {}
    for thermometer in (0, 3):
        b = bank(bits=8, thermometer_bits=thermometer, element_sigma=0.02)
        steps[thermometer] = np.std([np.diff(staircase(b, k))[127] / (2 / 128) for k in range(COUNT)])
    expected = 0.02 * np.sqrt([2**8 - 1, 2**6 - 1])
    assert np.allclose(list(steps.values()), expected, rtol=5 / np.sqrt(2 * COUNT))


def test_the_staircase_is_static_and_exact_at_its_ends() -> None:
    b = bank(element_sigma=0.05)
    again = bank(element_sigma=0.05)
    for k in range(20):
        assert np.array_equal(staircase(b, k), staircase(again, k))
        assert abs(inl(b, k, 1)).max() > 0
        assert np.allclose(staircase(b, k)[[0, -1]], [-2.0, 2.0 - 2 / 128], atol=1e-6)
    assert not np.array_equal(staircase(b, 0), staircase(bank(element_sigma=0.05, seed=4), 0))


def test_gain_and_offset_are_drawn_apart_from_the_elements_and_have_their_sigmas() -> None:
    """5 standard errors of a standard deviation; switching one on changes nothing of the others, bit for bit."""
    both = bank(gain_sigma=0.02, offset_sigma_lsb=0.5)
    for values, sigma in ((both.gain - 1, 0.02), (both.offset, 0.5 * 2 / 128)):
        assert abs(values.std() / sigma - 1) < 5 / np.sqrt(2 * COUNT)
        assert abs(values.mean()) < 5 * sigma / np.sqrt(COUNT)
    everything = bank(element_sigma=0.03, gain_sigma=0.02, offset_sigma_lsb=0.5)
    assert np.array_equal(everything.gain, both.gain)
    assert np.array_equal(everything.offset, both.offset)
    assert np.array_equal(everything.element, bank(element_sigma=0.03).element)


@pytest.mark.parametrize("dac", [{}, {"element_sigma": 0.03, "gain_sigma": 0.02, "offset_sigma_lsb": 0.5}, {"gain_sigma": 0.1}])
def test_many_at_once_put_out_what_each_does_alone(dac: dict[str, float]) -> None:
    b = bank(count=300, **dac)
    codes = np.random.default_rng(0).integers(-128, 128, 170).astype(np.int16)
    out = np.empty(len(codes))
    outputs(b, codes, 100, out)
    assert np.array_equal(out, [output(b, 100 + k, int(c)) for k, c in enumerate(codes)])


def chip_fields(**errors: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """a_e and b_i in kT of a ring of 40 cells whose coupling codes are all 64 and bias codes 32."""
    pairs = [[i, (i + 1) % 40] for i in range(40)]
    chip = Chip(config({"kind": "edges", "cells": 40, "pairs": pairs}, **errors))
    codes = (np.full(80, 64, "<i2").tobytes(), np.full(40, 32, "<i2").tobytes())
    rows = [(Op.BLKWR, WINDOWS[n].address, 0, 0, len(c) // 4) for n, c in zip(("COUPLING", "BIAS"), codes, strict=True)]
    assert Pins(chip).operate(rows, *codes).failure is None
    return chip._plant.doubled / 2 / chip._plant.die.scale, chip._plant.bias / chip._plant.die.scale


def test_an_ideal_chip_has_the_couplings_that_its_codes_say() -> None:
    a, b = chip_fields()
    assert np.all(a == 1.0)
    assert np.all(b == 0.5)


def test_j_ij_and_j_ji_have_gains_of_their_own() -> None:
    """80 directed couplers with gain sigma .05: spread as configured (5 s.e.), the two directions of a pair uncorrelated."""
    a, b = chip_fields(coupling={"gain_sigma": 0.05})
    assert abs(a.std() / 0.05 - 1) < 5 / np.sqrt(2 * 80)
    row, forward, backward = np.repeat(np.arange(40), 2), [], []
    source = np.array([sorted(((i - 1) % 40, (i + 1) % 40)) for i in range(40)]).ravel()
    for e in range(80):
        f = int(np.flatnonzero((row == source[e]) & (source == row[e]))[0])
        if row[e] < source[e]:
            forward.append(a[e] - 1)
            backward.append(a[f] - 1)
    assert abs(np.corrcoef(forward, backward)[0, 1]) < 5 / np.sqrt(40)
    assert not np.any(np.array(forward) == np.array(backward))
    assert np.all(b == 0.5)


def test_slope_multiplies_all_that_a_cell_hears_and_offset_adds_to_its_bias() -> None:
    slopes, _ = chip_fields(cell={"kind": "pbit", "slope_sigma": 0.1})
    by_cell = slopes.reshape(40, 2)
    assert np.array_equal(by_cell[:, 0], by_cell[:, 1])
    assert abs(by_cell[:, 0].std() / 0.1 - 1) < 5 / np.sqrt(2 * 40)
    a, offset = chip_fields(cell={"kind": "pbit", "offset_sigma_kt": 0.2})
    assert np.all(a == 1.0)
    assert abs((offset - 0.5).std() / 0.2 - 1) < 5 / np.sqrt(2 * 40)


def test_switching_one_effect_on_changes_no_draw_of_another() -> None:
    """Couplings with gain spread are the same bits whether or not p-bit offsets and bias elements are spread too."""
    alone, _ = chip_fields(coupling={"gain_sigma": 0.05})
    others = {"cell": {"kind": "pbit", "offset_sigma_kt": 0.01}, "bias": {"dac": {"element_sigma": 0.02}}}
    among, _ = chip_fields(coupling={"gain_sigma": 0.05}, **others)
    assert np.array_equal(alone, among)


def test_the_grid_keeps_every_field_below_2_to_the_24() -> None:
    """All codes at the end that adds up worst, on a dense chip with large errors."""
    errors = {
        "coupling": {"gain_sigma": 0.2, "dac": {"element_sigma": 0.05, "gain_sigma": 0.1}},
        "cell": {"kind": "pbit", "slope_sigma": 0.2},
    }
    chip = Chip(config({"kind": "dense", "cells": 300}, **errors))
    for code in (-128, 127):
        codes = np.full(chip.capabilities.couplers, code, "<i2").tobytes()
        chip.windows.write(WINDOWS["COUPLING"].address, codes)
        total = np.add.reduceat(np.abs(chip._plant.doubled.astype(np.int64)) // 2, chip._plant.topology.row[:-1])
        assert total.max() + np.abs(chip._plant.bias).max() < 1 << 24
    assert total.max() > 1 << 22
