"""Cells with analog values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import PIN_STEPS
from tsu_emu.analog import gaussian, langevin, mixture
from tsu_emu.chip.arrays.base import Deferred, Floats, key_of, per_plane
from tsu_emu.config import ChipConfig, Gaussian, Langevin, Mixture
from tsu_emu.digital import words as W
from tsu_emu.noise.normal import normals
from tsu_emu.noise.streams import Stream

RAIL_RANGES = 64.0
"""Readout ranges at which a linear cell meets the rails."""


class _Analog(Deferred):
    """Cells with a value, which a clamp pins to a code of PIN."""

    def __init__(self, range_: float, *common: Any) -> None:
        super().__init__(*common)
        self._range = range_

    def take(self) -> None:
        """Clamped cells of enabled planes take their value, stuck ones an end of the range."""
        s = self._state
        if not s.clamp_mask.any():
            return
        on = np.zeros(self._planes, np.bool_)
        on[self._enabled] = True
        stuck = np.where(self._defects.dead_value > 0, self._range, -self._range)
        pins = np.where(self._defects.dead_mask > 0, stuck, s.pin * (self._range / PIN_STEPS))
        driven = per_plane(s.clamp_mask, self._planes) & on[:, None]
        s.value[:, : self._cells][driven] = pins[driven]

    def _groups(self) -> list[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
        """Enabled planes by which cells are held in them."""
        planes = self._enabled
        if not self._state.clamp_mask.any():
            return [(np.zeros(self._cells, np.bool_), planes)]
        held = per_plane(self._state.clamp_mask, self._planes)[planes]
        rows, group = np.unique(held, axis=0, return_inverse=True)
        return [(rows[k], planes[group.ravel() == k]) for k in range(len(rows))]

    def values(self) -> Floats:
        """Values over the readout range."""
        return self._state.value[:, : self._cells] / self._range


def _stiffness(config: ChipConfig, sigma: float, cells: int, sub: int) -> Floats:
    """Relative stiffness of each cell, at least .05."""
    if sigma == 0:
        return np.ones(cells)
    return np.maximum(1.0 + sigma * normals(np.uint64(config.seeds.die), int(Stream.CELL), 0, cells, 1, sub)[:, 0], 0.05)


class Gaussians(_Analog):
    """Linear cells, exact over any tick."""

    def __init__(self, cell: Gaussian, *common: Any) -> None:
        super().__init__(cell.range, *common)
        self._order, self._quality = (2, cell.quality) if cell.quality else (1, 1.0)
        self._ticks = self._tick_s / cell.tau_s
        self.stiffness = _stiffness(self._config, cell.stiffness_sigma, self._cells, 0)
        self._drive, self._matrix = np.zeros(self._cells), np.zeros((self._cells, self._cells))
        self._propagators: dict[bytes, gaussian.Propagator | None] = {}
        self._key = key_of(self._config.seeds.run, Stream.GAUSSIAN)

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Stiffness matrix and drive; propagators follow when they are needed."""
        self._place_couplings(J, alpha)
        terms = h.reshape(self._cells, 2)
        self._drive = np.where(self._floating, 0.0, terms[:, 0] + delta)
        t = self._topology
        self._matrix = gaussian.stiffness_matrix(terms[:, 1] * self.stiffness, t.row, t.source, self._J)
        self._propagators.clear()

    def _propagator(self, held: NDArray[np.bool_]) -> gaussian.Propagator | None:
        """The law of a tick, or None if the network runs away."""
        key = held.tobytes()
        if key not in self._propagators:
            try:
                self._propagators[key] = gaussian.propagator(self._matrix, held, self._ticks, self._order, self._quality)
            except ValueError:
                self._propagators[key] = None
        return self._propagators[key]

    def live(self, first: int, count: int) -> None:
        """So many ticks; the cells of a network that runs away sit at the rails, and SYS.ERROR says so."""
        value, rail, met = self._state.value, RAIL_RANGES * self._range, 0
        for held, planes in self._groups():
            law = self._propagator(held)
            if law is None:
                free = np.ix_(planes, np.flatnonzero(np.concatenate([~held] * self._order)))
                value[free] = np.where(value[free] < 0, -rail, rail)
                met += 1
            else:
                met += gaussian.live(value, law, self._drive, self._temperature, planes, first, count, rail, self._key)
        if met:
            self._state.registers[W.ERROR] |= np.uint32(W.ERROR_UNSTABLE)


class Mixtures(_Analog):
    """Cells that choose a mode."""

    def __init__(self, cell: Mixture, *common: Any) -> None:
        super().__init__(cell.range, *common)
        self._modes = cell.modes
        self.stiffness = _stiffness(self._config, cell.stiffness_sigma, self._cells, 0)
        empty = np.zeros((self._cells, cell.modes))
        self._law = mixture.Mixture(
            empty, empty, cell.stiffness * self.stiffness, self._tick_s / cell.tau_s, self._tick_s / cell.mode_tau_s
        )
        self._key = key_of(self._config.seeds.run, Stream.MODE)

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Log-weights and means; the offset moves the means."""
        terms = h.reshape(self._cells, 2 * self._modes)
        means = terms[:, self._modes :] + np.broadcast_to(delta, self._cells)[:, None]
        weights = np.where(self._floating[:, None], 0.0, terms[:, : self._modes])
        self._law = self._law._replace(weight=np.ascontiguousarray(weights), mean=np.ascontiguousarray(means))

    def live(self, first: int, count: int) -> None:
        """So many ticks."""
        s = self._state
        for held, planes in self._groups():
            mixture.live(s.value, s.state, self._law, held, self._temperature, planes, first, count, self._key)


class Langevins(_Analog):
    """Quartic cells."""

    def __init__(self, cell: Langevin, threads: int, *common: Any) -> None:
        super().__init__(cell.range, *common)
        self._work = langevin.workspace(self._cells, threads)
        self.stiffness = [_stiffness(self._config, cell.stiffness_sigma, self._cells, sub) for sub in (0, 1)]
        zero, self._single = np.zeros(self._cells), self._J.astype(np.float32)
        step = self._tick_s / (cell.substeps * cell.tau_s)
        self._law = langevin.Quartic(zero, zero, zero, zero, cell.rail, cell.substeps, step)
        self._key = key_of(self._config.seeds.run, Stream.LANGEVIN)

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Couplings and the potential of every cell."""
        self._place_couplings(J, alpha)
        force, a, c, b = (np.ascontiguousarray(term) for term in h.reshape(self._cells, 4).T)
        force = np.where(self._floating, 0.0, force + delta)
        self._law = self._law._replace(h=force, a=a * self.stiffness[0], c=c, b=b * self.stiffness[1])
        self._single = self._J.astype(np.float32)

    def live(self, first: int, count: int) -> None:
        """So many ticks."""
        net, value, T = (self._topology.row, self._topology.source, self._single), self._state.value, self._temperature
        for held, planes in self._groups():
            langevin.live(value, self._law, net, held, T, planes, first, count, self._key, self._work)
