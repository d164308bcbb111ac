"""How offsets of cells wander in the course of chip time: an Ornstein-Uhlenbeck process by its structure function."""

from __future__ import annotations

import numpy as np

from tsu_apps.calibrate.work import Work, field_of
from tsu_apps.characterise.lab import have_patience
from tsu_apps.twin.fit import Drift, Fit, Floats

READINGS, SAMPLES = 96, 100_000
"""Readings, evenly spaced, and samples of each cell in each."""
TIMES = 60
"""Correlation times that are tried, from half a spacing to ten times the watch."""


def watch_drift(work: Work, fit: Fit, watch_s: float) -> Drift:
    """Read the offsets of all cells again and again for so much chip time; neighbours and biases at code 0."""
    chip = work.chip
    spacing = round(watch_s / READINGS * chip.capabilities.clock_hz)
    have_patience(chip, watch_s / READINGS)
    work.quiet()
    work.loosen()
    seen = np.empty((2, READINGS, chip.capabilities.cells))
    for k in range(READINGS):
        begun = chip.time_cycles
        means = work.means(work.samples(SAMPLES), 0.1 / READINGS)
        for half in (0, 1):
            seen[half, k] = field_of(means[half::2].mean(axis=0)) / fit.bias_gain
        rest = spacing - (chip.time_cycles - begun)
        if rest > 0:
            batch = chip.batch()
            batch.delay(rest)
            batch.execute()
    return drift_of(seen[0], seen[1], watch_s / READINGS)


def drift_of(a: Floats, b: Floats, spacing_s: float) -> Drift:
    """Of two series (readings, cells) of one drift, kT, whose noise is independent: it has no part in products of the two.

    1/2 <(x(t + s) - x(t))^2> = sigma^2 (1 - exp(-s / tau)), least squares over lags up to half the series. Errors are by a
    jackknife over cells, which drift by themselves.
    """
    lags = np.arange(1, len(a) // 2 + 1)
    each = np.array([0.5 * ((a[k:] - a[:-k]) * (b[k:] - b[:-k])).mean(axis=0) for k in lags])
    taus = spacing_s * np.geomspace(0.5, 10.0 * len(a), TIMES)
    shapes = 1.0 - np.exp(-spacing_s * lags[:, None] / taus)

    def fitted(structure: Floats) -> tuple[float, int]:
        variance = np.maximum((structure @ shapes) / (shapes**2).sum(axis=0), 0.0)
        best = int(((structure[:, None] - variance * shapes) ** 2).sum(axis=0).argmin())
        return float(np.sqrt(variance[best])), best

    cells = each.shape[1]
    sigma, at = fitted(each.mean(axis=1))
    left = [fitted(np.delete(each, i, axis=1).mean(axis=1)) for i in range(cells)]
    spread = np.sqrt((cells - 1) * np.var([(s, np.log(taus[k])) for s, k in left], axis=0))
    at_an_end = at in (0, TIMES - 1)
    return Drift(sigma, float(spread[0]), float(taus[at]), float("inf") if at_an_end else float(taus[at] * spread[1]))
