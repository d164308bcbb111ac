"""The temperature that samples of a known problem are of, by pseudo-likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STEPS = 50
NORMAL_95 = 1.96


@dataclass(frozen=True)
class EffectiveTemperature:
    """T, its standard error, and the interval that holds it in 95 of 100 cases."""

    T: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        return self.T - NORMAL_95 * self.error, self.T + NORMAL_95 * self.error


def effective_temperature(spins: NDArray[np.int8], J: Floats, h: Floats) -> EffectiveTemperature:
    """Of samples (n, planes, cells), -1 or +1, of E = -1/2 s J s - h s, J (cells, cells) symmetric or what each cell hears.

    The beta that makes every cell most likely given the others (Besag, The Statistician 24, 1975, 179; of annealers: Raymond,
    Yarkoni and Andriyash, Frontiers in ICT 3, 2016, 23). The error is from the spread of planes, whose lives are independent;
    ValueError if there is but one, or if the samples do not bound the temperature.
    """
    if spins.ndim != 3 or spins.shape[1] < 2:
        raise ValueError(f"samples of shape {spins.shape}; (n, planes, cells) with at least 2 planes expected")
    fields = spins.astype(np.float64) @ np.asarray(J, np.float64).T + h
    aligned = fields * spins
    beta = 1.0
    for _ in range(STEPS):
        t = np.tanh(beta * fields)
        slope = float((aligned - fields * t).sum())
        curvature = float((fields**2 * (1.0 - t**2)).sum())
        if curvature <= 0:
            raise ValueError("the samples follow their fields without an exception: they do not bound the temperature")
        change = float(np.clip(slope / curvature, -0.5 * beta, beta))
        beta += change
        if abs(change) < 1e-10 * beta:
            break
    else:
        raise ValueError("the samples do not follow their fields: they do not bound the temperature")
    scores = (aligned - fields * np.tanh(beta * fields)).sum(axis=(0, 2))
    planes = len(scores)
    spread = float(np.sqrt(planes / (planes - 1) * np.sum((scores - scores.mean()) ** 2)))
    return EffectiveTemperature(1.0 / beta, spread / curvature / beta**2)
