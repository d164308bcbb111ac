"""Yield, capability, gauge studies and guard bands, each beside a formula of another kind or draws of a known law."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("scipy")

from scipy.stats import multivariate_normal

from tsu_apps.production.capability import Yield, capability
from tsu_apps.production.gauge import crossed
from tsu_apps.production.guard import Rates, guard_for, rates, simulated

# Yield and capability


def test_the_interval_of_a_yield_is_wilsons() -> None:
    """Its ends are the shares p at which |passed / n - p| is 1.96 standard errors sqrt(p (1 - p) / n)."""
    found = Yield.of(47, 50)
    for p in (found.low, found.high):
        assert abs(47 / 50 - p) / math.sqrt(p * (1 - p) / 50) == pytest.approx(1.959964, abs=1e-5)
    assert found.low < found.share < found.high
    with pytest.raises(ValueError, match="no parts"):
        Yield.of(0, 0)


def test_cpk_is_of_the_nearer_limit_and_its_interval_covers() -> None:
    """2,000 lots of 50: the share of intervals that hold the true Cpk, 1, has a standard error of .005; Bissell's formula is an
    approximation, good to .02. Intervals half as wide would hold it in .67 of the lots."""
    rng, held, half_held = np.random.default_rng(1), 0, 0
    for _ in range(2000):
        found = capability(rng.normal(2.0, 1.0, 50), -7.0, 5.0)
        held += found.low <= 1.0 <= found.high
        half_held += abs(1.0 - found.cpk) <= 0.25 * (found.high - found.low)
    assert abs(held / 2000 - 0.95) < 0.035
    assert half_held / 2000 < 0.75
    assert capability([1.0, 2.0, 3.0, math.nan], -math.inf, 8.0).cpk == pytest.approx(2.0)


def test_values_that_are_not_normal_are_told() -> None:
    rng = np.random.default_rng(2)
    assert capability(rng.normal(size=100), -3, 3).normal
    assert not capability(rng.exponential(size=100), -3, 3).normal
    same = capability([2.0] * 10, 1.0, 3.0)
    assert same.normal
    assert same.cpk == math.inf
    assert capability([4.0] * 10, 1.0, 3.0).cpk == -math.inf
    with pytest.raises(ValueError, match="1 values"):
        capability([1.0, math.nan], 0, 1)
    for values, lower, upper in (([1, 2], 3, 0), ([1, 2], -math.inf, math.inf), ([1, 2], math.nan, 3), ([1, math.inf], 0, 3)):
        with pytest.raises(ValueError, match="lower <= upper"):
            capability(values, lower, upper)


# Gauges

APPRAISED = np.array(
    [
        [[0.29, 0.41, 0.64], [0.08, 0.25, 0.07], [0.04, -0.11, -0.15]],
        [[-0.56, -0.68, -0.58], [-0.47, -1.22, -0.68], [-1.38, -1.13, -0.96]],
        [[1.34, 1.17, 1.27], [1.19, 0.94, 1.34], [0.88, 1.09, 0.67]],
        [[0.47, 0.50, 0.64], [0.01, 1.03, 0.20], [0.14, 0.20, 0.11]],
        [[-0.80, -0.92, -0.84], [-0.56, -1.20, -1.28], [-1.46, -1.07, -1.45]],
        [[0.02, -0.11, -0.21], [-0.20, 0.22, 0.06], [-0.29, -0.67, -0.49]],
        [[0.59, 0.75, 0.66], [0.47, 0.55, 0.83], [0.02, 0.01, 0.21]],
        [[-0.31, -0.20, -0.17], [-0.63, 0.08, -0.34], [-0.46, -0.56, -0.49]],
        [[2.26, 1.99, 2.01], [1.80, 2.12, 2.19], [1.77, 1.45, 1.87]],
        [[-1.36, -1.25, -1.31], [-1.68, -1.62, -1.50], [-1.49, -1.77, -2.16]],
    ]
)
"""(parts, appraisers, trials): the measurements of the worked example in AIAG's Measurement Systems Analysis, 4th edition."""


def test_the_worked_example_gives_its_published_figures() -> None:
    """EV .200, AV .227, GRR .302, PV 1.042, %GRR 27.9, ndc 4."""
    found = crossed(APPRAISED)
    assert found.repeatability == pytest.approx(0.1999, abs=2e-4)
    assert found.reproducibility == pytest.approx(0.2268, abs=2e-4)
    assert found.sigma == pytest.approx(0.3024, abs=2e-4)
    assert found.part == pytest.approx(1.0423, abs=2e-4)
    assert found.share == pytest.approx(0.2786, abs=2e-4)
    assert found.categories == 4
    assert found.low < found.share < found.high
    assert found.interaction > 0.9


def components(values: np.ndarray) -> tuple[float, float, float, float]:
    """(repeat, interaction, insertion, part) variances of a balanced study by covariances of cell means, not by sums of squares:
    between insertions, over parts; between parts, over insertions; and within cells."""
    cell, repeats = values.mean(axis=2), values.shape[2]
    within = values.var(axis=2, ddof=1).mean()
    part = np.mean([np.cov(cell[:, a], cell[:, b])[0, 1] for a, b in combinations(range(cell.shape[1]), 2)])
    insertion = np.mean([np.cov(cell[a], cell[b])[0, 1] for a, b in combinations(range(cell.shape[0]), 2)])
    mixed = np.mean([np.cov(cell[:, a] - cell[:, b])[()] / 2 for a, b in combinations(range(cell.shape[1]), 2)])
    return float(within), float(mixed - within / repeats), float(insertion), float(part)


def drawn(seed: int, part: float, insertion: float, mixed: float, repeat: float, shape: tuple[int, int, int]) -> np.ndarray:
    """A study of known standard deviations."""
    rng, (p, o, _) = np.random.default_rng(seed), shape
    parts, insertions, both = (rng.normal(0.0, s, n) for s, n in ((part, (p, 1, 1)), (insertion, (1, o, 1)), (mixed, (p, o, 1))))
    return np.asarray(5.0 + parts + insertions + both + rng.normal(0.0, repeat, shape))


def test_variances_agree_with_covariances_of_cell_means() -> None:
    """An interaction as large as the noise, so that nothing is pooled or cut at 0."""
    values = drawn(3, 1.0, 0.5, 0.4, 0.3, (30, 4, 3))
    found, (within, mixed, insertion, part) = crossed(values), components(values)
    assert found.repeatability**2 == pytest.approx(within)
    assert found.reproducibility**2 == pytest.approx(mixed + insertion)
    assert found.part**2 == pytest.approx(part)


def test_a_known_gauge_is_found_and_parts_that_are_exchanged_are_noticed() -> None:
    """100 parts, 3 repeats: the repeats' sigma has a standard error of .1 / sqrt(2 x 800), .0025; that of the parts 7 %."""
    values = drawn(4, 1.0, 0.05, 0.0, 0.1, (100, 4, 3))
    found = crossed(values)
    assert abs(found.repeatability - 0.1) < 4 * 0.0025
    assert abs(found.part - 1.0) < 4 * 0.07
    assert found.low < math.hypot(0.1, 0.05) / math.sqrt(1 + 0.1**2 + 0.05**2) < found.high
    mixed = np.random.default_rng(5).permuted(values, axis=0)
    assert crossed(mixed).share > 0.9
    assert crossed(mixed).categories == 1


def test_intervals_of_a_gauge_cover() -> None:
    """400 studies: the share that holds the truth has a standard error of .011, Satterthwaite's approximation beside. Three
    insertions make a wide interval: one of a tenth of its width holds few."""
    truth, held, narrow = math.hypot(0.2, 0.2) / math.sqrt(1.08), 0, 0
    for seed in range(400):
        found = crossed(drawn(seed, 1.0, 0.2, 0.0, 0.2, (20, 3, 2)))
        held += found.low <= truth <= found.high
        narrow += abs(found.share - truth) <= 0.05 * (found.high - found.low)
    assert 0.88 < held / 400 <= 1.0
    assert narrow / 400 < 0.5


def test_studies_that_cannot_be_analysed_are_refused() -> None:
    with pytest.raises(ValueError, match="two of each"):
        crossed(np.zeros((5, 1, 3)))
    assert math.isnan(crossed(np.ones((3, 2, 2))).share)


# Guard bands

CASE = {"lower": -2.0, "upper": 1.5, "mean": 0.2, "sigma": 1.0, "gauge": 0.3}


def bivariate(guard: float, gauge: float, lower: float = -2.0, upper: float = 1.5) -> Rates:
    """By the distribution function of true and measured value together."""
    law = multivariate_normal([0.2, 0.2], [[1.0, 1.0], [1.0, 1.0 + gauge**2]])
    ends = np.array([lower + guard, upper - guard])
    both = float(law.cdf(np.array([upper, ends[1]]), lower_limit=np.array([lower, ends[0]])))
    passed = float(law.cdf(np.array([np.inf, ends[1]]), lower_limit=np.array([-np.inf, ends[0]])))
    good = float(law.cdf(np.array([upper, np.inf]), lower_limit=np.array([lower, -np.inf])))
    return Rates(passed - both, good - both, good, passed)


@pytest.mark.parametrize("guard", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("upper", [1.5, math.inf])
def test_rates_are_those_of_the_bivariate_law(guard: float, upper: float) -> None:
    found = rates(**(CASE | {"upper": upper}), guard=guard)
    wanted = bivariate(guard, 0.3, upper=upper)
    for name in ("escapes", "overkill", "good", "passed"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=2e-6)


def test_rates_are_those_that_are_counted_and_of_this_gauge_alone() -> None:
    """A million parts: a share p has a standard error of sqrt(p / 10^6). A gauge twice as bad is 50 of them away."""
    wanted, counts = rates(**CASE, guard=0.2), simulated(**CASE, guard=0.2)
    for name in ("escapes", "overkill"):
        p = getattr(wanted, name)
        assert abs(getattr(counts, name) - p) < 5 * math.sqrt(p / 1e6)
        assert abs(getattr(simulated(**(CASE | {"gauge": 0.6}), guard=0.2), name) - p) > 50 * math.sqrt(p / 1e6)


def test_a_perfect_gauge_errs_never_and_guard_bands_keep_escapes() -> None:
    perfect = rates(**(CASE | {"gauge": 0.0}))
    assert perfect.escapes == pytest.approx(0.0, abs=1e-12)
    assert perfect.overkill == pytest.approx(0.0, abs=1e-9)
    guard = guard_for(1e-4, **CASE)
    assert rates(**CASE, guard=guard).escapes == pytest.approx(1e-4, rel=1e-3)
    assert rates(**CASE, guard=guard).overkill > rates(**CASE).overkill
    assert guard_for(0.5, **CASE) == 0.0
    for escapes in (0.0, math.nan):
        with pytest.raises(ValueError, match="above 0"):
            guard_for(escapes, **CASE)
    for wrong in ({"sigma": 0.0}, {"gauge": -0.1}, {"mean": math.nan}, {"lower": 2.0}, {"upper": math.nan}):
        with pytest.raises(ValueError, match="sigma > 0"):
            rates(**(CASE | wrong))
