"""Autocorrelation times and errors of windows against autoregressive series, of which all is known.

x(t+1) = a x(t) + noise has rho(t) = a^|t| and tau_int = (1 + a) / (1 - a).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from tsu_apps.trainability.statistics import (
    Autocorrelation,
    Floats,
    autocorrelation,
    magnetisation,
    pair_products,
    signal_to_noise,
    window_errors,
    window_mse,
)

REPEATS = 100
SIGMAS = 4.5


def series(a: float, shape: tuple[int, ...], seed: int, sigma: float = 1.0) -> Floats:
    """Stationary series along axis 0, of standard deviation sigma."""
    noise = np.random.default_rng(seed).normal(0, sigma * np.sqrt(1 - a * a), (shape[0] + 200, *shape[1:]))
    return np.asarray(lfilter([1.0], [1.0, -a], noise, axis=0)[200:])


def tau_of(a: float) -> float:
    return (1 + a) / (1 - a)


def scores(found: list[Autocorrelation], tau: float) -> Floats:
    """Deviations in standard errors."""
    return np.array([(f.tau - tau) / f.error for f in found])


@pytest.mark.parametrize(("a", "chains"), [(0.5, 16), (0.8, 16), (0.8, 1), (-0.4, 16)])
def test_tau_of_a_series_and_how_well_it_is_known(a: float, chains: int) -> None:
    """100 records: the mean of their deviations, in standard errors each, is 0 within 4.5 / 10, and .15 for the sum that ends at
    5 tau; their spread is 1 within 4.5 / sqrt(200), and .2 for errors that are uncertain themselves (of 16 groups: by 18 %)."""
    records = series(a, (4800 // chains, chains, REPEATS), 1)
    found = [autocorrelation(records[:, :, k]) for k in range(REPEATS)]
    z = scores(found, tau_of(a))
    assert abs(z.mean()) < SIGMAS / np.sqrt(REPEATS) + 0.15
    assert abs(np.sqrt(np.mean(z**2)) - 1) < SIGMAS / np.sqrt(2 * REPEATS) + 0.2
    assert all(f.resolved for f in found)
    assert found[0].samples == 4800 // chains * chains


def test_short_records_are_hardly_biased() -> None:
    """2,000 records of 133 tau: what the mean costs, (2 W + 1) / 400 or 8 %, and what the choice of W adds leave tau within 5 %
    on average, known to 1.2 % each way (half a record's standard error, over sqrt(2,000))."""
    records = series(0.5, (400, 2000), 13)
    taus = np.array([autocorrelation(records[:, k]).tau for k in range(2000)])
    assert abs(taus.mean() / tau_of(0.5) - 1) < 0.05
    assert taus.std(ddof=1) / np.sqrt(2000) < 0.012 * tau_of(0.5)


def test_power_another_tau_is_refused() -> None:
    """Every second sample of a series has the tau of a^2 and is told from one of a; tau is told from its half and its double."""
    found = autocorrelation(series(0.8, (4000, 16), 2))
    thinned = autocorrelation(series(0.8, (8000, 16), 2)[::2])
    assert abs(thinned.tau - tau_of(0.64)) < SIGMAS * thinned.error
    assert abs(thinned.tau - tau_of(0.8)) > 2 * SIGMAS * thinned.error
    for wrong in (0.5, 2.0):
        assert abs(found.tau - wrong * tau_of(0.8)) > 2 * SIGMAS * found.error


def test_effective_samples_are_what_a_mean_is_worth() -> None:
    """Variance of 400 records' means times their effective samples, over the variance of a sample: 1 within 4.5 sqrt(2 / 400)."""
    records = series(0.8, (1000, 400), 3)
    one = autocorrelation(records)
    worth = one.effective_samples / 400
    assert abs(records.mean(axis=0).var() * worth / one.variance - 1) < SIGMAS * np.sqrt(2 / 400) + 0.05
    assert worth < 1000 / 5


def test_vectors_are_weighted_by_trace() -> None:
    """Variances 1 and 9, tau 3 and 9: tau = (3 + 9 * 9) / 10, not the mean 6."""
    slow, fast = series(0.8, (12000, 16), 4, 3.0), series(0.5, (12000, 16), 5)
    found = autocorrelation(np.stack([slow, fast], axis=-1))
    expected = (tau_of(0.5) + 9 * tau_of(0.8)) / 10
    assert abs(found.tau - expected) < SIGMAS * found.error
    assert abs(found.tau - 6) > 2 * SIGMAS * found.error
    assert found.variance == pytest.approx(10, rel=0.05)
    np.testing.assert_allclose(found.rho[:3], [1, (0.5 + 9 * 0.8) / 10, (0.25 + 9 * 0.64) / 10], atol=0.03)


def test_spins_are_taken_as_they_come() -> None:
    """int8 records give what float64 ones give."""
    spins = np.where(series(0.7, (500, 9, 4), 6) > 0, 1, -1).astype(np.int8)
    whole, half = autocorrelation(spins), autocorrelation(spins.astype(np.float64))
    assert (whole.tau, whole.error, whole.window) == pytest.approx((half.tau, half.error, half.window), rel=1e-12)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x = series(0.7, (300, 10, 3), 7)
    before = autocorrelation(x)
    monkeypatch.setattr("tsu_apps.trainability.statistics.CHUNK", 1)
    after = autocorrelation(x)
    assert (before.tau, before.error) == pytest.approx((after.tau, after.error), rel=1e-12)


def test_a_record_that_is_too_short_says_so() -> None:
    found = autocorrelation(series(0.999, (100, 8), 8))
    assert not found.resolved


def test_window_mse_is_the_sum() -> None:
    rho = 0.7 ** np.arange(60)
    for K in (1, 2, 5, 40):
        matrix = 0.7 ** np.abs(np.subtract.outer(np.arange(K), np.arange(K)))
        assert window_mse(3.0, rho, K)[0] == pytest.approx(3.0 * matrix.sum() / K**2, rel=1e-12)
    long = window_mse(3.0, rho, [10**6])[0]
    assert long == pytest.approx(3.0 * tau_of(0.7) / 10**6, rel=1e-4)


WINDOWS = [1, 3, 10, 30, 100]


def test_measured_errors_of_windows() -> None:
    """Five windows of 64 chains within 4.5 standard errors; independent samples, and twice the memory, are refused at K = 10."""
    found = window_errors(series(0.8, (3000, 64, 2), 9), WINDOWS)
    exact = window_mse(2.0, 0.8 ** np.arange(400), WINDOWS)
    assert (np.abs(found.mse - exact) < SIGMAS * found.error).all()
    for rho in (0.0, 0.8**0.5):
        assert abs(found.mse[2] - window_mse(2.0, rho ** np.arange(400), WINDOWS)[2]) > 2 * SIGMAS * found.error[2]


def test_the_errors_of_windows_are_right_and_the_mean_is_allowed_for() -> None:
    """1,000 records of 8 chains, 300 samples: deviations in standard errors spread as t with 7 degrees of freedom, rms 1.18. A
    window as long as the record has an MSE that is 1/8 too low, 8 standard errors, if the record's mean counts as certain."""
    repeats = 1000
    records = series(0.8, (300, 8, repeats), 10)
    found = [window_errors(records[:, :, k], [10, 300]) for k in range(repeats)]
    exact = window_mse(1.0, 0.8 ** np.arange(400), [10, 300])
    mse = np.array([f.mse for f in found])
    spread = mse.std(axis=0, ddof=1) / np.sqrt(repeats)
    assert (np.abs(mse.mean(axis=0) - exact) < SIGMAS * spread).all()
    assert SIGMAS * spread[1] < 0.1 * exact[1]
    z = np.array([(f.mse - exact) / f.error for f in found])[:, 0]
    assert 0.9 < np.sqrt(np.mean(z**2)) < 1.5


def test_signal_to_noise() -> None:
    assert signal_to_noise([3.0, 4.0], [5.0, 50.0]).tolist() == [5.0, 0.5]
    errors = window_errors(series(0.5, (400, 8), 11), [1, 4])
    q, dq = errors.quality([2.0])
    np.testing.assert_allclose(q, 4 / errors.mse)
    np.testing.assert_allclose(dq / q, errors.error / errors.mse)


def test_observables() -> None:
    spins = np.array([[1, -1, 1], [-1, -1, 1]], np.int8)
    assert pair_products(spins, [[0, 1], [1, 2], [0, 2]]).tolist() == [[-1, -1, 1], [1, -1, -1]]
    assert pair_products(spins, [[0, 1]]).dtype == np.int8
    assert magnetisation(spins).tolist() == [1.0, -1.0]
    assert magnetisation(np.ones((1, 200), np.int8)).tolist() == [200.0]


GOOD = series(0.5, (50, 4), 12)
HOLE = np.where(np.arange(200).reshape(50, 4) == 37, np.nan, GOOD)
BAD: list[tuple[NDArray[Any], str]] = [
    (np.zeros((5, 2)), "does not vary"),
    (np.zeros((3, 2)), "at least 4 samples"),
    (np.zeros((5, 2, 2, 2)), "4 dimensions"),
    (HOLE, r"x\[9, 1\] is nan"),
]


@pytest.mark.parametrize(("x", "message"), BAD)
def test_bad_records_are_named(x: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        autocorrelation(x)


@pytest.mark.parametrize(
    ("windows", "message"),
    [([0], "window of 0"), ([51], "51 samples does not fit into a record of 50"), ([], "list of numbers"), ([1.5], "float64")],
)
def test_bad_windows_are_named(windows: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        window_errors(GOOD, windows)


def test_one_chain_has_no_scatter() -> None:
    with pytest.raises(ValueError, match="at least two"):
        window_errors(GOOD[:, :1], [2])
    with pytest.raises(ValueError, match="above 0"):
        signal_to_noise([1.0], [0.0])
