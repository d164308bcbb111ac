"""How often offsets are corrected, by how many samples, and how much of what is seen is believed: from the drift as measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from tsu_apps.calibrate.drift import Drift, held_squares

GAINS = tuple(np.linspace(0.1, 1.0, 19).tolist())
INTERVALS = 40
"""Intervals that are tried, from the shortest lag of the drift that was measured to the longest."""
WORST = 4.5
"""Standard deviations by which the rms over cells, at its worst moment, may exceed what is expected; that of 60,000 independent
moments is at 4.2."""
SURE = 2.0
"""Standard errors by which the drift is taken to be greater than was measured."""


@dataclass(frozen=True)
class Policy:
    """A plan of corrections.

    interval_s : chip time from one to the next
    samples : of each cell in one; gain : share of what it shows that is taken back
    expected_kt : rms over cells just before a correction, expected
    share : of chip time that corrections take
    """

    interval_s: float
    samples: int
    gain: float
    expected_kt: float
    share: float

    @classmethod
    def choose(cls, drift: Drift, within_kt: float, cells: int, *, step_kt: float, pause_s: float = 0.0) -> Self:
        """The plan that takes least chip time of those that keep the rms over cells within a bound at all moments.

        within_kt : the bound; so that the worst moment is within it, less is expected, by `WORST` standard deviations of a root
            mean square over `cells` independent cells
        step_kt : of the trims; pause_s : chip time that a correction costs the workload beside its samples
        A correction's error is the drift of an interval, taken to be greater than was measured by `SURE` standard errors, what
        the readings before missed of it, the noise of samples, 1 kT^2 each, and half a step of the trims at most.
        ValueError: offsets drift too much for the bound within the shortest lag.
        """
        allowed = within_kt / (1.0 + WORST / math.sqrt(2.0 * cells))
        room = allowed**2 - step_kt**2 / 12.0
        greater = replace(drift, square=drift.square + SURE * drift.error)
        plans = []
        for interval in np.geomspace(drift.lags_s[0], drift.lags_s[-1], INTERVALS).tolist():
            for gain, drifted in zip(GAINS, held_squares(greater, interval, GAINS).tolist(), strict=True):
                if drifted < room:
                    samples = math.ceil(gain / (2.0 - gain) / (room - drifted))
                    plans.append(cls(interval, samples, gain, allowed, (samples * drift.sample_s + pause_s) / interval))
        if not plans:
            least = drift.lags_s[0]
            raise ValueError(
                f"offsets drift too much in {least:g} s, the shortest lag measured, to be held within {within_kt:g} kT"
            )
        return min(plans, key=lambda plan: plan.share)
