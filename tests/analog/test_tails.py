"""Student's tails of what each device has by itself: the law, its independence, the formula, and where a die has it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from reference import noise
from serving import config
from tsu_emu.analog.die import make_die
from tsu_emu.analog.tails import own_deviates
from tsu_emu.config import Process
from tsu_emu.noise.normal import normals
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import build

Floats = NDArray[np.float64]
COUNT = 100_000


def own(degrees: int, seed: int = 3, count: int = COUNT, sub: int = 0) -> Floats:
    return own_deviates(Process(tail_degrees=degrees), seed, Stream.PBIT, count, sub)


def is_student(z: Floats, degrees: int) -> bool:
    """Kolmogorov and Smirnov's distance at a chance of 1e-4, and the number beyond 4 sigma, binomial to 5 standard deviations."""
    scale = math.sqrt(degrees / (degrees - 2))
    share = 2 * float(stats.t.sf(4 * scale, degrees))
    distance = stats.kstest(z * scale, stats.t(degrees).cdf).statistic
    beyond = abs(np.sum(np.abs(z) > 4) - len(z) * share)
    return bool(distance < 2.23 / np.sqrt(len(z)) and beyond < 5 * np.sqrt(len(z) * share))


@pytest.mark.parametrize("degrees", [3, 4, 5])
def test_deviates_are_students_of_unit_variance(degrees: int) -> None:
    """Power: normal deviates and those of twice as many degrees are no such."""
    assert is_student(own(degrees), degrees)
    assert not is_student(own(2 * degrees), degrees)
    assert not is_student(own(0), degrees)


def test_variance_and_kurtosis_of_many_degrees() -> None:
    """Of 12 degrees, whose fourth moment is 3.75 and eighth 547: to 5 standard errors; normal ones and 24 degrees fail."""
    n = 2 * COUNT
    z, fourth, eighth = own(12, count=n), 3 * 10 / 8, 105 * 10**3 / (8 * 6 * 4)
    assert abs(np.mean(z**2) - 1) < 5 * np.sqrt((fourth - 1) / n)
    for deviate, right in ((z, True), (own(0, count=n), False), (own(24, count=n), False)):
        assert (abs(np.mean(deviate**4) - fourth) < 5 * np.sqrt((eighth - fourth**2) / n)) == right


def test_each_deviate_has_a_chi_square_of_its_own() -> None:
    """Sizes of neighbours, of subs and of dies are uncorrelated to 5 standard errors."""
    z = np.minimum(np.abs(own(4)), 5)
    for other in (np.roll(z, 1), np.minimum(np.abs(own(4, sub=1)), 5), np.minimum(np.abs(own(4, seed=4)), 5)):
        assert abs(np.corrcoef(z, other)[0, 1]) < 5 / np.sqrt(COUNT)


@pytest.mark.parametrize("degrees", [3, 4, 64])
def test_the_formula_bit_for_bit(degrees: int) -> None:
    """As docs/arithmetic.md has it, by the independent model's draws; high words of the seed count."""
    seed, found = (7 << 40) + 5, own(degrees, (7 << 40) + 5, 4, 1)
    for e in range(4):
        square = 0.0
        for k in range(degrees):
            words = noise.draw(seed, Stream.PBIT, (e, 1, k // 2 + 1, 0))
            x = noise.normal_of(*words[2 * (k % 2) : 2 * (k % 2) + 2])
            square = square + x * x
        z = noise.die_draw(seed, Stream.PBIT, e, 1)
        assert found[e] == z * math.sqrt((degrees - 2) / square)


def test_without_degrees_the_deviates_are_normal_bit_for_bit() -> None:
    assert np.array_equal(own(0, count=50), normals(np.uint64(3), int(Stream.PBIT), 0, 50, 1, 0)[:, 0])


def test_slopes_offsets_and_gains_of_a_die_have_them() -> None:
    """Cells and couplers of a die, each parameter by itself; their variance stays. Its converters have normal ones."""
    errors = {"coupling": {"gain_sigma": 0.05, "dac": {"element_sigma": 0.01}},
              "cell": {"kind": "pbit", "slope_sigma": 0.05, "offset_sigma_kt": 0.1}}  # fmt: skip
    pairs = {"coupling": {"pair_gain_sigma": 0.05}}
    grid = {"kind": "grid", "width": 100, "height": 100, "rules": [[1, 0], [2, 1]]}
    dies = {}
    for tables in (errors, errors | pairs):
        for degrees in (0, 4):
            chip = config(grid, 1, process={"tail_degrees": degrees}, **tables)
            dies[degrees] = die = make_die(chip, build(chip.fabric), False)
            values = [die.alpha - 1, die.delta, die.kappa - 1]
            sigmas = (0.05, 0.1, 0.05)
            # a pair's part counts once, not for both its couplers
            for value, sigma in zip(values, sigmas, strict=True):
                each = np.unique(value / sigma) if tables is not errors else value / sigma
                assert is_student(each, 4) == (degrees == 4)
        if tables is errors:
            assert np.array_equal(dies[0].coupling.element, dies[4].coupling.element)
