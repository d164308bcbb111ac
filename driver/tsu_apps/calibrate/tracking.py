"""Offsets held while the chip drifts: corrections between a workload's runs, which find the chip and leave it as it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.calibrate.cells import stepped
from tsu_apps.calibrate.drift import Drift, offsets_of
from tsu_apps.calibrate.interruption import set_aside
from tsu_apps.calibrate.policy import Policy
from tsu_apps.calibrate.procedure import rms_less
from tsu_apps.calibrate.reference import ReferenceCells
from tsu_apps.calibrate.work import Floats, Work
from tsu_contract.capabilities import LSB_SCALE


@dataclass(frozen=True)
class Correction:
    """seconds : chip time at its end; seen_kt : rms offset that it saw, noise taken off; chip_s : chip time that it took, saving
    and restoring of the workload included; asked : whether reference cells asked for it, and not the interval."""

    seconds: float
    seen_kt: float
    chip_s: float
    asked: bool


class Tracker:
    """Keeps offsets of a calibrated chip near 0. A workload calls `keep` between its runs, and goes on as if nothing had been.

    corrections : what was done so far
    """

    def __init__(self, work: Work, policy: Policy, *, drift: Drift | None = None, reference: Sequence[int] = ()) -> None:
        """work : of a chip whose offsets have just been calibrated
        reference : cells that the workload leaves without couplings, biases and clamps; `drift` is needed with them
        ValueError: the chip has no trims; reference cells without a drift.
        """
        if not work.chip.capabilities.trim_bits:
            raise ValueError("this chip has no trims, so its offsets cannot be held")
        if len(reference) and drift is None:
            raise ValueError("reference cells need the drift that was measured, to tell what is unusual")
        self.work, self.policy = work, policy
        self.corrections: list[Correction] = []
        cells = np.array(reference, np.int64)
        self._reference = ReferenceCells(work.chip, cells, drift) if drift is not None and len(cells) else None
        self._asked = False
        self._believed: Floats = np.zeros(work.chip.capabilities.cells)
        self._last = work.chip.read_register("SYS.CYCLE")

    def saw(self, samples: NDArray[Any]) -> bool:
        """Show the workload's samples (n, planes, cells), of one problem and temperature, to the reference cells; whether they
        ask for a correction, which is then due."""
        if self._reference is not None and self._reference.moved(samples):
            self._asked = True
        return self._asked

    def due(self) -> bool:
        """Whether the interval is over, or reference cells have asked."""
        chip = self.work.chip
        passed = chip.read_register("SYS.CYCLE") - self._last
        return self._asked or passed >= self.policy.interval_s * chip.capabilities.clock_hz

    def keep(self) -> Correction | None:
        """Correct if it is due; what was done, None if nothing."""
        return self.correct() if self.due() else None

    def correct(self) -> Correction:
        """Set the workload aside, read offsets, set trims, put the workload back.

        Each cell's offset under its present trim is believed to be the last belief, moved by a share of what the reading differs
        from it; what the trim cannot take back for its steps stays believed.
        """
        work, chip = self.work, self.work.chip
        begun = chip.read_register("SYS.CYCLE")
        with set_aside(chip):
            looks = max(2, math.ceil(self.policy.samples / chip.capabilities.planes))
            work.quiet()
            work.loosen()
            seen, errors = offsets_of(work, looks)
            self._believed += self.policy.gain * (seen - self._believed)
            self._trim()
        good, self._last = work.calibration.good, chip.read_register("SYS.CYCLE")
        took = (self._last - begun) / chip.capabilities.clock_hz
        done = Correction(chip.seconds, rms_less(seen[good], errors[good]), took, self._asked)
        self._asked = False
        self.corrections.append(done)
        return done

    def _trim(self) -> None:
        """Trims to what is believed."""
        work, lsb = self.work, self.work.chip.capabilities.trim_offset_lsb * LSB_SCALE
        codes = work.calibration.offset_trims.astype(np.int64)
        new = stepped(work.chip, codes, np.where(work.calibration.good, -self._believed, 0.0), lsb)
        self._believed += (new - codes) * lsb
        work.adopt(offset_trims=new.astype(np.int16))
