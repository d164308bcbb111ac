"""Langevin cells against docs/arithmetic.md bit by bit, and the law of their deviates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray
from scipy import stats

from reference import quartic as reference
from tsu_emu.analog.langevin import PARALLEL_FROM, Quartic, live, workspace
from tsu_emu.noise.pair import normal_pair
from tsu_emu.noise.threefry import threefry

Floats = NDArray[np.float64]
Words = NDArray[np.uint32]
U = np.uint32
SEED = 11 + (5 << 32)
KEY = np.array([11, 5, 15], U)


@njit
def pairs(a: Words, b: Words) -> NDArray[np.float32]:
    """(n, 2) deviates of n pairs of words."""
    out = np.empty((a.size, 2), np.float32)
    for k in range(a.size):
        out[k] = normal_pair(a[k], b[k])
    return out


@njit
def drawn(n: int) -> NDArray[np.float32]:
    """(n, 4) deviates of n blocks of noise words."""
    out = np.empty((n, 4), np.float32)
    for k in range(n):
        a, b, c, d = threefry(U(k), U(0), U(7), U(0), U(1), U(2), U(15), U(0))
        out[k, 0], out[k, 1] = normal_pair(a, b)
        out[k, 2], out[k, 3] = normal_pair(c, d)
    return out


def test_a_pair_of_deviates_is_that_of_the_arithmetic_page_and_of_box_and_muller() -> None:
    """Bit for bit the page's; within 1.3e-6 of r cos and r sin in float64; ends included."""
    rng = np.random.default_rng(0)
    ends = np.array([0, 1, 2, 3, (1 << 30) - 1, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 32) - 1], U)
    a, b = (np.concatenate((ends, rng.integers(0, 1 << 32, 20_000, dtype=U))) for _ in range(2))
    a[9:4000] >>= rng.integers(0, 32, 3991, dtype=U)
    a, b = np.concatenate((a, np.repeat(ends, 9))), np.concatenate((b, np.tile(ends, 9)))
    found = pairs(a, b)
    assert np.array_equal(found, np.stack(reference.normal_pairs(a, b), axis=1))
    r = np.sqrt(-2 * np.log(((a >> U(1)).astype(np.float64) + 0.5) * 2.0**-31))
    angle = (b << U(2)).view(np.int32) * (math.pi / 4 * 2.0**-31)
    turned, sign = b >> U(31) == 1, 1.0 - 2.0 * (b >> U(30) & U(1))
    exact = sign * r * np.where(turned, (np.sin(angle), np.cos(angle)), (np.cos(angle), np.sin(angle)))
    common = a < (1 << 32) - (1 << 20)
    assert np.abs(found.T - exact)[:, common].max() < 1.3e-6
    assert 6.5 < np.abs(found).max() < 6.7


def test_deviates_are_normal_in_the_middle_and_in_the_tails() -> None:
    """4 x 10^6: moments to the sixth within 5 standard errors, counts beyond 1 .. 4.5 and Kolmogorov's distance likewise.

    The same checks refuse deviates that are .3 % too large, and radii of a word of 8 bits, which end at 3.6.
    """
    x = drawn(1_000_000).ravel().astype(np.float64)

    def worst(x: Floats) -> float:
        laws = ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170))
        found = [abs(np.mean(x**power) - mean) / math.sqrt(variance / x.size) for power, mean, variance in laws]
        for edge in (1.0, 2.0, 3.0, 4.0, 4.5):
            for side in (x > edge, x < -edge):
                p = float(stats.norm.sf(edge))
                found.append(abs(side.mean() - p) / math.sqrt(p / x.size))
        return float(max(found))

    assert worst(x) < 5
    assert stats.kstest(x, "norm").statistic * math.sqrt(x.size) < 2.2
    assert worst(1.003 * x) > 5
    words = np.random.default_rng(1).integers(0, 1 << 32, (2, x.size // 2), dtype=U)
    assert worst(pairs((words[0] & U(0xFF000000)) | U(0x800000), words[1]).ravel().astype(np.float64)) > 5


def test_deviates_of_a_block_are_independent() -> None:
    """Correlations of values and of squares, of all pairs of the four, within 5 standard errors of 0."""
    x = drawn(1_000_000).astype(np.float64)
    for y, scale in ((x, 1.0), (x * x - 1, 2.0)):
        product = y.T @ y / len(y) / scale
        assert np.abs(product - np.diag(np.diag(product))).max() < 5 / math.sqrt(len(y))


def system(cells: int, planes: int, heard: int) -> tuple[Floats, Floats, tuple[Any, ...], NDArray[np.bool_], Floats]:
    """Values, wells (4, cells), net with `heard` or fewer couplers a cell, held cells, temperatures."""
    rng = np.random.default_rng(cells)
    row = np.concatenate(([0], np.cumsum(rng.integers(0, heard + 1, cells)))).astype(np.int64)
    source, J = rng.integers(0, cells, row[-1]).astype(U), rng.normal(0, 0.2, row[-1])
    held = rng.uniform(size=cells) < 0.1
    wells = np.abs(rng.normal(1, 0.3, (4, cells)))
    return rng.normal(size=(planes, cells)), wells, (row, source, J), held, rng.uniform(0.1, 2, planes)


@pytest.mark.parametrize(("cells", "heard"), [(1, 0), (16, 3), (23, 9), (50, 22)])
def test_ten_steps_are_those_of_the_arithmetic_page(cells: int, heard: int) -> None:
    """Bit for bit, across a carry of the counter's low word; planes 2, 0 and 19 of 20; the others stand still."""
    x, wells, net, held, T = system(cells, 20, heard)
    number, planes, expected = (1 << 32) - 5, np.array([2, 0, 19]), x.copy()
    for p in planes:
        xi = [reference.deviates(cells, p, number + k, SEED) for k in range(11)]
        for k in range(10):
            moved = reference.step(expected[p], wells, net, xi[k] + xi[k + 1], 0.05, T[p], 2.0)
            expected[p] = np.where(held, expected[p], moved)
    live(x, Quartic(*wells, 2.0, 1, 0.05), net, held, T, planes, number, 10, KEY)
    assert np.array_equal(x, expected)


def test_threads_and_calls_change_no_bit() -> None:
    """150 planes, in one call or three, on one to four threads."""
    start, wells, net, held, T = system(400, 150, 12)
    cells, results, ticks = Quartic(*wells, 50.0, 2, 0.05), [], 9
    assert 400 * 150 * 2 * ticks >= PARALLEL_FROM
    for calls in ((9,), (1, 7, 1)):
        for threads in (1, 2, 3, 4):
            x, tick, work = start.copy(), 5, workspace(400, threads)
            for n in calls:
                live(x, cells, net, held, T, np.arange(150), tick, n, KEY, work)
                tick += n
            results.append(x)
    assert all(np.array_equal(x, results[0]) for x in results)
    assert not np.array_equal(results[0], start)
