"""Trims of cells, and the calibration that is in force: applied, stamped, kept in the chip's own memory."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_driver.calibration import HEADER, MAGIC, Calibration, Correction
from tsu_driver.engines import Engines
from tsu_driver.errors import HostError

LIMIT_CYCLES = 1 << 16
"""Unit of CAL.LIMIT."""
WORD_MAX = (1 << 32) - 1


@dataclass(frozen=True)
class CalibrationAge:
    """seconds : chip time since the last stamp, or since power-on if there was none; stale : beyond the limit that was set."""

    seconds: float
    stamped: bool
    stale: bool


class Trimmed(Engines):
    """A chip whose cells have trims."""

    _calibration: Calibration | None = None

    @property
    def calibration(self) -> Calibration | None:
        """The calibration that is applied."""
        return self._calibration

    def trims(self) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Codes of all cells' offset trims and slope trims, (cells,) each; HostError on a chip without trims."""
        self._require_trims()
        batch = self._bus.batch()
        tickets = [batch.read_window(name) for name in ("TRIM_OFFSET", "TRIM_SLOPE")]
        batch.execute()
        offsets, slopes = (t.value.astype(np.int16) for t in tickets)
        return offsets, slopes

    def set_trims(self, offsets: ArrayLike | None = None, slopes: ArrayLike | None = None) -> None:
        """Set trims of all cells and wait until they have settled.

        offsets, slopes : integer codes, one for all or (cells,); None leaves them. HostError names a code that is out of range.
        """
        self._require_trims()
        cap = self.capabilities
        low, high = cap.dimension("trim_code_min"), cap.dimension("trim_code_max")
        batch = self._bus.batch()
        for window, what, given in (("TRIM_OFFSET", "offset", offsets), ("TRIM_SLOPE", "slope", slopes)):
            if given is None:
                continue
            codes = np.asarray(given)
            if codes.dtype.kind not in "iu" or codes.shape not in ((), (cap.cells,)):
                raise HostError(
                    f"{what} trims are codes, one integer or ({cap.cells},); got {codes.dtype} of shape {codes.shape}"
                )
            if ((codes < low) | (codes > high)).any():
                at = int(np.argmax(np.ravel((codes < low) | (codes > high))))
                raise HostError(f"{what} trim {codes.flat[at]} of cell {at} is not in {low} .. {high}")
            batch.write_window(window, np.broadcast_to(codes, (cap.cells,)).astype(np.int16))
        if len(batch):
            batch.wait_field("FABRIC.STATUS.SETTLED", 1, max_cycles=cap.settle_cycles + 1)
            batch.execute()

    def apply_calibration(self, calibration: Calibration | None) -> None:
        """Set the trims of a calibration; from now on `program_couplings`, `set_temperature`, `anneal` and `schedule` make up
        for the errors that it knows of, and couplers of cells that do not work get 0. None takes it back: trims 0, nominal codes.

        What is programmed already stays. HostError if the calibration is another chip's; nothing has happened then.
        """
        cap = self.capabilities
        used = calibration or Calibration.nominal(cap)
        used.check(cap)
        if len(used.offset_trims):
            self.set_trims(used.offset_trims, used.slope_trims)
        if cap.adc_count:
            batch = self._bus.batch()
            batch.write_window("ADC_TRIM", used.adc_trims)
            batch.execute()
        self._calibration = calibration
        self._bus.correction = None if calibration is None else self._correction(calibration)

    def _correction(self, calibration: Calibration) -> Correction:
        return Correction(
            gain=calibration.coupler_gain.astype(np.float64),
            offset=calibration.coupler_offset.astype(np.float64),
            stuck=calibration.stuck,
            silent=~calibration.good[self.topology.source.astype(np.int64)],
            temperature=calibration.temperature,
        )

    def stamp_calibration(self, limit_s: float | None = None) -> None:
        """The trims are as of now: the age counts from here.

        limit_s : chip time after which the calibration is stale and interrupt STALE happens, in steps of 2^16 cycles, upwards;
            None: never
        """
        most = WORD_MAX * LIMIT_CYCLES / self.capabilities.clock_hz
        if limit_s is not None and not 0 < limit_s <= most:
            raise HostError(f"limit_s = {limit_s}; more than 0 and at most {most:.0f} s expected")
        steps = 0 if limit_s is None else math.ceil(limit_s * self.capabilities.clock_hz / LIMIT_CYCLES)
        batch = self._bus.batch()
        batch.write("CAL.LIMIT", CYCLES=steps)
        batch.write("CAL.CTRL", STAMP=1)
        batch.execute()

    def calibration_age(self) -> CalibrationAge:
        """How old the calibration is."""
        batch = self._bus.batch()
        age, status = batch.read("CAL.AGE"), batch.read("CAL.STATUS")
        batch.execute()
        return CalibrationAge(self._bus.seconds(age.value), bool(status.value & 2), bool(status.value & 1))

    def store_calibration(self, calibration: Calibration) -> None:
        """Keep a calibration in the chip's non-volatile memory. HostError if it is another chip's or there is no room."""
        words = self.calibration_words(calibration)
        batch = self._bus.batch()
        batch.write_window("NVM", words)
        batch.execute()

    def calibration_words(self, calibration: Calibration) -> NDArray[np.uint32]:
        """What `store_calibration` writes to the chip's memory, and its errors."""
        calibration.check(self.capabilities)
        image = calibration.encode()
        words = -(-len(image) // 4)
        if words > self.capabilities.nvm_words:
            raise HostError(f"the calibration takes {words} words; the chip's memory has {self.capabilities.nvm_words}")
        return np.frombuffer(image + bytes(4 * words - len(image)), np.uint32)

    def stored_calibration(self) -> Calibration | None:
        """The calibration in the chip's memory, None if there is none; HostError if it is damaged."""
        head = -(-HEADER.size // 4)
        if self.capabilities.nvm_words < head:
            return None
        begin = self._read_nvm(head)
        if begin[:8] != MAGIC:
            return None
        words = min(max(head, -(-HEADER.unpack_from(begin)[3] // 4)), self.capabilities.nvm_words)
        return Calibration.decode(self._read_nvm(words))

    def _read_nvm(self, words: int) -> bytes:
        batch = self._bus.batch()
        ticket = batch.read_window("NVM", 0, words)
        batch.execute()
        return bytes(ticket.value.tobytes())

    def _require_trims(self) -> None:
        if not self.capabilities.trim_bits:
            raise HostError("this chip has no trims (CAP.TRIM_BITS is 0)")


def apply_at_open(chip: Trimmed, given: Calibration | str | os.PathLike[str]) -> None:
    """A calibration, a file of one, or "nvm" for that in the chip's memory; HostError if there is none there."""
    found = given if isinstance(given, Calibration) else chip.stored_calibration() if given == "nvm" else Calibration.load(given)
    if found is None:
        raise HostError("the chip's memory holds no calibration")
    chip.apply_calibration(found)
