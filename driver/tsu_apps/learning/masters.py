"""The host's side of learning: master weights at full precision, their codes, and how their rates fall.

All averages are measured by the chip; the weights that move are the host's float64 masters, of which the chip holds the
nearest codes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Codes(NamedTuple):
    """Nearest codes of a machine's parameters: couplings (pairs,) and biases (cells,), int16."""

    couplings: NDArray[np.int16]
    biases: NDArray[np.int16]


def exponential_rates(start: float, end: float, updates: int) -> Floats:
    """(updates,) rates, exponential from `start` in the first update to `end` in the last; all 0 if `start` is."""
    return np.zeros(updates) if start == 0 else np.geomspace(start, end, updates)


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

    def add(self, change: Floats) -> None:
        """Move the masters by `change`, (n,) in kT, as far as the range goes."""
        self.values += change
        np.clip(self.values, self.low, self.high, out=self.values)

    def codes(self) -> NDArray[np.int16]:
        """(n,) nearest codes."""
        return np.rint(self.values * (1.0 / self.lsb)).astype(np.int16)

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
        self.count = 0

    def add(self, values: Floats) -> None:
        """Take one more array, (size,), into the mean."""
        self.count += 1
        self.value += (values - self.value) / self.count
