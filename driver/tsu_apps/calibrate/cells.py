"""Trims of p-bits: offsets to 0 by a servo, slopes to 1 by bias sweeps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_apps.calibrate.loud import shaken
from tsu_apps.calibrate.procedure import Procedure, Result
from tsu_apps.calibrate.work import Floats, Work, field_of
from tsu_apps.characterise.cells import LEAST_SLOPE, slope_estimate, slope_levels, slope_signs
from tsu_apps.characterise.readings import over_planes
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

SERVO = (2_000, 2_000, 5_000, 20_000, 100_000, 200_000)
"""Samples of each cell in the rounds of the offset servo."""
LOOK = 20_000
"""Samples of each cell in a quick look."""
SLOPES = (60_000, 800_000, 800_000)
"""Samples of each cell in the rounds of slope trimming. Each round's noise goes into its step, so a step is the round's share of
all samples so far: what is left is the noise of all rounds together."""
PASSES = 8
"""Bias sweeps that a measurement of slopes consists of, if it has samples for so many; at least four."""
MOVES = 0.97
"""Greatest |mean| of a cell that may be worth trimming."""


def trim_range(chip: Chip) -> tuple[int, int]:
    """Least and greatest code of cell trims."""
    return chip.capabilities.dimension("trim_code_min"), chip.capabilities.dimension("trim_code_max")


def stepped(chip: Chip, codes: NDArray[np.int64], change: Floats, lsb: float) -> NDArray[np.int64]:
    """Codes nearest to `change` away, within the range."""
    low, high = trim_range(chip)
    return np.clip(codes + np.rint(change / lsb).astype(np.int64), low, high)


class Visited:
    """What cells showed at the codes that they were given, so that the best of them can be taken in the end.

    A trim whose steps go backwards makes a servo hunt round its target; the best code seen is not the last.
    """

    def __init__(self) -> None:
        self._codes: list[NDArray[np.int64]] = []
        self._values: list[Floats] = []
        self._errors: list[Floats] = []

    def add(self, codes: NDArray[np.int64], values: Floats, errors: Floats) -> None:
        """(cells,) each."""
        self._codes.append(codes.copy())
        self._values.append(values)
        self._errors.append(np.maximum(errors, 1e-9))

    def best(self) -> NDArray[np.int64]:
        """(cells,) codes: rounds at the same code are averaged, and what is 2 standard errors from 0 at worst is least."""
        codes, values = np.stack(self._codes), np.stack(self._values)
        weights = 1.0 / np.stack(self._errors) ** 2
        score = np.empty_like(values)
        for k in range(len(codes)):
            same = codes == codes[k]
            weight = (weights * same).sum(axis=0)
            score[k] = abs((weights * same * values).sum(axis=0) / weight) + 2.0 / np.sqrt(weight)
        return np.asarray(np.take_along_axis(codes, score.argmin(axis=0)[None], axis=0)[0])


class Offsets(Procedure):
    """Every cell's mean to 0 at zero bias and coupling."""

    name, title = "offsets", "offset servo"
    needs = ("adc",)
    unit, limit = "kT", 0.01

    def suits(self, work: Work) -> bool:
        return work.chip.capabilities.trim_bits > 0

    def _offsets(self, work: Work, wanted: int, share: float) -> tuple[Floats, Floats]:
        mean, error = over_planes(work.means(work.samples(wanted), share))
        return field_of(mean), error / np.maximum(1.0 - mean**2, 1e-3)

    def look(self, work: Work) -> tuple[Floats, Floats]:
        work.quiet()
        good = work.calibration.good & ~shaken(work)
        offsets, errors = self._offsets(work, LOOK, 1.0)
        return offsets[good], errors[good]

    def find(self, work: Work) -> Result:
        chip, lsb = work.chip, work.chip.capabilities.trim_offset_lsb * LSB_SCALE
        work.quiet()
        usable = work.calibration.good & ~shaken(work)
        codes, visited = work.calibration.offset_trims.astype(np.int64), Visited()
        before = np.empty(0)
        for wanted in SERVO:
            chip.set_trims(offsets=codes)
            offsets, errors = self._offsets(work, wanted, wanted / (sum(SERVO) + SERVO[-1]))
            before = before if before.size else offsets
            visited.add(codes, offsets, errors)
            codes = stepped(chip, codes, -offsets, lsb)
        codes = visited.best()
        chip.set_trims(offsets=codes)
        left, errors = self._offsets(work, SERVO[-1], SERVO[-1] / (sum(SERVO) + SERVO[-1]))
        ok = usable & (abs(left) < 5 * self.limit + 5 * errors)
        changes = {"offset_trims": codes.astype(np.int16)}
        return Result(left, errors, before, ok, self.unit, changes)


class Slopes(Procedure):
    """Every cell's response to its own bias to 1, at T = 1."""

    name, title = "slopes", "slope trim"
    needs = ("offsets",)
    unit, limit = "", 0.005

    def suits(self, work: Work) -> bool:
        return work.chip.capabilities.trim_bits > 0

    def _slopes(self, work: Work, wanted: int, share: float) -> tuple[Floats, Floats]:
        """Slopes and their errors; 0 of cells that do not follow their bias.

        Whole bias sweeps, several times: what scatters from one to the next is noise of every kind, also what all planes have in
        common, as the refreshing of stored levels.
        """
        signs = slope_signs(work.chip)
        levels = slope_levels(work.chip, len(signs))
        once = 2 * len(signs) * len(levels)
        passes = min(max(work.samples(wanted) // once, 4), PASSES)
        runs = passes * len(signs) * len(levels)
        looks = max(2, work.samples(wanted) // runs)
        means = np.empty((len(levels), len(signs), passes, work.chip.capabilities.cells))
        for n in range(passes):
            for k, level in enumerate(levels):
                for r, row in enumerate(signs):
                    work.loosen(level * row)
                    means[k, r, n] = work.means(looks, share / runs).mean(axis=0)
        whole = slope_estimate(means.mean(axis=2), signs, levels)[0]
        each = slope_estimate(means, signs, levels)[0]
        return whole, each.std(axis=0, ddof=1) / np.sqrt(passes)

    def look(self, work: Work) -> tuple[Floats, Floats]:
        work.quiet()
        good = work.calibration.good & ~shaken(work)
        slopes, errors = self._slopes(work, 2 * LOOK, 1.0)
        return slopes[good] - 1.0, errors[good]

    def find(self, work: Work) -> Result:
        chip, lsb = work.chip, work.chip.capabilities.trim_slope_lsb * LSB_SCALE
        work.quiet()
        usable = work.calibration.good & ~shaken(work)
        codes, before, total = work.calibration.slope_trims.astype(np.int64), np.empty(0), sum(SLOPES) + SLOPES[-1]
        taken = 0
        for wanted in SLOPES:
            chip.set_trims(slopes=codes)
            slopes, errors = self._slopes(work, wanted, wanted / total)
            before = before if before.size else slopes - 1.0
            works = usable & (slopes > LEAST_SLOPE)
            # what the trim scales is not known, only what comes of it: 1 + trim grows by the factor that the slope lacks
            factor = np.where(works, 1.0 / np.where(works, slopes, 1.0), 1.0)
            taken += wanted
            codes = stepped(chip, codes, (1.0 + codes * lsb) * (factor - 1.0) * wanted / taken, lsb)
        chip.set_trims(slopes=codes)
        slopes, errors = self._slopes(work, SLOPES[-1], SLOPES[-1] / total)
        ok = usable & (abs(slopes - 1.0) < 5 * self.limit + 5 * errors)
        changes = {"slope_trims": codes.astype(np.int16)}
        return Result(slopes - 1.0, errors, before, ok, self.unit, changes)
