"""The update rule against its formula written out, weight by weight."""

from __future__ import annotations

import numpy as np
import pytest

from tsu_apps.ctd import CtdConfig
from tsu_apps.ctd.history import energies
from tsu_apps.ctd.rule import Masters, RunningMean, deposition_rates

LSB, BITS = 1 / 64, 8


def test_update_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    first, data, free = rng.normal(0, 0.3, 50), rng.uniform(-1, 1, 50), rng.uniform(-1, 1, 50)
    masters = Masters(first, LSB, BITS)
    expected = first.tolist()
    for _ in range(20):
        masters.update(data, free, eta_plus=0.02, eta_minus=0.015, decay=0.001)
        expected = [w + 0.02 * d - 0.015 * f - 0.001 * w for w, d, f in zip(expected, data, free, strict=True)]
    np.testing.assert_allclose(masters.values, expected, rtol=1e-12)


def test_weathering_alone_decays_geometrically() -> None:
    masters, nothing = Masters(np.array([1.0, -0.5]), LSB, BITS), np.zeros(2)
    for _ in range(100):
        masters.update(nothing, nothing, 0.1, 0.1, decay=0.01)
    np.testing.assert_allclose(masters.values, np.array([1.0, -0.5]) * 0.99**100, rtol=1e-12)


def test_equal_averages_move_nothing() -> None:
    masters, same = Masters(np.array([0.3]), LSB, BITS), np.array([0.7])
    masters.update(same, same, 0.1, 0.1, 0.0)
    assert masters.values[0] == pytest.approx(0.3, abs=1e-15)


def test_masters_stay_in_the_range_of_the_dac_and_keep_fractions() -> None:
    masters = Masters(np.array([5.0, -5.0, 0.4 * LSB]), LSB, BITS)
    assert masters.codes().tolist() == [127, -128, 0]
    assert masters.saturation() == pytest.approx(2 / 3)
    for _ in range(3):
        masters.update(np.full(3, 0.1 * LSB), np.zeros(3), 1.0, 1.0, 0.0)
    assert masters.codes().tolist() == [127, -128, 1]
    assert masters.programmed(masters.codes())[0] == 127 * LSB


def test_rates_are_exponential() -> None:
    rates = deposition_rates(CtdConfig(ticks=101, eta_start=0.1, eta_end=0.001))
    np.testing.assert_allclose(rates[[0, 50, 100]], [0.1, 0.01, 0.001], rtol=1e-12)
    assert not deposition_rates(CtdConfig(eta_start=0.0, eta_end=0.0)).any()


def test_running_mean() -> None:
    rows = np.random.default_rng(1).normal(size=(7, 3))
    mean = RunningMean(3)
    for row in rows:
        mean.add(row)
    np.testing.assert_allclose(mean.value, rows.mean(axis=0), rtol=1e-12)


def test_energies_are_the_definition() -> None:
    rng = np.random.default_rng(2)
    spins = rng.choice(np.array([-1, 1], np.int8), (6, 5))
    pairs, weights, biases = np.array([[0, 1], [1, 4], [2, 3]], np.int32), rng.normal(size=3), rng.normal(size=5)
    expected = [
        -sum(w * s[i] * s[j] for w, (i, j) in zip(weights, pairs, strict=True))
        - sum(b * x for b, x in zip(biases, s, strict=True))
        for s in spins.tolist()
    ]
    np.testing.assert_allclose(energies(spins, pairs, weights, biases), expected, rtol=1e-12)
