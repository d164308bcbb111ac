"""The generator against its authors' published answers, and the normal deviate against an independent inverse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from tsu_emu.noise.normal import natural_log, normal_of, normals
from tsu_emu.noise.threefry import threefry

U = np.uint32
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0, 0x082EFA98, 0xEC4E6C89)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((0,) * 8, (0x531C7E4F, 0x39491EE5, 0x2C855A92, 0x3D6ABF9A)),
        ((0xFFFFFFFF,) * 8, (0xC4189358, 0x1C9CC83A, 0xD5881C67, 0x6A0A89E0)),
        (PI, (0x4AA71D8F, 0x734738C2, 0x431FC6A8, 0xAE6DEBF1)),
    ],
    ids=["zeros", "ones", "digits of pi"],
)
def test_threefry4x32_13_gives_the_published_answers(words: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """kat_vectors of Random123 (D. E. Shaw Research): counter, then key."""
    assert tuple(int(x) for x in threefry(*(U(w) for w in words))) == expected


def test_the_normal_deviate_inverts_the_normal_law() -> None:
    """Within 4e-15 relative of scipy's inverse over the whole range, tails included."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 1 << 32, 20_000, dtype=U)
    a[:4000] >>= rng.integers(0, 32, 4000, dtype=U)
    b = rng.integers(0, 1 << 32, len(a), dtype=U)
    u = (2.0 * ((a.astype(np.uint64) << np.uint64(20)) | (b.astype(np.uint64) >> np.uint64(12))) + 1) * 2.0**-53
    ours, exact = np.array([normal_of(x, y) for x, y in zip(a, b, strict=True)]), ndtri(u)
    assert np.all(np.abs(ours - exact) <= 4e-15 * np.abs(exact) + 1e-16)
    assert exact.min() < -6


def test_the_logarithm_is_right_to_the_last_bits() -> None:
    x = np.exp(np.random.default_rng(1).uniform(-40, 40, 10_000))
    ours = np.array([natural_log(v) for v in x])
    assert np.all(np.abs(ours - np.log(x)) <= 4e-16 * np.maximum(np.abs(np.log(x)), 0.5))


def test_deviates_have_the_moments_of_a_normal_law() -> None:
    """Mean, variance, third and fourth moment of 10^6 draws within 5 standard errors (1, 2, 15, 96 over n)."""
    x = normals(np.uint64(7), 3, 0, 10**6, 1, 0)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(x**power) - moment) < 5 * np.sqrt(variance / x.size)


@pytest.mark.parametrize("other", [(8, 3, 0), (7, 4, 0), (7, 3, 1)], ids=["seed", "stream", "sub"])
def test_seeds_streams_and_subs_are_independent(other: tuple[int, int, int]) -> None:
    """Correlation of 10^5 draws below 5 / sqrt(n)."""
    one = normals(np.uint64(7), 3, 0, 10**5, 1, 0)[:, 0]
    two = normals(np.uint64(other[0]), other[1], 0, 10**5, 1, other[2])[:, 0]
    assert abs(np.mean(one * two)) < 5 / np.sqrt(10**5)


def test_a_draw_does_not_depend_on_how_many_are_drawn() -> None:
    assert np.array_equal(normals(np.uint64(1), 3, 10, 5, 2, 1), normals(np.uint64(1), 3, 0, 40, 4, 0)[10:15, 1:3])
