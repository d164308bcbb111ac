"""Mixture cells: the exact stationary law at any ratio of the time constants, the mode's kinetics, the histogram.

All cells of an ensemble are alike and independent, so that N = planes x cells values at one time are N independent samples.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tsu_apps.characterise.laws import tv_bound
from tsu_emu.analog.mixture import Mixture, live

KEY = np.array([7, 0, 14], np.uint32)
PLANES, CELLS = 64, 400
N = PLANES * CELLS
WEIGHT, MEAN, STIFFNESS = np.array([-0.5, 0.0, 1.0]), np.array([-2.0, 0.5, 2.0]), 1.6


class Ensemble:
    """PLANES x CELLS equal cells at temperature T, or all planes at their own; x, mode (PLANES, CELLS)."""

    def __init__(self, T: float, dt_over_tau: float, dt_over_tau_mode: float) -> None:
        self.x, self.mode = np.zeros((PLANES, CELLS)), np.zeros((PLANES, CELLS), np.uint8)
        weight, mean = (np.tile(v, (CELLS, 1)) for v in (WEIGHT, MEAN))
        self.cells = Mixture(weight, mean, np.full(CELLS, STIFFNESS), dt_over_tau, dt_over_tau_mode)
        self.T, self.tick, self.held = np.full(PLANES, T), 0, np.zeros(CELLS, np.bool_)

    def run(self, ticks: int, planes: NDArray[np.int64] | None = None) -> None:
        enabled = np.arange(PLANES) if planes is None else planes
        live(self.x, self.mode, self.cells, self.held, self.T, enabled, self.tick, ticks, KEY)
        self.tick += ticks


def softmax(T: float) -> NDArray[np.float64]:
    p = np.exp(WEIGHT / T)
    return p / p.sum()


def spread(T: float) -> tuple[float, float]:
    """Mean and variance of the modes' means."""
    p = softmax(T)
    return float(p @ MEAN), float(p @ MEAN**2 - (p @ MEAN) ** 2)


def off(samples: NDArray[np.float64], expected: float) -> float:
    """Deviation of the mean of independent samples in standard errors."""
    return float(abs(samples.mean() - expected) / (samples.std() / math.sqrt(samples.size)))


@pytest.mark.parametrize("T", [0.5, 2.5])
@pytest.mark.parametrize("ratio", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("length", [0.5, 5.0])
def test_mean_and_variance_are_exact_at_any_ratio_of_time_constants(T: float, ratio: float, length: float) -> None:
    """tau_mode = ratio tau, ticks of `length` tau, after 12 of the slower time constant (tau / a or tau_mode), 25,600 cells.

    <x> = sum P m, var x = T / a + Var_P(m) lambda / (lambda + r), lambda = a / tau, r = 1 / tau_mode, to 5 standard errors; the
    covariance of x and its mode's mean is the second term. Without the mode's speed (whole or no Var_P) it fails, and so
    it does with the weights of T = 1 or the noise of T = 1.
    """
    e = Ensemble(T, length, length / ratio)
    e.run(math.ceil(12 * max(1.0, ratio) / length))
    mean, variance = spread(T)
    part = STIFFNESS * ratio / (STIFFNESS * ratio + 1)
    second = (e.x - mean) ** 2
    assert off(e.x, mean) < 5
    assert off(second, T / STIFFNESS + part * variance) < 5
    assert off((e.x - mean) * (MEAN[e.mode] - mean), part * variance) < 5
    assert off(second, T / STIFFNESS + variance) > 5
    assert off(second, T / STIFFNESS) > 5
    assert off(second, 1 / STIFFNESS + part * variance) > 5
    assert off(e.x, spread(1.0)[0]) > 5


@pytest.mark.parametrize("events", [0.3, 40.0])
def test_modes_are_drawn_by_heat_bath(events: float) -> None:
    """Frequencies of the modes = softmax(w / T), 5 standard errors, from rare and from many events in a tick; not softmax(w)."""
    for T in (0.5, 3.0):
        e = Ensemble(T, 1.0, events)
        e.run(math.ceil(20 / events))
        for k, p in enumerate(softmax(T)):
            assert off((e.mode == k).astype(float), p) < 5
        assert off((e.mode == 2).astype(float), softmax(1.0)[2]) > 5


@pytest.mark.parametrize("dt", [0.05, 0.7])
def test_the_mode_is_remembered_for_tau_mode(dt: float) -> None:
    """Autocovariance of the indicator of mode 1 after 0.7 tau_mode is e^-.7 p (1 - p), 5 s.e.; twice or half the rate fails."""
    e = Ensemble(1.0, 3 * dt, dt)
    e.run(math.ceil(20 / dt))
    before = e.mode == 1
    e.run(round(0.7 / dt))
    p = float(softmax(1.0)[1])
    products = (before - p) * ((e.mode == 1) - p)
    assert off(products, math.exp(-0.7) * p * (1 - p)) < 5
    for factor in (0.5, 2.0):
        assert off(products, math.exp(-0.7 * factor) * p * (1 - p)) > 5


def test_the_value_forgets_as_a_low_passed_telegraph_signal_does() -> None:
    """Cov(x(0), x(t)) = T/a e^(-l t) + V l / (l^2 - r^2) (l e^(-r t) - r e^(-l t)), l = a / tau, r = 1 / tau_mode, V = Var_P(m).

    t = tau, tau_mode = 2 tau, 5 standard errors; a mode twice as fast or slow fails, and so does a bare e^(-l t).
    """
    T, t = 1.0, 1.0
    mean, V = spread(T)
    e = Ensemble(T, 0.25, 0.125)
    e.run(120)
    before = e.x - mean
    e.run(round(t / 0.25))
    products = before * (e.x - mean)

    def expected(ratio: float) -> float:
        a, r = STIFFNESS, 1 / ratio
        slow, fast = math.exp(-r * t), math.exp(-a * t)
        return T / a * fast + V * a / (a * a - r * r) * (a * slow - r * fast)

    assert off(products, expected(2.0)) < 5
    for wrong in (expected(1.0), expected(4.0), (T / STIFFNESS + V) * math.exp(-STIFFNESS * t)):
        assert off(products, wrong) > 5


def test_slow_modes_make_a_gaussian_mixture() -> None:
    """tau_mode = 5,000 tau: the histogram over 60 bins is within E[TV] + 4 s.d. of sum P_k N(m_k, T / a).

    Transit takes 1e-3 of the time. The mixture at T doubled or with equal weights is not.
    """
    T, edges = 0.4, np.linspace(-5.0, 6.0, 61)
    e = Ensemble(T, 5000.0, 1.0)
    e.run(20)

    def law(P: NDArray[np.float64], T: float) -> NDArray[np.float64]:
        scale = math.sqrt(2 * T / STIFFNESS)
        cumulative = sum(p * (1 + np.array([math.erf(z) for z in (edges - m) / scale])) / 2 for p, m in zip(P, MEAN, strict=True))
        return np.diff(cumulative)

    histogram = np.histogram(e.x, edges)[0] / N
    expected = law(softmax(T), T)
    bound = tv_bound(expected, N) + 1e-3
    assert 0.5 * abs(histogram - expected).sum() < bound
    assert 0.5 * abs(histogram - law(softmax(T), 2 * T)).sum() > 5 * bound
    assert 0.5 * abs(histogram - law(np.full(3, 1 / 3), T)).sum() > 5 * bound


def test_between_events_a_cell_is_an_exact_ornstein_uhlenbeck_process() -> None:
    """No mode events, one tick of .3 tau from x = 4: mean m + (4 - m) e^(-.3 a), variance T/a (1 - e^(-.6 a)), 5 s.e.

    Noise that goes with dt instead of its root fails.
    """
    T = 0.8
    e = Ensemble(T, 0.3, 0.0)
    e.x += 4.0
    e.run(1)
    assert np.all(e.mode == 0)
    mean = MEAN[0] + (4.0 - MEAN[0]) * math.exp(-0.3 * STIFFNESS)
    variance = -T / STIFFNESS * math.expm1(-0.6 * STIFFNESS)
    assert off(e.x, mean) < 5
    assert off((e.x - mean) ** 2, variance) < 5
    assert off((e.x - mean) ** 2, 0.3 * variance) > 5


def test_cells_planes_and_ticks_are_independent() -> None:
    """Correlations of cells (neighbours), planes and ticks 15 tau apart within 5 / sqrt(samples)."""
    e = Ensemble(1.0, 15.0, 15.0)
    e.run(2)
    first = e.x - e.x.mean()
    e.run(1)
    second = e.x - e.x.mean()
    for a, b in ((first[:, 1:], first[:, :-1]), (first[1:], first[:-1]), (first, second)):
        assert abs((a * b).mean() / first.var()) < 5 / math.sqrt(a.size)


def test_bits_depend_on_nothing_but_the_tick() -> None:
    """Ticks in one call or several, all planes or a few: the same bits; a held cell keeps x and mode and changes no other's."""
    whole, parts, few, held = (Ensemble(1.0, 0.5, 2.0) for _ in range(4))
    for e in (whole, parts, few, held):
        e.tick, e.T = (1 << 32) - 3, np.linspace(0.5, 2.0, PLANES)
    held.held[5] = True
    whole.run(8)
    for ticks in (1, 5, 2):
        parts.run(ticks, np.arange(PLANES)[::-1].copy())
    few.run(8, np.array([40, 3]))
    held.run(8)
    assert np.array_equal(whole.x, parts.x)
    assert np.array_equal(whole.mode, parts.mode)
    assert np.array_equal(few.x[[3, 40]], whole.x[[3, 40]])
    assert not np.any(np.delete(few.x, [3, 40], axis=0))
    others = np.arange(CELLS) != 5
    assert np.array_equal(held.x[:, others], whole.x[:, others])
    assert not np.any(held.x[:, 5])
    assert not np.any(held.mode[:, 5])
