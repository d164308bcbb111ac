"""How fast the offsets of a chip's cells drift, measured through its pins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.calibrate.work import Floats, Work, field_of
from tsu_apps.characterise.readings import over_planes

LOOK = 50_000
"""Samples of each cell in a reading of offsets."""
PARTS = 12
"""Of a reading."""
STEPS_S, READINGS = (15.0, 240.0), 17
"""Two series of readings: their spacing, and their length."""
TIMES = 12
"""Correlation times that the law of a drift is made of."""


@dataclass(frozen=True, eq=False)
class Drift:
    """What offsets do in time: mean squares over cells of the change between two readings, as an Allan variance takes them.

    Half of it is the two-sample variance of readings a lag apart, overlapping, with dead time between them.

    lags_s : (n,) times between readings, ascending
    square, error : (n,) mean square change, kT^2, of offsets at a moment, noise of samples taken off, so that it may be below 0
        where there is little drift; its standard error, from its scatter over cells
    sample_s : chip time that a sample of every cell took
    """

    lags_s: Floats
    square: Floats
    error: Floats
    sample_s: float

    @property
    def change_kt(self) -> Floats:
        """(n,) root mean square change of an offset, kT."""
        return np.asarray(np.sqrt(np.maximum(self.square, 0.0)))

    @cached_property
    def _law(self) -> tuple[Floats, Floats]:
        """(correlation times, weights) of the law of `after`: exponential ones, one that is shorter than any lag, and a walk."""
        from scipy.optimize import nnls

        times = np.concatenate([[0.0], np.geomspace(0.5 * self.lags_s[0], 4.0 * self.lags_s[-1], TIMES), [np.inf]])
        weights, _ = nnls(self._terms(self.lags_s, times) / self.error[:, None], self.square / self.error)
        return times, np.asarray(weights)

    def _terms(self, seconds: Floats, times: Floats) -> Floats:
        """(..., len(times)) growth of each kind, which for the walk is linear."""
        t = seconds[..., None]
        decays = -np.expm1(-t / np.where((times > 0) & np.isfinite(times), times, 1.0))
        return np.where(np.isinf(times), t / self.lags_s[-1], np.where(times == 0.0, t > 0, decays))

    def after(self, seconds: ArrayLike) -> Floats:
        """Mean square change, kT^2, after times of any shape: a sum of Ornstein-Uhlenbeck processes and a random walk, fitted to
        what was measured; beyond the longest lag it goes on as they do. 0 after no time."""
        times, weights = self._law
        return np.asarray(self._terms(np.asarray(seconds, np.float64), times) @ weights)


def offsets_of(work: Work, looks: int) -> tuple[Floats, Floats]:
    """((cells,) offsets, their standard errors), kT, from so many looks at all planes of a chip without a problem, at T = 1."""
    mean, error = over_planes(work.means(looks))
    return field_of(mean), error / np.maximum(1.0 - mean**2, 1e-3)


def measure_drift(
    work: Work, wait: Callable[[float], object], steps_s: Sequence[float] = STEPS_S, readings: int = READINGS
) -> Drift:
    """Offsets read again and again, at each of `steps_s` so many times; changes over 1, 2, 4 .. steps, up to half the series.

    wait : lets so many seconds of chip time pass; steps_s : ascending; readings : of a series, at least 3
    A reading averages over its own time, and fluctuations that are faster would be missed: their variance, that of the parts of
    a reading about its mean, is added to both ends of each change. The chip is left without a problem.
    ValueError: fewer readings.
    """
    if readings < 3:
        raise ValueError(f"{readings} readings; at least 3 are expected")
    good, looks = work.calibration.good, max(2, work.samples(LOOK) // PARTS)
    work.quiet()
    work.loosen()
    lags, squares, fast, cycles = [], [], [], 0
    for step in steps_s:
        series = []
        for k in range(readings):
            if k:
                wait(step)
            begun = work.chip.read_register("SYS.CYCLE")
            series.append(np.array([offsets_of(work, looks) for _ in range(PARTS)])[:, :, good])
            cycles += work.chip.time_cycles - begun
            work.step(1.0 / readings / len(steps_s))
        values, noise = np.stack(series).transpose(2, 0, 1, 3)
        fast.append((values.var(axis=1, ddof=1) - (noise**2).mean(axis=1)).mean(axis=0))
        means, squared = values.mean(axis=1), (noise**2).mean(axis=1) / PARTS
        for m in (1 << k for k in range(readings.bit_length()) if 1 << k <= readings // 2):
            lags.append(m * step)
            squares.append(((means[m:] - means[:-m]) ** 2 - squared[m:] - squared[:-m]).mean(axis=0))
    each = np.array(squares) + 2.0 * np.mean(fast, axis=0)
    order = np.argsort(lags, kind="stable")
    samples = readings * len(steps_s) * PARTS * looks * len(work.chip.enabled_planes)
    return Drift(
        np.array(lags)[order], each.mean(axis=1)[order], each.std(axis=1, ddof=1)[order] / np.sqrt(each.shape[1]),
        cycles / samples / work.chip.capabilities.clock_hz,
    )  # fmt: skip


def held_squares(drift: Drift, interval_s: float, gains: Sequence[float], forget: float = 1e-4) -> NDArray[np.float64]:
    """(len(gains),) mean squares, kT^2, of offsets just before a correction, of drift alone, when a share `gain` of what each
    reading shows is taken back.

    What is taken back altogether is an average of all readings with weights a_j = gain (1 - gain)^j. With D(t) the mean square
    change it is off the value an interval T later by sum_j a_j D((j + 1) T) - 1/2 sum_ij a_i a_j D(|i - j| T).
    """
    out = []
    longest = int(np.ceil(np.log(forget) / np.log1p(-min(gains)))) if min(gains) < 1 else 1
    changes = drift.after(interval_s * np.arange(longest + 1))
    for gain in gains:
        n = min(longest, int(np.ceil(np.log(forget) / np.log1p(-gain)))) if gain < 1 else 1
        a = gain * (1.0 - gain) ** np.arange(n)
        a /= a.sum()
        apart = abs(np.subtract.outer(np.arange(n), np.arange(n)))
        out.append(float(a @ changes[1 : n + 1] - 0.5 * a @ changes[apart] @ a))
    return np.array(out)
