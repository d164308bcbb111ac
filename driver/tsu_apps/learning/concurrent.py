"""Data planes and free planes side by side: both roles are measured at the same time, without phases."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.examples import Draw, Layout
from tsu_apps.learning.loop import ChipLoop, Seen, measuring
from tsu_apps.learning.masters import Codes
from tsu_apps.learning.teacher import Teacher
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

WARM_UP = 16
"""Averaging times that the accumulators are given to forget that they began at 0."""


@dataclass(frozen=True)
class Roles:
    """Who measures what, and for how long.

    data, free : plane numbers; data planes come first
    tau_data, tau_free : time constants of the averages, in sweeps
    sweeps : of a tick
    """

    data: NDArray[np.int64]
    free: NDArray[np.int64]
    tau_data: float
    tau_free: float
    sweeps: int


class TickLoop(ChipLoop):
    """Data planes pinned to examples, free planes left alone, all sweeping at once.

    The message of a tick writes all codes and the examples, starts the sequencer, waits until it has halted, and reads the
    accumulators that the program latched.
    """

    persistent = True

    def __init__(
        self,
        chip: Chip,
        layout: Layout,
        roles: Roles,
        examples: Draw | None,
        temperatures: NDArray[np.int64] | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        """ValueError if the chip has too few planes.

        examples : drawn for each tick; None without data planes
        temperatures : (ticks,) codes of T; None for T = 1
        """
        super().__init__(chip, layout)
        have, need = chip.capabilities.planes, len(roles.data) + len(roles.free)
        if need > have:
            raise ValueError(f"{len(roles.data)} data planes and {len(roles.free)} free planes; the chip has {have} in all")
        self._roles, self._examples, self._teacher = roles, examples, teacher
        self._enabled = np.concatenate([roles.data, roles.free])
        self._units = self._unit / max(1, len(roles.data)), self._unit / len(roles.free)
        self._halted = self._bound(roles.sweeps, need)
        self._asked = (np.isnan(teacher.pairs), np.isnan(teacher.means)) if teacher else None
        self._schedule = repeat(_unit_code(chip)) if temperatures is None else iter(temperatures.tolist())
        self._heat(_unit_code(chip) if temperatures is None else int(temperatures[0]))

    def begin(self, codes: Codes) -> None:
        """As `ChipLoop.begin`: averages are cleared, then run until they have filled."""
        chip, roles = self._chip, self._roles
        chip.write_register("TEMP.TDAC", CODE=self._code)
        chip.plane_temperatures(1.0)
        chip.configure_correlator(
            data_planes=roles.data, free_planes=roles.free, tau_data=roles.tau_data, tau_free=roles.tau_free
        )
        self.resume()
        batch = chip.batch()
        self._write_codes(batch, codes)
        if self._examples:
            batch.write_window("CLAMP_VALUE", self._examples.words().reshape(-1))
        batch.execute()
        chip.run(int(WARM_UP * max(roles.tau_data, roles.tau_free)))
        self._load([measuring(roles.sweeps)])

    def tick(self, codes: Codes, scan: bool = False) -> Seen:
        """As `ChipLoop.tick`."""
        batch = self._chip.batch()
        self._write_codes(batch, codes)
        if self._examples:
            self._send(batch, "CLAMP_VALUE", self._examples.words().reshape(-1))
        code = next(self._schedule)
        if code != self._code:
            batch.write("TEMP.TDAC", CODE=code)
            self._heat(code)
        self._start(batch, 0, self._halted)
        pairs, means = batch.read_window("CORR_PAIR"), batch.read_window("CORR_MEAN")
        spins = batch.read_window("SPIN", 0, self._row_words * (int(self._enabled[-1]) + 1)) if scan else None
        batch.execute()
        seen = self._averages(self._fetched(pairs.value), self._fetched(means.value))
        if spins is None:
            return seen
        rows = self._spins(self._fetched(spins.value))
        return seen._replace(data_spins=rows[self._roles.data], free_spins=rows[self._roles.free])

    def suspend(self) -> int:
        """As `ChipLoop.suspend`: averages and free planes stay as they are; the data planes are lent."""
        self._chip.write_register("CORR.CTRL.ENABLE", 0)
        return len(self._roles.data)

    def resume(self) -> None:
        """As `ChipLoop.resume`."""
        chip, cells = self._chip, self._layout.clamped
        chip.enable_planes(self._enabled)
        chip.unclamp()
        chip.clamp(cells, np.ones(len(cells), bool), self._roles.data)
        chip.write_register("CORR.CTRL.ENABLE", 1)
        self._load([measuring(self._roles.sweeps)])

    def _heat(self, code: int) -> None:
        """Note the temperature's code."""
        self._code, self.temperature = code, code * self._chip.capabilities.temp_lsb * LSB_SCALE

    def _averages(self, pairs: NDArray[np.int32], means: NDArray[np.int32]) -> Seen:
        """Accumulators, (roles, pairs) and (roles, cells), as averages; the teacher's where it knows better."""
        data, free = self._units
        data_pairs, data_means = pairs[0] * data, means[0] * data
        if self._teacher and self._asked:
            data_pairs = np.where(self._asked[0], data_pairs, self._teacher.pairs)
            data_means = np.where(self._asked[1], data_means, self._teacher.means)
        return Seen(data_pairs, pairs[1] * free, data_means, means[1] * free)


def _unit_code(chip: Chip) -> int:
    """The code nearest to T = 1."""
    return round(1.0 / (chip.capabilities.temp_lsb * LSB_SCALE))
