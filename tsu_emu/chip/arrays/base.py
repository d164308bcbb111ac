"""What the kinds of arrays have in common."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.analog.dac import at
from tsu_emu.config import ChipConfig
from tsu_emu.jit import kernel
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import Topology

Floats = NDArray[np.float64]


class Array(Protocol):
    """An array of cells.

    place : new parameters: J (couplers,), h (bias terms,), kT; alpha (cells or 1,) slopes, delta (cells, states or 1,) offsets,
        kT
    take : a sweep begins; what it takes is in the state: clamps, pins, planes, temperature of each plane
    live : the sweeps first .. first + count - 1 happen
    values : (planes, cells) live analog values in units of the readout range
    """

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None: ...
    def take(self) -> None: ...
    def live(self, first: int, count: int) -> None: ...
    def values(self) -> Floats: ...


@kernel
def sloped(row, alpha, J, out):  # type: ignore[no-untyped-def]
    """out (couplers,) = alpha of the driven cell times J."""
    for i in range(row.size - 1):
        for e in range(row[i], row[i + 1]):
            out[e] = at(alpha, i) * J[e]


def key_of(seed: int, stream: Stream, words: int = 3) -> NDArray[np.uint32]:
    return np.array([seed & 0xFFFFFFFF, seed >> 32, stream, 0][:words], np.uint32)


def per_plane(words: NDArray[np.uint64], planes: int) -> NDArray[np.bool_]:
    """(planes, cells) bool of bit planes (blocks, cells)."""
    k = np.arange(planes)
    return (words[k // 64] >> (k % 64).astype(np.uint64)[:, None] & np.uint64(1)).astype(np.bool_)


class Defects(NamedTuple):
    """Cells that do not work: dead_mask, dead_value (cells,) uint64, stuck in all planes, and where; floating (cells,) bool."""

    dead_mask: NDArray[np.uint64]
    dead_value: NDArray[np.uint64]
    floating: NDArray[np.bool_]


class Deferred:
    """What deferred arrays have in common."""

    def __init__(self, config: ChipConfig, topology: Topology, state: S.ChipState, defects: Defects) -> None:
        self._config, self._topology, self._state = config, topology, state
        self._defects, self._floating = defects, defects.floating
        self._planes, self._cells = state.plane_temp.size, len(topology.order)
        self._J = np.zeros(len(topology.source))
        self._tick_s = config.timing.colour / config.clock.hz

    def _place_couplings(self, J: Floats, alpha: Floats) -> None:
        sloped(self._topology.row, alpha, J, self._J)
        if self._floating.any():
            self._J[np.repeat(self._floating, np.diff(self._topology.row))] = 0.0

    def take(self) -> None:
        """Nothing to do at the start of a sweep, unless a kind says so."""

    @property
    def _temperature(self) -> Floats:
        return self._state.temperature

    @property
    def _enabled(self) -> NDArray[np.int64]:
        return np.flatnonzero(per_plane(self._state.enabled[:, None], self._planes)[:, 0]).astype(np.int64)

    def values(self) -> Floats:
        """None, unless the kind has them."""
        return np.empty((self._planes, 0))
