"""Soft fields: a bias of their size in one plane alone, from the next sweep on, whatever the noise; part of a chip's state."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chip.pins import Desk
from serving import config
from tsu_contract.program import Opcode
from tsu_emu.state import save

CELLS, PLANES, LSB = 5, 70, 2.0 / 128
SIGMAS = 5.0
RNG = np.random.default_rng(8)
UPPER, BIASES = np.triu(RNG.integers(-40, 41, (CELLS, CELLS)), 1), RNG.integers(-30, 31, CELLS)
SOFT = RNG.integers(-60, 61, (PLANES, CELLS))

NOISES: dict[str, dict[str, Any]] = {
    "ideal": {},
    "coloured": {"noise": {"kind": "coloured", "tau_sweeps": 2.0}},
    "lfsr": {"noise": {"kind": "lfsr", "width": 32}},
}
Spins = NDArray[np.int8]


def desk(noise: str = "ideal", soft: NDArray[Any] | None = None, biases: NDArray[Any] = BIASES, **more: Any) -> Desk:
    """Five cells, all to all, without errors; seventy planes, so that two words hold them."""
    chip = Desk(config({"kind": "dense", "cells": CELLS}, PLANES, cell={"kind": "pbit", **NOISES[noise]}, **more))
    chip.fill("COUPLING", (UPPER + UPPER.T)[~np.eye(CELLS, dtype=bool)])
    chip.fill("BIAS", biases)
    if soft is not None:
        chip.fill("SOFT", soft)
    return chip


def sampled(chip: Desk, sweeps: int = 12) -> Spins:
    """Spins after each of some sweeps."""
    looks = []
    for _ in range(sweeps):
        chip.run((Opcode.RUN, 1), Opcode.STROBE)
        looks.append(chip.spins())
    return np.array(looks)


@pytest.mark.parametrize("noise", NOISES)
def test_a_soft_field_is_a_bias_in_its_plane_alone(noise: str) -> None:
    """On an ideal chip bit for bit: planes 3 and 66 as on chips whose biases are so much greater, the others as without. Fields
    of twice the size are seen."""
    soft = np.zeros((PLANES, CELLS), np.int64)
    soft[[3, 66]] = SOFT[[3, 66]]
    got, without = sampled(desk(noise, soft)), sampled(desk(noise))
    others = [p for p in range(PLANES) if p not in (3, 66)]
    assert np.array_equal(got[:, others], without[:, others])
    for plane in (3, 66):
        biased = sampled(desk(noise, biases=BIASES + SOFT[plane]))
        assert np.array_equal(got[:, plane], biased[:, plane])
        assert not np.array_equal(got[:, plane], without[:, plane])
    twice = sampled(desk(noise, 2 * soft))
    assert not np.array_equal(got[:, [3, 66]], twice[:, [3, 66]])


@pytest.mark.parametrize("noise", NOISES)
def test_zero_fields_change_no_bit(noise: str) -> None:
    """Written as zeros before the first sweep; or once something and then zeros again before it."""
    without = sampled(desk(noise))
    assert np.array_equal(sampled(desk(noise, np.zeros((PLANES, CELLS)))), without)
    chip = desk(noise, SOFT)
    chip.fill("SOFT", np.zeros((PLANES, CELLS)))
    assert np.array_equal(sampled(chip), without)


def law(soft: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """Probabilities of the 32 states, cell 0 the least significant bit."""
    energies = []
    for s in itertools.product((-1, 1), repeat=CELLS):
        spins = np.array(s[::-1])
        energies.append(-LSB * (spins @ UPPER @ spins + spins @ (BIASES + soft)))
    weights = np.exp(-np.array(energies) / temperature)
    return np.asarray(weights / weights.sum())


@pytest.mark.parametrize("code", [64, 96])
def test_the_law_is_that_of_the_biased_machine(code: int) -> None:
    """T = 1 and 1.5; planes are independent, looks 20 sweeps apart. Frequencies of the 32 states of 60 planes with fields and of
    10 without within 5 sqrt(p (1 - p) / n); with the other law, not."""
    fields = np.array([40, -30, 0, 25, -60])
    soft = np.where(np.arange(PLANES)[:, None] < 60, fields, 0)
    chip = desk("ideal", soft)
    chip.run((Opcode.SET_T, code), (Opcode.RUN, 50))
    counts = np.zeros((2, 32))
    looks = 250
    chip.load((Opcode.RUN, 20), Opcode.STROBE, Opcode.HALT)
    for _ in range(looks):
        chip.write("SEQ.PC", 0)
        chip.start()
        chip.wait()
        states = (chip.spins() > 0) @ (1 << np.arange(CELLS))
        counts += [np.bincount(states[:60], minlength=32), np.bincount(states[60:], minlength=32)]
    for row, n, mine, other in ((0, 60 * looks, fields, 0 * fields), (1, 10 * looks, 0 * fields, fields)):
        laws = [law(soft, code / 64) for soft in (mine, other)]
        z = [abs(counts[row] / n - p) / np.sqrt(p * (1 - p) / n) for p in laws]
        assert z[0].max() < SIGMAS
        assert z[1].max() > 3 * SIGMAS


def test_a_fields_slope_is_the_cells() -> None:
    """Uncoupled cells with slopes: means of 70 planes and 300 sweeps, all independent, are tanh(alpha c LSB) within 5 standard
    errors; with slopes of 1 a third and more are not, by twice that."""
    cells = 12
    chip = Desk(config({"kind": "edges", "cells": cells, "pairs": [[0, 1]]}, PLANES, cell={"kind": "pbit", "slope_sigma": 0.25}))
    chip.fill("SOFT", np.full((PLANES, cells), 64))
    chip.planes("CORR.FREE_PLANES", range(PLANES))
    total = np.zeros(cells)
    sweeps = 300
    chip.set(CORR__CTRL=1)
    chip.load((Opcode.RUN, 1), Opcode.CORR_LATCH, Opcode.HALT)
    for _ in range(sweeps):
        chip.write("SEQ.PC", 0)
        chip.start()
        chip.wait()
        total += chip.dump("CORR_MEAN")[1] / 65536
    means, alpha = total / (sweeps * PLANES), chip.chip.plant.die.alpha
    exact = np.tanh(alpha * 64 * LSB)
    errors = np.sqrt((1 - exact**2) / (sweeps * PLANES))
    assert (abs(means - exact) < SIGMAS * errors).all()
    assert (abs(means - np.tanh(64 * LSB)) > 2 * SIGMAS * errors).sum() > cells / 3


CHANGES: dict[str, tuple[NDArray[Any] | None, NDArray[Any]]] = {
    "on": (None, SOFT),
    "off": (SOFT, 0 * SOFT),
    "other": (SOFT, -SOFT),
    "the same": (SOFT, SOFT),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_written_in_a_sweep_acts_from_the_next_one_on(change: str, noise: str) -> None:
    """A sweep of five colours lasts 500 cycles. Fields written in its midst leave it alone: the same bits as written after it."""
    before, after = CHANGES[change]
    slow = {"slot": 1, "colour": 30, "sweep": 0}
    seen = []
    for in_the_midst in (True, False):
        chip = desk(noise, before, timing=slow)
        chip.load((Opcode.RUN, 1), Opcode.STROBE, Opcode.HALT)
        chip.start()
        chip.delay(200)
        assert chip.read("FABRIC.SWEEP") == 0
        if in_the_midst:
            chip.fill("SOFT", after)
            assert chip.read("FABRIC.SWEEP") == 0
        chip.wait()
        first = chip.spins()
        if not in_the_midst:
            chip.fill("SOFT", after)
        seen.append(np.concatenate((first[None], sampled(chip, 5))))
    assert np.array_equal(*seen)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("where", ["written", "in a sweep", "rewritten in a sweep", "between sweeps"])
def test_fields_are_saved_and_restored(where: str, noise: str) -> None:
    """The chip and one restored from its state lead the same life; one that lacks the fields does not."""
    slow = {"slot": 1, "colour": 30, "sweep": 0}
    chip = desk(noise, SOFT, timing=slow)
    chip.load((Opcode.RUN, 3), Opcode.STROBE, Opcode.HALT)
    if where != "written":
        chip.start()
        chip.delay(200 if "in a sweep" in where else 5_000)
    if where == "rewritten in a sweep":
        chip.fill("SOFT", -SOFT)
    saved = save(chip.chip.state)
    lives = []
    for lost in ({}, {"soft": 0 * saved["soft"], "soft_next": 0 * saved["soft_next"]}):
        fresh = Desk(chip.chip.config)
        fresh.chip.restore(saved | lost)
        lives.append(_go_on(fresh, where))
    expected = _go_on(chip, where)
    assert np.array_equal(lives[0], expected)
    assert not np.array_equal(lives[1], expected)


def _go_on(chip: Desk, where: str) -> Spins:
    if where == "written":
        chip.start()
    chip.wait()
    return np.concatenate((chip.spins()[None], sampled(chip, 4)))


def test_reset_leaves_fields_and_the_next_sweep_has_them() -> None:
    chip, other = desk(soft=SOFT), desk(soft=SOFT)
    chip.write("SYS.CTRL", 1)
    assert np.array_equal(chip.dump("SOFT"), SOFT)
    assert np.array_equal(sampled(chip), sampled(other))


def test_other_kinds_have_no_fields() -> None:
    chip = Desk(config({"kind": "dense", "cells": 4}, 4, cell={"kind": "async-pbit"}, timing={"slot": 0, "colour": 20}))
    assert chip.cap.dimension("soft_cells") == 0
    with pytest.raises(AssertionError, match=r"OUT_OF_RANGE|UNMAPPED"):
        chip.fill("SOFT", [1, 1])
