"""Random features, Gaussian processes and flow matching: against quadrature, scikit-learn and closed forms, and on chips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import energy_distance as energy_distance_1d
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from serving import config, opened
from tsu_apps.layers import Chain, ChipLayer, Dense, Pbit, TwinLayer
from tsu_apps.layers.features import RandomFeatures, limit_kernel, readout
from tsu_apps.layers.flow import energy_distance, flow, pairs
from tsu_apps.layers.gaussian_process import Posterior, Regression, by_cells, exact, of_features, squared_exponential
from tsu_apps.layers.laws import Floats

N, NOISE, LENGTH = 10, 0.4, 0.5
DENSE: dict[str, Any] = {"kind": "dense", "cells": 12}
GAUSSIAN: dict[str, Any] = {
    "cell": {"kind": "gaussian", "tau_s": 1e-6, "range": 8.0},
    "bias": {"dac": {"bits": 12, "full_scale": 4.0}},
    "coupling": {"dac": {"bits": 12, "full_scale": 1.0}},
    "adc": {"count": 4, "bits": 12},
    "timing": {"colour": 50, "slot": 0},
    "clock": {"hz": 1e8},
}


def data() -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (N, 1))
    return X, np.sin(3 * X[:, 0]) + 0.3 * rng.standard_normal(N), np.linspace(-1.2, 1.2, 9)[:, None]


def regression() -> Regression:
    X, y, Z = data()
    return Regression(squared_exponential(X, X, LENGTH), squared_exponential(Z, X, LENGTH), np.ones(len(Z)), y, NOISE)


def test_the_exact_process_is_scikit_learns() -> None:
    X, y, Z = data()
    model = GaussianProcessRegressor(RBF(LENGTH), alpha=NOISE, optimizer=None).fit(X, y)
    mean, deviation = model.predict(Z, return_std=True)
    found = exact(regression())
    np.testing.assert_allclose(found.mean, mean, atol=1e-10)
    np.testing.assert_allclose(found.variance, deviation**2, atol=1e-10)


def process_errors(found: Posterior, truth: Posterior) -> tuple[float, float]:
    return float(np.abs(found.mean - truth.mean).max()), float(np.abs(found.variance - truth.variance).max())


def test_coupled_cells_solve_a_process() -> None:
    """12 ideal cells, 10 inputs, 64 planes x 40 looks, 12 ticks apart (6 tau; the slowest mode lives 2.5): 2,560 draws of x of
    covariance T A^-1. The mean k^T A^-1 y has the error sqrt(T (k^T A^-1 k) / 2,560), scaled back, the variance sqrt(2 / 2,560)
    of k^T A^-1 k: within 5 of each plus .01 for codes. Twice the noise variance is refused by both."""
    problem, draws = regression(), 64 * 40
    truth = exact(problem)
    form = problem.prior - truth.variance
    A = problem.K + NOISE * np.eye(N)
    up = 0.5 * 8.0 * np.linalg.eigvalsh(A)[0] / np.abs(problem.y).max()
    limits = 5 * np.sqrt(0.25 * form.max() / draws) / up + 0.01, 5 * np.sqrt(2 / draws) * form.max() + 0.01
    wrong = exact(Regression(problem.K, problem.cross, problem.prior, problem.y, 2 * NOISE))
    with opened(config(DENSE, 64, **GAUSSIAN)) as (_, chip):
        found = by_cells(chip, problem, 40, 12, 1)
        errors, off = process_errors(found, truth), process_errors(found, wrong)
        assert errors[0] < limits[0] < off[0]
        assert errors[1] < limits[1] < off[1]


def test_passes_take_the_chips_errors_out_of_the_mean() -> None:
    """Couplers 10 % off and stiffnesses 5 %: four passes leave less than a tenth of the error of one, and less than .02."""
    problem = regression()
    truth = exact(problem)
    flawed = GAUSSIAN | {
        "coupling": {"gain_sigma": 0.1, **GAUSSIAN["coupling"]},
        "cell": {"stiffness_sigma": 0.05, **GAUSSIAN["cell"]},
    }
    with opened(config(DENSE, 64, **flawed)) as (_, chip):
        one, four = (process_errors(by_cells(chip, problem, 20, 12, passes), truth)[0] for passes in (1, 4))
        assert one > 0.03
        assert four < min(0.1 * one, 0.02)
        with pytest.raises(ValueError, match="passes = 0"):
            by_cells(chip, problem, 1, 1, 0)
        X = np.zeros((13, 1))
        large = Regression(np.eye(13), np.ones((1, 13)), np.ones(1), X[:, 0], 1.0)
        with pytest.raises(ValueError, match="13 inputs need as many cells; test has 12"):
            by_cells(chip, large, 1, 1, 1)


def test_the_kernel_of_random_features_is_their_limit() -> None:
    """phi . phi / width of 200,000 features within 5 standard errors, at most 1 / sqrt(width); of twice the spread not."""
    X, width = np.array([[-0.7, 0.2], [0.1, 0.9], [1.1, -0.4]]), 200_000
    phi = RandomFeatures(TwinLayer(Pbit()), 2, width, (1.5, 0.5), 0)(X, None)
    found = phi @ phi.T / width
    np.testing.assert_allclose(found, limit_kernel(Pbit(), X, X, (1.5, 0.5)), atol=5 / np.sqrt(width))
    assert np.abs(found - limit_kernel(Pbit(), X, X, (3.0, 1.0))).max() > 50 / np.sqrt(width)


def test_regression_on_features_is_the_process_of_their_kernel() -> None:
    X, y, Z = data()
    features = RandomFeatures(TwinLayer(Pbit()), 1, 40, (2.0, 1.0), 0)
    phi, asked = features(X, None), features(Z, None)
    kernel = Regression(phi @ phi.T / 40, asked @ phi.T / 40, (asked**2).sum(axis=1) / 40, y, NOISE)
    truth, found = exact(kernel), of_features(phi, asked, y, NOISE)
    np.testing.assert_allclose(found.mean, truth.mean, atol=1e-9)
    np.testing.assert_allclose(found.variance, truth.variance, atol=1e-9)


def test_a_readout_trained_on_the_chip_learns_its_errors_away() -> None:
    """Two classes by the sign of x0 x1, 128 features of p-bits with offsets of .5 kT, 32 draws: trained on the chip it is right
    on 90 % of 300 held out; trained on the twin it is at least 5 standard errors, .02 each, worse."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (700, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    features = RandomFeatures(TwinLayer(Pbit()), 2, 128, (1.5, 1.0), 0)
    on_twin = readout(features(X[:400], None), y[:400], 0.1)
    loose = {"kind": "edges", "cells": 128, "pairs": []}
    cell, bias = {"kind": "pbit", "offset_sigma_kt": 0.5}, {"dac": {"bits": 8, "full_scale": 4.0}}
    with opened(config(loose, 32, cell=cell, bias=bias)) as (_, chip):
        features.layer = ChipLayer(chip, Pbit())
        phi = features(X, 32)
    moved, in_loop = on_twin.score(phi[400:], y[400:]), readout(phi[:400], y[:400], 0.1).score(phi[400:], y[400:])
    assert in_loop > 0.9
    assert moved < in_loop - 5 * 0.02


def test_flow_follows_the_velocities_and_pairs_lie_on_the_line() -> None:
    """A constant velocity moves all points by itself; the input at time t is noise + t velocity, and the noise is normal."""
    network = Chain(Dense(3, 2, np.random.default_rng(0)))
    network.parts[0].weights.value[:] = 0.0  # type: ignore[attr-defined]
    network.parts[0].biases.value[:] = (1.0, -2.0)  # type: ignore[attr-defined]
    noise = np.random.default_rng(1).standard_normal((5, 2))
    np.testing.assert_allclose(flow(network, noise), noise + (1.0, -2.0))
    ends = np.random.default_rng(2).normal(3.0, 1.0, (2000, 2))
    inputs, velocities = pairs(ends, 2, 3)
    t = 0.5 * (inputs[:, 2:] + 1)
    starts = inputs[:, :2] - t * velocities
    np.testing.assert_allclose(starts + velocities, np.tile(ends, (2, 1)))
    assert abs(starts.mean()) < 5 / np.sqrt(starts.size)
    assert abs(starts.var() - 1) < 5 * np.sqrt(2 / starts.size)
    assert 0 <= t.min() < 0.01 < 0.99 < t.max() <= 1


def test_energy_distance_is_scipys_in_one_dimension_and_unbiased() -> None:
    """The square of scipy's but for a point's distance from itself, by which they differ by E|x - x'| / n of both samples. Of 200
    pairs of equal laws the mean is 0 within 5 standard errors."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(300, 1)), rng.normal(0.5, 1.0, (400, 1))
    within = [np.abs(s - s.T).sum() / len(s) ** 2 / (len(s) - 1) for s in (a, b)]
    assert energy_distance(a, b) == pytest.approx(energy_distance_1d(a[:, 0], b[:, 0]) ** 2 - sum(within))
    same = np.array([energy_distance(rng.normal(size=(40, 2)), rng.normal(size=(40, 2))) for _ in range(200)])
    assert abs(same.mean()) < 5 * same.std() / np.sqrt(200)
    shifted = np.array([energy_distance(rng.normal(size=(40, 2)), rng.normal(0.5, 1.0, (40, 2))) for _ in range(50)])
    assert shifted.mean() > 10 * same.std() / np.sqrt(50)
