"""What the temperature DAC really gives: slopes of all cells, which go as 1 / T, at several T."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_apps.calibrate.procedure import Procedure, Result
from tsu_apps.calibrate.work import Floats, Work
from tsu_apps.characterise.cells import slope_estimate, slope_signs
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver.errors import HostError

SETTINGS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Nominal T, as far as the DAC has them."""
BIAS = 0.6
"""Field over T at which slopes are measured."""
SAMPLES = 60_000
"""Samples of each cell at a setting, in either sign of its bias."""


def mean_slope(work: Work, bias: float, field: float, share: float) -> tuple[float, float]:
    """(mean over cells that work of what they feel of a bias, 1 for `field`; its standard error). Signs are balanced between
    coupled cells, so that what couplers of code 0 let through, whose share goes as 1 / T, cancels."""
    signs, good = slope_signs(work.chip), work.calibration.good
    looks = max(2, work.samples(2 * SAMPLES) // len(signs))
    means = []
    for row in signs:
        work.loosen(bias * row)
        means.append(work.means(looks, share / len(signs)))
    seen = np.stack(means)[None]

    def slope(planes: NDArray[np.int64]) -> float:
        return float(slope_estimate(seen[:, :, planes].mean(axis=2), signs, (field,))[0][good].mean())

    groups = _plane_groups(seen.shape[2])
    return slope(np.arange(seen.shape[2])), float(np.std([slope(g) for g in groups], ddof=1) / np.sqrt(len(groups)))


class Temperature(Procedure):
    """Gain and offset of T against its nominal value; by the definition of slopes, T = 1 is where they are 1."""

    name, title = "temperature", "temperature DAC against slopes"
    needs = ("slopes",)
    unit, limit = "", 0.005

    def suits(self, work: Work) -> bool:
        return work.chip.kind in ("pbit", "async-pbit")

    def _settings(self, work: Work) -> tuple[Floats, Floats, Floats]:
        """(nominal T, relative T as the cells feel it with 1 at nominal 1, its standard error)."""
        chip = work.chip
        plain = work.calibration.but(temperature=(1.0, 0.0))
        chip.apply_calibration(plain)
        felt = []
        nominal = [chip.set_temperature(t) for t in SETTINGS if self._reaches(work, t)]
        for t in nominal:
            chip.set_temperature(t)
            bias = float(chip.quantise_biases(BIAS * t).codes) * chip.capabilities.bias_lsb * LSB_SCALE
            slope, error = mean_slope(work, bias, bias / t, 1.0 / len(nominal))
            felt.append((t / slope, error / slope))
        chip.set_temperature(1.0)
        chip.apply_calibration(work.calibration)
        values, errors = np.array(felt).T
        at_one = values[int(np.argmin(np.abs(np.array(nominal) - 1.0)))]
        return np.array(nominal), values / at_one, errors

    @staticmethod
    def _reaches(work: Work, t: float) -> bool:
        """Whether the DAC has a nominal T; it is set then."""
        try:
            return abs(work.chip.set_temperature(t) / t - 1.0) < 0.02
        except HostError:
            return False

    def look(self, work: Work) -> tuple[Floats, Floats]:
        work.quiet()
        nominal, felt, errors = self._settings(work)
        gain, offset = work.calibration.temperature
        return felt / (gain * nominal + offset) - 1.0, errors

    def find(self, work: Work) -> Result:
        work.quiet()
        nominal, felt, errors = self._settings(work)
        slope = np.polyfit(nominal - 1.0, felt - 1.0, 1, w=1.0 / (felt * errors))[0]
        gain, offset = float(slope), 1.0 - float(slope)
        left = felt / (gain * nominal + offset) - 1.0
        changes = {"temperature": (gain, offset)}
        return Result(left, errors, felt / nominal - 1.0, np.ones(len(left), np.bool_), self.unit, changes)


def _plane_groups(planes: int) -> list[NDArray[np.int64]]:
    """Up to 16 groups of planes."""
    return np.array_split(np.arange(planes), min(16, planes))
