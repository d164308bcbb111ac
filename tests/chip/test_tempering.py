"""The swap engine samples the right law: each rung's energies and the rates of acceptance against exact enumeration."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chip.pins import Desk
from serving import config
from tsu_contract.program import Opcode
from tsu_emu.config import load

Floats = NDArray[np.float64]

RUNGS, LADDERS = 4, 16
MULTIPLIERS = np.array([1.0, 1.4, 2.0, 3.0])
LSB = 2.0 / 128
SIGMAS = 5.0


@cache
def model() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes of a frustrated network of 16 cells: symmetric couplings (16, 16), biases (16,)."""
    rng = np.random.default_rng(11)
    couplings = np.triu(rng.integers(-45, 46, (16, 16)), 1)
    return couplings + couplings.T, rng.integers(-10, 11, 16)


@cache
def levels() -> tuple[Floats, Floats]:
    """Energies in kT at T = 1 that the network has, and how many of its 65,536 states have each."""
    couplings, biases = model()
    states = 2 * (np.arange(1 << 16)[:, None] >> np.arange(16) & 1) - 1
    energies = -((states @ couplings) * states).sum(axis=1) // 2 - states @ biases
    values, counts = np.unique(energies, return_counts=True)
    return values * LSB, counts.astype(float)


def law(temperature: float) -> Floats:
    """Probability of each level."""
    energies, counts = levels()
    weights = counts * np.exp(-(energies - energies.min()) / temperature)
    return np.asarray(weights / weights.sum())


def exact_means() -> Floats:
    return np.array([law(t) @ levels()[0] for t in MULTIPLIERS])


def exact_acceptance(lower: int) -> float:
    """Mean of min(1, exp((1/Ta - 1/Tb)(Ea - Eb))) over independent samples of two neighbouring rungs."""
    energies, _ = levels()
    inverse = 1 / MULTIPLIERS[lower] - 1 / MULTIPLIERS[lower + 1]
    accepted = np.exp(np.minimum(0.0, inverse * (energies[:, None] - energies)))
    return float(law(MULTIPLIERS[lower]) @ accepted @ law(MULTIPLIERS[lower + 1]))


def tempered() -> Desk:
    """The shipped chip of 16 cells with sixteen ladders of four rungs; the lowest are the free role."""
    chip = Desk(load("ideal-16"))
    couplings, biases = model()
    source = chip.dump("TOPO_SOURCE")
    target = np.repeat(np.arange(16), 15)
    chip.fill("COUPLING", couplings[target, source])
    chip.fill("BIAS", biases)
    chip.fill("PLANE_TEMP", np.tile(np.round(4096 * MULTIPLIERS), LADDERS))
    chip.planes("CORR.FREE_PLANES", range(0, 64, RUNGS))
    chip.set(TEMPERING__LADDERS=LADDERS, TEMPERING__RUNGS=RUNGS)
    chip.run((Opcode.LOOP, 200), (Opcode.RUN, 1), Opcode.SWAP, Opcode.END)
    return chip


def energies_of(spins: NDArray[np.int8]) -> Floats:
    """Of each plane, in kT at T = 1."""
    couplings, biases = model()
    s = spins.astype(np.int64)
    return np.asarray((-((s @ couplings) * s).sum(axis=1) // 2 - s @ biases) * LSB)


def again(chip: Desk) -> None:
    """The loaded program once more."""
    chip.write("SEQ.PC", 0)
    chip.start()
    chip.wait()


def watch(chip: Desk, looks: int) -> tuple[Floats, NDArray[np.int64]]:
    """Energies of all planes (looks, 64), and the ladder of each look; five sweeps and rounds between two."""
    chip.load((Opcode.LOOP, 5), (Opcode.RUN, 1), Opcode.SWAP, Opcode.END, Opcode.STROBE, Opcode.HALT)
    energies, ladders = [], []
    for _ in range(looks):
        again(chip)
        energies.append(energies_of(chip.spins()))
        ladders.append(chip.dump("LADDER"))
    return np.array(energies), np.array(ladders, np.int64)


def deviations(energies: Floats, ladders: NDArray[np.int64]) -> Floats:
    """Of each rung's mean energy from the exact one, in standard errors; the sixteen ladders are independent of each other, and
    their means give the error."""
    by_rung = np.take_along_axis(energies, ladders, axis=1).reshape(len(energies), LADDERS, RUNGS).mean(axis=0)
    return np.asarray((by_rung.mean(axis=0) - exact_means()) / (by_rung.std(axis=0, ddof=1) / np.sqrt(LADDERS)))


@pytest.fixture(scope="module")
def run() -> tuple[Desk, Floats, NDArray[np.int64]]:
    chip = tempered()
    chip.fill("SWAP_COUNT", np.zeros(128))
    return chip, *watch(chip, 500)


def test_each_rung_has_its_energy(run: Any) -> None:
    """Within 5 standard errors; read as if planes had kept their rungs, the outer ones are off by 20."""
    _, energies, ladders = run
    assert abs(deviations(energies, ladders)).max() < SIGMAS
    kept = np.broadcast_to(np.arange(64), ladders.shape)
    assert abs(deviations(energies, kept)).max() > 4 * SIGMAS


def test_ladders_go_up_and_down(run: Any) -> None:
    """Every plane is at every rung of its ladder, of no other; temperatures, roles and places stay together."""
    chip, _, ladders = run
    for ladder, seen in enumerate(ladders.reshape(-1, LADDERS, RUNGS).transpose(1, 0, 2)):
        planes = set(range(RUNGS * ladder, RUNGS * (ladder + 1)))
        assert all(set(seen[:, rung].tolist()) == planes for rung in range(RUNGS))
    rungs = chip.dump("LADDER").reshape(LADDERS, RUNGS)
    assert np.array_equal(chip.dump("PLANE_TEMP")[rungs], np.tile(np.round(4096 * MULTIPLIERS), (LADDERS, 1)))
    free = chip.read("CORR.FREE_PLANES", 0) | chip.read("CORR.FREE_PLANES", 1) << 32
    assert {p for p in range(64) if free >> p & 1} == set(rungs[:, 0].tolist())


def test_acceptance_is_what_the_law_says(run: Any) -> None:
    """Every pair of rungs is tried in every second round; acceptances within 5 standard errors of sixteen ladders. The
    rates are far from 0, from 1 and from each other."""
    chip, energies, _ = run
    counts = chip.dump("SWAP_COUNT").reshape(LADDERS, RUNGS, 2)
    assert not counts[:, -1].any()
    rounds = 5 * len(energies)
    assert (counts[:, :-1, 0] == rounds // 2).all()
    rates = counts[:, :-1, 1] / counts[:, :-1, 0]
    errors = rates.std(axis=0, ddof=1) / np.sqrt(LADDERS)
    exact = np.array([exact_acceptance(lower) for lower in range(RUNGS - 1)])
    assert (abs(rates.mean(axis=0) - exact) < SIGMAS * errors).all()
    assert (np.minimum(exact, 1 - exact) > 4 * SIGMAS * errors).all()


def test_a_swap_that_is_always_accepted_is_noticed() -> None:
    """The host exchanges temperatures and places of (0, 1) and (2, 3), then of (1, 2), whatever the energies, after each sweep:
    rungs are off by more than 20 standard errors. With the chip's swaps, looked at as often, they are not."""
    off = []
    for forced in (True, False):
        chip, energies, ladders = tempered(), [], []
        chip.load((Opcode.RUN, 1), Opcode.STROBE, *([] if forced else [Opcode.SWAP]), Opcode.HALT)
        for look in range(400):
            ladder = chip.dump("LADDER")
            if forced:
                ladder = ladder.reshape(LADDERS, RUNGS)[:, [1, 0, 3, 2] if look % 2 == 0 else [0, 2, 1, 3]].ravel()
                temps = np.zeros(64)
                temps[ladder] = np.tile(np.round(4096 * MULTIPLIERS), LADDERS)
                chip.fill("LADDER", ladder)
                chip.fill("PLANE_TEMP", temps)
            again(chip)
            energies.append(energies_of(chip.spins()))
            ladders.append(ladder)
        off.append(abs(deviations(np.array(energies), np.array(ladders, np.int64))).max())
    assert off[0] > 4 * SIGMAS, off
    assert off[1] < SIGMAS


def test_planes_out_of_all_ladders_keep_what_they_have() -> None:
    chip = Desk(config({"kind": "dense", "cells": 6}, 8))
    temps = np.arange(4000, 4800, 100)
    chip.fill("PLANE_TEMP", temps)
    chip.fill("LADDER", [6, 1, 3, 0, 2, 4, 5, 7])
    chip.set(TEMPERING__LADDERS=1, TEMPERING__RUNGS=3)
    chip.run((Opcode.LOOP, 50), (Opcode.RUN, 1), Opcode.SWAP, Opcode.END)
    after = chip.dump("PLANE_TEMP")
    assert sorted(after[[6, 1, 3]]) == sorted(temps[[6, 1, 3]])
    assert np.array_equal(after[[0, 2, 4, 5, 7]], temps[[0, 2, 4, 5, 7]])
    assert sorted(chip.dump("LADDER")[:3].tolist()) == [1, 3, 6]
    assert chip.dump("LADDER")[3:].tolist() == [0, 2, 4, 5, 7]
    assert chip.dump("SWAP_COUNT")[:3, 0].tolist() == [25, 25, 0]
