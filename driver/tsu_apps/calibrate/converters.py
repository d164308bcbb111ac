"""Trims of the ADCs: two references to where they belong."""

from __future__ import annotations

import numpy as np

from tsu_apps.calibrate.procedure import Procedure, Result
from tsu_apps.calibrate.work import Floats, Work
from tsu_apps.characterise.captures import REFERENCES
from tsu_contract.capabilities import LSB_SCALE, TRIM_CODES

CONVERSIONS, ROUNDS = 4096, 3
ALIVE = 0.5
"""Share of the distance of the references that a converter which works sees at least."""


class Adc(Procedure):
    """Offset and gain of each converter, by its references at -7/8 and +7/8 of the range."""

    name, title = "adc", "offset and gain of converters"
    unit, limit = "LSB", 0.2

    def suits(self, work: Work) -> bool:
        return work.chip.capabilities.adc_count > 0

    def _references(self, work: Work, n: int) -> tuple[Floats, Floats]:
        """((2, converters) means of both references, share of the range; their standard errors, which are half an LSB where all
        readings are one code: without noise nothing finer can be told)."""
        chip = work.chip
        seen = np.empty((2, chip.capabilities.adc_count, n))
        for adc in range(seen.shape[1]):
            for k, end in enumerate(("low", "high")):
                seen[k, adc] = chip.adc_value(chip.convert(f"reference-{end}", n=n, adc=adc).codes, "external")
            work.step(1.0 / (ROUNDS + 1) / seen.shape[1])
        scatter = seen.std(axis=2, ddof=1) / np.sqrt(n)
        return seen.mean(axis=2), np.where(np.ptp(seen, axis=2) > 0, scatter, 2.0**-chip.capabilities.adc_bits)

    def _left(self, work: Work, n: int) -> tuple[Floats, Floats]:
        """((2, converters) errors at both references, their standard errors), LSB."""
        means, errors = self._references(work, n)
        lsb = 2.0 ** (1 - work.chip.capabilities.adc_bits)
        return (means - np.array(REFERENCES)[:, None]) / lsb, errors / lsb

    def look(self, work: Work) -> tuple[Floats, Floats]:
        left, errors = self._left(work, CONVERSIONS // 8)
        alive = abs(left[1] - left[0]) < ALIVE * 2.0 ** (work.chip.capabilities.adc_bits - 1)
        return left[:, alive].ravel(), errors[:, alive].ravel()

    def find(self, work: Work) -> Result:
        chip, cap = work.chip, work.chip.capabilities
        trims, before = work.calibration.adc_trims.astype(np.int64), np.empty(0)
        span = REFERENCES[1] - REFERENCES[0]
        chip.set_adc_trims(trims[:, 0], trims[:, 1])
        for _ in range(ROUNDS):
            means, errors = self._references(work, CONVERSIONS)
            before = before if before.size else (means - np.array(REFERENCES)[:, None]) * 2.0 ** (cap.adc_bits - 1)
            gain, middle = (means[1] - means[0]) / span, means.mean(axis=0)
            alive = gain > ALIVE
            off, steep = abs(middle) > errors.max(axis=0), abs(1.0 - gain) * span > errors.sum(axis=0)
            trims[:, 0] += np.where(alive & off, np.rint(-middle / (cap.adc_trim_offset * LSB_SCALE)), 0).astype(np.int64)
            trims[:, 1] += np.where(alive & steep, np.rint((1.0 - gain) / (cap.adc_trim_gain * LSB_SCALE)), 0).astype(np.int64)
            trims = np.clip(trims, *TRIM_CODES)
            chip.set_adc_trims(trims[:, 0], trims[:, 1])
        left, errors = self._left(work, CONVERSIONS)
        ok = (abs(left) < 5 * self.limit + 5 * errors).ravel()
        changes = {"adc_trims": trims.astype(np.int16)}
        return Result(left.ravel(), errors.ravel(), before.ravel(), ok, self.unit, changes)
