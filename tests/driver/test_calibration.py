"""Calibrations in force: what codes and temperatures they give, trims, age, conversions of many elements."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from driver.calibrating import CELLS, COUPLERS, NOMINAL, STEP, TRIM, some
from driver.fake import FakeLink
from serving import config, opened
from tsu_contract.capabilities import LSB_SCALE
from tsu_contract.program import Instruction, Opcode, disassemble
from tsu_driver import converters
from tsu_driver.calibration import Calibration, Correction
from tsu_driver.couplings import coupling_values
from tsu_emu.chip import Chip


@pytest.fixture(scope="module")
def emulated() -> Iterator[tuple[Chip, tsu.Chip]]:
    """Eight dense p-bits with trims, memory and converters without noise; every test sets what it needs."""
    errors = {"coupling": {"dac": {"gain_sigma": 0.05, "offset_sigma_lsb": 2.0}}}
    more = {"trim": TRIM, "nvm": {"words": 256}, "adc": {"count": 2, "bits": 12, "offset_sigma_lsb": 3.0}}
    with opened(config({"kind": "dense", "cells": 8}, 4, **more, **errors)) as both:
        yield both


# Applying


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"serial": 5}, "of chip 0000000000000005; this one is 0123456789abcdef"),
        ({"good": np.ones(8, np.bool_)}, r"\(8, 24, 0, 9\) cells, couplers, converters and trims; this chip has \(9, 24, 0, 9\)"),
        ({"coupler_gain": np.ones(23, np.float32)}, r"has \(9, 23, 0, 9\)"),
        ({"adc_trims": np.zeros((2, 2), np.int16)}, r"has \(9, 24, 2, 9\)"),
        ({"offset_trims": np.zeros(0, np.int16)}, r"has \(9, 24, 0, 0\)"),
    ],
    ids=["serial", "cells", "couplers", "converters", "trims"],
)
def test_another_chips_calibration_is_refused_before_anything_happens(
    link: FakeLink, chip: tsu.Chip, wrong: dict[str, Any], message: str
) -> None:
    chip.apply_calibration(some())
    sent = len(link.requests)
    for refuses in (chip.apply_calibration, chip.store_calibration):
        with pytest.raises(tsu.HostError, match=message):
            refuses(some(2).but(**wrong))
    assert len(link.requests) == sent
    assert chip.calibration is not None
    assert np.array_equal(chip.trims()[0], some().offset_trims)


def test_what_is_applied_is_in_force_until_it_is_taken_back(link: FakeLink, chip: tsu.Chip) -> None:
    """Codes, worked out here one by one: (value - offset) / gain in steps, 0 kT from cell 4, which does not work."""
    given, values = some(), np.random.default_rng(7).uniform(-1.5, 1.5, COUPLERS)
    t = chip.topology
    J = np.zeros((CELLS, CELLS))
    J[t.target, t.source] = values
    plain = chip.program_couplings(J).coupling_codes
    assert np.array_equal(plain, np.rint(values / STEP))
    assert chip.calibration is None

    chip.apply_calibration(given)
    assert chip.calibration is given
    assert [a.tolist() for a in chip.trims()] == [given.offset_trims.tolist(), given.slope_trims.tolist()]
    assert np.array_equal(link.chip.windows["COUPLING"], plain), "what is programmed stays"
    wanted = np.where(t.source == 4, 0.0, values)
    exact = (wanted - given.coupler_offset.astype(float)) / given.coupler_gain.astype(float) / STEP
    codes = np.clip(np.rint(exact), -128, 127)
    free = ~np.isin(np.arange(COUPLERS), given.stuck[:, 0])
    corrected = chip.program_couplings(J).coupling_codes
    assert np.array_equal(corrected[free], codes[free])
    assert (corrected[free] != plain[free]).sum() > COUPLERS / 2
    for coupler, mask, value in given.stuck.tolist():
        assert (int(corrected[coupler]) + 128) & mask == value & mask
    raw = chip.program_couplings(J, corrected=False).coupling_codes
    assert np.array_equal(raw[free], plain[free])
    assert all((int(raw[c]) + 128) & m == v & m for c, m, v in given.stuck.tolist()), "stuck bits are gone round in any case"

    chip.apply_calibration(None)
    assert chip.calibration is None
    assert not np.any(chip.trims())
    assert np.array_equal(chip.program_couplings(J).coupling_codes, plain)


def test_codes_that_stuck_bits_allow_are_the_nearest() -> None:
    """All masks of one to three bits of six, all values of them, all codes: against every legal code."""
    bits, middle = 6, 32
    for mask in (1, 4, 32, 33, 6, 37, 56):
        for value in {v & mask for v in range(64)}:
            stuck = np.array([[k, mask, value] for k in range(64)], np.uint32)
            none = np.zeros(0)
            codes = np.arange(64, dtype=np.int16) - middle
            got = Correction(none, none, none.astype(bool), stuck).possible(codes, bits)
            legal = np.array([c for c in range(64) if c & mask == value]) - middle
            assert np.isin(got, legal).all()
            assert np.array_equal(abs(got - codes), abs(legal - codes[:, None]).min(axis=1))
            assert np.array_equal(codes, np.arange(64) - middle), "what is given stays"
    codes = np.array([5, -7], np.int16)
    assert Correction(none, none, none.astype(bool), np.zeros((0, 3), np.uint32)).possible(codes, bits).tolist() == [5, -7]


def test_temperatures_are_those_of_the_calibration(link: FakeLink, chip: tsu.Chip) -> None:
    """T = gain (code lsb) + offset, for single T and schedules; without the calibration other codes."""
    gain, offset = 0.9, 0.1625
    assert (chip.set_temperature(1.0), link.chip["TEMP.TDAC"]) == (1.0, 64)
    chip.apply_calibration(NOMINAL.but(temperature=(gain, offset)))

    def code_of(t: float) -> int:
        return round((t - offset) / gain / STEP)

    def shown(code: int) -> Any:
        return pytest.approx(gain * code * STEP + offset)

    assert code_of(1.0) == 60 != 64
    assert chip.set_temperature(1.0) == shown(60)
    assert link.chip["TEMP.TDAC"] == 60
    with pytest.raises(tsu.HostError, match=r"T = 0.15 cannot .* 0.176563 \.\. 14.5484 in steps of 0.0140625"):
        chip.set_temperature(0.15)

    as_set = chip.schedule(tsu.Linear(3.0, 1.0, 5))
    assert (link.chip["TEMP.START"], link.chip["TEMP.END"]) == (code_of(3.0), 60)
    assert (as_set.start, as_set.stop) == (shown(code_of(3.0)), shown(60))
    as_set = chip.schedule(tsu.Table([(2.0, 3), (1.0, 3)]))
    assert link.chip.windows["TEMP_TABLE"][:2].tolist() == [code_of(2.0), 60]
    assert [t for t, _ in as_set.rows] == [shown(code_of(2.0)), shown(60)]
    as_set = chip.schedule(tsu.Logarithmic(2.0, 1.0, 4.0, 10))
    assert (link.chip["TEMP.START"], as_set.t0) == (code_of(2.0), shown(code_of(2.0)))

    for schedule in (tsu.Linear(2.0, 1.0, 4), tsu.Logarithmic(2.0, 1.0, 4.0, 4), tsu.Table([(2.0, 2), (1.25, 2)])):
        t = schedule.temperatures(np.arange(4.0)) if not isinstance(schedule, tsu.Table) else np.array([2.0, 2.0, 1.25, 1.25])
        chip.anneal(schedule)
        program = disassemble(link.chip.windows["PROGRAM"])
        ran = list(pairwise(program[: program.index(Instruction(Opcode.HALT))]))[::2]
        assert [start.operand for start, run in ran for _ in range(run.operand)] == [code_of(v) for v in t]
    chip.apply_calibration(None)
    assert (chip.set_temperature(1.0), link.chip["TEMP.TDAC"]) == (1.0, 64)


def test_couplings_of_an_applied_calibration_are_right_on_the_chip(emulated: tuple[Chip, tsu.Chip]) -> None:
    """The truth about gains and offsets brings couplings to half a step of those asked for; without it, or with its sign turned,
    they are several steps off."""
    chip, driver = emulated
    half = driver.capabilities.coupling_lsb * LSB_SCALE / 2
    n, topology = driver.capabilities.couplers, driver.topology
    made = []
    for level in (-1.0, 0.0, 1.0):
        driver.program_couplings((topology.pairs, np.full(topology.pairs.shape[0], level)))
        made.append(chip.parameters.made()[0].copy())
    gain, offset = 0.5 * (made[2] - made[0]), made[1]
    values = np.random.default_rng(3).uniform(-1, 1, topology.pairs.shape[0])
    wanted = coupling_values(topology, (topology.pairs, values))

    def worst(sign: float) -> float:
        driver.apply_calibration(
            Calibration.nominal(driver.capabilities).but(
                coupler_gain=(1 + sign * (gain - 1)).astype(np.float32), coupler_offset=(sign * offset).astype(np.float32)
            )
        )
        done = driver.program_couplings((topology.pairs, values))
        assert len(done.coupling_codes) == n
        return float(abs(chip.parameters.made()[0] - wanted).max()) / half

    assert worst(1.0) < 1.2
    assert worst(0.0) > 4
    assert worst(-1.0) > 8
    driver.apply_calibration(None)


# Trims


def test_trims_are_set_and_read(link: FakeLink, chip: tsu.Chip) -> None:
    chip.set_trims(5, np.arange(CELLS) - 4)
    offsets, slopes = chip.trims()
    assert (offsets.tolist(), slopes.tolist()) == ([5] * CELLS, list(range(-4, 5)))
    chip.set_trims(slopes=-128)
    assert [a.tolist() for a in chip.trims()] == [[5] * CELLS, [-128] * CELLS]
    sent = len(link.requests)
    chip.set_trims()
    assert len(link.requests) == sent


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"offsets": np.arange(9) + 120}, r"offset trim 128 of cell 8 is not in -128 \.\. 127"),
        ({"slopes": -129}, r"slope trim -129 of cell 0 is not in -128 \.\. 127"),
        ({"offsets": 1.5}, r"offset trims are codes, one integer or \(9,\); got float64 of shape \(\)"),
        ({"offsets": 1, "slopes": np.zeros(8, np.int16)}, r"slope trims are codes, .* got int16 of shape \(8,\)"),
    ],
)
def test_trims_out_of_range_are_named_and_nothing_is_written(
    link: FakeLink, chip: tsu.Chip, given: dict[str, Any], message: str
) -> None:
    sent = len(link.requests)
    with pytest.raises(tsu.HostError, match=message):
        chip.set_trims(**given)
    assert len(link.requests) == sent


def test_a_chip_without_trims_or_memory_says_so() -> None:
    with opened(config({"kind": "dense", "cells": 4}, 2)) as (_, chip):
        for verb in (chip.trims, lambda: chip.set_trims(0)):
            with pytest.raises(tsu.HostError, match="no trims"):
                verb()
        nominal = Calibration.nominal(chip.capabilities)
        assert nominal.offset_trims.shape == (0,)
        chip.apply_calibration(nominal.but(temperature=(0.5, 0.5)))
        assert chip.set_temperature(2.0) == 2.0
        assert chip.read_register("TEMP.TDAC.CODE") == round(3.0 / (chip.capabilities.temp_lsb * LSB_SCALE))
        chip.apply_calibration(None)
        assert chip.stored_calibration() is None
        with pytest.raises(tsu.HostError, match=r"takes \d+ words; the chip's memory has 0"):
            chip.store_calibration(nominal)


# Age


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf"), 3e8])
def test_limits_that_cannot_be_are_refused(chip: tsu.Chip, limit: float) -> None:
    with pytest.raises(tsu.HostError, match=rf"limit_s = {limit}; more than 0 and at most 281474977 s expected"):
        chip.stamp_calibration(limit)


def test_limits_are_rounded_upwards(link: FakeLink, chip: tsu.Chip) -> None:
    """The fake clock runs at 1 MHz: a step is .065536 s."""
    for limit, steps in ((None, 0), (1e-9, 1), (0.065536, 1), (0.0656, 2), (6.5536, 100), (281474976.645, (1 << 32) - 1)):
        chip.stamp_calibration(limit)
        assert link.chip["CAL.LIMIT"] == steps


def test_a_calibration_ages_and_grows_stale(emulated: tuple[Chip, tsu.Chip]) -> None:
    _, chip = emulated
    hz = chip.capabilities.clock_hz
    before = chip.calibration_age()
    assert (before.stamped, before.stale) == (False, False)
    assert 0 < before.seconds <= chip.time_cycles / hz
    chip.stamp_calibration(limit_s=3 * 65536 / hz)
    first = chip.calibration_age()
    assert (first.stamped, first.stale) == (True, False)
    assert 0 < first.seconds < 1000 / hz
    chip.delay(3 * 65536)
    later = chip.calibration_age()
    assert (later.stamped, later.stale) == (True, True)
    assert 3 * 65536 / hz < later.seconds < 3 * 65536 / hz + 1000 / hz
    chip.stamp_calibration()
    chip.delay(4 * 65536)
    assert not chip.calibration_age().stale


# Conversions of many elements


def test_many_elements_are_converted_as_one_by_one(emulated: tuple[Chip, tsu.Chip], monkeypatch: pytest.MonkeyPatch) -> None:
    """Converters without noise give the same codes, also of more elements than a message may hold: 30 conversions here."""
    _, chip = emulated
    monkeypatch.setattr(converters, "CONVERSIONS", 30)
    rng, pairs = np.random.default_rng(5), chip.topology.pairs
    chip.program_couplings((pairs, rng.uniform(-1, 1, len(pairs))), rng.uniform(-1, 1, 8))
    for source, elements in (("coupling", np.array([5, 55, 0, 5])), ("bias", np.arange(8))):
        for n in (1, 3):
            one_by_one = [chip.convert(source, int(e), n, adc=1).codes for e in elements]
            many = chip.convert_each(source, elements, n, adc=1)
            assert (many.dtype, many.shape) == (np.uint16, (len(elements), n))
            assert np.array_equal(many, one_by_one)
    assert len(np.unique(many)) > 4
    each = [chip.convert("coupling", e).codes[0] for e in range(56)]
    for n in (1, 7, 31):
        assert np.array_equal(chip.convert_each("coupling", np.arange(56), n), np.repeat(np.array(each)[:, None], n, axis=1))
    assert chip.convert_each("coupling", [], 3).shape == (0, 3)
    with pytest.raises(tsu.HostError, match="there is no element 56 of the source 'coupling'; this chip has 56"):
        chip.convert_each("coupling", [0, 56, 1])
    with pytest.raises(tsu.HostError, match="there is no element -1"):
        chip.convert_each("coupling", [0, -1])
