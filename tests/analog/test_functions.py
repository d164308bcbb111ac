"""Exponential and sine against decimal arithmetic of 50 digits, and against pinned bits."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

from tsu_emu.noise.functions import exponential, sine

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


def true_exponential(x: float) -> Decimal:
    with localcontext(prec=50):
        return Decimal(x).exp()


def true_sine(turns: float) -> Decimal:
    """sin(2 pi turns) by its Taylor series after an exact reduction to half a turn."""
    with localcontext(prec=50):
        t = Decimal(turns)
        a = 2 * PI * (t - t.to_integral_value())
        total = term = a
        n = 1
        while abs(term) > Decimal("1e-40"):
            term *= -a * a / ((n + 1) * (n + 2))
            n += 2
            total += term
        return total


def numbers(*parts: tuple[float, float, int]) -> list[float]:
    """`count` random numbers in each of the ranges (low, high, count)."""
    rng = np.random.default_rng(0)
    return [float(x) for low, high, count in parts for x in rng.uniform(low, high, count)]


@pytest.mark.parametrize(
    ("x", "bits"),
    [
        (0.0, "0x1.0000000000000p+0"),
        (1.0, "0x1.5bf0a8b14576ap+1"),
        (-1.0, "0x1.78b56362cef38p-2"),
        (-40.0, "0x1.39792499b1a24p-58"),
        (709.0, "0x1.d422d2be5dc9bp+1022"),
        (-745.0, "0x0.0000000000001p-1022"),
    ],
)
def test_the_exponential_has_known_bits(x: float, bits: str) -> None:
    """Within one unit in the last place of the correctly rounded value, and these bits on every machine."""
    exact = float(true_exponential(x))
    assert abs(exponential(x) - exact) <= np.spacing(exact)
    assert exponential(x).hex() == bits


def test_the_exponential_is_right_to_3e_16() -> None:
    for x in numbers((-708, 709.7, 2000), (-1, 1, 2000), (-1e-8, 1e-8, 200), (-40, 0, 1000)):
        exact = true_exponential(x)
        assert abs(Decimal(exponential(x)) - exact) < Decimal("3e-16") * exact


def test_the_exponential_of_very_negative_numbers_is_right_to_the_last_subnormal() -> None:
    """One rounding to 53 bits and one to the subnormal's: at most a unit of 2^-1074 and a little."""
    for x in numbers((-745.1, -708.4, 1000)):
        assert abs(Decimal(exponential(x)) - true_exponential(x)) < Decimal(1.05 * 2.0**-1000) * Decimal(2.0**-74)


def test_the_exponential_saturates() -> None:
    assert [exponential(x) for x in (-1e308, -np.inf, -746.0, -745.2)] == [0.0] * 4
    assert [exponential(x) for x in (709.79, 710.0, 1e308, np.inf)] == [np.inf] * 4
    assert exponential(709.78) < np.inf
    assert np.isnan(exponential(np.nan))


def test_the_exponential_of_near_arguments_never_falls() -> None:
    for x in (-700.0, -0.34657359027997264, 0.0, 0.34657359027997264, 3.1):
        near = x + np.arange(-200, 201) * np.spacing(max(abs(x), 1e-3))
        values = [exponential(v) for v in near]
        assert np.all(np.diff(values) >= 0)


@pytest.mark.parametrize(
    ("turns", "bits"),
    [(0.125, "0x1.6a09e667f3bccp-1"), (0.05, "0x1.3c6ef372fe94fp-2"), (0.3, "0x1.e6f0e13445500p-1")],
)
def test_the_sine_has_known_bits(turns: float, bits: str) -> None:
    """Within one unit in the last place of the correctly rounded value, and these bits on every machine."""
    exact = float(true_sine(turns))
    assert abs(sine(turns) - exact) <= np.spacing(abs(exact))
    assert sine(turns).hex() == bits


def test_the_sine_is_right_to_3e_16_of_its_size_or_of_1() -> None:
    """Relative too, so near its zeros: the reduction loses nothing, even after a million turns."""
    for turns in numbers((-0.75, 0.75, 3000), (-1e6, 1e6, 2000), (-1e-9, 1e-9, 100), (0.4999999, 0.5000001, 100)):
        exact = true_sine(turns)
        assert abs(Decimal(sine(turns)) - exact) < Decimal("3e-16") * min(Decimal(1), 2 * abs(exact))


def test_the_sine_is_exact_at_quarters_and_odd() -> None:
    assert [sine(k / 4) for k in range(-8, 9)] == [0, 1, 0, -1] * 4 + [0]
    assert [sine(x) for x in (2.0**52 + 1, 2.0**53 + 2, 1e300)] == [0, 0, 0]
    for turns in numbers((0, 3, 500)):
        assert sine(-turns) == -sine(turns)
