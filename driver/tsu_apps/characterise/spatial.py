"""Differences over the die: offsets of all cells, their variogram, and its correlation length from several dies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.figures import MODEL, label, panels, with_errors
from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.procedure import Procedure
from tsu_apps.characterise.spins import ALIVE, KINDS, half_means, sweeps_within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Real = NDArray[np.float64]
LEAST_SIDE = 16
UPDATES, SWEEPS = 600_000_000, 256
VARIOGRAM, LENGTH = "process.variogram", "process.length"


class Variogram(NamedTuple):
    """gamma(d) = white + field (1 - exp(-d / length)) + plane d (2 d + 1) / 6, d = |dx| + |dy| in cells; length in cells."""

    white: float
    field: float
    plane: float
    length: float

    def at(self, distance: Real) -> Real:
        """gamma."""
        out: Real = _basis(distance, self.length) @ np.array([self.white, self.field, self.plane])
        return out


def _basis(distance: Real, length: float) -> Real:
    """(n, 3) columns of white, field, plane: a plane of slope g along x and y gives g^2 (dx^2 + dy^2) / 2 at (dx, dy), which is
    g^2 d (2 d + 1) / 6 on average over the splits of d."""
    return np.column_stack([np.ones_like(distance), 1 - np.exp(-distance / length), distance * (2 * distance + 1) / 6])


def variogram(a: Real, b: Real, reach: int) -> Real:
    """(reach,) half the mean product of differences in two readings a, b (height, width) of one field, at distances 1 .. reach.

    Distance is |dx| + |dy|, every split of it weighing alike; NaN is left out. The readings' own noise has no part in it.
    """
    out = np.zeros(reach)
    for d in range(1, reach + 1):
        splits = [(dx, d - dx) for dx in range(d + 1) if dx < a.shape[1] and d - dx < a.shape[0]]
        out[d - 1] = np.mean([_at_lag(a, b, dx, dy) for dx, dy in splits])
    return out


def _at_lag(a: Real, b: Real, dx: int, dy: int) -> float:
    height, width = a.shape
    products = []
    for along in {1, -1} if dx and dy else {1}:
        left = slice(0, width - dx) if along > 0 else slice(dx, width)
        right = slice(dx, width) if along > 0 else slice(0, width - dx)
        da, db = (y[: height - dy, left] - y[dy:, right] for y in (a, b))
        products.append(np.nanmean(da * db))
    return float(np.mean(products)) / 2


def fit_variogram(distance: Real, gamma: Real, error: Real, longest: float) -> Variogram:
    """Weighted least squares with parts that are not negative; lengths of half a cell to `longest` are searched."""
    lengths = np.geomspace(0.5, longest, 160)
    fits = [(*_not_negative(_basis(distance, length) / error[:, None], gamma / error), length) for length in lengths]
    _, parts, length = min(fits, key=lambda fit: fit[0])
    white, field, plane = parts.tolist()
    return Variogram(white, field, plane, float(length))


def _not_negative(design: Real, y: Real) -> tuple[float, Real]:
    """(sum of squares, coefficients (3,)) of the best fit with some of the columns whose coefficients are not negative."""
    best = float(y @ y), np.zeros(3)
    for chosen in product((False, True), repeat=3):
        columns = np.flatnonzero(chosen)
        if not len(columns):
            continue
        parts = np.linalg.lstsq(design[:, columns], y, rcond=None)[0]
        square = float(np.sum((design[:, columns] @ parts - y) ** 2))
        if (parts >= 0).all() and square < best[0]:
            best = square, np.zeros(3)
            best[1][columns] = parts
    return best


def _spatial(lab: Lab) -> Outcome:
    """The variogram of one die."""
    place = lab.chip.topology.position.astype(np.int64)
    width, height = (place.max(axis=0) + 1).tolist()
    if min(width, height) < LEAST_SIDE:
        return Outcome([], None, f"The cells lie on {width} x {height} places; {LEAST_SIDE} x {LEAST_SIDE} are the least.")
    means = half_means(lab, sweeps_within(lab, UPDATES, 1, SWEEPS))
    means[:, np.abs(means.mean(axis=0)) > ALIVE] = np.nan
    maps = np.full((2, height, width), np.nan)
    maps[:, place[:, 1], place[:, 0]] = np.arctanh(means)
    reach = 3 * max(width, height) // 4
    distance = np.arange(1, reach + 1, dtype=np.float64)
    gamma = variogram(maps[0], maps[1], reach)
    independent = np.maximum(width * height / (distance + 1) ** 2, 1)
    error = np.maximum(np.abs(gamma), 1e-9) * np.sqrt(2 / independent)
    curve = Measurement.of(
        "variogram of cell offsets, one die",
        VARIOGRAM,
        gamma,
        error,
        "kT^2",
        5 * error.max(),
        distance,
        "distance |dx| + |dy| (cells)",
    )
    notes = "A length needs several dies: pool their variograms."
    return Outcome([curve], lambda: _draw(maps.mean(axis=0), curve), notes)


def pool(dies: Sequence[Measurement], longer_side: int) -> list[Measurement]:
    """Mean variogram of several dies' measurements, and the correlation length in units of the longer side of the die, cells.

    Errors come from the scatter over dies: of the curve directly, of the length by leaving out one die at a time.
    """
    if len(dies) < 3 or any(m.key != VARIOGRAM for m in dies):
        raise ValueError(f"at least 3 measurements {VARIOGRAM} expected")
    x, gammas = dies[0].x, np.array([m.value for m in dies])
    assert x is not None
    error = gammas.std(axis=0, ddof=1) / np.sqrt(len(dies))

    def length(chosen: Real) -> float:
        return fit_variogram(x, chosen.mean(axis=0), error, 2.0 * longer_side).length / longer_side

    value, others = length(gammas), np.array([length(np.delete(gammas, k, axis=0)) for k in range(len(dies))])
    spread = float(np.sqrt((len(dies) - 1) * others.var()))
    return [
        Measurement.of(
            f"variogram of cell offsets, {len(dies)} dies",
            VARIOGRAM,
            gammas.mean(axis=0),
            error,
            "kT^2",
            5 * error.max(),
            x,
            dies[0].x_label,
        ),
        Measurement.of("correlation length of offsets", LENGTH, value, spread, "of the die", max(0.25 * value, 4 * spread)),
    ]


def _draw(offsets: Real, curve: Measurement) -> Figure:
    figure, (picture, axis) = panels(1, 2, 3.4)
    picture.grid(False)
    limit = float(np.nanquantile(np.abs(offsets), 0.99))
    image = picture.imshow(offsets, cmap="RdBu_r", vmin=-limit, vmax=limit, origin="lower", interpolation="nearest")
    figure.colorbar(image, ax=picture, shrink=0.8).set_label("offset  (kT)", fontsize=9)
    label(picture, "Offsets of the cells", "x  (cells)", "y  (cells)")
    assert curve.x is not None
    with_errors(axis, curve.x, curve.value, curve.error, "")
    fit = fit_variogram(curve.x, curve.value, curve.error, 2.0 * float(curve.x[-1]))
    axis.plot(curve.x, fit.at(curve.x), color=MODEL, linewidth=0.9)
    axis.set_ylim(bottom=0)
    label(axis, "Half the mean squared difference", "distance |dx| + |dy|  (cells)", "variogram  (kT²)")
    return figure


PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "spatial",
        "Differences over the die",
        "Mean spins of all cells at zero field give their offsets; half the mean squared difference of two, over their "
        "distance, is the variogram, even planes against odd so that sampling noise drops out. One die has few independent "
        "places: the error is gamma sqrt(2 / n) with n = cells / (distance + 1)^2, accepted are 5. Several dies together give "
        "the correlation length, accepted to 25 %.",
        _spatial,
        kinds=KINDS,
    ),
)  # fmt: skip
