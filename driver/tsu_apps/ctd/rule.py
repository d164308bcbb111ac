"""The update rule of Continuous Thermodynamic Descent.

    dw/dt = eta+ <s s>_data - eta- <s s>_free - lambda w

Deposition builds basins where the data are, erosion wears down where the machine goes by itself, weathering pulls every
weight towards 0. Biases follow the same rule with <s>. All averages are measured by the chip; the weights that move are
the host's float64 masters, of which the chip holds the nearest codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_apps.ctd.config import CtdConfig

Floats = NDArray[np.float64]


def deposition_rates(config: CtdConfig) -> Floats:
    """(ticks,) eta+ of every tick: exponential from `eta_start` in the first to `eta_end` in the last."""
    if config.eta_start == 0:
        return np.zeros(config.ticks)
    return np.geomspace(config.eta_start, config.eta_end, config.ticks)


class Masters:
    """Parameters of one kind (couplings, or biases) at full precision, and their codes.

    values : (n,) float64, in kT
    low, high : ends of the DAC's range, in kT; the masters stay within
    """

    def __init__(self, values: Floats, lsb: float, bits: int) -> None:
        """Masters for a signed DAC of `bits` bits with steps of `lsb` kT; `values` beyond its range are clipped."""
        self.lsb = lsb
        self.low, self.high = -(1 << bits - 1) * lsb, ((1 << bits - 1) - 1) * lsb
        self.values = np.clip(values, self.low, self.high)
        self._change = np.empty_like(self.values)

    def update(self, data: Floats, free: Floats, eta_plus: float, eta_minus: float, decay: float) -> None:
        """One tick: deposition, erosion, weathering.

        data, free : (n,) averages of s s, or of s, in the clamped and in the free planes
        eta_plus, eta_minus : rates in kT per tick
        decay : lambda per tick
        """
        change = self._change
        np.multiply(self.values, 1.0 - decay, out=self.values)
        np.multiply(data, eta_plus, out=change)
        self.values += change
        np.multiply(free, eta_minus, out=change)
        self.values -= change
        np.clip(self.values, self.low, self.high, out=self.values)

    def codes(self) -> NDArray[np.int16]:
        """(n,) nearest codes."""
        np.multiply(self.values, 1.0 / self.lsb, out=self._change)
        return np.rint(self._change, out=self._change).astype(np.int16)

    def programmed(self, codes: NDArray[np.int16]) -> Floats:
        """(n,) values in kT that codes nominally stand for."""
        return codes * np.float64(self.lsb)

    def saturation(self) -> float:
        """Fraction of the masters that lie at an end of the range."""
        return float(np.mean((self.values <= self.low) | (self.values >= self.high)))


class RunningMean:
    """Mean of the arrays that were added."""

    def __init__(self, size: int) -> None:
        self.value: Floats = np.zeros(size)
        self._count = 0

    def add(self, values: Floats) -> None:
        """Take one more array, (size,), into the mean."""
        self._count += 1
        self.value += (values - self.value) / self._count
