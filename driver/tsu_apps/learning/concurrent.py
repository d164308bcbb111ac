"""Data planes and free planes side by side: both roles are measured at the same time, without phases."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.examples import Draw, Layout
from tsu_apps.learning.loop import ChipLoop, Seen, Spins, measuring
from tsu_apps.learning.masters import Codes, Floats
from tsu_apps.learning.teacher import Teacher
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Batch, Chip, Instruction, Opcode

WARM_UP = 16
"""Averaging times that the accumulators are given to forget that they began at 0."""


@dataclass(frozen=True)
class Roles:
    """Who measures what, and for how long.

    data : plane numbers; data planes come first
    ladders : (free averages' planes, rungs) plane numbers; those of the first rung are at T and are averaged to begin with
    multipliers : (rungs,) of T
    tau_data, tau_free : time constants of the averages, in sweeps
    sweeps : of a tick
    """

    data: NDArray[np.int64]
    ladders: NDArray[np.int64]
    multipliers: Floats
    tau_data: float
    tau_free: float
    sweeps: int

    @property
    def enabled(self) -> NDArray[np.int64]:
        """All planes that sweep."""
        return np.concatenate([self.data, self.ladders.ravel()])

    @property
    def tempered(self) -> bool:
        """Whether free planes exchange temperatures."""
        return bool(self.ladders.shape[1] > 1)

    @property
    def swaps(self) -> list[Instruction]:
        """What a tick does beyond its sweeps."""
        return [Instruction(Opcode.SWAP)] if self.tempered else []

    def cold(self, chip: Chip) -> NDArray[np.int64]:
        """(n,) planes that are at T now."""
        return chip.cold_planes() if self.tempered else self.ladders[:, 0]


def check_planes(chip: Chip, data: int, free: int) -> None:
    """ValueError if the chip has too few planes."""
    have = chip.capabilities.planes
    if data + free > have:
        raise ValueError(f"{data} data planes and {free} free planes; the chip has {have} in all")


def configure(chip: Chip, roles: Roles) -> None:
    """Planes, ladders and averages as the roles have them; the averages begin anew."""
    chip.enable_planes(roles.enabled)
    chip.unclamp()
    chip.plane_temperatures(1.0)
    if roles.tempered:
        chip.set_ladders(roles.ladders, roles.multipliers)
    chip.configure_correlator(
        data_planes=roles.data, free_planes=roles.ladders[:, 0], tau_data=roles.tau_data, tau_free=roles.tau_free
    )


class TickLoop(ChipLoop):
    """Data planes pinned to examples, free planes left alone, all sweeping at once.

    The message of a tick writes all codes and the examples, starts the sequencer, waits until it has halted, and reads the
    accumulators that the program latched.
    """

    def __init__(
        self,
        chip: Chip,
        layout: Layout,
        roles: Roles,
        examples: Draw | None,
        temperatures: NDArray[np.int64] | None = None,
        teacher: Teacher | None = None,
        pull: float | None = None,
    ) -> None:
        """examples : drawn for each tick; None without data planes
        temperatures : (ticks,) codes of T; None for T = 1
        pull : field of a soft clamp, kT; None to pin
        """
        super().__init__(chip, layout)
        self._roles, self._examples, self._teacher, self._pull = roles, examples, teacher, pull
        self._units = self._unit / max(1, len(roles.data)), self._unit / len(roles.ladders)
        self._halted = self._bound(roles.sweeps, len(roles.enabled)) + chip.capabilities.swap_cycles * roles.ladders.size
        self._rows: Spins | None = None
        self._asked = (np.isnan(teacher.pairs), np.isnan(teacher.means)) if teacher else None
        self._schedule = repeat(_unit_code(chip)) if temperatures is None else iter(temperatures.tolist())
        self._heat(_unit_code(chip) if temperatures is None else int(temperatures[0]))

    def begin(self, codes: Codes) -> None:
        """As `ChipLoop.begin`: averages are cleared, then run until they have filled."""
        chip, roles = self._chip, self._roles
        chip.write_register("TEMP.TDAC", CODE=self._code)
        configure(chip, roles)
        self.resume()
        batch = chip.batch()
        self._write_codes(batch, codes)
        self._present(batch)
        batch.execute()
        chip.run(int(WARM_UP * max(roles.tau_data, roles.tau_free)))
        self._load([measuring(roles.sweeps, roles.swaps)])

    def tick(self, codes: Codes, scan: bool = False) -> Seen:
        """As `ChipLoop.tick`."""
        batch = self._chip.batch()
        self._write_codes(batch, codes)
        self._present(batch)
        code = next(self._schedule)
        if code != self._code:
            batch.write("TEMP.TDAC", CODE=code)
            self._heat(code)
        self._start(batch, 0, self._halted)
        pairs, means = batch.read_window("CORR_PAIR"), batch.read_window("CORR_MEAN")
        spins = batch.read_window("SPIN", 0, self._row_words * (int(self._roles.enabled[-1]) + 1)) if scan else None
        batch.execute()
        seen = self._averages(self._fetched(pairs.value), self._fetched(means.value))
        before, self._rows = self._rows, None if spins is None else self._spins(self._fetched(spins.value))
        if self._rows is None:
            return seen
        cold = self._roles.cold(self._chip)
        free_before = None if before is None else before[cold]
        return seen._replace(data_spins=self._rows[self._roles.data], free_spins=self._rows[cold], free_before=free_before)

    def suspend(self) -> int:
        """As `ChipLoop.suspend`: averages and free planes stay as they are; the data planes are lent."""
        self._chip.write_register("CORR.CTRL.ENABLE", 0)
        if self._pull is not None:
            self._chip.soft_unclamp(planes=self._roles.data)
        return len(self._roles.data)

    def resume(self) -> None:
        """As `ChipLoop.resume`."""
        chip, cells = self._chip, self._layout.clamped
        chip.enable_planes(self._roles.enabled)
        chip.unclamp()
        if self._pull is None:
            chip.clamp(cells, np.ones(len(cells), bool), self._roles.data)
        chip.write_register("CORR.CTRL.ENABLE", 1)
        self._load([measuring(self._roles.sweeps, self._roles.swaps)])

    def finish(self) -> None:
        """As `ChipLoop.finish`."""
        if self._roles.tempered:
            self._chip.clear_ladders()
        if self._pull is not None:
            self._chip.soft_unclamp(planes=self._roles.data)

    def _present(self, batch: Batch) -> None:
        """The tick's examples to the data planes: pinned, or pulled at."""
        if self._examples is None:
            return
        words = self._examples.words()
        if self._pull is None:
            self._send(batch, "CLAMP_VALUE", words.reshape(-1))
        else:
            cells = self._layout.clamped
            self._chip.soft_clamp(cells, self._pull * self._spins(words)[:, cells], self._roles.data)
            self.bytes += 2 * self._layout.cells * len(words)

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
