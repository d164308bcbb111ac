"""Process variation: variance shares, spatial law and purity of a parameter's deviates over many dies."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tsu_emu.analog.process import deviates
from tsu_emu.config import Process
from tsu_emu.noise.normal import normals

Floats = NDArray[np.float64]
TYPICAL = Process(die=0.3, gradient=0.1, field=0.2, white=0.4)


def lattice(side: int) -> NDArray[np.int16]:
    y, x = np.divmod(np.arange(side * side), side)
    return np.stack([x, y], axis=1).astype(np.int16)


def local(seed: int, count: int) -> Floats:
    return normals(np.uint64(seed), 7, 0, count, 1, 0)[:, 0]


def dies(process: Process, position: NDArray[np.generic], count: int, first: int = 0) -> Floats:
    """(count, elements) deviates of dies first, first + 1, ..."""
    seeds = range(first, first + count)
    return np.array([deviates(process, local(s, len(position)), position, s, 3) for s in seeds])


def along(side: int, length: float) -> Floats:
    """Correlation of nodes along one axis."""
    return np.exp(-np.abs(np.subtract.outer(np.arange(side), np.arange(side))) / (length * side))


def field_covariance(side: int, length: float) -> Floats:
    return np.kron(along(side, length), along(side, length))


def test_without_correlation_the_deviates_are_the_white_ones() -> None:
    white = local(5, 144)
    assert np.array_equal(deviates(Process(), white, lattice(12), 5, 3), white)
    assert not np.array_equal(deviates(TYPICAL, white, lattice(12), 5, 3), white)


def shares(z: Floats, process: Process, side: int) -> tuple[Floats, Floats]:
    """Variance shares (die, gradient, field, white) and their standard errors, from (dies, elements) deviates.

    Each die gives an unbiased quadratic estimate (MINQUE, weights at the nominal shares); the spread over dies gives the error.
    """
    centred = lattice(side) - (side - 1) / 2
    n = side * side
    plane = centred @ centred.T / np.mean(np.sum(centred**2, axis=1))
    parts = np.array([np.ones((n, n)), plane, field_covariance(side, process.length), np.eye(n)])
    nominal = (process.die, process.gradient, process.field, process.white)
    inverse = np.linalg.inv(np.tensordot(nominal, parts, 1))
    weights = inverse @ parts @ inverse
    moments = np.stack([np.einsum("di,ij,dj->d", z, w, z, optimize=True) for w in weights])
    each = np.linalg.solve(np.einsum("kij,lji->kl", weights, parts, optimize=True), moments)
    return each.mean(axis=1), each.std(axis=1) / np.sqrt(len(z))


def test_each_source_has_its_share_of_the_variance() -> None:
    """2,000 dies of 12 x 12 cells: each share within 5 standard errors (.002 to .010), taken from the spread over dies.

    Power: dies with the field's share given to the white part, or doubled at the die's expense, are seen.
    """
    found, error = shares(dies(TYPICAL, lattice(12), 2000), TYPICAL, 12)
    expected = np.array([0.3, 0.1, 0.2, 0.4])
    assert error.max() < 0.015
    assert np.all(np.abs(found - expected) < 5 * error), found
    off = Process(die=0.3, gradient=0.1, white=0.6)
    doubled = Process(die=0.1, gradient=0.1, field=0.4, white=0.4)
    for wrong in (off, doubled):
        found, error = shares(dies(wrong, lattice(12), 2000), TYPICAL, 12)
        assert abs(found[2] - 0.2) > 5 * error[2]


def test_the_shares_add_up_linearly_and_switching_one_changes_no_draw_of_another() -> None:
    white = local(9, 144)
    alone = [Process(die=1, white=0), Process(gradient=1, white=0), Process(field=1, white=0), Process()]
    parts = np.array([deviates(p, white, lattice(12), 9, 3) for p in alone])
    assert np.allclose(deviates(TYPICAL, white, lattice(12), 9, 3), np.sqrt([0.3, 0.1, 0.2, 0.4]) @ parts, atol=1e-14)


def off_plane(side: int) -> Floats:
    """(elements, 3) orthonormal basis of the planes over a lattice."""
    return np.linalg.qr(np.column_stack([np.ones(side * side), lattice(side).astype(np.float64)]))[0]


def variogram(z: Floats, side: int) -> Floats:
    """Half the mean square difference at lags 1 .. side / 2 along both axes, pooled over dies; z (dies, elements)."""
    g = z.reshape(-1, side, side)
    squares = [(np.mean((g[:, :, k:] - g[:, :, :-k]) ** 2), np.mean((g[:, k:] - g[:, :-k]) ** 2)) for k in lags(side)]
    return np.mean(squares, axis=1) / 2


def lags(side: int) -> range:
    return range(1, side // 2 + 1)


def detrended_variogram(covariance: Floats, side: int) -> Floats:
    """What `variogram` has as its mean for values of this covariance after each die's plane was taken out."""
    plane = off_plane(side)
    c = covariance - plane @ (plane.T @ covariance)
    c = (c - (c @ plane) @ plane.T).reshape(side, side, side, side)
    d = np.einsum("yxyx->yx", c)
    means = []
    for k in lags(side):
        x = np.mean(d[:, k:] + d[:, :-k] - 2 * np.einsum("yxyx->yx", c[:, k:, :, :-k]))
        y = np.mean(d[k:] + d[:-k] - 2 * np.einsum("yxyx->yx", c[k:, :, :-k, :]))
        means.append((x + y) / 4)
    return np.array(means)


LENGTHS = np.geomspace(0.05, 0.8, 57)


@pytest.fixture(scope="module")
def models() -> Floats:
    """(lengths + 1, lags): detrended variograms of unit fields of each length and, last, of unit white values, 32 x 32 cells."""
    fields = [detrended_variogram(field_covariance(32, length), 32) for length in LENGTHS]
    return np.array([*fields, detrended_variogram(np.eye(1024), 32)])


def estimated_length(process: Process, models: Floats) -> tuple[float, float]:
    """Correlation length and variance of the field as a lab finds them: 256 dies of 32 x 32 cells, detrended variogram."""
    z = dies(process, lattice(32), 256)
    plane = off_plane(32)
    v = variogram(z - (z @ plane) @ plane.T, 32)
    best = (np.inf, 0.0, 0.0)
    for length, model in zip(LENGTHS, models[:-1], strict=True):
        a = np.stack([model, models[-1]], axis=1) / v[:, None]
        fit = np.linalg.lstsq(a, np.ones(len(v)), rcond=None)[0]
        best = min(best, (float(np.sum((a @ fit - 1) ** 2)), float(length), float(fit[0])))
    return best[1], best[2]


def test_a_lab_finds_the_correlation_length(models: Floats) -> None:
    """Within 25 %, which is 3.6 standard errors, and the variance within 20 %, 5 of them: spread of 20 labs, 7 % and 4 %.

    Power: half and twice the length are told from it, and dies without a field show hardly any.
    """
    length, sill = estimated_length(TYPICAL, models)
    assert abs(length / 0.2 - 1) < 0.25
    assert abs(sill / 0.2 - 1) < 0.2
    for wrong in (0.1, 0.4):
        length, _ = estimated_length(TYPICAL.model_copy(update={"length": wrong}), models)
        assert abs(length / 0.2 - 1) > 0.25
    assert estimated_length(Process(die=0.3, gradient=0.1, white=0.6), models)[1] < 0.05


def test_the_field_has_the_covariance_that_it_states() -> None:
    """Pairs of 25 cells over 10,000 dies within 5.5 standard errors, sqrt((1 + c^2) / n). Power: 1.5 times the length fails."""
    n = 10_000
    z = dies(Process(field=1, white=0), lattice(5), n)
    found = z.T @ z / n
    expected, longer = field_covariance(5, 0.2), field_covariance(5, 0.3)
    assert np.all(np.abs(found - expected) < 5.5 * np.sqrt((1 + expected**2) / n))
    assert np.max(np.abs(found - longer) / np.sqrt((1 + longer**2) / n)) > 10


def test_between_the_nodes_the_field_keeps_its_variance() -> None:
    """Couplers half a pitch off in x and y, L = .4 pitch, 4,000 dies: variance 1 within 5 sqrt(2 / n).

    Power: interpolation alone would leave ((1 + rho) / 2)^2 = .29.
    """
    n = 4000
    z = dies(Process(field=1, white=0, length=0.1), np.vstack([np.full((1, 2), 3.0), np.full((1, 2), 1.5)]), n)
    bound = 5 * np.sqrt(2 / n)
    assert np.all(np.abs(np.mean(z**2, axis=0) - 1) < bound)
    assert ((1 + np.exp(-1 / 0.4)) / 2) ** 2 < 1 - bound


def test_a_gradient_is_a_plane_through_the_middle_in_any_direction() -> None:
    """Slopes in x and y over 4,000 dies: uncorrelated and alike within 5 standard errors; mean square over the die 1."""
    n = 4000
    z = dies(Process(gradient=1, white=0), lattice(16), n)
    plane = off_plane(16)
    assert np.allclose(z, (z @ plane) @ plane.T, atol=1e-12)
    assert np.allclose(z.mean(axis=1), 0, atol=1e-12)
    assert abs(np.mean(z**2) - 1) < 5 / np.sqrt(n)
    gx, gy = (z @ (lattice(16) - 7.5)).T
    assert abs(np.corrcoef(gx, gy)[0, 1]) < 5 / np.sqrt(n)
    assert abs(np.log(gx.var() / gy.var())) < 5 * np.sqrt(4 / n)
    assert np.ptp(z, axis=1).min() > 0


def test_a_die_in_one_place_has_no_gradient() -> None:
    assert np.array_equal(deviates(Process(gradient=1, white=0), np.zeros(2), np.full((2, 2), 4), 1, 0), np.zeros(2))


@pytest.mark.parametrize("part", ["die", "gradient", "field"])
def test_dies_and_parameters_are_independent(part: str) -> None:
    """Correlation of a corner's deviates over 4,000 dies with the next die's and with another parameter's below 5 / sqrt(n)."""
    n = 4000
    process = Process(**{part: 1.0}, white=0)
    corner = [np.array([deviates(process, np.zeros(16), lattice(4), s, c)[0] for s in range(n)]) for c in (0, 1)]
    for one, other in ((corner[0][1:], corner[0][:-1]), (corner[0], corner[1])):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(n)
    assert np.array_equal(deviates(process, np.zeros(16), lattice(4), 0, 0)[0], corner[0][0])


def test_the_order_of_the_elements_does_not_matter() -> None:
    """Bit for bit, positions being multiples of half a pitch; high seed words count."""
    white, place = local(3, 144), lattice(12) / 2
    order = np.argsort(local(4, 144))
    assert np.array_equal(deviates(TYPICAL, white[order], place[order], 3, 1), deviates(TYPICAL, white, place, 3, 1)[order])
    assert not np.array_equal(deviates(TYPICAL, white, place, 3, 1), deviates(TYPICAL, white, place, 3 + (1 << 40), 1))
