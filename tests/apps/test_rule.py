"""Update rules against their formulas written out, weight by weight; masters and their codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tsu_apps.learning.history import energies
from tsu_apps.learning.loop import Seen
from tsu_apps.learning.masters import Masters, RunningMean, exponential_rates
from tsu_driver.rules import BIAS_FACTORS, PAIR_FACTORS, Term, UpdateRule

LSB, BITS = 1 / 64, 8
CELLS = 7
PAIRS = np.array([(i, j) for i in range(CELLS) for j in range(i + 1, CELLS)], np.int32)


def averages(seed: int = 0) -> Seen:
    rng = np.random.default_rng(seed)
    return Seen(*(rng.uniform(-1, 1, size) for size in (len(PAIRS), len(PAIRS), CELLS, CELLS)))


def weights(seed: int = 1) -> tuple[Any, Any]:
    """Masters and programmed values of the pairs."""
    w = np.random.default_rng(seed).normal(size=len(PAIRS))
    return w, np.rint(w / LSB) * LSB


def test_ctd_is_the_formula() -> None:
    seen, (w, code) = averages(), weights()
    rule = UpdateRule.ctd(0.02, 0.015, 0.001)
    expected = [0.02 * seen.data_pairs[p] - 0.015 * seen.free_pairs[p] - 0.001 * w[p] for p in range(len(PAIRS))]
    np.testing.assert_allclose(rule.pair_change(seen, PAIRS, w, code), expected, rtol=1e-12)
    expected = [0.02 * seen.data_means[i] - 0.015 * seen.free_means[i] - 0.001 * w[i] for i in range(CELLS)]
    np.testing.assert_allclose(rule.bias_change(seen, w[:CELLS], code[:CELLS]), expected, rtol=1e-12)


@pytest.mark.parametrize(("plus", "minus"), [(0.02, 0.02), (0.02, 0.01)])
def test_centred_ctd_is_the_formula(plus: float, minus: float) -> None:
    """With equal rates also that of covariances about the data's means."""
    seen, (w, code) = averages(), weights()
    change = UpdateRule.ctd(plus, minus, 0.001, centred=True).pair_change(seen, PAIRS, w, code)
    for p, (i, j) in enumerate(PAIRS.tolist()):
        mi, mj, fi, fj = seen.data_means[i], seen.data_means[j], seen.free_means[i], seen.free_means[j]
        expected = (
            plus * (seen.data_pairs[p] - mi * mj) - minus * (seen.free_pairs[p] - mi * fj - mj * fi + mi * mj) - 0.001 * w[p]
        )
        assert change[p] == pytest.approx(expected, abs=1e-14)
        if plus == minus:
            both = seen.data_pairs[p] - seen.free_pairs[p] - 2 * mi * mj + mi * fj + mj * fi
            assert change[p] == pytest.approx(plus * both - 0.001 * w[p], abs=1e-14)


def test_strong_means_move_centred_couplings_only_by_correlations() -> None:
    """Independent cells whose free means are off by up to 0.1: a centred coupling moves by the square of that at most."""
    rng = np.random.default_rng(2)
    data = rng.uniform(0.7, 0.9, CELLS)
    free = data + rng.uniform(-0.1, 0.1, CELLS)
    i, j = PAIRS.T
    seen = Seen(data[i] * data[j], free[i] * free[j], data, free)
    nothing = np.zeros(len(PAIRS))
    change = UpdateRule.ctd(1.0, 1.0, 0.0, centred=True).pair_change(seen, PAIRS, nothing, nothing)
    np.testing.assert_allclose(change, -(data[i] - free[i]) * (data[j] - free[j]), atol=1e-14)
    plain = UpdateRule.ctd(1.0, 1.0, 0.0).pair_change(seen, PAIRS, nothing, nothing)
    assert np.abs(change).max() <= 0.01 < np.abs(plain).mean()


def test_any_product_of_up_to_three_factors() -> None:
    """Oja's rule in a bias, Hebb with a bound and a memory of the code in a coupling."""
    seen, (w, code) = averages(), weights()
    pair = (Term(0.5, ("c_data", "w", "code")), Term(-0.25, ("m_data_i", "m_free_j", "m_data_i")), Term(0.125, ("one",)))
    rule = UpdateRule(pair, (Term(2.0, ("m_data", "m_data", "w")), Term(1.0, ("one", "one"))))
    i, j = PAIRS.T
    expected = 0.5 * seen.data_pairs * w * code - 0.25 * seen.data_means[i] ** 2 * seen.free_means[j] + 0.125
    np.testing.assert_allclose(rule.pair_change(seen, PAIRS, w, code), expected, rtol=1e-12)
    b = w[:CELLS]
    np.testing.assert_allclose(rule.bias_change(seen, b, b), 2 * seen.data_means**2 * b + 1, rtol=1e-12)
    assert rule.multiply_adds == (3 + 3 + 1, 3 + 1)


def test_random_is_drawn_once_for_each_weight_and_update() -> None:
    seen, (w, code) = averages(), weights()
    rule = UpdateRule((Term(1.0, ("random",)), Term(-1.0, ("random",))), (Term(1.0, ("random",)),))
    rng = np.random.default_rng(3)
    assert not rule.pair_change(seen, PAIRS, w, code, rng).any()
    draws = np.concatenate([rule.bias_change(seen, w[:CELLS], w[:CELLS], rng) for _ in range(2000)])
    assert draws.min() >= -1
    assert draws.max() < 1
    assert abs(draws.mean()) < 5 * (1 / 3 / len(draws)) ** 0.5
    assert abs(draws.var() - 1 / 3) < 5 * (4 / 45 / len(draws)) ** 0.5
    with pytest.raises(ValueError, match="'random'; give an rng"):
        rule.pair_change(seen, PAIRS, w, code)


def test_scaled_multiplies_all_rates() -> None:
    seen, (w, code) = averages(), weights()
    rule = UpdateRule.ctd(0.3, 0.2, 0.1, centred=True)
    np.testing.assert_allclose(
        rule.scaled(0.5).pair_change(seen, PAIRS, w, code), 0.5 * rule.pair_change(seen, PAIRS, w, code), rtol=1e-12
    )
    assert rule.scaled(0.0).bias[0].rate == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Term(1.0, ("c_dta",)), r"there is no factor 'c_dta'; factors are one, c_data"),
        (lambda: Term(1.0, ("w",) * 4), "a tuple of 1 to 3 names"),
        (lambda: Term(1.0, ()), "a tuple of 1 to 3 names"),
        (lambda: Term(1.0, "w"), "a tuple of 1 to 3 names"),
        (lambda: Term(float("nan"), ("w",)), "rate of a term is nan"),
        (lambda: UpdateRule((Term(1.0, ("m_data",)),), ()), r"pair term 0 has the factor 'm_data'; those of a pair are"),
        (lambda: UpdateRule((), (Term(1.0, ("w",)), Term(1.0, ("c_free",)))), "bias term 1 has the factor 'c_free'"),
        (lambda: UpdateRule((Term(1.0, ("w",)),) * 9, ()), "9 pair terms; at most 8"),
        (lambda: UpdateRule.ctd(1, 1, 0).pair_change(averages(), PAIRS, np.zeros(3), np.zeros(3)), r"'w' has shape \(3,\)"),
    ],
)
def test_what_is_wrong_with_a_rule_is_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_every_factor_named_exists() -> None:
    seen, (w, code) = averages(), weights()
    rng = np.random.default_rng(0)
    for name in PAIR_FACTORS:
        assert UpdateRule((Term(1.0, (name,)),), ()).pair_change(seen, PAIRS, w, code, rng).shape == (len(PAIRS),)
    for name in BIAS_FACTORS:
        assert UpdateRule((), (Term(1.0, (name,)),)).bias_change(seen, w[:CELLS], w[:CELLS], rng).shape == (CELLS,)


def test_masters_stay_in_the_range_of_the_dac_and_keep_fractions() -> None:
    masters = Masters(np.array([5.0, -5.0, 0.4 * LSB]), LSB, BITS)
    assert masters.codes().tolist() == [127, -128, 0]
    assert masters.saturation() == pytest.approx(2 / 3)
    for _ in range(3):
        masters.add(np.full(3, 0.1 * LSB))
    assert masters.codes().tolist() == [127, -128, 1]
    assert masters.programmed(masters.codes())[0] == 127 * LSB


def test_rates_are_exponential() -> None:
    rates = exponential_rates(0.1, 0.001, 101)
    np.testing.assert_allclose(rates[[0, 50, 100]], [0.1, 0.01, 0.001], rtol=1e-12)
    assert not exponential_rates(0.0, 0.0, 5).any()


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
