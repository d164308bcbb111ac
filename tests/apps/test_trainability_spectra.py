"""Chains of small machines against other ways to the same: element by element, step by step, and where the answer is known."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from tsu_apps.characterise.laws import RandomSweep, Sweep, boltzmann, states
from tsu_apps.trainability.planted import planted
from tsu_apps.trainability.spectra import Chain, effective_gap, glauber, spectrum, sweep
from tsu_apps.trainability.statistics import Floats, magnetisation, pair_products, window_mse

PAIRS = np.array([(i, j) for i, j in product(range(5), range(5)) if i < j])
COLOURS = np.array([1, 0, 2, 0, 1])
"""Of cells 0 .. 4, where 1 and 3 are not coupled to each other, nor 0 and 4."""
WINDOWS = [1, 2, 7, 100, 5000]


def problem() -> tuple[Floats, Floats]:
    """Five cells: couplings about .6 kT, biases."""
    rng = np.random.default_rng(3)
    J = np.triu(rng.normal(0, 0.6, (5, 5)), 1)
    J[1, 3] = J[0, 4] = 0.0
    return J + J.T, rng.normal(0, 0.4, 5)


def products(chain: Chain) -> Floats:
    return pair_products(chain.states, PAIRS)


def test_a_sweep_is_what_cell_after_cell_gives() -> None:
    """Colour by colour at T = .8, against updates of single cells in the same order; the reverse order gives another matrix."""
    J, h = problem()
    chain = sweep(J, COLOURS, h, 0.8)
    order = np.argsort(COLOURS, kind="stable").tolist()
    expected = Sweep.of(J, h, 0.8, order, {}).apply(np.eye(32))
    np.testing.assert_allclose(chain.matrix, expected, atol=1e-14)
    np.testing.assert_allclose(chain.law @ chain.matrix, chain.law, atol=1e-14)
    np.testing.assert_allclose(chain.law, boltzmann(J, h, 0.8, {}))
    flux = chain.law[:, None] * chain.matrix
    assert np.abs(flux - flux.T).max() > 1e-4
    assert not chain.reversible
    assert np.abs(sweep(J, 2 - COLOURS, h, 0.8).matrix - chain.matrix).max() > 0.01


def test_single_spin_steps_element_by_element() -> None:
    J, h = problem()
    chain, s, T = glauber(J, h, 0.8), states(5), 0.8
    for a, b in product(range(32), range(32)):
        differ = np.flatnonzero(s[a] != s[b])
        if len(differ) == 1:
            i = differ[0]
            up = 1 / (1 + np.exp(-2 * (J[i] @ s[a] + h[i]) / T))
            assert chain.matrix[a, b] == pytest.approx((up if s[b, i] > 0 else 1 - up) / 5, rel=1e-12)
        elif len(differ) > 1:
            assert chain.matrix[a, b] == 0
    np.testing.assert_allclose(chain.matrix.sum(axis=1), 1, rtol=1e-14)
    flux = chain.law[:, None] * chain.matrix
    np.testing.assert_allclose(flux, flux.T, atol=1e-16)


def test_a_sweep_in_random_order_of_single_cells_is_as_many_steps() -> None:
    J, h = problem()
    order = list(range(5))
    random = RandomSweep(order, Sweep.of(J, h, 1.0, order, {}).up, [[i] for i in order])
    np.testing.assert_allclose(glauber(J, h).repeated(5).matrix, random.apply(np.eye(32)), atol=1e-14)


def test_free_cells_are_known_exactly() -> None:
    """n loose cells: s_i decays with 1 - 1/n a step, s_i s_j with 1 - 2/n; tau = (1 + l) / (1 - l) is 2 n - 1 and n - 1."""
    chain = glauber(np.zeros((5, 5)))
    one, two = spectrum(chain, magnetisation(chain.states)), spectrum(chain, products(chain))
    assert (one.gap, one.relevant_gap, one.tau) == pytest.approx((0.2, 0.2, 9.0))
    assert (two.gap, two.relevant_gap, two.tau) == pytest.approx((0.2, 0.4, 4.0))
    assert (one.relevant, two.relevant) == (0, 5)
    assert effective_gap(one.tau) == pytest.approx(0.2)
    assert two.variance == pytest.approx(10)


@pytest.mark.parametrize("kind", ["single-spin steps", "sweeps"])
def test_tau_and_mse_three_ways(kind: str) -> None:
    """By resolvent, by summing rho(t) step by step, and, of the reversible chain, by modes; a tenth less coupling is another."""
    J, h = problem()
    chain, other = (glauber(k * J, h) if kind.startswith("single") else sweep(k * J, COLOURS, h) for k in (1.0, 0.9))
    f = products(chain)
    rho = chain.correlations(f, 5000)
    tau, mse = 1 + 2 * rho[1:].sum(), window_mse(chain.variance(f), rho, WINDOWS)
    assert chain.tau(f) == pytest.approx(tau, rel=1e-9)
    np.testing.assert_allclose(chain.mse(f, WINDOWS), mse, rtol=1e-9)
    assert chain.mse(f, 1)[0] == pytest.approx(chain.variance(f))
    assert abs(other.tau(f) / tau - 1) > 0.02
    modes = spectrum(chain, f)
    if chain.reversible:
        assert modes.tau == pytest.approx(tau, rel=1e-9)
        np.testing.assert_allclose(modes.mse(WINDOWS), mse, rtol=1e-9)
        assert modes.overlaps.sum() == pytest.approx(1)
    else:
        with pytest.raises(ValueError, match="not reversible"):
            modes.mse(WINDOWS)


@pytest.mark.parametrize("chromatic", [False, True])
def test_gaps_are_rates_at_which_things_are_forgotten(chromatic: bool) -> None:
    """Two planted modes at beta 1.5: the magnetisation decays with the gap in the end, the gradient with the relevant gap, which
    is half as wide again; the gradient's share of slower modes is rounding."""
    machine = planted(3, 2, 0, 1.5)
    chain = sweep(machine.J, np.repeat([0, 1], 3)) if chromatic else glauber(machine.J)
    f, total = pair_products(chain.states, machine.pairs), magnetisation(chain.states)
    modes, seen = spectrum(chain, f), spectrum(chain, total)
    for observable, gap in ((f, modes.relevant_gap), (total, seen.relevant_gap)):
        rho = chain.correlations(observable, 30 if chromatic else 300)
        assert 1 - rho[-1] / rho[-2] == pytest.approx(gap, rel=1e-3)
    assert modes.gap == pytest.approx(seen.relevant_gap)
    assert modes.relevant_gap > 1.5 * modes.gap
    assert modes.overlaps[: modes.relevant].max() < 1e-20
    if chromatic:
        second = Sweep.of(machine.J, np.zeros(6), 1.0, list(range(6)), {}).stationary({})[1]
        assert modes.gap == pytest.approx(1 - second, rel=1e-3)


def test_power_without_the_symmetry_the_slowest_mode_is_seen() -> None:
    machine = planted(3, 2, 0, 1.5)
    chain = glauber(machine.J, np.full(6, 0.1))
    modes = spectrum(chain, pair_products(chain.states, machine.pairs))
    assert modes.relevant == 0
    assert modes.overlaps[0] > 1e-3


def test_multimodality_collapses_the_effective_gap() -> None:
    """At beta 3 one mode and two differ by a factor of 95 (median of machines 0 .. 2), at beta .5 by 1.1."""
    ratios = []
    for beta in (0.5, 3.0):
        gaps = []
        for modes in (1, 2):
            machine = planted(4, modes, 0, beta)
            chain = glauber(machine.J)
            gaps.append(effective_gap(chain.tau(pair_products(chain.states, machine.pairs))))
        ratios.append(gaps[0] / gaps[1])
    assert ratios[0] < 1.3
    assert ratios[1] > 50


def test_planted_patterns_are_ground_states() -> None:
    """Least energy of all 256 states is that of the patterns and their negatives; the data's means are those of the patterns."""
    machine = planted(4, 2, 1, 2.0)
    s = states(8)
    energy = -0.5 * np.einsum("ki,ij,kj->k", s, machine.J, s)
    lowest = s[energy < energy.min() + 1e-9]
    assert {tuple(p) for p in machine.patterns} <= {tuple(row) for row in lowest.astype(int)}
    assert len(lowest) == 4
    np.testing.assert_array_equal(machine.data, pair_products(machine.patterns, machine.pairs).mean(axis=0))
    assert np.abs(machine.patterns[0, :4] @ machine.patterns[1, :4]) == 0


SQUARE, UNEVEN, DIAGONAL = np.zeros((3, 3)), np.triu(np.ones((3, 3)), 1), np.eye(3)
FULL = np.ones((3, 3)) - np.eye(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: glauber(np.zeros((2, 3))), r"shape \(2, 3\)"),
        (lambda: glauber(np.zeros((13, 13))), "13 cells; 1 .. 12"),
        (lambda: glauber(UNEVEN), "symmetric"),
        (lambda: glauber(DIAGONAL), "diagonal"),
        (lambda: glauber(np.full((2, 2), np.nan)), "not finite"),
        (lambda: glauber(SQUARE, np.zeros(2)), r"h has shape \(2,\); \(3,\)"),
        (lambda: glauber(SQUARE, T=0.0), "T = 0"),
        (lambda: sweep(FULL, [0, 1, 0]), "cells 0 and 2 are coupled and have both colour 0"),
        (lambda: sweep(FULL, [0, 1]), r"colours has shape \(2,\)"),
        (lambda: glauber(SQUARE).tau(np.zeros(7)), r"f has shape \(7,\)"),
        (lambda: glauber(SQUARE).repeated(0), "steps = 0"),
        (lambda: spectrum(glauber(FULL, T=0.001), np.arange(8.0)), "probability 0"),
        (lambda: planted(0, 1, 0), "m = 0"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
