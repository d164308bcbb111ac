"""Cells with states that are no clocked p-bits: p-bits that flip by themselves, and pdits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsu_emu.analog import async_pbit, free, pdit
from tsu_emu.analog.choice import clocks_of
from tsu_emu.analog.fan import network_of
from tsu_emu.analog.glauber import grid_of, rounds_of
from tsu_emu.analog.pbit import slopes_of
from tsu_emu.chip.arrays.base import Deferred, Floats, key_of
from tsu_emu.chip.arrays.clocked import scan_phases
from tsu_emu.config import AsynchronousPbit, Pdit
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.normal import normals
from tsu_emu.noise.streams import Stream


class Asynchronous(Deferred):
    """p-bits that flip by themselves; `clocks` are their time constants. Heat baths that are heard at once live in rounds."""

    def __init__(self, cell: AsynchronousPbit, *common: Any) -> None:
        super().__init__(*common)
        config = self._config
        spread = np.zeros(self._cells)
        if cell.ln_tau_sigma:
            white = normals(np.uint64(config.seeds.die), int(Stream.CELL), 0, self._cells, 1, 0)[:, 0]
            spread = cell.ln_tau_sigma * white
        self.clocks = clocks_of(cell.tau_s * np.array([exponential(x) for x in spread]))
        self._net = network_of(self._topology.row, self._topology.source)
        self._kinetics = async_pbit.GLAUBER if cell.kinetics == "glauber" else async_pbit.ARRHENIUS
        self._synapse_s, self._h = cell.synapse_s, np.zeros(self._cells)
        self._in_rounds = cell.in_rounds
        self._rounds, self._scale = rounds_of(self.clocks.tau, self._tick_s, cell.clock == "shared"), 1.0
        self._code = np.zeros(len(self._J), np.int32), np.zeros(self._cells, np.int32)
        self._key = key_of(config.seeds.run, Stream.ASYNCHRONOUS, 4)

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Couplings and biases with slopes and offsets."""
        self._place_couplings(J, alpha)
        self._h = np.where(self._floating, 0.0, alpha * (h + delta))
        if self._in_rounds:
            self._scale = grid_of(self._topology.row, self._J, self._h, *self._code)

    def live(self, first: int, count: int) -> None:
        """So many ticks."""
        s, t = self._state, self._topology
        if self._in_rounds:
            slopes_of(s.slope, self._scale, 1.0, self._temperature * 4096.0)
            bank = s.spins, s.clamp_mask, s.clamp_value, s.enabled
            free.live((t.row, t.source), self._code, self._rounds, bank, s.slope, first, count, self._key)
            return
        full = async_pbit.Bank(s.spins, s.clamp_mask, s.clamp_value, s.enabled, s.value, self._temperature)
        async_pbit.live(
            self._net,
            self._J,
            self._h,
            self.clocks,
            self._synapse_s,
            self._kinetics,
            full,
            first,
            count,
            self._tick_s,
            self._key,
        )


class Pdits(Deferred):
    """Clocked cells of several states."""

    def __init__(self, cell: Pdit, *common: Any) -> None:
        super().__init__(*common)
        self._states, self._h = cell.states, np.zeros(self._cells * cell.states)
        self._key, self._scan_key = (key_of(self._config.seeds.run, s) for s in (Stream.PDIT, Stream.SCAN))

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Couplings and the biases of every state."""
        self._place_couplings(J, alpha)
        slopes = np.repeat(np.broadcast_to(alpha, self._cells), self._states)
        self._h = np.where(np.repeat(self._floating, self._states), 0.0, slopes * (h + delta))

    def live(self, first: int, count: int) -> None:
        """So many sweeps, in the scan order that the sequencer took; cells stuck up are in the last state."""
        s, t = self._state, self._topology
        phases = scan_phases(s, t, first, count, self._scan_key)
        stuck = np.where(self._defects.dead_value > 0, self._states - 1, 0)
        pinned = np.where(self._defects.dead_mask > 0, stuck, s.pin).astype(np.uint8)
        bank = pdit.Bank(s.state, s.clamp_mask, pinned, s.enabled, self._temperature)
        pdit.sweep((t.order, t.row, t.source), self._J, self._h, bank, t.phase, phases, first, self._key)
