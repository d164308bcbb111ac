"""Lots, wafers and the place of a die on its wafer: variances by nested analysis over many dies, and which dies share what."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from analog.test_process import TYPICAL, dies, lattice, local
from reference import noise
from tsu_emu.analog.process import deviates
from tsu_emu.analog.wafer import bowl, site_of, sites
from tsu_emu.config import Process

Floats = NDArray[np.float64]
LOTS, WAFERS, DIES = 500, 4, 9
FAB = {"dies_per_wafer": DIES, "wafers_per_lot": WAFERS}


def heights(process: Process) -> Floats:
    return np.array([bowl(process, d) for d in range(process.dies_per_wafer)])


def components(process: Process) -> tuple[Floats, Floats]:
    """(lot, wafer, radial, die, white) and standard errors: each lot gives unbiased estimates, their spread over lots the errors.

    Sums of squares, nested: elements in a die, dies off mean and bowl of their wafer, bowls, wafers in a lot, lots about 0.
    """
    z = dies(process, lattice(2), LOTS * WAFERS * DIES).reshape(LOTS, WAFERS, DIES, 4)
    b, die = heights(process), z.mean(axis=3)
    white = z.var(axis=3, ddof=1).mean(axis=(1, 2))
    wafer, depth = die.mean(axis=2), (die * b).mean(axis=2)
    rest = die - wafer[..., None] - depth[..., None] * b
    within = np.sum(rest**2, axis=2).mean(axis=1) / (DIES - 2)
    between = wafer.var(axis=1, ddof=1)
    each = np.stack(
        [wafer.mean(axis=1) ** 2 - between / WAFERS, between - within / DIES, np.mean(depth**2, axis=1) - within / DIES,
         within - white / 4, white]
    )  # fmt: skip
    return each.mean(axis=1), each.std(axis=1, ddof=1) / np.sqrt(LOTS)


def test_variances_of_lots_wafers_bowls_and_dies_are_their_shares() -> None:
    """Within 5 standard errors. Power: dies without these parts, and dies with twice their variance, fail at each of them."""
    shares = {"lot": 0.12, "wafer": 0.1, "radial": 0.08, "die": 0.1}
    right = np.array([*shares.values(), 0.6])
    found, error = components(Process(**shares, white=0.6, **FAB))
    assert np.all(np.abs(found - right) < 5 * error)
    for factor in (0.0, 2.0):
        more = {name: factor * share for name, share in shares.items()}
        found, error = components(Process(**more, white=1 - 0.4 * factor, **FAB))
        assert np.all(np.abs(found - right) > 5 * error)


def test_the_dies_of_a_wafer_and_the_wafers_of_a_lot_have_in_common_what_is_theirs() -> None:
    """Bit for bit; the next wafer, the next lot and another parameter are others, high words of a seed count."""
    far = 5 << 40
    for part, of in (("wafer", DIES), ("lot", DIES * WAFERS)):
        process = Process(**{part: 1.0}, white=0.0, **FAB)
        for first in (0, far * of):
            z = dies(process, lattice(2), 2 * of, first)
            assert len(np.unique(z[:of])) == len(np.unique(z[of:])) == 1
            assert z[0, 0] != z[of, 0]
        assert dies(process, lattice(2), 1)[0, 0] != dies(process, lattice(2), 1, far * of)[0, 0]
        assert deviates(process, np.zeros(4), lattice(2), 0, 1)[0] != deviates(process, np.zeros(4), lattice(2), 0, 2)[0]


def test_the_formulas_bit_for_bit() -> None:
    """As docs/arithmetic.md has them, by the independent model's draws."""
    seed, component = (6 << 40) + 41, 3
    process = Process(lot=0.25, wafer=0.25, radial=0.5, white=0.0, **FAB)
    wafer, lot = seed // DIES, seed // DIES // WAFERS
    squares = [x * x + y * y for y in (-1, 0, 1) for x in (-1, 0, 1)]
    total, of_squares = sum(squares), sum(q * q for q in squares)
    height = (9 * squares[seed % 9] - total) / (9 * of_squares - total * total) ** 0.5

    def common(number: int, stream: int, kind: int) -> float:
        return noise.normal_of(*noise.threefry((number & noise.MASK32, number >> 32, stream, component), (0, 0, kind, 0))[:2])

    expected = 0.25**0.5 * common(wafer, 31, 1)
    expected = expected + (0.5**0.5 * height) * common(wafer, 31, 3)
    expected = expected + 0.25**0.5 * common(lot, 30, 1)
    assert deviates(process, np.zeros(4), lattice(2), seed, component).tolist() == [expected] * 4


def test_a_bowl_is_a_parabola_in_the_distance_from_the_middle() -> None:
    """Each wafer's own depth times a + b r^2, of mean 0 and variance 1 over its dies; depths are independent of levels."""
    process = Process(radial=1.0, white=0.0, dies_per_wafer=61)
    z = dies(process, lattice(2), 61 * 300)[:, 0].reshape(300, 61)
    assert np.allclose(z.mean(axis=1), 0, atol=1e-14)
    r2 = np.sum(sites(61) ** 2, axis=1)
    basis = np.stack([np.ones(61), r2], axis=1)
    assert np.allclose(basis @ np.linalg.lstsq(basis, z.T, rcond=None)[0], z.T, atol=1e-12)
    depth = z @ heights(process) / 61
    level = dies(Process(wafer=1.0, white=0.0, dies_per_wafer=61), lattice(2), 61 * 300)[::61, 0]
    assert abs(np.corrcoef(depth, level)[0, 1]) < 5 / np.sqrt(300)
    assert abs(np.mean(np.sign(depth))) < 5 / np.sqrt(300)


@pytest.mark.parametrize("count", [1, 2, 5, 9, 61, 600])
def test_the_dies_of_a_wafer_fill_a_circle_row_by_row(count: int) -> None:
    """All within, and none left out of, the radius of the farthest die, but for equally far ones; numbered by y, then x."""
    where = sites(count)
    assert len(np.unique(where, axis=0)) == count
    assert np.array_equal(where, where[np.lexsort((where[:, 0], where[:, 1]))])
    far = int(np.sum(where**2, axis=1).max())
    reach = np.arange(-40, 41)
    r2 = np.add.outer(reach**2, reach**2)
    assert np.sum(r2 < far) < count <= np.sum(r2 <= far)
    process = Process(dies_per_wafer=count)
    assert [site_of(process, 7 * count + k) for k in range(count)] == [tuple(s) for s in where.tolist()]
    if count > 1:
        h = heights(process)
        assert abs(h.mean()) < 1e-13
        assert abs(np.mean(h**2) - 1) < 1e-12


def test_numbers_of_wafers_alone_change_nothing() -> None:
    white = local(5, 144)
    numbered = TYPICAL.model_copy(update=FAB)
    assert np.array_equal(deviates(numbered, white, lattice(12), 5, 3), deviates(TYPICAL, white, lattice(12), 5, 3))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lot": 0.5}, "lot .* is 1.5; the shares make 1"),
        ({"wafer": 0.5, "white": 0.5}, "dies_per_wafer of 1 or more"),
        ({"radial": 0.5, "white": 0.5, "dies_per_wafer": 1}, "dies_per_wafer of 2 or more"),
        ({"lot": 0.5, "white": 0.5, "dies_per_wafer": 9}, "wafers_per_lot of 1 or more"),
        ({"wafers_per_lot": 25}, "dies_per_wafer of 1 or more"),
        ({"tail_degrees": 2}, "3 to 64 expected"),
        ({"defect_alpha": 0.7}, "multiple of 0.5"),
        ({"defect_alpha": 1.0, "defect_radius": 0.001}, "0 or .01 to 10"),
        ({"defect_radius": 0.1}, "defect_alpha of 1/2 or more"),
    ],
)
def test_what_makes_no_process_is_refused(values: dict[str, float], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Process.model_validate(values)
