"""The chip samples what it should, seen through the wire alone."""

from __future__ import annotations

import itertools
import os
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import config, opened
from tsu_apps.characterise.laws import RandomSweep, Sweep, boltzmann, effective_samples, number, total_variation, tv_bound

GRAPHS = int(os.environ.get("TSU_PHYSICS_GRAPHS", "200"))
DRAWS, EVERY = 400, 3
PLANES = 64

Problem = dict[str, Any]


def problem(seed: int) -> Problem:
    """A random graph of 3 to 10 cells: dense or sparse, biased or not, some cells pinned, at one of several temperatures.

    Couplings and biases lie on the DACs' grid, so that an ideal chip has exactly these.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 11))
    edge = np.triu(rng.random((n, n)) < rng.choice([0.3, 0.6, 1.0]), 1)
    scale = rng.choice([0.3, 0.6, 1.0]) / np.sqrt(max(1.0, 2 * edge.sum() / n))
    J = np.where(edge, np.round(rng.normal(0, scale, (n, n)) * 64) / 64, 0.0)
    h = np.round(rng.normal(0, 0.4, n) * 64) / 64 * rng.choice([0.0, 1.0])
    pinned = rng.choice(n, int(rng.integers(0, 3)), replace=False) if n > 4 and rng.random() < 0.5 else []
    fixed = {int(i): int(rng.choice([-1, 1])) for i in pinned}
    pairs = [[int(i), int(j)] for i, j in zip(*np.nonzero(edge), strict=True)]
    return {"n": n, "J": J + J.T, "h": h, "T": float(rng.choice([0.75, 1.0, 2.0])), "fixed": fixed, "pairs": pairs, "seed": seed}


def draw(chip: Any, q: Problem, J: NDArray[np.float64] | None = None, T: float | None = None) -> NDArray[np.int64]:
    """State numbers sampled through the driver, (DRAWS * PLANES,)."""
    chip.program_couplings(q["J"] if J is None else J, q["h"])
    if q["fixed"]:
        chip.clamp(list(q["fixed"]), list(q["fixed"].values()))
    assert chip.set_temperature(q["T"] if T is None else T) == (q["T"] if T is None else T)
    return number(chip.sample(DRAWS, every=EVERY, burn=100)).ravel()


def graph(q: Problem) -> dict[str, Any]:
    return {"kind": "edges", "cells": q["n"], "pairs": q["pairs"]}


def limit(p: NDArray[np.float64], second: float) -> float:
    return tv_bound(p, effective_samples(DRAWS, PLANES, second, EVERY))


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_an_ideal_chip_samples_the_boltzmann_distribution(seed: int) -> None:
    """By either generator of noise, turn and turn about."""
    q, noise = problem(seed), {"kind": "ideal", "generator": ("threefry", "aes")[seed % 2]}
    with opened(config(graph(q), seeds={"run": seed + 1}, cell={"kind": "pbit", "noise": noise})) as (emulated, chip):
        samples = draw(chip, q)
        order = emulated._plant.topology.order.tolist()
    p = boltzmann(q["J"], q["h"], q["T"], q["fixed"])
    stationary, second = Sweep.of(q["J"], q["h"], q["T"], order, q["fixed"]).stationary(q["fixed"])
    assert np.abs(stationary - p).max() < 1e-9
    assert total_variation(samples, p) < limit(p, second)


ERRORS = {
    "coupling": {"gain_sigma": 0.2, "dac": {"element_sigma": 0.05, "gain_sigma": 0.1, "offset_sigma_lsb": 4}},
    "bias": {"dac": {"element_sigma": 0.05, "offset_sigma_lsb": 4}},
    "cell": {"kind": "pbit", "slope_sigma": 0.1, "offset_sigma_kt": 0.2},
    "temperature": {"dac": {"full_scale": 4.0, "gain_sigma": 0.1, "offset_sigma_lsb": 1}},
}


@pytest.mark.parametrize("seed", range(1000, 1000 + GRAPHS // 5))
def test_a_chip_with_mismatch_samples_the_stationary_law_of_its_own_sweep(seed: int) -> None:
    """J_ij and J_ji differ, so no Boltzmann law holds: the whole-sweep chain of the die's own fields does."""
    q = problem(seed)
    with opened(config(graph(q), seeds={"run": seed, "die": seed}, **ERRORS)) as (emulated, chip):
        samples = draw(chip, q)
        J, h, T = die_fields(emulated, q)
        order = emulated._plant.topology.order.tolist()
    p, second = Sweep.of(J, h, T, order, q["fixed"]).stationary(q["fixed"])
    assert total_variation(samples, p) < limit(p, second)
    ideal = boltzmann(q["J"], q["h"], q["T"], q["fixed"])
    if 0.5 * np.abs(ideal - p).sum() > 2 * limit(p, second):
        assert total_variation(samples, ideal) > limit(p, second)


def die_fields(emulated: Any, q: Problem) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """What the die made of the codes: couplings, biases (kT at T = 1) and noise temperature."""
    from tsu_emu.analog.dac import output

    plant, topology = emulated._plant, emulated._plant.topology
    J = np.zeros((q["n"], q["n"]))
    for i in range(q["n"]):
        for e in range(topology.row[i], topology.row[i + 1]):
            J[i, topology.source[e]] = plant.doubled[e] / 2 / plant.die.scale
    code = int(emulated.state.registers[emulated._plant.rules["decode"][0, 0x400 >> 2]])
    return J, plant.bias / plant.die.scale, float(output(plant.die.temperature, 0, code))


@pytest.mark.parametrize("wrong", ["couplings 1.5 times as strong", "temperature off by a quarter", "one cell's bias reversed"])
def test_the_comparison_notices_a_chip_that_is_wrong(wrong: str) -> None:
    """Power check: of 20 problems that the effect touches, at least 15 must fail their bound when it is applied."""
    noticed = 0
    seeds = [s for s in range(2000, 2100) if problem(s)["pairs"] and problem(s)["h"].any() and not problem(s)["fixed"]][:20]
    for seed in seeds:
        q = problem(seed)
        with opened(config(graph(q), seeds={"run": seed})) as (emulated, chip):
            J = np.clip(q["J"] * 1.5, -2, 1.98) if wrong.startswith("couplings") else None
            samples = draw(chip, q, J, q["T"] * 1.25 if wrong.startswith("temperature") else None)
            order = emulated._plant.topology.order.tolist()
        h = q["h"].copy()
        if wrong.startswith("one"):
            h[np.argmax(np.abs(h))] *= -1
        p = boltzmann(q["J"], h, q["T"], {})
        _, second = Sweep.of(q["J"], h, q["T"], order, {}).stationary({})
        noticed += total_variation(samples, p) > limit(p, second)
    assert noticed >= 15


RING = {
    "n": 4, "h": np.array([0.5, 0.0, -0.25, 0.25]), "T": 1.0, "fixed": {}, "pairs": [[0, 1], [1, 2], [2, 3], [0, 3]],
    "J": 0.75 * np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]),
}  # fmt: skip
"""Four symmetric spins with biases that no symmetry of the ring hides."""


def fluxes(order: str, every: int) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """(net flux between pairs of states from one look to the next, its standard error, sweep order), looks after even sweeps."""
    with opened(config(graph(RING), seeds={"run": 9})) as (emulated, chip):
        chip.program_couplings(RING["J"], RING["h"])
        chip.set_scan_order(order)
        spins = number(chip.sample(4000, every=every, burn=50))
        assert chip.read_register("FABRIC.SWEEP") % 2 == 0
        ranks = emulated._plant.topology.order.tolist()
    counts = np.zeros((16, 16))
    np.add.at(counts, (spins[:-1].ravel(), spins[1:].ravel()), 1)
    total = counts.sum()
    return (counts - counts.T) / total, np.sqrt(counts + counts.T + 1) / total, ranks


def test_the_chromatic_sweep_is_not_reversible_and_has_the_flux_of_its_own_chain() -> None:
    """Pair fluxes equal those of the composed kernel, which are not zero."""
    measured, sigma, ranks = fluxes("chromatic", every=1)
    chain = Sweep.of(RING["J"], RING["h"], 1.0, ranks, {})
    p, _ = chain.stationary({})
    joint = p[:, None] * chain.apply(np.eye(16))
    assert (np.abs(measured - (joint - joint.T)) / sigma).max() < 6
    assert (np.abs(measured) / sigma).max() > 50


@pytest.mark.parametrize(("order", "every"), [("palindromic", 2), ("random", 1)])
def test_palindromic_pairs_of_sweeps_and_random_sweeps_are_reversible(order: str, every: int) -> None:
    """No pair flux beyond 6 standard errors, where the chromatic order shows 50 and more."""
    measured, sigma, _ = fluxes(order, every)
    assert (np.abs(measured) / sigma).max() < 6


def test_looking_at_every_second_sweep_does_not_by_itself_remove_the_flux() -> None:
    """Power check: in chromatic order it is there from every second sweep to the next too."""
    measured, sigma, _ = fluxes("chromatic", every=2)
    assert (np.abs(measured) / sigma).max() > 20


@pytest.mark.parametrize("order", ["palindromic", "random"])
@pytest.mark.parametrize("seed", range(3000, 3010))
def test_every_scan_order_samples_the_boltzmann_distribution(seed: int, order: str) -> None:
    """N_eff from the second eigenvalue of the chain of its own: of a random sweep, or, per sweep, of a palindromic pair."""
    q = problem(seed)
    with opened(config(graph(q), seeds={"run": seed + 1})) as (emulated, chip):
        chip.set_scan_order(order)
        samples = draw(chip, q)
        t = emulated._plant.topology
    p = boltzmann(q["J"], q["h"], q["T"], q["fixed"])
    chain = Sweep.of(q["J"], q["h"], q["T"], t.order.tolist(), q["fixed"])
    if order == "random":
        colours = [t.order[a:b].tolist() for a, b in itertools.pairwise(t.phase.tolist())]
        chain = RandomSweep(chain.order, chain.up, colours)
    else:
        chain = Sweep(chain.order + chain.order[::-1], chain.up)
    stationary, second = chain.stationary(q["fixed"])
    second = second if order == "random" else np.sqrt(second)
    assert np.abs(stationary - p).max() < 1e-8
    assert total_variation(samples, p) < limit(p, second)
