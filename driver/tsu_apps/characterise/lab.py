"""The laboratory: a chip, the instruments round it if there are any, and how hard to look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tsu_apps.characterise.measurement import Measurement
from tsu_driver import Chip
from tsu_driver.instruments import Instruments


@dataclass
class Lab:
    """What a procedure works with.

    chip : the chip; instruments : the bench's door, or None
    effort : 1 for the sample sizes that the tolerances are stated for, less for a quick look
    step : called with a share of the procedure's work, the shares of one procedure making 1
    known : what earlier procedures measured, by key
    """

    chip: Chip
    instruments: Instruments | None = None
    effort: float = 1.0
    step: Callable[[float], None] = field(default=lambda share: None)
    known: dict[str, Measurement] = field(default_factory=dict)

    def samples(self, full: int) -> int:
        """A sample size: `full` at effort 1, at least a tenth of it."""
        return max(int(full * self.effort), full // 10, 1)

    def rng(self, procedure: int) -> np.random.Generator:
        """Random numbers for choosing problems; the same for every chip."""
        return np.random.default_rng(procedure)

    def wait(self, seconds: float) -> None:
        """Chip time passes and nothing happens."""
        if self.instruments is not None:
            self.instruments.skip(seconds)
            return
        have_patience(self.chip, seconds)
        batch = self.chip.batch()
        batch.delay(round(seconds * self.chip.capabilities.clock_hz))
        batch.execute()

    def quiet(self) -> None:
        """Bring the chip into the state that procedures start from: no couplings, no clamps, T = 1, all planes, no source."""
        chip, cap = self.chip, self.chip.capabilities
        chip.unclamp()
        chip.enable_planes(cap.planes)
        chip.plane_temperatures(1.0)
        chip.set_temperature(1.0)
        h = np.zeros(cap.cells) if cap.terms == 1 else np.zeros((cap.cells, cap.terms))
        chip.program_couplings((np.empty((0, 2), np.int64), np.empty(0)), h)
        if self.instruments is not None:
            self.instruments.source(offset=0.0, amplitude=0.0)


def have_patience(chip: Chip, seconds: float) -> None:
    """See that messages during which so much chip time passes are waited for, also where it is real time."""
    chip.timeout_s = max(chip.timeout_s, 30.0 + 2.0 * seconds)
