"""Langevin cells: moments against quadrature, the order of the integrator, rails, bits.

Cells of an ensemble are alike and live independently, so that the standard error of a time average is the spread of the cells'
averages / sqrt(cells x planes): correlation in time is in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tsu_emu.analog.langevin import LANES, Quartic, live

Array = NDArray[np.float64]
KEY = np.array([11, 0, 15], np.uint32)
PLANES, CELLS = 64, 128
WELLS = {
    "harmonic": (1.0, 0.0, 0.0, 0.0),
    "quartic": (0.0, 0.0, 1.0, 0.0),
    "double well": (-1.0, 0.0, 1.0, 0.0),
    "tilted double well": (-1.0, 0.4, 1.0, 0.4),
}


def loose(cells: int) -> tuple[NDArray[np.int64], NDArray[np.uint32], Array]:
    return np.zeros(cells + 1, np.int64), np.zeros(0, np.uint32), np.zeros(0)


class Ensemble:
    """Cells of one well (a, c, b, h) or of as many as cells, in planes of temperature T; ticks of `substeps` steps."""

    def __init__(self, wells: tuple[float, ...] | Array, step: float, substeps: int, T: float = 1.0, rail: float = 50.0) -> None:
        a, c, b, h = np.broadcast_to(np.atleast_2d(wells), (CELLS, 4)).T.copy()
        self.cells, self.net = Quartic(a, c, b, h, rail, substeps, step), loose(CELLS)
        self.x, self.held = np.zeros((PLANES, CELLS)), np.zeros(CELLS, np.bool_)
        self.T, self.tick, self.planes = np.full(PLANES, T), 0, np.arange(PLANES)

    def run(self, ticks: int) -> None:
        live(self.x, self.cells, self.net, self.held, self.T, self.planes, self.tick, ticks, KEY)
        self.tick += ticks

    def averages(self, ticks: int, observe: Callable[[Array], Array]) -> Array:
        """Time average of an observable over ticks, of each cell of each plane or of each group."""
        total = 0.0 * observe(self.x)
        for _ in range(ticks):
            self.run(1)
            total += observe(self.x)
        return total / ticks


def powers(x: Array) -> Array:
    """x^2 and x^4."""
    square = x * x
    return np.stack((square, square * square))


def mean_and_error(averages: Array) -> tuple[float, float]:
    return float(averages.mean()), float(averages.std() / math.sqrt(averages.size))


def quadrature(well: tuple[float, ...], T: float, power: int) -> float:
    a, c, b, h = well
    x = np.linspace(-12.0, 12.0, 24001)
    p = np.exp(-(a * x**2 / 2 + c * x**3 / 3 + b * x**4 / 4 - h * x) / T)
    return float((p * x**power).sum() / p.sum())


@pytest.mark.parametrize("name", WELLS)
@pytest.mark.parametrize("T", [0.5, 1.5])
def test_second_and_fourth_moments_are_those_of_the_boltzmann_law(name: str, T: float) -> None:
    """Within 1 % of quadrature, 4 standard errors being less; noise at 1.1 T or with dt instead of its root is not."""
    well, step, substeps, ticks = WELLS[name], 0.04, 10, 280
    if name == "harmonic":
        step, substeps, ticks = 0.5, 1, 1000
    e = Ensemble(well, step, substeps, T)
    e.run(50)
    both = e.averages(ticks, powers)
    for power, averages in ((2, both[0]), (4, both[1])):
        exact = quadrature(well, T, power)
        mean, error = mean_and_error(averages)
        assert 4 * error < 0.01 * exact
        assert abs(mean / exact - 1) < 0.01
        assert abs(mean / quadrature(well, 1.1 * T, power) - 1) > 0.01
        assert abs(mean / quadrature(well, T * step, power) - 1) > 0.02


def test_noise_scaled_with_dt_fails_the_moments() -> None:
    """sqrt(2 T) dt is the noise of temperature T dt: such an ensemble's <x^2> is a tenth of the law's at dt = .1 tau."""
    e = Ensemble(WELLS["harmonic"], 0.1, 10, 1.0 * 0.1)
    e.run(20)
    mean, error = mean_and_error(e.averages(20, np.square))
    assert abs(mean - 0.1) < 5 * error
    assert abs(mean - 1.0) > 100 * error


def test_a_coupled_pair_has_the_moments_of_its_two_dimensional_law() -> None:
    """64 pairs a plane, E = V0 + V1 - J x0 x1: <x0^2>, <x1^2>, <x0 x1> within 1 % of quadrature; with J off or doubled not."""
    J, wells = 0.7, (WELLS["tilted double well"], (0.5, 0.0, 0.6, -0.2))
    e = Ensemble(np.tile(np.array(wells), (CELLS // 2, 1)), 0.04, 15)
    e.net = (np.arange(CELLS + 1), np.arange(CELLS, dtype=np.uint32) ^ 1, np.full(CELLS, J))
    e.run(20)
    averages = e.averages(450, lambda x: np.stack((x[:, ::2] ** 2, x[:, 1::2] ** 2, x[:, ::2] * x[:, 1::2])))

    def exact(J: float) -> list[float]:
        grid = np.linspace(-6.0, 6.0, 601)
        x, y = np.meshgrid(grid, grid, indexing="ij")
        energy = -J * x * y
        for z, (a, c, b, h) in zip((x, y), wells, strict=True):
            energy = energy + a * z**2 / 2 + c * z**3 / 3 + b * z**4 / 4 - h * z
        p = np.exp(-energy)
        return [float((p * f).sum() / p.sum()) for f in (x * x, y * y, x * y)]

    for measured, true, off, double in zip(averages, exact(J), exact(0.0), exact(2 * J), strict=True):
        mean, error = mean_and_error(measured)
        assert 4 * error < 0.01 * true
        assert abs(mean / true - 1) < 0.01
        assert abs(mean / off - 1) > 0.02
        assert abs(mean / double - 1) > 0.02


def euler_maruyama(well: tuple[float, ...], step: float, steps: int, burn: int) -> Array:
    """Time averages of x^2 of 32,768 independent cells by the scheme that this module does not use, T = 1."""
    a, c, b, h = well
    rng, x = np.random.default_rng(1), np.zeros(32768)
    total = np.zeros_like(x)
    for n in range(burn + steps):
        x = x + step * (h - x * (a + x * (c + x * b))) + math.sqrt(2 * step) * rng.standard_normal(x.size)
        if n >= burn:
            total += x * x
    return total / steps


def test_variance_at_half_a_time_constant_is_right_where_euler_is_a_third_off() -> None:
    """Harmonic, h = .5: 5 s.e. are below .5 % and the variance is 1 within them; Euler and Maruyama's is 2 / (2 - h) = 1.333."""
    e = Ensemble(WELLS["harmonic"], 0.5, 1)
    e.run(40)
    mean, error = mean_and_error(e.averages(1000, np.square))
    assert 5 * error < 0.005
    assert abs(mean - 1.0) < 5 * error
    euler, error = mean_and_error(euler_maruyama(WELLS["harmonic"], 0.5, 60, 40))
    assert abs(euler - 4 / 3) < 5 * error
    assert abs(euler - 1.0) > 0.3


SOFT = (0.2, 0.0, 0.3, 0.0)


def bias(step: float, ticks: int) -> tuple[float, float]:
    """Error of <x^2> at a step in the well SOFT, T = 1, and its standard error.

    The controls are x^2 and x^4 of a harmonic cell that hears the same noise: <x^2> = T / a and <x^4> = 3 (T / a)^2 at any step.
    """
    stiffness = 0.8
    cell, partner = (Ensemble(w, step, 1) for w in (SOFT, (stiffness, 0.0, 0.0, 0.0)))
    for e in (cell, partner):
        e.run(round(20 / step))
    y = cell.averages(ticks, np.square).ravel()
    controls = partner.averages(ticks, powers).reshape(2, -1)
    weights = np.linalg.solve(np.cov(controls), np.cov(np.vstack((y, controls)))[0, 1:])
    exact = np.array([[1 / stiffness], [3 / stiffness**2]])
    mean, error = mean_and_error(y - weights @ (controls - exact))
    return mean - quadrature(SOFT, 1.0, 2), error


def test_the_error_in_the_step_is_of_second_order_and_of_first_order_by_euler() -> None:
    """log2 of the ratio of the errors of <x^2> at steps .4 and .2 is 2 within .5, which is more than 4 s.e. of it.

    Euler's is within .4 of 1.17, its value by quadrature of the chain (.2 to .1), and its error is 10 times as large at .2.
    """
    (coarse, coarse_error), (fine, fine_error) = bias(0.4, 1200), bias(0.2, 3500)
    assert 4 * math.hypot(coarse_error / coarse, fine_error / fine) / math.log(2) < 0.5
    assert abs(math.log2(coarse / fine) - 2) < 0.5
    exact = quadrature(SOFT, 1.0, 2)
    euler = [mean_and_error(euler_maruyama(SOFT, h, round(30 / h), round(12 / h))) for h in (0.2, 0.1)]
    (wide, wide_error), (narrow, narrow_error) = ((mean - exact, error) for mean, error in euler)
    assert 4 * math.hypot(wide_error / wide, narrow_error / narrow) / math.log(2) < 0.4
    assert abs(math.log2(wide / narrow) - 1.17) < 0.4
    assert wide > 10 * abs(fine)


def test_time_runs_at_the_right_speed() -> None:
    """Harmonic, autocorrelation over .5 tau = e^-.5 within 3 %, at h = .02; at e^-.55 (tau 10 % off) it is not."""
    e = Ensemble(WELLS["harmonic"], 0.02, 25)
    e.run(20)
    product = np.zeros_like(e.x)
    for _ in range(100):
        before = e.x.copy()
        e.run(1)
        product += before * e.x
    mean, error = mean_and_error(product / 100)
    assert 5 * error < 0.03 * mean
    assert abs(mean / math.exp(-0.5) - 1) < 0.03
    assert abs(mean / math.exp(-0.55) - 1) > 0.03


def test_rails_hold_every_value() -> None:
    """Free diffusion between rails at 1 touches both, passes neither; a strong drive rests on the rail; far rails do nothing."""
    e = Ensemble((0.0, 0.0, 0.0, 0.0), 0.05, 10, 1.0, 1.0)
    e.run(10)
    assert e.x.min() == -1.0
    assert e.x.max() == 1.0
    assert 0.3 < (abs(e.x) < 0.9).mean() < 0.9
    driven = Ensemble((1.0, 0.0, 0.0, 1000.0), 0.05, 10, 1.0, 2.0)
    driven.run(1)
    assert np.all(driven.x == 2.0)
    near, far = (Ensemble(WELLS["double well"], 0.05, 10, 0.3, rail) for rail in (5.0, 50.0))
    for well in (near, far):
        well.run(10)
    assert np.array_equal(near.x, far.x)


def test_an_unstable_step_stays_on_the_rails() -> None:
    """A double well at h = .2 from x = 4, where the step overshoots: finite, between the rails."""
    e = Ensemble(WELLS["double well"], 0.2, 10, 1.0, 6.0)
    e.x += 4.0
    e.run(20)
    assert abs(e.x).max() <= 6.0


def test_a_cell_hears_its_sources_and_not_the_other_way_round() -> None:
    """Without noise: cell 0 of a = 2 hears the held cell 1 by J = .75, settles at (h + .75 x_1) / 2; cell 1 does not hear it."""
    cells = Quartic(np.array([2.0, 1.0]), np.zeros(2), np.zeros(2), np.array([0.4, 0.0]), 10.0, 10, 0.1)
    net = (np.array([0, 1, 1]), np.array([1], np.uint32), np.array([0.75]))
    x = np.array([[0.0, 3.0]])
    live(x, cells, net, np.array([False, True]), np.zeros(1), np.array([0]), 0, 30, KEY)
    assert np.allclose(x, [[1.325, 3.0]], rtol=1e-14)
    live(x, cells, net, np.array([True, False]), np.zeros(1), np.array([0]), 0, 60, KEY)
    assert np.allclose(x, [[1.325, 0.0]], atol=1e-14)


@pytest.mark.parametrize("coupled", [False, True])
def test_a_step_is_the_formula(coupled: bool) -> None:
    """One step without noise: x + h (-a x - c x^2 - b x^3 + h_i + sum J x_j), with 7 couplers, all values of before the step.

    To 1e-14 but for what is heard, in float32: a term J_ij x_j is rounded as J, as x, as a product and in at most 5 sums, each
    time by up to 2^-24 of sum |J x|.
    """
    rng = np.random.default_rng(0)
    a, c, b, h = rng.normal(size=(4, 8))
    source = np.array([[j for j in range(8) if j != i] for i in range(8)], np.uint32)
    J, x = coupled * rng.normal(size=(8, 7)), rng.normal(size=(3, 8))
    expected = x + 0.03 * (-a * x - c * x**2 - b * x**3 + h + np.einsum("ie,pie->pi", J, x[:, source]))
    rounding = 0.03 * 8 * 2.0**-24 * np.einsum("ie,pie->pi", abs(J), abs(x[:, source]))
    net = (np.arange(9) * 7, source.ravel(), J.ravel())
    live(x, Quartic(a, c, b, h, 90.0, 1, 0.03), net, np.zeros(8, np.bool_), np.zeros(3), np.arange(3), 5, 1, KEY)
    assert np.all(np.abs(x - expected) <= rounding + 1e-14 * np.abs(expected))


def test_noise_is_the_mean_of_two_neighbours_on_the_grid() -> None:
    """Without forces the steps d_n have variance h T and correlation 1/2 with the next, 0 with others, cells and planes."""
    e = Ensemble((0.0, 0.0, 0.0, 0.0), 0.04, 1, 2.0)
    x = [e.x.copy()]
    for _ in range(3):
        e.run(1)
        x.append(e.x.copy())
    d = np.diff(x, axis=0) / math.sqrt(0.04 * 2.0)
    error = 5 / math.sqrt(d[0].size)
    assert abs(d[0].var() - 1) < error * math.sqrt(2)
    for a, b, expected in ((d[0], d[1], 0.5), (d[0], d[2], 0.0), (d[0][:, 1:], d[0][:, :-1], 0.0), (d[0][1:], d[0][:-1], 0.0)):
        assert abs((a * b).mean() - expected) < error * math.sqrt(1.3)


def test_bits_depend_on_nothing_but_the_grid() -> None:
    """Ticks in one call or several, ticks of 4 steps or of 2, any planes enabled: the same bits. A held cell stands still."""
    rng = np.random.default_rng(2)
    net = (np.arange(CELLS + 1) * 6, rng.integers(0, CELLS, 6 * CELLS).astype(np.uint32), rng.normal(0, 0.1, 6 * CELLS))
    whole, parts, half, few = (Ensemble(WELLS["tilted double well"], 0.05, n) for n in (4, 4, 2, 4))
    for e, tick in ((whole, 1 << 32), (parts, 1 << 32), (half, 1 << 33), (few, 1 << 32)):
        e.net, e.tick, e.T = net, tick - 8 // e.cells.substeps, np.linspace(0.2, 2.0, PLANES)
        e.held[3], e.x[:, 3] = True, 2.5
    whole.run(9)
    for n in (1, 6, 2):
        parts.planes = np.roll(parts.planes[::-1], 5)
        parts.run(n)
    half.run(18)
    few.planes = np.array([40, 3, *range(10, 10 + LANES)])
    few.run(9)
    idle = np.setdiff1d(np.arange(PLANES), few.planes)
    assert np.array_equal(whole.x, parts.x)
    assert np.array_equal(whole.x, half.x)
    assert np.array_equal(whole.x[few.planes], few.x[few.planes])
    assert not np.any(np.delete(few.x[idle], 3, axis=1))
    assert np.all(whole.x[:, 3] == 2.5)
    assert not np.any(np.delete(whole.x, 3, axis=1) == 0)
