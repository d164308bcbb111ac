"""Annealing in the units of a problem: its energies and temperatures are scaled together to what the chip's DACs can do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsu_apps.models import Boltzmann
from tsu_driver import Schedule, Table

FINE = 2.0**-30
"""Step of temperature at which a schedule is looked at without a chip."""
TEMPERATURES, SWEEPS = 50, 20
"""Of the default schedule, and sweeps at each."""
HOT, COLD = 2.0, 0.02
"""First and last temperature of the default schedule, over the greatest root-mean-square field of a variable."""


@dataclass(frozen=True)
class Scaled:
    """A schedule whose temperatures times `scale` are those of the chip."""

    schedule: Schedule
    scale: float

    def steps(self, lsb: float, code_max: int, offset: float = 0.0) -> list[tuple[int, int]]:
        """As `Schedule.steps`; a temperature that is out of range is named in the schedule's own unit."""
        return self.schedule.steps(lsb / self.scale, code_max, offset / self.scale)


def span(schedule: Schedule) -> tuple[float, float]:
    """Its greatest and its last temperature."""
    codes = [code for code, _ in schedule.steps(FINE, 1 << 62)]
    return max(codes) * FINE, codes[-1] * FINE


def cooling(hot: float, cold: float) -> Schedule:
    """From hot to cold in equal ratios."""
    return Table([(float(t), SWEEPS) for t in np.geomspace(hot, cold, TEMPERATURES)])


def default_span(model: Boltzmann) -> tuple[float, float]:
    """First and last temperature of the default schedule for a model, in its unit; 1 and COLD / HOT if all values are 0."""
    i, j = model.pairs.T
    square = model.biases**2
    for end in (i, j):
        square += np.bincount(end, model.weights**2, model.cells)
    field = float(np.sqrt(square.max())) or 1 / HOT
    return HOT * field, COLD * field
