"""The generator against its authors' published answers, and the normal deviate against an independent inverse."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

from tsu_emu.noise.ars import ROUNDS, ars
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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((0,) * 8, (0x8D73EE19, 0x506401EF, 0x13C2DBE4, 0x0CBE9C0D)),
        ((*(0xFFFFFFFF,) * 6, 0, 0), (0xBB3743B1, 0x9F635551, 0xECBC87FC, 0xA19478A9)),
        (PI, (0xA516E7D6, 0x8357AD74, 0x5B59B3EC, 0x8763FFF3)),
    ],
    ids=["zeros", "ones", "digits of pi"],
)
def test_ars4x32_10_gives_the_published_answers(words: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """kat_vectors of Random123 (D. E. Shaw Research): counter, then key; all with ten rounds."""
    assert tuple(int(x) for x in ars(*(U(w) for w in words), 10)) == expected


@njit
def flip_words(ranks: int, planes: int, sweeps: int, rounds: int) -> NDArray[np.uint32]:
    """(ranks, planes, sweeps) noise words of p-bits, by ARS with so many rounds, or by Threefry if that is 0."""
    out = np.empty((ranks, planes, sweeps), np.uint32)
    for i in range(ranks):
        for p in range(planes):
            for t in range(sweeps):
                if rounds:
                    out[i, p, t] = ars(U(i), U(p >> 2), U(t), U(0), U(7), U(0), U(1), U(0), rounds)[p & 3]
                else:
                    out[i, p, t] = threefry(U(i >> 2), U(p), U(t), U(0), U(7), U(0), U(1), U(0))[i & 3]
    return out


def worst_deviation(words: NDArray[np.uint32]) -> float:
    """The greatest of about 400 deviations from what independent uniform words give, in standard errors: counts of each byte;
    correlations of neighbours (1, 2, 4, 8 apart along ranks, planes and sweeps), of words and of each of their bits; words that
    share their upper 24 bits."""
    found, n = [], words.size
    for byte in range(4):
        counts = np.bincount((words >> U(8 * byte) & U(255)).ravel(), minlength=256)
        chi2 = float(((counts - n / 256) ** 2).sum() / (n / 256))
        found.append((chi2 - 255) / np.sqrt(2 * 255))
    u = words / 2.0**32 - 0.5
    for axis in range(3):
        for lag in (1, 2, 4, 8):
            a, b = (np.moveaxis(x, axis, 0) for x in (u, u))
            pairs = a[lag:].size
            found.append(float((a[lag:] * b[:-lag]).sum()) * 12 / np.sqrt(pairs))
            w = np.moveaxis(words, axis, 0)
            changed = w[lag:] ^ w[:-lag]
            found += [(float((changed >> U(bit) & U(1)).mean()) - 0.5) * 2 * np.sqrt(pairs) for bit in range(32)]
    expected = n * n / 2 / 2.0**24
    collisions = n - len(np.unique(words >> U(8)))
    found.append((collisions - expected) / np.sqrt(expected))
    return float(np.abs(found).max())


def test_flip_noise_is_independent_along_cells_planes_and_sweeps() -> None:
    """Within 5 standard errors, of 400; with two rounds of ARS, or one, the same counters are not."""
    shape = 128, 64, 32
    assert worst_deviation(flip_words(*shape, 0)) < 5
    assert worst_deviation(flip_words(*shape, ROUNDS)) < 5
    for rounds in (1, 2):
        assert worst_deviation(flip_words(*shape, rounds)) > 50


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
