"""The learning engine in the long run: rounding is unbiased, a rule reaches its target, the gain decays as documented."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chip.pins import Desk
from serving import config
from tsu_contract.program import Opcode
from tsu_contract.registers import register, value_of

ONE, STEP = 1 << 14, 1 << 16
"""1 as a factor, and one accumulator step as a rate."""

SIGMAS = 5.0


def desk(cells: int, planes: int = 64, **more: Any) -> Desk:
    """An ideal chip, all to all, with an engine of 12 bits over DACs of 8."""
    return Desk(config({"kind": "dense", "cells": cells}, planes, learning={"bits": 12}, **more))


def factor(name: str) -> int:
    return value_of("LEARN.PAIR_TERM.FIRST", name)


def increments(chip: Desk, updates: int) -> NDArray[np.int64]:
    """Changes of all pair accumulators, (updates, pairs)."""
    seen = [chip.dump("LEARN_PAIR")]
    for _ in range(updates):
        chip.run(Opcode.LEARN)
        seen.append(chip.dump("LEARN_PAIR"))
    return np.diff(np.array(seen, np.int64), axis=0)


@pytest.mark.parametrize("rate", [0.3, -0.3, 2.85])
def test_changes_are_rounded_without_bias_and_independently(rate: float) -> None:
    """The mean of n changes is the rate within 5 sqrt(f (1 - f) / n), f its fraction; neighbours in time and among pairs are
    uncorrelated within 5 / sqrt(n). Rounded to the nearest, the same rule stalls or runs away."""
    chip = desk(40)
    rate_word = round(rate * STEP)
    chip.set(LEARN__PAIR_RATE=rate_word)
    changes = increments(chip, 40)
    exact, fraction = rate_word / STEP, rate_word / STEP % 1
    error = np.sqrt(fraction * (1 - fraction) / changes.size)
    assert abs(changes.mean() - exact) < SIGMAS * error
    noise = (changes - exact) / np.sqrt(fraction * (1 - fraction))
    for lagged in (noise[1:] * noise[:-1], noise[:, 1:] * noise[:, :-1]):
        assert abs(lagged.mean()) < SIGMAS / np.sqrt(lagged.size)
    chip.set(LEARN__CTRL=0)
    nearest = increments(chip, 1)
    assert set(nearest.ravel().tolist()) == {round(rate)}
    assert abs(nearest.mean() - exact) > 50 * error


def test_codes_are_rounded_without_bias() -> None:
    """An accumulator of 5/16 of a code is code 1 in 5 of 16 updates, within 5 sqrt(p (1 - p) / n); nearest makes it 0 always."""
    chip = desk(40)
    chip.fill("LEARN_PAIR", np.full(chip.cap.pairs, 5))
    chip.set(LEARN__CTRL=register("LEARN.CTRL").fields["ROUND_CODE"].mask)
    codes = []
    for _ in range(20):
        chip.run(Opcode.LEARN)
        codes.append(chip.dump("COUPLING"))
    drawn = np.array(codes)
    assert np.array_equal(np.unique(drawn), [0, 1])
    p, n = 5 / 16, drawn.size // 2
    assert abs(drawn.mean() - p) < SIGMAS * np.sqrt(p * (1 - p) / n)
    assert chip.dump("LEARN_PAIR").tolist() == [5] * chip.cap.pairs
    chip.set(LEARN__CTRL=0)
    chip.run(Opcode.LEARN)
    assert not chip.dump("COUPLING").any()


# A rule of two terms

ETA = 24.0
"""Accumulator steps an update for a difference of averages of 1."""
TARGET = 0.5
DATA, FREE = range(32), range(32, 64)


def two_cells(norm_free: int = STEP // 32) -> Desk:
    """Half the planes are clamped to <s_0 s_1> = TARGET; the rule is ETA (C_DATA - C_FREE), averages of the last sweep."""
    chip = desk(2)
    agree = round(32 * (1 + TARGET) / 2)
    mask, value = np.zeros((64, 1), np.uint32), np.zeros((64, 1), np.uint32)
    mask[DATA], value[DATA[:agree]], value[DATA[agree:]] = 3, 3, 1
    chip.fill("CLAMP_MASK", mask)
    chip.fill("CLAMP_VALUE", value)
    chip.planes("CORR.DATA_PLANES", DATA)
    chip.planes("CORR.FREE_PLANES", FREE)
    chip.set(CORR__CTRL=1, LEARN__NORM_DATA=STEP // 32, LEARN__NORM_FREE=norm_free)
    for term, (name, rate) in enumerate((("C_DATA", ETA), ("C_FREE", -ETA))):
        chip.write("LEARN.PAIR_TERM", factor(name), term)
        chip.write("LEARN.PAIR_RATE", round(rate * STEP), term)
    return chip


def learned(chip: Desk, ticks: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Accumulator before each of some ticks of a sweep and a LEARN, and after the last; <s_0 s_1> of the free planes in each."""
    weights, free = [int(chip.dump("LEARN_PAIR")[0])], []
    for _ in range(ticks):
        chip.run((Opcode.RUN, 1), Opcode.STROBE, Opcode.LEARN)
        spins = chip.spins()[FREE]
        weights.append(int(chip.dump("LEARN_PAIR")[0]))
        free.append(float(np.mean(spins[:, 0] * spins[:, 1])))
    return np.array(weights, np.int64), np.array(free)


def reached(norm_free: int, ticks: int = 400) -> tuple[float, float]:
    """Mean tanh of the coupling over some ticks of the settled rule, and its tolerance.

    Summed over the ticks, the rule says how far the accumulator went: the sum of ETA (TARGET - C_FREE), but for n roundings of
    deviation 1/2 at most. That is asserted. So the mean of C_FREE is TARGET less went / (n ETA). The second cell is drawn after
    the first, so that C_FREE of a sweep has the mean tanh(J) and the variance (1 - tanh(J)^2) / 32 whatever went before.
    """
    chip, relative = two_cells(norm_free), norm_free / (STEP // 32)
    chip.run((Opcode.LOOP, 500), (Opcode.RUN, 1), Opcode.LEARN, Opcode.END)
    weights, free = learned(chip, ticks)
    went, roundings = weights[-1] - weights[0], SIGMAS * np.sqrt(ticks) / 2
    assert abs(went - ETA * (TARGET - free * relative).sum()) < roundings
    agreement = np.tanh((weights[:-1] + 8 >> 4) / 64)
    drawn = SIGMAS * np.sqrt(np.mean(1 - agreement**2) / 32 / ticks)
    assert abs(agreement.mean() - free.mean()) < drawn
    return float(agreement.mean()), float((abs(went) + roundings) / (ETA * ticks * relative) + drawn)


def test_a_rule_of_two_terms_reaches_its_target() -> None:
    """The coupling becomes atanh(TARGET); atanh(TARGET / 2) where the free planes count double."""
    mean, tolerance = reached(STEP // 32)
    assert abs(mean - TARGET) < tolerance
    mean, tolerance = reached(STEP // 16)
    assert abs(mean - TARGET / 2) < tolerance
    assert abs(mean - TARGET) > 3 * tolerance


def test_weathering_alone_is_an_exponential() -> None:
    """A rate of -40.96 steps times WEIGHT takes 1/50 of an accumulator of 2,048 steps: (1 - 1/50)^n, each rounding's error dying
    out likewise; the mean of all pairs within 5 standard errors. A rule that stands on the code sees the same to half a code."""
    chip = desk(40)
    start, updates, rate = 2000, 60, round(-2048 / 50 * STEP)
    chip.write("LEARN.PAIR_RATE", rate)
    left = (1 + rate / STEP / 2048) ** updates
    error = np.sqrt(0.25 / (1 - 0.98**2) / chip.cap.pairs)
    for name, slack in (("WEIGHT", 0.0), ("CODE", 8.0)):
        chip.fill("LEARN_PAIR", np.full(chip.cap.pairs, start))
        chip.fill("COUPLING", np.full(chip.cap.couplers, start / 16))
        chip.write("LEARN.PAIR_TERM", factor(name))
        chip.run((Opcode.LOOP, updates), Opcode.LEARN, Opcode.END)
        assert abs(chip.dump("LEARN_PAIR").mean() - start * left) < SIGMAS * error + slack
    assert start * (1 - left) > 100 * (SIGMAS * error + 8)


def test_gain_decays_exponentially_to_its_last_bits() -> None:
    """G falls by floor(G d / 2^32): never below the true exponential, above it by less than 2^32 / d, the sum of all floors'
    errors; it stands still where G d is below 2^32."""
    chip = desk(2, 1)
    decay, gain = round(0.01 * 2**32), 1 << 31
    chip.set(LEARN__DECAY=decay, LEARN__PAIR_RATE=100 * STEP, LEARN__CTRL=0)
    weight = 0
    for n in range(300):
        seen = chip.read("LEARN.GAIN")
        assert seen == gain
        true = 2**31 * (1 - decay / 2**32) ** n
        assert -1e-3 <= seen - true <= 2**32 / decay
        weight = min(2047, weight + ((100 * STEP * ONE * (gain >> 15) >> 16) + (1 << 29) >> 30))
        chip.run(Opcode.LEARN)
        assert chip.dump("LEARN_PAIR")[0] == weight
        gain -= gain * decay >> 32
        if weight == 2047:
            chip.fill("LEARN_PAIR", [0])
            weight = 0
    chip.set(LEARN__GAIN=99)
    chip.run(Opcode.LEARN)
    assert chip.read("LEARN.GAIN") == 99
    chip.set(LEARN__GAIN=101)
    chip.run(Opcode.LEARN)
    assert chip.read("LEARN.GAIN") == 100


def test_averages_are_those_of_the_correlator_not_of_its_latch() -> None:
    """LATCH of an empty correlator, then sweeps: a rule sees the sweeps."""
    chip = desk(4, 8)
    chip.fill("CLAMP_MASK", np.full((8, 1), 15))
    chip.fill("CLAMP_VALUE", np.full((8, 1), 15))
    chip.planes("CORR.DATA_PLANES", range(8))
    chip.set(
        CORR__CTRL=5, LEARN__NORM_DATA=STEP // 8, LEARN__PAIR_TERM=factor("C_DATA"), LEARN__PAIR_RATE=7 * STEP, LEARN__CTRL=0
    )
    chip.run((Opcode.RUN, 1), Opcode.LEARN)
    assert not chip.dump("CORR_PAIR").any()
    assert chip.dump("LEARN_PAIR").tolist() == [7] * 6


def test_learning_costs_cycles_and_unsettles() -> None:
    """LEARN takes its instruction and CAP.LEARN_CYCLES; WAIT_SETTLE then waits the DACs' time from the update on."""
    chip = desk(4, 1, timing={"instruction": 3, "learn": 11, "settle": 50})
    ends = []
    for steps in ([Opcode.LEARN], [Opcode.LEARN, Opcode.WAIT_SETTLE], []):
        chip.load(*steps, Opcode.HALT)
        before = chip.read("SYS.CYCLE")
        chip.start()
        chip.wait()
        ends.append(chip.read("SYS.CYCLE") - before)
        chip.delay(100)
    assert ends[0] - ends[2] == 3 + 11
    assert ends[1] - ends[2] == 50 + 3
