"""Linear algebra by settled Gaussian cells: right within its error bars, which are right themselves; and what it refuses.

Problems of whole codes are on the chip without rounding, so that on a chip without errors only noise is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from serving import config, opened
from tsu_apps.linear import (
    Inverse,
    Looks,
    NaturalGradient,
    Softmax,
    Solution,
    correlation_time,
    inverse,
    relaxation,
    relaxed,
    solve,
    train,
)
from tsu_apps.linear.averages import Floats, covariance_error, mean_error
from tsu_emu.config import ChipConfig

CELLS, PLANES, SIGMAS = 8, 32, 5
DENSE = {"kind": "dense", "cells": CELLS}
IDEAL_ADC = {"count": 8, "bits": 12}
TICK = {"colour": 50, "slot": 0}
TICKS_PER_TAU = 2
"""50 cycles of 10 ns are half of the 1 us that a cell of stiffness 1 takes to relax."""


def chip_config(cell: dict[str, Any] | None = None, adc: dict[str, Any] | None = None, **more: Any) -> ChipConfig:
    """8 Gaussian cells, all to all; ideal unless said."""
    coupling, bias = ({"dac": {"full_scale": full, **more}} for full in (1.0, 4.0))
    whole = {"kind": "gaussian", "tau_s": 1e-6, **(cell or {})}
    return config(DENSE, PLANES, coupling=coupling, bias=bias, cell=whole, adc=adc or IDEAL_ADC, timing=TICK)


IDEAL = chip_config()
FINE = chip_config(bits=12)
ERRORS = chip_config(
    {"stiffness_sigma": 0.03, "offset_sigma_kt": 0.2},
    {"count": 4, "bits": 10, "offset_sigma_lsb": 20.0, "gain_sigma": 0.01, "noise_lsb": 0.4},
    gain_sigma=0.02, offset_sigma_lsb=0.5, element_sigma=0.02,
)  # fmt: skip
"""Errors as of typical presets, the offsets of cells four and of converters ten times as large."""


@pytest.fixture(scope="module")
def ideal() -> Iterator[tsu.Chip]:
    with opened(IDEAL) as (_, chip):
        yield chip


@pytest.fixture(scope="module")
def fine() -> Iterator[tsu.Chip]:
    with opened(FINE) as (_, chip):
        yield chip


@pytest.fixture(scope="module")
def typical() -> Iterator[tsu.Chip]:
    with opened(ERRORS) as (_, chip):
        yield chip


def codes_problem() -> tuple[Floats, Floats]:
    """A and b whose entries are whole codes, the greatest 127, so that alpha = beta = 1; the answer fits the range."""
    rng = np.random.default_rng(1)
    upper = np.triu(rng.integers(-60, 61, (CELLS, CELLS)), 1) / 128
    diagonal = rng.integers(45, 100, CELLS) / 32
    diagonal[0] = 127 / 32
    b = rng.integers(-100, 101, CELLS) / 32
    b[3] = 127 / 32
    return upper + upper.T + np.diag(diagonal), b


def spread(z: Floats) -> float:
    return float(np.sqrt(np.mean(z**2)))


# Averages


def autoregressive(rho: float, looks: int, planes: int, cells: int, seed: int) -> Floats:
    """(looks, planes, cells) of x' = rho x + sqrt(1 - rho^2) noise, stationary."""
    rng = np.random.default_rng(seed)
    x = np.empty((looks, planes, cells))
    x[0] = rng.normal(size=(planes, cells))
    for k in range(1, looks):
        x[k] = rho * x[k - 1] + np.sqrt(1 - rho**2) * rng.normal(size=(planes, cells))
    return x


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_correlation_time_of_an_autoregressive_series(rho: float) -> None:
    """(1 + rho) / (1 - rho). Its variance is about 2 (2 W + 1) / N tau^2 with the window W = 2.5 tau looks (Madras and Sokal):
    for N = 400 x 16 at most 13 % of tau at rho = .8, over 20 cells 3 %; the truth of another rho is far beyond 5 of these."""
    tau = (1 + rho) / (1 - rho)
    error = tau * np.sqrt(2 * (5 * tau + 1) / (400 * 16) / 20)
    seen = correlation_time(autoregressive(rho, 400, 16, 20, 1)).mean()
    assert abs(seen - tau) < SIGMAS * error + 0.02 * tau
    wrong = (1 + rho + 0.1) / (1 - rho - 0.1)
    assert abs(seen - wrong) > SIGMAS * error


def test_error_bars_of_means_and_covariances_are_right() -> None:
    """Deviations from the truth over the bars: rms 1 within 4 / sqrt(2 n) of n values (20 runs of 12 cells and of 78
    covariances, which depend on each other as 12 cells do). Power: bars without the memory are too small by sqrt(9) and
    sqrt((1 + .64) / (1 - .64))."""
    means, covariances, naive = [], [], []
    for seed in range(20):
        x = autoregressive(0.8, 200, 8, 12, seed)
        mean, error = mean_error(x)
        means.append(mean / error)
        naive.append(mean / (x.std(axis=(0, 1)) / np.sqrt(x[:, :, 0].size)))
        covariance, bar = covariance_error(x)
        covariances.append(((covariance - np.eye(12)) / bar)[np.triu_indices(12)])
    tolerance = 4 / np.sqrt(2 * 20 * 12)
    assert abs(spread(np.array(means)) - 1) < tolerance
    assert abs(spread(np.array(covariances)) - 1) < tolerance
    assert spread(np.array(naive)) > 1 + 3 * tolerance


# Solutions


def deviation(solution: Solution, x: Floats) -> Floats:
    """In error bars."""
    return (solution.x - x) / solution.error


def test_a_solution_lies_within_its_error_bars(ideal: tsu.Chip) -> None:
    """All 8 within 5 bars; half a coupler's doubling, twice b, and b without one cell's part are refused."""
    A, b = codes_problem()
    solution = solve(ideal, A, b)
    assert solution.alpha == pytest.approx(1.0)
    assert solution.beta == pytest.approx(1.0)
    assert solution.clipped == 0
    assert np.abs(deviation(solution, np.linalg.solve(A, b))).max() < SIGMAS
    other = A.copy()
    other[0, 3] = other[3, 0] = A[0, 3] + 0.1
    for wrong in (np.linalg.solve(other, b), np.linalg.solve(A, 2 * b), np.linalg.solve(np.diag(A.diagonal()), b)):
        assert np.abs(deviation(solution, wrong)).max() > 2 * SIGMAS


def test_the_bars_of_solutions_are_right(ideal: tsu.Chip) -> None:
    """12 solutions of 8 unknowns, looks each tick, so that they hang together: rms deviation 1 within 4 / sqrt(2 x 96)."""
    A, b = codes_problem()
    x = np.linalg.solve(A, b)
    z = np.array([deviation(solve(ideal, A, b, looks=Looks(60, 1, 40)), x) for _ in range(12)])
    assert abs(spread(z) - 1) < 4 / np.sqrt(2 * z.size)


def test_offsets_are_taken_off(typical: tsu.Chip) -> None:
    """Cells rest off 0, by up to 20 LSB of a converter and .2 kT; a solution does not know it: b and -b give opposite x."""
    A, b = codes_problem()
    plus, minus = (solve(typical, A, sign * b) for sign in (1, -1))
    assert np.abs((plus.x + minus.x) / np.hypot(plus.error, minus.error)).max() < SIGMAS
    typical.program_matrix(A, np.zeros(CELLS))
    rest = typical.sample(50, every=4, burn=60)
    assert np.abs(rest.mean(axis=(0, 1)) / mean_error(rest)[1]).max() > 4 * SIGMAS


def test_refinement_beats_the_chips_errors(typical: tsu.Chip) -> None:
    """Mismatch leaves more than 1 %; each round takes off at least a factor 4; 8 rounds end below 1e-6."""
    A, b = codes_problem()
    solution = solve(typical, A, b, refinements=8, looks=Looks(20))
    assert solution.residuals[0] > 0.01
    assert np.all(np.diff(np.log(solution.residuals)) < -np.log(4))
    assert solution.residual < 1e-6
    assert solution.x == pytest.approx(np.linalg.solve(A, b), rel=1e-5)
    assert solution.residual == pytest.approx(np.linalg.norm(b - A @ solution.x) / np.linalg.norm(b), rel=1e-6)


def test_answers_that_would_leave_the_range_are_scaled(ideal: tsu.Chip) -> None:
    """A direction as soft as 1/40 of the others: beta is halved until x fits 8, nothing is clipped, and fewer cells than the
    chip's are used. The same at a temperature whose noise alone fills the range is refused."""
    A = 2.0 * np.eye(3)
    A[0, 1] = A[1, 0] = 1.9
    b = np.array([1.0, -1.0, 0.2])
    plan = Looks(10, 10, 400)
    solution = solve(ideal, A, b, refinements=14, temperature=1 / 64, looks=plan)
    assert solution.clipped == 0
    assert solution.beta * np.abs(np.linalg.solve(A, b)).max() / solution.alpha < 6.2
    assert solution.x == pytest.approx(np.linalg.solve(A, b), rel=1e-4)
    with pytest.raises(ValueError, match="whatever the right-hand side"):
        solve(ideal, A, b, temperature=3.0, looks=plan)


# Inverses


def inverse_deviation(found: Inverse, matrix: Floats) -> Floats:
    return ((found.matrix - matrix) / found.error)[np.triu_indices(CELLS)]


def test_the_inverse_lies_within_its_error_bars(ideal: tsu.Chip) -> None:
    """36 covariances within 5 bars, bars of about 2 % of the diagonal, rms deviation below 1.6; the inverse of A without
    couplings, at twice the temperature, or of 1.2 A is refused."""
    A, _ = codes_problem()
    found = inverse(ideal, A)
    right = inverse_deviation(found, np.linalg.inv(A))
    assert np.abs(right).max() < SIGMAS
    assert spread(right) < 1.6
    assert found.error.diagonal().max() < 0.03 * found.matrix.diagonal().max()
    for wrong in (np.diag(1 / A.diagonal()), 2 * np.linalg.inv(A), np.linalg.inv(1.2 * A)):
        assert np.abs(inverse_deviation(found, wrong)).max() > 2 * SIGMAS


def test_the_inverse_does_not_depend_on_the_temperature(ideal: tsu.Chip) -> None:
    A, _ = codes_problem()
    warm = inverse(ideal, A, temperature=2.0)
    assert np.abs(inverse_deviation(warm, np.linalg.inv(A))).max() < SIGMAS


# Natural gradient


def cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def fisher_problem() -> tuple[Floats, Floats]:
    """A Fisher matrix of 8 parameters with eigenvalues .1 .. 2, and a gradient."""
    rng = np.random.default_rng(2)
    q = np.linalg.qr(rng.normal(size=(CELLS, CELLS)))[0]
    return np.asarray(q @ np.diag(np.geomspace(0.1, 2.0, CELLS)) @ q.T), rng.normal(size=CELLS)


def test_relaxation(ideal: tsu.Chip) -> None:
    """2 ticks; 400 looks at 32 planes of 8 cells tell it to .4 %."""
    assert relaxation(ideal) == pytest.approx(TICKS_PER_TAU, rel=0.02)


@pytest.mark.parametrize("time", [0.3, 2.0, 20.0])
def test_directions_follow_the_relaxation(fine: tsu.Chip, time: float) -> None:
    """Mean of 12 directions within 5 standard errors (of their own scatter) and 1 % (12-bit codes) of x(t); 1.5 t is refused,
    except where t is long, when t / 4 is."""
    F, g = fisher_problem()
    rule = NaturalGradient(fine, time, 1e-9, TICKS_PER_TAU, keep=False)
    x = np.array([rule.direction(F, g) for _ in range(12)])
    error = np.linalg.norm(x.std(axis=0, ddof=1)) / np.sqrt(12)
    right, wrong = (relaxed(F, g, np.zeros(CELLS), t) for t in (time, 1.5 * time if time < 10 else time / 4))
    tolerance = SIGMAS * error + 0.01 * np.linalg.norm(right)
    assert np.linalg.norm(x.mean(axis=0) - right) < tolerance
    assert np.linalg.norm(x.mean(axis=0) - wrong) > 2 * tolerance


def test_the_exact_relaxation_solves_its_equation() -> None:
    """dx/dt = g - A x by central differences; the start at t = 0; A^-1 g at the end."""
    F, g = fisher_problem()
    start = np.ones(CELLS)
    slope = (relaxed(F, g, start, 1.0 + 1e-5) - relaxed(F, g, start, 1.0 - 1e-5)) / 2e-5
    assert slope == pytest.approx(g - F @ relaxed(F, g, start, 1.0), abs=1e-7)
    assert relaxed(F, g, start, 0.0) == pytest.approx(start)
    assert relaxed(F, g, start, np.inf) == pytest.approx(np.linalg.solve(F, g))


def test_time_goes_from_gradient_to_natural_gradient(ideal: tsu.Chip) -> None:
    F, g = fisher_problem()
    short, long = (NaturalGradient(ideal, t, 1e-9, TICKS_PER_TAU).direction(F, g) for t in (0.05, 50.0))
    natural = np.linalg.solve(F, g)
    assert cosine(short, g) > 0.99 > 0.9 > cosine(short, natural)
    assert cosine(long, natural) > 0.99 > 0.9 > cosine(long, g)


def test_the_state_is_kept_between_batches(ideal: tsu.Chip) -> None:
    """The second direction begins at the first: closer to x(t) from there than a tenth of the way to that from 0."""
    F, g = fisher_problem()
    kept, fresh = (NaturalGradient(ideal, 1.0, 1e-9, TICKS_PER_TAU, keep=keep) for keep in (True, False))
    for rule, other in ((kept, np.zeros(CELLS)), (fresh, None)):
        first = rule.direction(F, g)
        second = rule.direction(F, -g)
        from_first, from_zero = relaxed(F, -g, first, 1.0), relaxed(F, -g, np.zeros(CELLS), 1.0)
        right, wrong = (from_first, from_zero) if other is not None else (from_zero, from_first)
        assert np.linalg.norm(second - right) < 0.1 * np.linalg.norm(wrong - right)


def test_damping_is_added(ideal: tsu.Chip) -> None:
    F, g = fisher_problem()
    x = NaturalGradient(ideal, 200.0, 1.0, TICKS_PER_TAU).direction(F, g)
    right, wrong = np.linalg.solve(F + np.eye(CELLS), g), np.linalg.solve(F, g)
    assert np.linalg.norm(x - right) < 0.05 * np.linalg.norm(right) < np.linalg.norm(x - wrong)


# Softmax regression


def blobs(seed: int) -> tuple[Floats, np.ndarray[Any, np.dtype[np.int64]]]:
    """Two classes of 400 points, (x, y, z, 1) of very different sizes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=400)
    X = rng.normal(size=(400, 3)) + 1.2 * np.where(y, 1, -1)[:, None]
    return np.c_[X * [1.0, 0.1, 0.1], np.ones(400)], y


def test_gradient_and_fisher_are_derivatives_of_the_loss() -> None:
    model, rng = Softmax(3, 3), np.random.default_rng(3)
    X, y, w = rng.normal(size=(20, 3)), rng.integers(3, size=20), rng.normal(size=6)
    step = 1e-5 * np.eye(6)
    slope = [(model.loss(w + e, X, y) - model.loss(w - e, X, y)) / 2e-5 for e in step]
    curvature = [(model.gradient(w + e, X, y) - model.gradient(w - e, X, y)) / 2e-5 for e in step]
    assert model.gradient(w, X, y) == pytest.approx(np.array(slope), abs=1e-8)
    assert model.fisher(w, X) == pytest.approx(np.array(curvature), abs=1e-8)


def test_training_by_the_chip_is_as_fast_as_natural_gradient(ideal: tsu.Chip) -> None:
    """After 10 steps the chip's directions of a long time come as far as exact ones, within .03 nats of the .60 from the start;
    gradient descent at the best of four rates stays .06 behind."""
    X, y = blobs(1)
    model, damping = Softmax(4, 2), 0.003

    def after(rule: Callable[[Floats, Floats], Floats], rate: float) -> float:
        return float(train(model, X, y, rule, rate=rate, steps=10, batch=100, seed=0)[1][-1])

    best = after(lambda F, g: np.asarray(np.linalg.solve(F + damping * np.eye(4), g)), 0.5)
    chip = after(NaturalGradient(ideal, 1000.0, damping, TICKS_PER_TAU, keep=False, temperature=1 / 64).direction, 0.5)
    descent = min(after(lambda F, g: g, rate) for rate in (1.0, 3.0, 10.0, 30.0))
    assert abs(chip - best) < 0.03
    assert descent > best + 0.06


# What is refused


BAD: dict[str, tuple[Callable[[tsu.Chip], object], str]] = {
    "too large": (lambda c: solve(c, np.eye(9), np.ones(9)), r"A has shape \(9, 9\)"),
    "not square": (lambda c: solve(c, np.ones((2, 3)), np.ones(2)), r"A has shape \(2, 3\)"),
    "not finite": (lambda c: inverse(c, np.array([[1, np.nan], [0, 1]])), r"A\[0, 1\] is nan"),
    "diagonal": (lambda c: solve(c, np.diag([1.0, 0.0]), np.ones(2)), r"A\[1, 1\] is 0.0"),
    "not definite": (lambda c: solve(c, np.array([[1.0, 2], [2, 1]]), np.ones(2)), "not positive definite"),
    "not symmetric": (lambda c: inverse(c, np.array([[3.0, 1.5], [0, 3]])), r"not symmetric: A\[0, 1\] is 1.5, A\[1, 0\] is 0.0"),
    "b": (lambda c: solve(c, np.eye(2), np.ones(3)), r"b has shape \(3,\)"),
    "b infinite": (lambda c: solve(c, np.eye(2), np.array([1, np.inf])), r"b\[1\] is inf"),
    "b zero": (lambda c: solve(c, np.eye(2), np.zeros(2)), "b is 0"),
    "refinements": (lambda c: solve(c, np.eye(2), np.ones(2), refinements=-1), "refinements = -1"),
    "looks": (lambda c: Looks(1), "Looks.count = 1"),
    "burn": (lambda c: solve(c, np.eye(2), np.ones(2), looks=Looks(100, 4, 5)), "burn = 5 ticks"),
    "time": (lambda c: NaturalGradient(c, 0.0, 1.0, 2.0), "time = 0.0"),
    "damping": (lambda c: NaturalGradient(c, 1.0, -1.0, 2.0), "damping = -1.0"),
    "gradient": (lambda c: NaturalGradient(c, 1.0, 1.0, 2.0).direction(np.eye(2), np.ones(3)), "the gradient has shape"),
    "classes": (
        lambda c: train(Softmax(1, 2), np.ones((2, 1)), [0, 2], lambda F, g: g, rate=1, steps=1, batch=1, seed=0),
        "y holds something else",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BAD))
def test_bad_arguments_are_named(ideal: tsu.Chip, case: str) -> None:
    call, message = BAD[case]
    with pytest.raises((ValueError, tsu.HostError), match=message):
        call(ideal)


def test_values_beyond_the_range_are_not_taken_for_a_covariance(ideal: tsu.Chip) -> None:
    soft = 2.0 * np.eye(2) + np.array([[0.0, 1.98], [1.98, 0.0]])
    with pytest.raises(ValueError, match="beyond the readout range"):
        inverse(ideal, soft, temperature=3.5, looks=Looks(50, 10, 60))


def test_no_plane_and_other_kinds() -> None:
    with opened(config(DENSE, 2)) as (_, spins), pytest.raises(ValueError, match="of the kind pbit"):
        solve(spins, np.eye(2), np.ones(2))
    with opened(IDEAL) as (_, chip):
        chip.enable_planes(0)
        with pytest.raises(ValueError, match="no plane is enabled"):
            solve(chip, np.eye(2), np.ones(2))


def test_resonators_give_covariances_alone() -> None:
    """RLC cells: the inverse within its bars; a bias is shorted, and there is no relaxation time."""
    with opened(chip_config({"quality": 5.0})) as (_, chip):
        A, b = codes_problem()
        plan = Looks(300, 20, 200)
        assert np.abs(inverse_deviation(inverse(chip, A, looks=plan), np.linalg.inv(A))).max() < SIGMAS
        with pytest.raises(ValueError, match="do not answer to a bias"):
            solve(chip, A, b, looks=Looks(100, 20, 200))
