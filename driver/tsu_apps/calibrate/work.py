"""What procedures work with: the chip, the calibration as it grows, the way samples are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tsu_apps.calibrate.interruption import halt
from tsu_apps.characterise.problems import LOOSE
from tsu_driver import Calibration, Chip, Programmed

Floats = NDArray[np.float64]
SAMPLES_AT_ONCE = 512
SETTLE_SWEEPS = 20
"""Sweeps after which clocked cells have forgotten what was before; asynchronous ones take three ticks between samples as well."""


@dataclass
class Work:
    """One chip under calibration.

    calibration : as far as it is known; `adopt` changes it and the chip
    effort : samples are as many as procedures want, times this
    step : called with the share of a procedure's work that was done since the last call
    """

    chip: Chip
    calibration: Calibration
    effort: float = 1.0
    step: Callable[[float], None] = field(default=lambda share: None)

    @classmethod
    def of(cls, chip: Chip, effort: float = 1.0) -> Work:
        """A chip with the calibration that is applied to it, or none yet."""
        return cls(chip, chip.calibration or Calibration.nominal(chip.capabilities), effort)

    def adopt(self, **changes: object) -> None:
        """Fields of the calibration are others: the chip takes them at once."""
        self.calibration = self.calibration.but(date_cycles=self.chip.time_cycles, **changes)
        self.chip.apply_calibration(self.calibration)

    def samples(self, wanted: int) -> int:
        """Samples of each cell in all planes together, at least two looks."""
        planes = len(self.chip.enabled_planes)
        return max(2, round(wanted * self.effort / planes))

    def quiet(self) -> None:
        """No clamps, no soft fields, T = 1 in all planes, all planes enabled, the correlator halted. `set_aside` keeps what there
        was."""
        chip = self.chip
        halt(chip)
        chip.unclamp()
        chip.enable_planes(chip.capabilities.planes)
        chip.plane_temperatures(1.0)
        chip.set_temperature(1.0)

    def loosen(self, h: Floats | None = None) -> Programmed:
        """All couplers at code 0, whatever is known of their errors, or the code nearest to it that stuck bits allow; biases
        h (cells,) or 0."""
        return self.chip.program_couplings(LOOSE, h, corrected=False)

    def means(self, looks: int, share: float = 0.0) -> Floats:
        """(planes, cells) means of as many looks at all enabled planes; `share` of the procedure's work."""
        chip = self.chip
        every, burn = (1, SETTLE_SWEEPS) if chip.kind == "pbit" else (3, 3 * SETTLE_SWEEPS)
        total, done = np.zeros((len(chip.enabled_planes), chip.capabilities.cells)), 0
        while done < looks:
            n = min(SAMPLES_AT_ONCE, looks - done)
            total += chip.sample(n, every, burn if not done else 0).sum(axis=0, dtype=np.int64)
            done += n
            self.step(share * n / looks)
        return total / looks


def field_of(means: Floats) -> Floats:
    """Fields of cells with these means at T = 1, kT; of those that never moved the field of one move in 10^4."""
    return np.asarray(np.arctanh(np.clip(means, -0.9999, 0.9999)))
