"""What the temperature DAC really gives: slopes of all cells, which go as 1 / T, at several T."""

from __future__ import annotations

import numpy as np

from tsu_apps.calibrate.loud import shaken
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
PASSES = 8
"""Passes through all settings that a measurement consists of, if it has samples for so many; at least four."""


def measured_slopes(work: Work, settings: Floats, biases: Floats, share: float) -> tuple[Floats, Floats]:
    """(means over cells that work of what they feel of their own bias at each T, 1 for bias / T; the same of every pass (passes,
    settings)).

    settings : nominal T; biases : kT, one at each
    Signs are balanced between coupled cells, so that what couplers of code 0 let through, whose share goes as 1 / T, cancels. A
    pass goes through all settings: what scatters from one to the next is noise of every kind, also what planes have in common.
    """
    signs, good = slope_signs(work.chip), work.calibration.good & ~shaken(work)
    wanted = work.samples(2 * SAMPLES) // len(signs)
    passes = min(max(wanted, 4), PASSES)
    looks = max(2, wanted // passes)
    means = np.empty((len(settings), len(signs), passes, work.chip.capabilities.cells))
    for n in range(passes):
        for k, t in enumerate(settings.tolist()):
            work.chip.set_temperature(t)
            for r, row in enumerate(signs):
                work.loosen(biases[k] * row)
                means[k, r, n] = work.means(looks, share / (passes * len(settings) * len(signs))).mean(axis=0)

    def slope(seen: Floats) -> Floats:
        """(..., settings) of means (settings, rounds, ..., cells)."""
        each = [slope_estimate(m[None], signs, (b / t,))[0] for m, b, t in zip(seen, biases, settings, strict=True)]
        return np.stack([e[..., good].mean(axis=-1) for e in each], axis=-1)

    return slope(means.mean(axis=2)), slope(means)


class Temperature(Procedure):
    """Gain and offset of T against its nominal value; by the definition of slopes, T = 1 is where they are 1."""

    name, title = "temperature", "temperature DAC against slopes"
    needs = ("slopes",)
    unit, limit = "", 0.005

    def suits(self, work: Work) -> bool:
        return work.chip.kind in ("pbit", "async-pbit")

    def _settings(self, work: Work) -> tuple[Floats, Floats, Floats, Floats]:
        """(nominal T, T as the cells feel it with 1 at nominal 1, its standard error, relative errors of each setting alone)."""
        chip = work.chip
        plain = work.calibration.but(temperature=(1.0, 0.0))
        chip.apply_calibration(plain)
        nominal = np.array([chip.set_temperature(t) for t in SETTINGS if self._reaches(work, t)])
        biases = chip.quantise_biases(BIAS * nominal).codes * (chip.capabilities.bias_lsb * LSB_SCALE)
        slopes, each = measured_slopes(work, nominal, biases, 1.0)
        chip.set_temperature(1.0)
        chip.apply_calibration(work.calibration)
        one = int(np.argmin(abs(nominal - 1.0)))
        relative, own = each[:, [one]] / each, each / each.mean(axis=1, keepdims=True)
        error, alone = (v.std(axis=0, ddof=1) / np.sqrt(len(each)) for v in (nominal * relative, own))
        return nominal, nominal * slopes[one] / slopes, error, alone

    @staticmethod
    def _reaches(work: Work, t: float) -> bool:
        """Whether the DAC has a nominal T; it is set then."""
        try:
            return abs(work.chip.set_temperature(t) / t - 1.0) < 0.02
        except HostError:
            return False

    def look(self, work: Work) -> tuple[Floats, Floats]:
        work.quiet()
        nominal, felt, errors, _ = self._settings(work)
        known = line(work.calibration.temperature, nominal)
        return felt / known - 1.0, errors / known

    def find(self, work: Work) -> Result:
        work.quiet()
        nominal, felt, errors, alone = self._settings(work)
        slope = float(np.polyfit(nominal - 1.0, felt - 1.0, 1, w=1.0 / (felt * alone))[0])
        found = slope, 1.0 - slope
        known = line(found, nominal)
        changes = {"temperature": found}
        return Result(felt / known - 1.0, errors / known, felt / nominal - 1.0, np.ones(len(felt), np.bool_), self.unit, changes)


def line(of: tuple[float, float], nominal: Floats) -> Floats:
    """T by a gain and an offset."""
    return of[0] * nominal + of[1]
