"""Ladders, replica exchange and the machine of bars and stripes against enumeration.

Exchanges run as 16 ladders that know nothing of each other; standard errors are those of their scatter.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.special import erfc

from tsu_apps.characterise.laws import boltzmann, number, states
from tsu_apps.trainability import bars
from tsu_apps.trainability.exchange import Exchange, exchange
from tsu_apps.trainability.planted import planted
from tsu_apps.trainability.statistics import Floats
from tsu_apps.trainability.tempering import (
    energies,
    enumerated_acceptance,
    enumerated_moments,
    equal_length_ladder,
    ladder,
    measured_acceptance,
    sampled_acceptance,
    thermodynamic_length,
)

SIGMAS = 4.5
BETAS = np.array([1.5, 0.9, 0.4])
LADDERS, SWEEPS, BURN = 16, 3000, 200


def problem() -> tuple[Floats, Floats, Floats]:
    """(J, h, energies of all states) of six cells, cells 0 .. 2 coupled to 3 .. 5."""
    rng = np.random.default_rng(5)
    J = np.zeros((6, 6))
    J[:3, 3:] = rng.normal(0, 0.7, (3, 3))
    J, h = J + J.T, rng.normal(0, 0.3, 6)
    return J, h, energies(states(6), J, h)


@pytest.fixture(scope="module")
def exchanged() -> Exchange:
    J, h, _ = problem()
    return exchange(J, h, [0, 0, 0, 1, 1, 1], BETAS, SWEEPS, ladders=LADDERS, seed=2)


# Laws


def test_energies_are_the_definition() -> None:
    J, h, energy = problem()
    for s, e in zip(states(6), energy, strict=True):
        pairs = sum(J[i, j] * s[i] * s[j] for i, j in product(range(6), range(6)) if i < j)
        assert e == pytest.approx(-pairs - h @ s)


def test_moments_are_derivatives_of_log_z() -> None:
    """<E> = -d ln Z / d beta and Var E = d^2 ln Z / d beta^2, by differences over .001."""
    energy, d = problem()[2], 1e-3
    log_z = [np.log(np.exp(-b * energy).sum()) for b in (0.8 - d, 0.8, 0.8 + d)]
    mean, variance = enumerated_moments(energy, [0.8])
    assert mean[0] == pytest.approx(-(log_z[2] - log_z[0]) / (2 * d), rel=1e-5)
    assert variance[0] == pytest.approx((log_z[2] - 2 * log_z[1] + log_z[0]) / d**2, rel=1e-4)


def test_exact_acceptance_is_the_sum_over_pairs_of_states() -> None:
    """All 64 x 64 pairs of states, with energies that tie (no biases: flipped states) and without."""
    J, h, _ = problem()
    for biases in (h, 0 * h):
        energy = energies(states(6), J, biases)
        p = np.exp(-BETAS[:, None] * energy)
        p /= p.sum(axis=1, keepdims=True)
        expected = [
            p[k] @ np.minimum(1, np.exp((BETAS[k] - BETAS[k + 1]) * np.subtract.outer(energy, energy))) @ p[k + 1] for k in (0, 1)
        ]
        np.testing.assert_allclose(enumerated_acceptance(energy, BETAS), expected, rtol=1e-12)


def test_gaussian_energies_are_accepted_as_erfc_of_half_the_length() -> None:
    """Energies N(-beta v, v) of v = 16, 10^5 draws: the mean of numbers in 0 .. 1 is known to .5 / sqrt(10^5); a length that is
    off by a tenth is refused."""
    betas, v, n = np.array([1.0, 0.7, 0.3]), 16.0, 100_000
    draws = np.random.default_rng(0).normal(-betas * v, np.sqrt(v), (n, 3))
    lengths = -np.diff(betas) * np.sqrt(v)
    found = sampled_acceptance(draws, betas)
    assert (np.abs(found - erfc(lengths / 2)) < SIGMAS * 0.5 / np.sqrt(n)).all()
    assert (np.abs(found - erfc(1.1 * lengths / 2)) > SIGMAS * 0.5 / np.sqrt(n)).all()


# Ladders


def test_rungs_are_equally_long_apart() -> None:
    """Var E constant: uniform in beta. Var E as 1 / beta^2, a constant heat capacity: geometric. Else lengths are equal."""
    grid = np.linspace(0.2, 1.0, 801)
    np.testing.assert_allclose(equal_length_ladder(5, grid, np.full(801, 4.0)).betas, np.linspace(1.0, 0.2, 5))
    np.testing.assert_allclose(equal_length_ladder(5, grid, 9 / grid**2).betas, np.geomspace(1.0, 0.2, 5), rtol=1e-4)
    energy = problem()[2]
    variance = enumerated_moments(energy, grid)[1]
    rungs = equal_length_ladder(4, grid, variance)
    np.testing.assert_allclose(rungs.lengths, thermodynamic_length(grid, variance)[-1] / 3, rtol=1e-9)
    assert (rungs.betas[0], rungs.betas[-1]) == (1.0, 0.2)
    np.testing.assert_allclose(rungs.predicted, erfc(rungs.lengths / 2))
    np.testing.assert_allclose(rungs.temperatures * rungs.betas, 1)
    uniform = ladder(np.linspace(1.0, 0.2, 4), grid, variance)
    assert np.ptp(uniform.lengths) > 0.1 * uniform.lengths.mean()
    assert uniform.lengths.sum() == pytest.approx(rungs.lengths.sum())


def test_counts_of_swaps_become_rates() -> None:
    """One ladder: binomial errors. Several: the scatter of their rates."""
    one = measured_acceptance([20, 50], [100, 100])
    np.testing.assert_allclose(one.rate, [0.2, 0.5])
    np.testing.assert_allclose(one.error, [0.04, 0.05])
    two = measured_acceptance([[20, 50], [40, 50]], [100, 100])
    np.testing.assert_allclose(two.rate, [0.3, 0.5])
    np.testing.assert_allclose(two.error, [0.1, 0.0], atol=1e-12)


# Replica exchange


def test_swaps_are_accepted_as_often_as_they_should_be(exchanged: Exchange) -> None:
    """16 ladders x 1,500 attempts a pair, beside the exact acceptance; rungs a tenth farther apart are refused."""
    energy = problem()[2]
    found = measured_acceptance(exchanged.accepted, exchanged.attempted)
    assert exchanged.attempted.tolist() == [SWEEPS // 2, SWEEPS // 2]
    assert (np.abs(found.rate - enumerated_acceptance(energy, BETAS)) < SIGMAS * found.error).all()
    wider = enumerated_acceptance(energy, BETAS[1] + 1.2 * (BETAS - BETAS[1]))
    assert (np.abs(found.rate - wider) > SIGMAS * found.error).all()
    np.testing.assert_allclose(sampled_acceptance(exchanged.energies, BETAS), found.rate, atol=SIGMAS * found.error.max())


def test_every_rung_keeps_its_law(exchanged: Exchange) -> None:
    """Mean energies of all rungs, and all 64 probabilities of the coldest, within 4.5 and 5 standard errors over ladders; those
    of a temperature a tenth higher are refused."""
    J, h, energy = problem()
    each = exchanged.energies[BURN:].mean(axis=0)
    error = each.std(axis=0, ddof=1) / np.sqrt(LADDERS)
    for share, agrees in ((1.0, True), (0.9, False)):
        off = np.abs(each.mean(axis=0) - enumerated_moments(energy, share * BETAS)[0]) / error
        assert (off < SIGMAS).all() if agrees else (off > SIGMAS).all()
    seen = number(exchanged.cold[BURN:])
    share_of = np.stack([(seen == k).mean(axis=0) for k in range(64)])
    spread = share_of.std(axis=1, ddof=1) / np.sqrt(LADDERS) + 1e-4
    assert (np.abs(share_of.mean(axis=1) - boltzmann(J, h, 1 / BETAS[0], {})) < 5 * spread).all()
    assert (np.abs(share_of.mean(axis=1) - boltzmann(J, h, 1.1 / BETAS[0], {})) > 5 * spread).any()


def test_a_ladder_crosses_what_a_single_chain_does_not() -> None:
    """One planted pattern at beta 4, its negative behind a barrier: in 1,000 sweeps of 16 chains hardly one flips; ladders do."""
    machine = planted(4, 1, 0, 4.0)
    flips = []
    for betas in ([1.0], np.geomspace(1.0, 0.1, 6)):
        run = exchange(machine.J, np.zeros(8), np.repeat([0, 1], 4), betas, 1000, ladders=LADDERS, seed=3)
        sides = np.sign(run.cold.astype(int) @ machine.patterns[0])
        flips.append(bars.switches(sides).sum())
    assert flips[0] <= 2
    assert flips[1] > 10 * LADDERS
    assert (run.round_trips > 0).all()


def test_round_trips_are_counted_there_and_back() -> None:
    """Cells without couplings have E = 0, and every attempt is a swap. Of two rungs, which try every second sweep, each swap
    brings a state back, but for the first two; of three, each of three states is back after six sweeps."""
    loose = np.zeros((2, 2))
    two = exchange(loose, np.zeros(2), [0, 1], [1.0, 0.5], 40)
    assert two.accepted.tolist() == [[20]]
    assert two.round_trips[0] == 18
    three = exchange(loose, np.zeros(2), [0, 1], [1.0, 0.5, 0.2], 60)
    assert three.accepted.tolist() == [[30, 30]]
    assert 60 / 6 * 3 - 6 <= three.round_trips[0] <= 60 / 6 * 3


def test_same_seed_same_run() -> None:
    J, h, _ = problem()
    runs = [exchange(J, h, [0, 0, 0, 1, 1, 1], BETAS, 50, seed=s) for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0].cold, runs[1].cold)
    assert (runs[0].cold != runs[2].cold).any()


def test_progress_makes_one() -> None:
    shares: list[float] = []
    exchange(np.zeros((2, 2)), np.zeros(2), [0, 1], [1.0], 20, progress=shares.append)
    assert sum(shares) == pytest.approx(1)


# Bars and stripes


def test_images_and_their_orientations() -> None:
    for side, count in ((2, 6), (3, 14), (4, 30)):
        images = bars.patterns(side)
        assert images.shape == (count, side * side)
        assert np.unique(images, axis=0).shape == images.shape
        assert np.bincount(bars.orientation(images) + 1).tolist() == [count // 2 - 1, 2, count // 2 - 1]
    rows = np.array([1, 1, 1, -1, -1, -1, 1, 1, 1])
    assert bars.orientation(rows) == 1
    assert bars.orientation(rows.reshape(3, 3).T.ravel()) == -1
    rows[4] = 1
    assert bars.orientation(rows) == 0


def test_switches_pass_over_what_is_neither() -> None:
    seen = np.array([[0, 1, 0, 0, -1, -1, 0, 1, 1, 0], [1, 0, 1, 1, 0, 0, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, -1]]).T
    assert bars.switches(seen).tolist() == [2, 0, 0]


def test_a_trained_machine_by_enumeration() -> None:
    """2 x 2 images and 3 hidden cells: divergence and moments as summed over all 2^7 states; training lowers the divergence."""
    W = bars.train(2, 3, seed=1, steps=60)
    J, colours = bars.machine(W)
    assert colours.tolist() == [0] * 4 + [1] * 3
    joint = boltzmann(J, np.zeros(7), 1.0, {})
    images = bars.patterns(2)
    visible = number(states(7)[:, :4].astype(np.int8))
    p = np.bincount(visible, joint, minlength=16)[number(images)]
    assert bars.divergence(W) == pytest.approx(-np.log(p).mean() - np.log(len(images)), rel=1e-9)
    betas = [0.3, 1.0]
    expected = enumerated_moments(energies(states(7), J, np.zeros(7)), betas)
    np.testing.assert_allclose(bars.energy_moments(W, betas), expected, rtol=1e-9)
    assert bars.divergence(W) < 0.1 < bars.divergence(np.zeros((4, 3)))
    assert bars.divergence(np.zeros((4, 3))) == pytest.approx(np.log(16 / 6))


GRID = [0.5, 1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: equal_length_ladder(1, GRID, [1, 1]), "rungs = 1"),
        (lambda: equal_length_ladder(3, GRID, [0, 0]), "Var E is 0"),
        (lambda: thermodynamic_length([1.0, 0.5], [1, 1]), "must rise"),
        (lambda: thermodynamic_length(GRID, [1, -1]), r"variance at beta = 1 is -1"),
        (lambda: thermodynamic_length(GRID, [1]), "equal length"),
        (lambda: ladder([1.2, 0.6], GRID, [1, 1]), "leave the grid"),
        (lambda: ladder([0.6, 0.9], GRID, [1, 1]), "falling"),
        (lambda: sampled_acceptance(np.zeros((5, 3)), [1.0, 0.5]), r"\(5, 3\); \(..., 2\)"),
        (lambda: measured_acceptance([5], [0]), "pair 0 of ladder 0: 5 of 0"),
        (lambda: measured_acceptance([[1, 7]], [5, 5]), "pair 1 of ladder 0: 7 of 5"),
        (lambda: exchange(np.zeros((2, 2)), np.zeros(3), [0, 1, 2], [1.0], 5), r"J has shape \(2, 2\), h \(3,\)"),
        (lambda: exchange(np.zeros((2, 2)), np.zeros(2), [0, 1], [0.5, 1.0], 5), "falling"),
        (lambda: exchange(np.zeros((2, 2)), np.zeros(2), [0, 1], [1.0], 0), "sweeps = 0"),
        (lambda: exchange(np.ones((2, 2)), np.zeros(2), [0, 0], [1.0], 5), "cells 0 and 0 are coupled"),
        (lambda: bars.patterns(5), "side = 5"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
