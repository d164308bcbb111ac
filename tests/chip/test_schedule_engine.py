"""The temperature schedule follows its formulas step by step on every kind of p-bits, and samples are drawn at what it sets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chip.pins import Desk, Step
from serving import config
from tsu_contract.program import Opcode
from tsu_contract.registers import value_of
from tsu_emu.config import ChipConfig, load

OFF, LINEAR, LOGARITHMIC, TABLE = (value_of("TEMP.SCHEDULE.MODE", m) for m in ("OFF", "LINEAR", "LOGARITHMIC", "TABLE"))
CODES = [200, 40, 90, 17, 255, 64]
"""A table."""


def linear(start: int, end: int, length: int) -> Callable[[int], int]:
    """Rounded half up, in exact integers."""
    return lambda n: end if n >= length else (2 * (start * (length - n) + end * n) + length) // (2 * length)


def logarithmic(start: int, alpha: float, tau: int) -> Callable[[int], int]:
    """T0 / (1 + alpha ln(1 + t / tau)), rounded half up, at least 1."""
    return lambda n: max(1, math.floor(start / (1 + alpha * math.log1p(n / tau)) + 0.5))


def table(length: int, entries: int) -> Callable[[int], int]:
    return lambda n: CODES[min(n // length, entries - 1)]


MODES: dict[str, tuple[dict[str, int], Callable[[int], int]]] = {
    "falling": ({"SCHEDULE": LINEAR, "START": 255, "END": 3, "LENGTH": 97}, linear(255, 3, 97)),
    "rising": ({"SCHEDULE": LINEAR, "START": 1, "END": 250, "LENGTH": 40}, linear(1, 250, 40)),
    "level": ({"SCHEDULE": LINEAR, "START": 70, "END": 70, "LENGTH": 1}, linear(70, 70, 1)),
    "gentle": ({"SCHEDULE": LOGARITHMIC, "START": 255, "ALPHA": 1 << 16, "TAU": 5}, logarithmic(255, 1.0, 5)),
    "harsh": ({"SCHEDULE": LOGARITHMIC, "START": 200, "ALPHA": 60 << 16, "TAU": 1}, logarithmic(200, 60.0, 1)),
    "table": ({"SCHEDULE": TABLE, "LENGTH": 20, "ENTRIES": 6}, table(20, 6)),
    "short table": ({"SCHEDULE": TABLE, "LENGTH": 7, "ENTRIES": 3}, table(7, 3)),
}


def prepared(chip_config: ChipConfig, settings: dict[str, int]) -> Desk:
    """A chip with a schedule at step 0, and TEMP_TABLE filled."""
    chip = Desk(chip_config)
    chip.fill("TEMP_TABLE", CODES)
    for name, value in settings.items():
        chip.write(f"TEMP.{name}", value)
    return chip


def small(**cell: Any) -> ChipConfig:
    """Eight p-bits."""
    kind = {"kind": "pbit"} | cell
    slots = {"slot": 0, "colour": 20} if kind["kind"] == "async-pbit" else {}
    return config({"kind": "dense", "cells": 8}, 64, cell=kind, timing=slots)


KINDS: dict[str, Callable[[], ChipConfig]] = {
    "clocked": small,
    "coloured": lambda: small(noise={"kind": "coloured", "tau_sweeps": 2.0}),
    "lfsr": lambda: small(noise={"kind": "lfsr", "width": 32}),
    "asynchronous": lambda: small(kind="async-pbit", tau_s=2e-7),
    "smtj-64": lambda: load("smtj-64"),
}


@pytest.mark.parametrize("mode", MODES)
def test_codes_follow_the_formula_for_hundreds_of_sweeps(mode: str) -> None:
    """TDAC after sweep n is the code of step n, also from a STEP that the host wrote, and however many sweeps a RUN has; STEP
    ends at 2^32 - 1."""
    settings, formula = MODES[mode]
    chip = prepared(small(), settings)
    chip.load((Opcode.RUN, 1), Opcode.HALT)
    for first, sweeps in ((0, 150), (30, 20), (0, 5)):
        chip.write("TEMP.STEP", first)
        for n in range(first, first + sweeps):
            chip.write("SEQ.PC", 0)
            chip.start()
            chip.wait()
            assert (chip.read("TEMP.TDAC"), chip.read("TEMP.STEP")) == (formula(n), n + 1)
    chip.write("TEMP.STEP", 0)
    for sweeps in (1, 10, 100, 1000):
        chip.run((Opcode.RUN, sweeps))
    assert (chip.read("TEMP.TDAC"), chip.read("TEMP.STEP")) == (formula(1110), 1111)
    chip.write("TEMP.STEP", 2**32 - 2)
    chip.run((Opcode.RUN, 3))
    assert (chip.read("TEMP.TDAC"), chip.read("TEMP.STEP")) == (formula(2**32 - 1), 2**32 - 1)


def sampled(kind: str, sweeps: int, codes: list[int] | None) -> tuple[NDArray[np.int8], int]:
    """Spins after each of some sweeps, at the codes of SET_T or, if there are none, of the schedule; TDAC at the end."""
    chip = prepared(KINDS[kind](), {} if codes else MODES["short table"][0])
    rng = np.random.default_rng(3)
    chip.fill("COUPLING", rng.integers(-30, 31, chip.cap.couplers))
    chip.fill("BIAS", rng.integers(-30, 31, chip.cap.cells))
    chip.run(Opcode.WAIT_SETTLE, (Opcode.DELAY, 1000))
    spins = []
    for n in range(sweeps):
        steps: list[Step | Opcode] = [(Opcode.SET_T, codes[n])] if codes else []
        chip.run(*steps, (Opcode.RUN, 1), Opcode.STROBE)
        spins.append(chip.spins())
    return np.array(spins), chip.read("TEMP.TDAC")


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_draws_the_samples_that_set_t_draws(kind: str) -> None:
    """Bit for bit, also where sweeps are computed late; with the schedule a step ahead, or at T = 1 throughout, not."""
    formula = MODES["short table"][1]
    expected = sampled(kind, 25, [formula(n) for n in range(25)])
    got = sampled(kind, 25, None)
    assert np.array_equal(got[0], expected[0])
    assert got[1] == expected[1] == formula(24)
    for wrong in ([formula(n + 1) for n in range(25)], [64] * 25):
        assert not np.array_equal(got[0], sampled(kind, 25, wrong)[0])


def test_what_the_host_sets_lasts_until_the_next_sweep() -> None:
    chip = prepared(small(), MODES["level"][0])
    chip.run((Opcode.RUN, 1), (Opcode.SET_T, 99))
    assert chip.read("TEMP.TDAC") == 99
    chip.write("TEMP.TDAC", 33)
    chip.run((Opcode.DELAY, 500))
    assert chip.read("TEMP.TDAC") == 33
    chip.run((Opcode.RUN, 1))
    assert chip.read("TEMP.TDAC") == 70
    chip.write("TEMP.SCHEDULE", OFF)
    chip.write("TEMP.TDAC", 12)
    chip.run((Opcode.RUN, 5))
    assert (chip.read("TEMP.TDAC"), chip.read("TEMP.STEP")) == (12, 2)


def test_a_paused_sweep_takes_no_step_and_an_abandoned_one_took_its_own() -> None:
    """STOP is honoured before the SWEEP edge does anything; RESET in a sweep begins the schedule anew, OFF."""
    chip = prepared(small(), MODES["falling"][0])
    chip.load((Opcode.RUN, 100), Opcode.HALT)
    chip.start()
    chip.delay(2_000)
    chip.write("SEQ.CTRL", 2)
    chip.wait(3)
    step = chip.read("TEMP.STEP")
    assert step == chip.read("FABRIC.SWEEP")
    assert 0 < step < 100
    chip.delay(1_000)
    assert chip.read("TEMP.STEP") == step
    chip.start()
    chip.delay(100)
    assert (chip.read("TEMP.STEP"), chip.read("FABRIC.SWEEP")) == (step + 1, step)
    chip.write("SYS.CTRL", 1)
    assert (chip.read("TEMP.STEP"), chip.read("TEMP.SCHEDULE"), chip.read("FABRIC.SWEEP")) == (0, OFF, step + 1)
    assert chip.dump("TEMP_TABLE")[: len(CODES)].tolist() == CODES


def test_a_code_wider_than_the_dac_is_refused() -> None:
    """Not in silence: what TDAC refuses, START, END and the table refuse."""
    chip = prepared(small(), MODES["level"][0])
    for name in ("START", "END", "TDAC"):
        with pytest.raises(AssertionError, match="OUT_OF_RANGE"):
            chip.write(f"TEMP.{name}", 256)
    with pytest.raises(AssertionError, match="OUT_OF_RANGE"):
        chip.fill("TEMP_TABLE", [256, 1])
