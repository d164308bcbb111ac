"""Ladders, hardware schedules and soft clamps, against a fake chip that shows what was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from driver.fake import CAPABILITIES, FakeChip, FakeDaemon, FakeLink
from tsu_contract.operations import Op
from tsu_driver import Instruction as I
from tsu_driver import Opcode


@pytest.fixture
def link() -> FakeLink:
    return FakeLink(FakeDaemon(FakeChip(replace(CAPABILITIES, planes=7))))


SWAP = [I(Opcode.RUN, 1), I(Opcode.SWAP)]


def test_ladders_follow_the_swaps(chip: tsu.Chip, link: FakeLink) -> None:
    """The fake exchanges rungs 0 and 1 in every round: the planes' temperatures and roles, which the driver must not remember."""
    fake = link.chip
    chip.configure_correlator(data_planes=[0], free_planes=[6, 2], tau_data=1, tau_free=1)
    chip.plane_temperatures([1.5, 1, 1, 1, 1, 1, 1])
    fake.windows["SWAP_COUNT"][:] = 9
    assert chip.set_ladders([[6, 5, 4], [2, 1, 3]], [1, 1.25, 2.00001]).tolist() == [[1, 1.25, 2]] * 2
    assert (fake["TEMPERING.LADDERS"], fake["TEMPERING.RUNGS"]) == (2, 3)
    assert fake.windows["LADDER"].tolist() == [6, 5, 4, 2, 1, 3, 0]
    assert (fake.windows["PLANE_TEMP"] / 4096).tolist() == [1.5, 1.25, 1, 2, 2, 1.25, 1]
    assert chip.ladders().tolist() == [[6, 5, 4], [2, 1, 3]]
    assert chip.cold_planes().tolist() == [6, 2]
    assert np.isnan(chip.swap_statistics().acceptance).all()
    chip.execute_program(SWAP)
    assert chip.cold_planes().tolist() == [5, 1]
    statistics = chip.swap_statistics()
    assert statistics.tried.tolist() == statistics.accepted.tolist() == [[1, 0], [1, 0]]
    assert statistics.acceptance[:, 0].tolist() == [1, 1]
    assert (fake.windows["PLANE_TEMP"] / 4096).tolist() == [1.5, 1, 1.25, 2, 2, 1, 1.25]
    chip.set_ladders([[3, 4]], [[1, 3]])
    assert (fake.windows["PLANE_TEMP"] / 4096).tolist() == [1.5, 1, 1.25, 1, 3, 1, 1.25]
    chip.enable_planes([5, 1, 0])
    fake.windows["CORR_MEAN"][1] = 1 << 17
    chip.run(1)
    assert (chip.correlations().free_means == 1).all()
    chip.clear_ladders()
    assert (fake.windows["PLANE_TEMP"] / 4096).tolist() == [1.5, 1, 1.25, 1, 1, 1, 1.25]
    assert (chip.ladders().shape, chip.cold_planes().shape, chip.swap_statistics().tried.shape) == ((0, 0), (0,), (0, 0))
    assert fake["TEMPERING.LADDERS"] == fake["TEMPERING.RUNGS"] == 0


@pytest.mark.parametrize(
    ("planes", "multipliers", "message"),
    [
        ([[0], [1]], [1], r"ladders of shape \(2, 1\); \(ladders, rungs\) of plane numbers with 2 rungs or more"),
        ([0, 1], [1, 2], r"ladders of shape \(2,\)"),
        ([[0, 7]], [1, 2], "no plane 7"),
        ([[0, 1], [1, 2]], [1, 2], "named twice"),
        ([[0.0, 1.0]], [1, 2], "list of numbers"),
        ([[0, 1]], [1, 2, 3], r"multipliers of shape \(3,\); \(2,\) or \(1, 2\)"),
        ([[3, 1]], [1, 16], "multiplier 16 of plane 1"),
    ],
)
def test_bad_ladders(chip: tsu.Chip, planes: Any, multipliers: Any, message: str) -> None:
    with pytest.raises(tsu.HostError, match=message):
        chip.set_ladders(planes, multipliers)


SCHEDULE = ("SCHEDULE", "START", "END", "LENGTH", "ALPHA", "TAU", "STEP", "ENTRIES")


def programmed(link: FakeLink) -> dict[str, int]:
    return {name: link.chip[f"TEMP.{name}"] for name in SCHEDULE}


def test_schedules_become_registers(chip: tsu.Chip, link: FakeLink) -> None:
    """And are returned as quantised: T in 1/64, alpha in 2^-16, tau whole."""
    fake = link.chip
    fake["TEMP.STEP"] = 5
    assert chip.schedule(tsu.Linear(3.001, 1.0, 21)) == tsu.Linear(3.0, 1.0, 21)
    assert programmed(link) | {"ALPHA": 0, "TAU": 1} == dict(zip(SCHEDULE, (1, 192, 64, 20, 0, 1, 0, 1), strict=True))
    assert chip.schedule(tsu.Linear(3.0, 1.0, 1)) == tsu.Linear(3.0, 1.0, 1)
    assert (fake["TEMP.START"], fake["TEMP.END"], fake["TEMP.LENGTH"]) == (192, 192, 1)
    done = chip.schedule(tsu.Logarithmic(4.0, 0.3, 9.7, 100))
    assert done == tsu.Logarithmic(4.0, round(0.3 * 65536) / 65536, 10.0, 100)
    assert (fake["TEMP.SCHEDULE"], fake["TEMP.START"], fake["TEMP.ALPHA"], fake["TEMP.TAU"]) == (2, 256, 19661, 10)
    assert chip.schedule(tsu.Table([(2.0, 6), (1.5, 4), (1.5, 5), (1.0, 1000)])) == tsu.Table([(2.0, 6), (1.5, 9), (1.0, 1000)])
    assert (fake["TEMP.SCHEDULE"], fake["TEMP.LENGTH"], fake["TEMP.ENTRIES"]) == (3, 3, 6)
    assert fake.windows["TEMP_TABLE"][:6].tolist() == [128] * 2 + [96] * 3 + [64]
    chip.schedule(tsu.Table([(2.0, 7)]))
    assert (fake["TEMP.LENGTH"], fake["TEMP.ENTRIES"]) == (1, 1)
    assert chip.schedule(None) is None
    assert fake["TEMP.SCHEDULE"] == 0


def test_whoever_sets_a_temperature_ends_the_schedule(chip: tsu.Chip, link: FakeLink) -> None:
    fake = link.chip
    for verb in (lambda: chip.set_temperature(1.0), lambda: chip.anneal(tsu.Linear(2.0, 1.0, 5)), lambda: chip.schedule(None)):
        chip.schedule(tsu.Linear(3.0, 1.0, 10))
        assert fake["TEMP.SCHEDULE"] == 1
        verb()
        assert fake["TEMP.SCHEDULE"] == 0
    before = len(fake.log)
    chip.set_temperature(2.0)
    assert fake.log[before:] == [(Op.WRITE, "TEMP.TDAC")]
    chip.write_register("SYS.CTRL", RESET=1)
    chip.set_temperature(1.0)
    assert fake.log[-2:] == [(Op.WRITE, "TEMP.SCHEDULE"), (Op.WRITE, "TEMP.TDAC")]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (tsu.Linear(16.0, 1.0, 5), "T = 16 cannot be set"),
        (tsu.Linear(1.0, 1.0, 0), "sweeps = 0"),
        (tsu.Logarithmic(1.0, -1.0, 5.0, 5), "alpha = -1"),
        (tsu.Logarithmic(1.0, 1.0, 0.3, 5), "alpha = 1.0, tau = 0.3: the engine has alpha 0 .. 65536 and whole sweeps"),
        (tsu.Logarithmic(1.0, 65536.0, 3.0, 5), "alpha = 65536.0"),
        (tsu.Table([(2.0, 9), (1.0, 1)]), None),
        (tsu.Table([(2.0, 7), (1.5, 2), (1.0, 1)]), r"takes 10 entries of 1 sweeps each; the chip's table holds 8"),
        (tsu.Table([]), "empty"),
    ],
)
def test_bad_schedules(chip: tsu.Chip, link: FakeLink, schedule: tsu.Schedule, message: str | None) -> None:
    if message is None:
        chip.schedule(schedule)
        assert link.chip["TEMP.LENGTH"] == 9
        return
    with pytest.raises(tsu.HostError, match=message):
        chip.schedule(schedule)
    assert link.chip["TEMP.SCHEDULE"] == 0


def test_soft_clamps_keep_each_other(chip: tsu.Chip, link: FakeLink) -> None:
    """Nine cells in a row of half-words: rows begin amid words, and neighbours stay."""
    soft = link.chip.windows["SOFT"]
    soft[:] = 3
    done = chip.soft_clamp([0, 8], [0.25, -9.0], planes=[1, 2])
    assert done.codes.tolist() == [16, -32]
    assert done.clipped == 1
    expected = np.full((7, 9), 3)
    expected[1:3, [0, 8]] = 16, -32
    assert (soft == expected).all()
    chip.soft_clamp([4], np.arange(7)[:, None] / 64)
    expected[:, 4] = range(7)
    assert (soft == expected).all()
    chip.soft_unclamp([4, 8], planes=[6])
    expected[6, [4, 8]] = 0
    assert (soft == expected).all()
    batch = chip.batch()
    batch.write_window("SOFT", np.ones((7, 9), np.int16))
    batch.execute()
    chip.soft_unclamp(planes=3)
    assert soft.tolist() == [[0] * 9] * 3 + [[1] * 9] * 4
    chip.soft_unclamp()
    assert not soft.any()
    calls: tuple[tuple[Callable[[], Any], str], ...] = (
        (lambda: chip.soft_clamp([9], [0]), "no cell 9"),
        (lambda: chip.soft_clamp([1, 1], [0, 0]), "cell 1 is named twice"),
        (lambda: chip.soft_clamp([1], [0, 0]), r"fields of shape \(2,\); \(1,\) for all planes or \(7, 1\)"),
        (lambda: chip.soft_clamp([1], [np.nan]), "value nan"),
    )
    for call, message in calls:
        with pytest.raises(tsu.HostError, match=message):
            call()


@pytest.mark.parametrize("kind", [2, 3])
def test_chips_without_the_engines(kind: int) -> None:
    chip = tsu.Chip(FakeLink(FakeDaemon(FakeChip(replace(CAPABILITIES, cell_kind=kind)))))
    with pytest.raises(tsu.HostError, match="this chip has no soft fields: clocked p-bits have"):
        chip.soft_clamp([0], [0])
    if kind == 2:
        assert chip.ladders().shape == (0, 0)
        return
    calls: tuple[Callable[[], Any], ...] = (
        lambda: chip.set_ladders([[0, 1]], [1, 2]),
        chip.ladders,
        chip.swap_statistics,
        lambda: chip.execute_program(SWAP),
    )
    for call in calls:
        with pytest.raises(tsu.HostError, match="the swap engine serves p-bits; this chip's cells are of the kind pdit"):
            call()
