"""Estimates of log Z against exact ones, annealed from independent cells and along trajectories."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.apps.models_machines import bipartite, ferromagnet, machine
from tsu_apps.models import Boltzmann, LogZ, annealed_log_z, exact_log_z, log_likelihood, trajectory_log_z

SIGMAS = 4.5
"""Errors of an estimate with many effective samples are nearly normal: beyond 4.5 standard errors once in 150,000 times."""
MODELS = {
    "two colours": bipartite(12, 8, seed=1),
    "complete": machine(12, 1.0, seed=2, scale=0.3),
    "sparse": machine(18, 0.3, seed=3),
}


@pytest.mark.parametrize("name", MODELS)
def test_annealed_log_z_is_exact_within_its_error_and_notices_another(name: str) -> None:
    """Power: weights 1.5 times as large are noticed."""
    model = MODELS[name]
    z = annealed_log_z(model, steps=500, seed=4)
    assert z.trusted
    assert z.standard_error < 0.03
    assert abs(z.value - exact_log_z(model)) < SIGMAS * z.standard_error
    stronger = model.with_values(1.5 * model.weights, model.biases)
    assert abs(z.value - exact_log_z(stronger)) > 2 * SIGMAS * z.standard_error


def test_the_standard_error_is_that_of_repetitions() -> None:
    """60 repetitions: the rms of error over standard error is 1 within 4.5 / sqrt(2 60) = .41, and one of mean Z is within 4.5
    of its own: the mean of Z is unbiased, that of log Z is not."""
    model = MODELS["two colours"]
    truth = exact_log_z(model)
    runs = [annealed_log_z(model, chains=200, steps=30, seed=seed) for seed in range(60)]
    ratios = np.array([math.expm1(z.value - truth) / z.standard_error for z in runs])
    assert abs(math.sqrt(np.mean(ratios**2)) - 1) < SIGMAS / math.sqrt(2 * 60)
    factors = np.exp([z.value - truth for z in runs])
    assert abs(factors.mean() - 1) < SIGMAS * factors.std(ddof=1) / math.sqrt(60)
    assert 0.02 < factors.std() < 0.5


def test_any_base_gives_the_same_log_z_and_a_near_one_more_effective_samples() -> None:
    """About 497 of 500 against 272."""
    model = ferromagnet(0.8, 0.3, cells=12)
    truth = exact_log_z(model)
    near, far = (annealed_log_z(model, base=np.full(12, bias), steps=50, seed=5) for bias in (0.8, -0.8))
    for z in (near, far):
        assert abs(z.value - truth) < SIGMAS * z.standard_error
    assert near.effective_samples > 1.5 * far.effective_samples


def growth(model: Boltzmann, checkpoints: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Checkpoints of a run in which weights grow evenly, beside the biases of the finished machine."""
    return [(model.weights * k / checkpoints, model.biases) for k in range(1, checkpoints + 1)]


@pytest.mark.parametrize("name", MODELS)
def test_log_z_along_a_trajectory_is_exact_at_every_checkpoint(name: str) -> None:
    """Biases wander on the way. 4.5 standard errors at each of 8 checkpoints; the checkpoint before is another machine."""
    model = MODELS[name]
    rng = np.random.default_rng(11)
    run = [(w, b + rng.normal(0, 0.1, len(b))) for w, b in growth(model, 8)]
    found = trajectory_log_z(model.pairs, run, steps=60, seed=12)
    exactly = np.array([exact_log_z(model.with_values(*values)) for values in run])
    errors = np.array([z.standard_error for z in found])
    values = np.array([z.value for z in found])
    assert all(z.trusted for z in found)
    assert (np.abs(values - exactly) < SIGMAS * errors).all()
    assert (np.abs(values[1:] - exactly[:-1]) > 2 * SIGMAS * errors[1:]).any()


def test_a_trajectory_goes_round_a_sudden_change() -> None:
    """The machine of the collapse above, grown on its own side."""
    model = ferromagnet(3.0, -0.2)
    z = trajectory_log_z(model.pairs, growth(model, 10), steps=40, seed=13)[-1]
    assert z.trusted
    assert abs(z.value - exact_log_z(model)) < SIGMAS * z.standard_error
    found = log_likelihood(model, range(20), np.full((1, 20), -1), log_z=z)
    assert found.trusted
    assert found.standard_error == z.standard_error


def test_a_trajectory_that_leaves_its_chains_behind_is_flagged_by_the_data() -> None:
    """Biases turn round between two checkpoints. All chains stay in the old mode together, which their weights do not show;
    but data in the new mode are then more probable than 1."""
    model = ferromagnet(3.0, 0.0)
    run = [(model.weights, sign * np.full(20, 0.5)) for sign in (1, -1)]
    z = trajectory_log_z(model.pairs, run, steps=5, seed=14)[-1]
    last = model.with_values(*run[-1])
    assert z.value < exact_log_z(last) - 5
    assert not log_likelihood(last, range(20), -np.ones((1, 20)), log_z=z).trusted


def test_log_z_of_equal_weights() -> None:
    z = LogZ.of(np.full(30, 7.0))
    assert (z.value, z.standard_error, z.chains) == (pytest.approx(7.0), pytest.approx(0, abs=1e-9), 30)
    assert z.effective_samples == pytest.approx(30)
    lone = LogZ.of(np.where(np.arange(30) == 0, 50.0, 0.0))
    assert lone.effective_samples == pytest.approx(1)
    assert not lone.trusted
