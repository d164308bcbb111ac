"""The verbs that every procedure has, after Optimus (Kelly et al., arXiv 1803.03226): state, data, calibrate, apply."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.calibrate.work import Floats, Work


class Verdict(Enum):
    """What a quick look says. BAD: so far off that something beneath must be wrong."""

    IN = "within its limit"
    OUT = "out of its limit"
    BAD = "far out of its limit"


@dataclass(frozen=True)
class Result:
    """What a procedure found.

    values, errors : of each element, in `unit`, what is left after it as measured anew, and its standard error; where an error is
        found and not removed, what is not known of it, and 0
    before : the same before it
    ok : (elements,) bool, success of each element
    changes : fields of the calibration
    cycles, energy_j : chip time and energy that it took
    """

    values: Floats
    errors: Floats
    before: Floats
    ok: NDArray[np.bool_]
    unit: str
    changes: dict[str, Any] = field(default_factory=dict)
    cycles: int = 0
    energy_j: float = 0.0

    @property
    def left(self) -> float:
        """Root mean square of what is left in elements that succeeded, the errors of measurement taken off."""
        return rms_less(self.values[self.ok], self.errors[self.ok])

    @property
    def left_before(self) -> float:
        """Root mean square before, of the same elements."""
        return rms_less(self.before[self.ok], np.zeros(1))


def rms_less(values: Floats, errors: Floats, sigmas: float = 0.0) -> float:
    """Root mean square of values of which `errors` is noise; 0 if they are no more than it.

    sigmas : what is left even if the mean square of the noise is so many of its standard deviations above what it should be
    """
    if not values.size:
        return 0.0
    noise = float(np.mean(errors**2)) * (1.0 + sigmas * np.sqrt(2.0 / values.size))
    return float(np.sqrt(max(float(np.mean(values**2)) - noise, 0.0)))


class Procedure(ABC):
    """One thing that is calibrated.

    name, title; needs : names of procedures that must hold before; unit, limit : of what may be left, rms over elements
    validity_s : chip time after which its result is no longer trusted without a look
    """

    name: str
    title: str
    needs: tuple[str, ...] = ()
    unit: str
    limit: float
    validity_s: float = 3600.0

    def suits(self, work: Work) -> bool:
        """Whether this chip has what is to be calibrated."""
        return True

    def check_state(self, age_s: float | None, drift: float) -> bool:
        """Whether the result needs no look: it is younger than its validity, and what drift has added since then by expectation
        is less than half the limit.

        age_s : chip time since it was made or last looked at, None if never; drift : rms expected since then, in `unit`
        """
        return age_s is not None and age_s < self.validity_s and drift < 0.5 * self.limit

    def check_data(self, work: Work) -> Verdict:
        """A quick look: what is left, beyond 2 sigma of the noise of the look, against limits of 1.5 and 10 times `limit`."""
        values, errors = self.look(work)
        left = rms_less(values, errors, 2.0)
        return Verdict.IN if left < 1.5 * self.limit else Verdict.OUT if left < 10 * self.limit else Verdict.BAD

    @abstractmethod
    def look(self, work: Work) -> tuple[Floats, Floats]:
        """(values, errors) of what is left in each element, by a quick measurement."""

    @abstractmethod
    def find(self, work: Work) -> Result:
        """Find what the elements need; trims are set on the way. What it costs is left to `calibrate`."""

    def calibrate(self, work: Work) -> Result:
        """`find`, with the chip time and the energy that it took."""
        chip = work.chip
        energy_j = chip.energy().total_j
        begun = chip.time_cycles
        result = self.find(work)
        cycles = chip.time_cycles - begun
        return replace(result, cycles=cycles, energy_j=chip.energy().total_j - energy_j)

    def apply(self, work: Work, result: Result) -> None:
        """The calibration and the chip take the result."""
        work.adopt(**result.changes)
