"""Cells that a workload leaves alone: what they show among its own samples tells when offsets have moved more than is usual."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, ndtri

from tsu_apps.calibrate.drift import Drift
from tsu_apps.calibrate.work import Floats, field_of
from tsu_apps.characterise.readings import over_planes
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

FALSE_ALARM = 1e-4
"""Probability that reference cells ask for a look although offsets drift as they did when their drift was measured."""
WITHIN = 0.95
"""Greatest |mean spin| of a cell that tells of its offset."""


@dataclass
class ReferenceCells:
    """A few cells without couplings, biases and clamps, which a workload samples beside its own.

    Drift of single cells is theirs alone and says nothing of others; drift that cells share, with the die's temperature or with
    age, shows in all. What they hear through couplers of code 0 depends on the problem, so that they are compared only while
    codes and temperature stay: the first samples of a problem are what later ones are compared with.

    cells : their numbers; drift : as it was measured, in quiet surroundings
    """

    chip: Chip
    cells: NDArray[np.int64]
    drift: Drift
    _known: tuple[int, int] | None = field(default=None, init=False)
    _first: tuple[Floats, Floats, int] | None = field(default=None, init=False)

    def moved(self, samples: ArrayLike) -> bool:
        """Whether samples (n, planes, cells) of the workload show that offsets have moved more than drift has them move: in the
        mean over reference cells, or in its mean square, at `FALSE_ALARM` together."""
        batch = self.chip.batch()
        version, code, cycle = (batch.read(name) for name in ("LEARN.VERSION", "TEMP.TDAC", "SYS.CYCLE"))
        batch.execute()
        offsets, errors = self._offsets(np.asarray(samples), code.value)
        if self._first is None or self._known != (version.value, code.value):
            self._known, self._first = (version.value, code.value), (offsets, errors, cycle.value)
            return False
        first, first_errors, since = self._first
        age = (cycle.value - since) / self.chip.capabilities.clock_hz
        variance = errors**2 + first_errors**2 + float(self.drift.after(age))
        change = offsets - first
        common = abs(change.sum()) / np.sqrt(variance.sum())
        each = float((change**2 / variance).sum())
        return bool(common > -ndtri(FALSE_ALARM / 4.0) or each > chdtri(len(change), FALSE_ALARM / 2.0))

    def _offsets(self, samples: NDArray[np.int8], code: int) -> tuple[Floats, Floats]:
        """((cells,) offsets and what they hear, their standard errors), kT at the nominal T of a code."""
        means, errors = over_planes(samples[:, :, self.cells].mean(axis=0, dtype=np.float64))
        T = code * self.chip.capabilities.temp_lsb * LSB_SCALE
        means = np.clip(means, -WITHIN, WITHIN)
        return T * field_of(means), T * errors / (1.0 - means**2)
