"""Two phases one after the other in the same planes, still one message a tick."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.examples import Layout
from tsu_apps.learning.loop import ChipLoop, Seen, Spins, measuring
from tsu_apps.learning.masters import Codes, Floats
from tsu_contract.bits import pack_spins
from tsu_driver import Batch, Chip, Ticket

DATA, FREE = 0, 1
"""Rows of the CORR windows."""


class Phase:
    """What a phase gives: tickets of one role's accumulators, and of the spins."""

    def __init__(self, batch: Batch, role: int, pairs: int, cells: int, spin_words: int) -> None:
        """Read them; spin_words : 0 for no spins"""
        self.pairs: Ticket[NDArray[np.int32]] = batch.read_window("CORR_PAIR", role * pairs, pairs)
        self.means: Ticket[NDArray[np.int32]] = batch.read_window("CORR_MEAN", role * cells, cells)
        self.spins: Ticket[NDArray[np.uint32]] | None = batch.read_window("SPIN", 0, spin_words) if spin_words else None


class PhaseLoop(ChipLoop):
    """Planes that all do the same, in two phases; every plane has both roles, and each phase reads one of them.

    roles : of the first and of the second phase, DATA or FREE
    """

    roles: tuple[int, int]

    def __init__(self, chip: Chip, layout: Layout, planes: int, sweeps: tuple[int, int], tau: float) -> None:
        """ValueError if the chip has too few planes.

        sweeps : of the first and the second phase; tau : time constant of the averages, in sweeps
        """
        super().__init__(chip, layout)
        if planes > chip.capabilities.planes:
            raise ValueError(f"{planes} planes; the chip has {chip.capabilities.planes} in all")
        self._planes, self._tau = planes, tau
        self._programs = [measuring(n) for n in sweeps]
        self._halted = [self._bound(n, planes) for n in sweeps]

    @abstractmethod
    def _first(self, batch: Batch, codes: Codes) -> None:
        """Write what the first phase needs."""

    @abstractmethod
    def _second(self, batch: Batch, codes: Codes) -> None:
        """Write what makes the second phase another one."""

    def begin(self, codes: Codes) -> None:
        """As `ChipLoop.begin`; codes come with the first tick."""
        chip = self._chip
        chip.set_temperature(1.0)
        chip.plane_temperatures(1.0)
        chip.configure_correlator(data_planes=self._planes, free_planes=self._planes, tau_data=self._tau, tau_free=self._tau)
        self.resume()

    def tick(self, codes: Codes, scan: bool = False) -> Seen:
        """As `ChipLoop.tick`."""
        batch = self._chip.batch()
        phases: dict[int, Phase] = {}
        c, pc = self._chip.capabilities, 0
        words = self._planes * self._row_words if scan else 0
        for prepare, role, program, bound in zip(
            (self._first, self._second), self.roles, self._programs, self._halted, strict=True
        ):
            prepare(batch, codes)
            self._start(batch, pc, bound)
            phases[role] = Phase(batch, role, c.pairs, c.cells, words)
            pc += len(program)
        batch.execute()
        data, free = phases[DATA], phases[FREE]
        return Seen(
            self._average(data.pairs),
            self._average(free.pairs),
            self._average(data.means),
            self._average(free.means),
            self._seen(data),
            self._seen(free),
        )

    def suspend(self) -> int:
        """As `ChipLoop.suspend`: no phase outlasts its tick; all planes are lent."""
        self._chip.write_register("CORR.CTRL.ENABLE", 0)
        return self._planes

    def resume(self) -> None:
        """As `ChipLoop.resume`."""
        self._chip.enable_planes(self._planes)
        self._chip.write_register("CORR.CTRL.ENABLE", 1)
        self._load(self._programs)

    def _seen(self, phase: Phase) -> Spins | None:
        return None if phase.spins is None else self._spins(self._fetched(phase.spins.value))

    def _average(self, ticket: Ticket[NDArray[np.int32]]) -> Floats:
        return self._fetched(ticket.value) * (self._unit / self._planes)

    def _pin(self, batch: Batch, cells: NDArray[np.int64]) -> None:
        """Pin these cells and no others, in every plane."""
        mask = np.zeros(self._layout.cells, bool)
        mask[cells] = True
        self._send(batch, "CLAMP_MASK", np.tile(pack_spins(mask[None])[0], self._planes))
