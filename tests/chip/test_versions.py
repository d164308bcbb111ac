"""Weight versions: what counts, which sweep's weights spins and correlations have, and check sums that a host can recompute."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from chip.pins import Desk
from serving import config
from tsu_contract.program import Opcode

NONE = 2**32 - 1
"""The version of no sweep."""

KINDS: dict[str, dict[str, Any]] = {
    "clocked": {},
    "coloured": {"cell": {"kind": "pbit", "noise": {"kind": "coloured", "tau_sweeps": 2.0}}},
    "asynchronous": {"cell": {"kind": "async-pbit", "tau_s": 1e-6}, "timing": {"slot": 0, "colour": 120}},
}


def desk(kind: str = "clocked", cells: int = 7, planes: int = 4, **more: Any) -> Desk:
    """A chip with a learning engine whose couplings and biases are random."""
    chip = Desk(config({"kind": "dense", "cells": cells}, planes, learning={"bits": 12}, **KINDS[kind], **more))
    rng = np.random.default_rng(2)
    chip.fill("COUPLING", rng.integers(-99, 100, chip.cap.couplers))
    chip.fill("BIAS", rng.integers(-99, 100, chip.cap.cells))
    return chip


def crc(chip: Desk) -> int:
    """What a host computes of the codes that it reads."""
    return zlib.crc32(chip.dump("BIAS").astype("<i2").tobytes(), zlib.crc32(chip.dump("COUPLING").astype("<i2").tobytes()))


def shown(chip: Desk, *names: str) -> list[int]:
    return [chip.read(f"LEARN.{name}") for name in names]


def test_every_write_of_codes_is_a_version() -> None:
    """Bursts, single words, the codes that are there already, parts of a bank, and LEARN; nothing else."""
    chip = desk()
    assert chip.read("LEARN.VERSION") == 2
    chip.fill("COUPLING", chip.dump("COUPLING"))
    chip.fill("BIAS", [1, 2], first=2)
    chip.write_word("COUPLING", 3, 0x00050006)
    assert chip.read("LEARN.VERSION") == 5
    chip.run(Opcode.LEARN, Opcode.LEARN)
    assert chip.read("LEARN.VERSION") == 7
    for window in ("LEARN_PAIR", "LEARN_BIAS", "PLANE_TEMP", "CLAMP_MASK", "SOFT", "FREEZE_PAIR"):
        chip.fill(window, chip.dump(window))
    chip.run((Opcode.RUN, 3), Opcode.STROBE, Opcode.CORR_LATCH, (Opcode.SET_T, 50))
    chip.set(LEARN__GAIN=5, TEMP__TDAC=70)
    assert chip.read("LEARN.VERSION") == 7


def test_frozen_elements_make_a_version_as_well() -> None:
    chip = desk()
    chip.fill("FREEZE_PAIR", [0x1FFFFF])
    chip.fill("FREEZE_BIAS", [0x7F])
    before = crc(chip)
    chip.run(Opcode.LEARN)
    assert (chip.read("LEARN.VERSION"), crc(chip), chip.read("LEARN.CHANGED")) == (3, before, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_spins_tell_the_weights_that_their_sweep_took(kind: str) -> None:
    """Before the first sweep none. After writes the spins are stale: SPIN_VERSION lags VERSION until a sweep has begun since, and
    SPIN_CRC is that of the codes at its start."""
    chip = desk(kind)
    assert shown(chip, "SPIN_VERSION", "SPIN_CRC") == [0, 0]
    chip.run(Opcode.STROBE)
    assert shown(chip, "SPIN_VERSION", "SPIN_CRC") == [NONE, 0]
    drawn = crc(chip)
    chip.run((Opcode.RUN, 2))
    assert shown(chip, "SPIN_VERSION", "SPIN_CRC") == [NONE, 0], "a STROBE latches them, not the sweep"
    chip.fill("BIAS", np.arange(7))
    chip.run(Opcode.LEARN, Opcode.STROBE)
    assert shown(chip, "VERSION", "SPIN_VERSION", "SPIN_CRC") == [4, 2, drawn]
    chip.run((Opcode.RUN, 1), Opcode.STROBE)
    assert shown(chip, "VERSION", "SPIN_VERSION", "SPIN_CRC") == [4, 4, crc(chip)]
    assert crc(chip) != drawn


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_in_a_sweep_is_not_its_version(kind: str) -> None:
    """Also where a sweep is computed as a whole at its end, with the codes of its end."""
    chip = desk(kind)
    at_start = crc(chip)
    chip.load((Opcode.RUN, 1), Opcode.STROBE, Opcode.HALT)
    chip.start()
    chip.delay(6)
    chip.write_word("BIAS", 0, 0)
    assert chip.read("FABRIC.SWEEP") == 0
    chip.wait()
    assert shown(chip, "VERSION", "SPIN_VERSION", "SPIN_CRC") == [3, 2, at_start]


@pytest.mark.parametrize("kind", KINDS)
def test_correlations_tell_their_first_and_last_weights(kind: str) -> None:
    """A window of updates over a LEARN has two versions, one without has one; only a latch shows them; CLEAR begins anew."""
    chip = desk(kind, planes=3)
    chip.planes("CORR.FREE_PLANES", range(3))
    chip.set(CORR__CTRL=1)
    first = crc(chip)
    chip.run((Opcode.RUN, 2))
    assert shown(chip, "CORR_FIRST", "CORR_VERSION", "CORR_CRC") == [0, 0, 0]
    chip.run(Opcode.CORR_LATCH)
    assert shown(chip, "CORR_FIRST", "CORR_VERSION", "CORR_CRC") == [2, 2, first]
    chip.run(Opcode.LEARN, Opcode.CORR_LATCH)
    assert shown(chip, "CORR_FIRST", "CORR_VERSION", "CORR_CRC") == [2, 2, first], "no sweep since"
    chip.run((Opcode.RUN, 1), Opcode.CORR_LATCH)
    assert shown(chip, "CORR_FIRST", "CORR_VERSION", "CORR_CRC") == [2, 3, crc(chip)]
    chip.write("CORR.CTRL", 7)
    assert shown(chip, "CORR_FIRST", "CORR_VERSION") == [2, 3]
    chip.run(Opcode.LEARN, (Opcode.RUN, 2))
    chip.write("CORR.CTRL", 5)
    assert shown(chip, "CORR_FIRST", "CORR_VERSION") == [4, 4]


def test_reset_leaves_versions_and_counters_alone() -> None:
    """What belongs to the run returns to its reset value: GAIN, CLIPPED, the rule."""
    chip = desk()
    chip.set(CORR__CTRL=1, LEARN__PAIR_RATE=2**31 - 1, LEARN__DECAY=2**31, LEARN__CTRL=0)
    chip.run((Opcode.RUN, 1), Opcode.LEARN, Opcode.STROBE, Opcode.CORR_LATCH)
    names = ("UPDATES", "VERSION", "SPIN_VERSION", "SPIN_CRC", "CORR_FIRST", "CORR_VERSION", "CORR_CRC")
    kept = shown(chip, *names)
    assert kept[:3] == [1, 3, 2]
    assert shown(chip, "GAIN", "CLIPPED", "SATURATED", "CHANGED") == [2**30, 21, 21, 7 * 7]
    chip.write("SYS.CTRL", 1)
    assert shown(chip, *names) == kept
    rule = shown(chip, "GAIN", "DECAY", "CLIPPED", "SATURATED", "CHANGED", "PAIR_RATE", "CTRL")
    assert rule == [2**31, 0, 0, 0, 0, 0, 1]
    assert (chip.dump("LEARN_PAIR") == 2047).all(), "accumulators stay"


def test_samples_under_a_learning_program_are_told_apart() -> None:
    """A program that learns between every two looks: each look has the version and the check sum of its own weights."""
    chip = desk(cells=12, planes=8)
    chip.planes("CORR.FREE_PLANES", range(8))
    chip.set(CORR__CTRL=1, LEARN__NORM_FREE=8192, LEARN__PAIR_TERM=2, LEARN__PAIR_RATE=-(300 << 16), LEARN__BIAS_TERM=2)
    chip.set(LEARN__BIAS_RATE=-(300 << 16))
    seen = []
    for tick in range(30):
        codes = crc(chip)
        chip.run((Opcode.RUN, 1), Opcode.LEARN, Opcode.STROBE)
        assert shown(chip, "VERSION", "SPIN_VERSION", "SPIN_CRC") == [3 + tick, 2 + tick, codes]
        seen.append(codes)
    assert len(set(seen)) == 30
