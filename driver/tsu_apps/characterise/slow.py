"""What changes by itself: drift, leaking levels, supply; heat is in `heat`, differences over the die in `spatial`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise import heat, spatial
from tsu_apps.characterise.allan import allan_covariances
from tsu_apps.characterise.captures import Dac, Watch, dac_of, spread_of, watch
from tsu_apps.characterise.dacs import straight
from tsu_apps.characterise.figures import COLOURS, MEASURED, MODEL, curves, label, panels, with_errors
from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.procedure import Procedure
from tsu_apps.characterise.spins import KINDS, half_means, slopes, sweeps_within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Real = NDArray[np.float64]
SPACINGS_S, READINGS, FACTORS = (1.0, 256.0), 256, (1, 2, 4, 8, 16, 32)
"""Two series of readings: their spacing, length, and the numbers of readings that are averaged."""
UPDATES = 400_000_000
LINEAR = 0.9
"""Mean spins up to which a change of the offset is told from a change of the mean."""


def _drift(lab: Lab) -> Outcome:
    """Allan deviation of the cells' offsets."""
    readings = max(lab.samples(READINGS), 4 * FACTORS[0])
    factors = [m for m in FACTORS if 4 * m <= readings]
    cells = lab.chip.capabilities.cells
    planes = np.clip(4 * lab.samples(UPDATES) // (8 * readings * len(SPACINGS_S) * cells), 2, lab.chip.capabilities.planes)
    lab.chip.enable_planes(int(planes))
    sweeps = sweeps_within(lab, UPDATES, readings * len(SPACINGS_S), 64)
    taus, variances, errors = [], [], []
    for spacing in SPACINGS_S:
        series = np.empty((2, readings, cells))
        for k in range(readings):
            series[:, k] = half_means(lab, sweeps)
            lab.wait(spacing)
            lab.step(1 / (readings * len(SPACINGS_S)))
        each = offset_variances(series, factors)
        taus += [m * spacing for m in factors]
        variances.append(each.mean(axis=1))
        errors.append(each.std(axis=1, ddof=1) / math.sqrt(each.shape[1]))
    mean, spread = np.concatenate(variances), np.concatenate(errors)
    value, above, below = (np.sqrt(np.maximum(mean + k * spread, 0.0)) for k in (0, 1, -1))
    far, near = (np.sqrt(np.maximum(mean + k * spread, 0.0)) for k in (5, -5))
    curve = Measurement.of(
        "Allan deviation of cell offsets",
        "drift.offset.allan",
        value,
        np.maximum(above - value, value - below),
        "kT",
        float(np.maximum(far - value, value - near).max()),
        taus,
        "averaging time (s)",
    )
    return Outcome([curve], lambda: _draw_drift(curve), f"{each.shape[1]} cells, {readings} readings each 1 s and each 256 s.")


def offset_variances(means: Real, factors: list[int]) -> Real:
    """(factors, cells) Allan variances in kT^2 of the offsets of cells whose mean spins were read by two halves of the planes.

    means : (2, readings, cells). A change of the mean by d is one of the offset by d / (1 - <s>^2), at T = 1 and slope 1. Cells
    that are stuck or far off are left out.
    """
    centre = means.mean(axis=(0, 1))
    good = np.abs(centre) < LINEAR
    offsets = (means[:, :, good] / (1 - centre[good] ** 2)).transpose(0, 2, 1)
    return allan_covariances(offsets[0], offsets[1], factors)


def _draw_drift(curve: Measurement) -> Figure:
    figure, (axis,) = panels(1, 1, 3.2)
    assert curve.x is not None
    long = curve.x >= SPACINGS_S[1]
    for part, spacing, colour in zip((~long, long), SPACINGS_S, COLOURS, strict=False):
        seen = part & (curve.value > 0)
        with_errors(axis, curve.x[seen], curve.value[seen], curve.error[seen], f"looks each {spacing:g} s", colour)
    axis.legend(frameon=False, fontsize=9)
    axis.set_xscale("log")
    axis.set_yscale("log")
    label(axis, "Drift of cell offsets, sampling noise taken out", "averaging time  (s)", "Allan deviation  (kT)")
    return figure


HOLDS_S = (2e-4, 1.6e-3, 1.28e-2, 0.1)
"""Spacings of the looks at a held level, the next if the last shows no refresh."""
LOOKS, PER_LOOK = 512, 32


def _storage(lab: Lab) -> Outcome:
    """How fast a held level leaks, and how often it is written anew."""
    chip, dac, hz = lab.chip, dac_of(lab.chip), lab.chip.capabilities.clock_hz
    ruler, looks = straight(lab), max(lab.samples(LOOKS), 128)
    _hold_full_scale(lab, dac)
    full = dac.lsb * float(dac.codes[-1]) / dac.reach * (1 << chip.capabilities.adc_bits - 1)
    noise = max(spread_of(lab, 0), 0.3) / math.sqrt(PER_LOOK) / full
    for spacing in HOLDS_S:
        seen = watch(chip, dac, looks, round(spacing * hz), PER_LOOK)
        seen = Watch(seen.seconds, np.log(ruler.level(seen.codes)))
        jumps = refreshes(seen, 6 * noise)
        lab.step(1 / len(HOLDS_S))
        if len(jumps):
            break
    rate, error = leakage(seen, jumps)
    found = [
        Measurement.of(f"leakage of {dac.name} levels", "storage.leakage_per_s", rate, error, "1/s", 5 * error + 0.05 * abs(rate))
    ]
    if len(jumps):
        gaps = np.diff(jumps)
        number = np.concatenate([[0.0], np.cumsum(np.rint(gaps / np.median(gaps)))])
        (period, _), residuals = np.polyfit(number, jumps, 1), jumps - np.polyval(np.polyfit(number, jumps, 1), number)
        spread = math.hypot(float(residuals.std()), spacing / math.sqrt(12)) / math.sqrt(
            float(((number - number.mean()) ** 2).sum())
        )
        found.append(
            Measurement.of(
                f"refresh period of {dac.name} levels", "storage.refresh_s", period, spread, "s", 5 * spread + 0.01 * period
            )
        )
    return Outcome(found, lambda: _draw_storage(dac, seen, jumps))


def _hold_full_scale(lab: Lab, dac: Dac) -> None:
    count = lab.chip.capabilities.dimension("couplers" if dac.name == "coupling" else "bias_terms")
    batch = lab.chip.batch()
    batch.write_window(dac.window, np.array([dac.codes[-1], 0][: min(count, 2)], np.int16))
    batch.delay(64 * lab.chip.capabilities.settle_cycles)
    batch.execute()


def refreshes(seen: Watch, least: float) -> Real:
    """Times, between two looks, at which the level jumped up by more than `least`; empty if it does not do so regularly."""
    rise = np.diff(seen.codes)
    low, high = np.quantile(seen.codes, (0.02, 0.98))
    jump = max(0.5 * (high - low), least)
    at = np.flatnonzero(rise > jump)
    times = (seen.seconds[at] + seen.seconds[at + 1]) / 2
    gaps = np.diff(times)
    if len(gaps) < 3 or rise.min() < -jump:
        return np.empty(0)
    regular = np.abs(gaps / np.median(gaps) - np.rint(gaps / np.median(gaps))).max() < 0.25
    return times if regular else np.empty(0)


def leakage(seen: Watch, jumps: Real) -> tuple[float, float]:
    """(rate of decay in 1/s, its standard error): the slope of ln level that all stretches between jumps share."""
    stretch = np.searchsorted(jumps, seen.seconds)
    t, y = seen.seconds.copy(), seen.codes.copy()
    for k in np.unique(stretch):
        mine = stretch == k
        t[mine] -= t[mine].mean()
        y[mine] -= y[mine].mean()
    slope = float(t @ y / (t @ t))
    residual = y - slope * t
    return -slope, float(np.sqrt(residual @ residual / (len(t) - 2) / (t @ t)))


def _draw_storage(dac: Dac, seen: Watch, jumps: Real) -> Figure:
    figure, (axis,) = panels(1, 1, 2.8)
    period = float(np.median(np.diff(jumps))) if len(jumps) else float(seen.seconds[-1])
    unit, name = (1e3, "ms") if period < 1 else (1.0, "s")
    shown = seen.seconds < 6 * period
    level = np.exp(seen.codes - seen.codes.max())
    curves(axis, seen.seconds[shown] * unit, [("", level[shown])], ".")
    label(axis, f"Level held by {dac.name} DAC {dac.element}", f"time  ({name})", "of the highest")
    return figure


SUPPLY_STEP, PAIRS, SUPPLY_LOOKS, SUPPLY_SPACING_S = 0.25, 12, 32, 1.27e-3


def _supply(lab: Lab) -> Outcome:
    """Gain at higher and lower supply, by turns."""
    assert lab.instruments is not None
    nominal, pairs = float(lab.instruments.identity["nominal_v"]), max(lab.samples(PAIRS), 4)
    if not lab.chip.capabilities.adc_count and lab.chip.kind not in KINDS:
        return Outcome([], None, "There is neither a converter nor a spin that would show a gain.")
    gains = np.empty((pairs, 2))
    try:
        for k in range(pairs):
            for side, sign in enumerate((1, -1)):
                lab.instruments.supply(nominal * (1 + sign * SUPPLY_STEP))
                gains[k, side] = _gain(lab)
            lab.step(1 / pairs)
    finally:
        lab.instruments.supply(nominal)
    each = (gains[:, 0] - gains[:, 1]) / gains.mean() / (2 * SUPPLY_STEP)
    value, error = float(each.mean()), float(each.std(ddof=1) / math.sqrt(pairs))
    error = max(error, 1e-6)
    found = [
        Measurement.of(
            "gain by the supply's relative change", "supply.sensitivity", value, error, "", 6 * error + 0.02 * abs(value)
        )
    ]
    if value > 10 * error:
        db = 20 * math.log10(1 / value)
        found.append(
            Measurement.of("supply rejection", "supply.psrr_db", db, 8.7 * error / value, "dB", 8.7 * (6 * error / value + 0.02))
        )
    return Outcome(found, lambda: _draw_supply(gains))


def _gain(lab: Lab) -> float:
    """Output of a coupling DAC at full scale, or the slope of cells, in a unit of its own."""
    if not lab.chip.capabilities.adc_count:
        return float(np.nanmean(slopes(lab, 0.75, sweeps_within(lab, UPDATES, 4 * PAIRS, 1 << 10))))
    dac = dac_of(lab.chip)
    _hold_full_scale(lab, dac)
    seen = watch(lab.chip, dac, SUPPLY_LOOKS, round(SUPPLY_SPACING_S * lab.chip.capabilities.clock_hz), 256)
    return float(straight(lab).level(seen.codes).mean())


def _draw_supply(gains: Real) -> Figure:
    figure, (axis,) = panels(1, 1, 2.6)
    relative = 100 * (gains / gains.mean() - 1)
    place = np.arange(gains.size).reshape(gains.shape)
    for side, (name, colour) in enumerate((("supply +25 %", MEASURED), ("supply -25 %", MODEL))):
        axis.plot(place[:, side], relative[:, side], "o", color=colour, markersize=4, label=name)
    axis.legend(frameon=False, fontsize=9)
    label(axis, "Gain at two supplies, by turns", "reading", "gain  (% of the mean)")
    return figure


PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "drift",
        "Drift",
        "Mean spins at zero field, read 256 times each second and 256 times each 256 s; overlapping Allan deviation of the "
        "offsets. The covariance between even and odd planes leaves out sampling noise. Accepted: what 5 standard errors of "
        "the variance, from its scatter over cells, make of the least certain deviation.",
        _drift,
        kinds=KINDS,
    ),
    *heat.PROCEDURES,
    Procedure(
        "supply",
        "Supply rejection",
        "The supply 25 % up and down by turns, 12 times; full scale of a coupling DAC through a converter each time (without "
        "converters: slopes of the cells). Accepted: 6 standard errors from the scatter of the pairs (Student's t), and 2 %.",
        _supply,
        instruments=True,
    ),
    Procedure(
        "storage",
        "Held levels",
        "A coupling DAC at full scale, 512 looks through a converter: decay of the level between refreshes at the present die "
        "temperature, and their period. "
        "Accepted: 5 standard errors of the straight lines' common slope, and 5 % (period 1 %).",
        _storage,
        adc=True,
    ),
    *spatial.PROCEDURES,
)  # fmt: skip
