"""What a procedure gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Measurement:
    """One measured quantity, a number or a curve.

    quantity : what it is, in words that name the element: "INL of ADC 0"
    key : by which the true value is known to those who have it, such as "adc.0.inl"
    value, error : what was measured and its standard error, of one shape
    unit : of both
    tolerance : largest |value - truth| that is accepted, in the same unit
    x, x_label : abscissa of a curve
    """

    quantity: str
    key: str
    value: NDArray[np.float64]
    error: NDArray[np.float64]
    unit: str
    tolerance: float
    x: NDArray[np.float64] | None = None
    x_label: str = ""

    @classmethod
    def of(
        cls, quantity: str, key: str, value: ArrayLike, error: ArrayLike, unit: str, tolerance: float,
        x: ArrayLike | None = None, x_label: str = "",
    ) -> Measurement:  # fmt: skip
        """From anything that is an array of float64; the error is spread over the value's shape."""
        values = np.asarray(value, np.float64)
        errors = np.broadcast_to(np.asarray(error, np.float64), values.shape)
        return cls(
            quantity, key, values, errors, unit, float(tolerance), None if x is None else np.asarray(x, np.float64), x_label
        )

    def deviation(self, truth: ArrayLike) -> float:
        """Largest |value - truth|."""
        return float(np.max(np.abs(self.value - np.asarray(truth, np.float64)), initial=0.0))

    def agrees(self, truth: ArrayLike) -> bool:
        """Whether it lies within the tolerance of `truth` everywhere."""
        return self.deviation(truth) <= self.tolerance

    @property
    def number(self) -> float:
        """The value, or the largest magnitude of a curve."""
        return float(self.value if self.value.ndim == 0 else np.max(np.abs(self.value), initial=0.0))

    @property
    def number_error(self) -> float:
        """Standard error of `number`."""
        if self.value.ndim == 0 or self.value.size == 0:
            return float(self.error) if self.value.ndim == 0 else 0.0
        return float(self.error.ravel()[int(np.argmax(np.abs(self.value)))])


@dataclass(frozen=True)
class Outcome:
    """What a procedure gave: measurements, and a figure that a person would look at."""

    measurements: list[Measurement]
    draw: Callable[[], Figure] | None = None
    notes: str = ""
