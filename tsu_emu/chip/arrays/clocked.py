"""Clocked p-bits: with ideal noise, which the compiled loop moves, and with noise sources that have flaws."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.analog import pdit
from tsu_emu.analog.die import Die, place_fields, silence
from tsu_emu.analog.pbit import random_colour, slopes_of
from tsu_emu.analog.sourced import sweep_coloured, sweep_lfsr
from tsu_emu.analog.sources import coloured_start, lfsr_bits, lfsr_start, make_coloured, make_lfsr
from tsu_emu.chip.arrays.base import Floats, key_of
from tsu_emu.config import ChipConfig, ColouredNoise, LfsrNoise
from tsu_emu.digital import words as W
from tsu_emu.jit import kernel
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import Topology


class Fields(NamedTuple):
    """Fields of clocked p-bits in grid units: doubled (couplers,), bias (cells,), base (cells,), int32; `die.place_fields`; soft
    (blocks, cells, 64), `pbit.place_soft`."""

    doubled: NDArray[np.int32]
    bias: NDArray[np.int32]
    base: NDArray[np.int32]
    soft: NDArray[np.int32]


class Clocked:
    """Clocked p-bits: their fields."""

    def __init__(
        self, config: ChipConfig, topology: Topology, die: Die, state: S.ChipState, fields: Fields,
        limits: tuple[NDArray[np.float64], NDArray[np.float64]], floating: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        self._limits = limits
        self._config, self._topology, self._die, self._state = config, topology, die, state
        self._fields, self._floating = fields, floating

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Everything to the grid."""
        place_fields(self._die.scale, self._limits, self._topology.row, alpha, delta, J, h, *self._fields[:3])
        silence(self._topology.row, self._floating, *self._fields[:3])

    def take(self) -> None:
        """Nothing: the compiled loop takes its inputs itself."""

    def live(self, first: int, count: int) -> None:
        """Nothing: the compiled loop moves these cells."""

    def values(self) -> Floats:
        """p-bits have none."""
        return np.empty((self._state.plane_temp.size, 0))


@kernel
def random_phases(colours, first, count, key):  # type: ignore[no-untyped-def]
    """(count, colours) int64: the colour of each phase of sweeps first .. in random scan order."""
    phases = np.empty((count, colours), np.int64)
    for n in range(count):
        for k in range(colours):
            phases[n, k] = random_colour(k, colours, first + n, key)
    return phases


def scan_phases(state: S.ChipState, topology: Topology, first: int, count: int, key: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(count, colours) int64: colours of the phases of sweeps first .., in the order that the sequencer took."""
    colours, order = len(topology.phase) - 1, int(state.core["sequencer"][0, S.SCAN])
    if order == W.SCAN_RANDOM:
        return random_phases(colours, first, count, key)
    return pdit.scan(order, colours, first, count)


class Sourced(Clocked):
    """Clocked p-bits with a noise source that has flaws; deferred."""

    def __init__(self, noise: ColouredNoise | LfsrNoise, *common: Any) -> None:
        super().__init__(*common)
        run, cells = self._config.seeds.run, len(self._topology.order)
        self._scan_key = key_of(run, Stream.SCAN)
        if isinstance(noise, ColouredNoise):
            self._key = key_of(run, Stream.COLOURED)
            self._coloured = make_coloured(noise.tau_sweeps)
            coloured_start(self._state.memory, self._key)
        else:
            self._lfsr = make_lfsr(noise.width, noise.taps, noise.shared)
            self._state.lfsr[:] = lfsr_start(self._lfsr, cells, key_of(run, Stream.LFSR))
            self._bits = lfsr_bits(self._lfsr, cells, self._state.plane_temp.size)

    def take(self) -> None:
        """Slopes of the planes."""
        slopes_of(self._state.slope, self._die.scale, 1.0, self._state.temperature * 4096.0)

    def live(self, first: int, count: int) -> None:
        """So many sweeps."""
        s, t = self._state, self._topology
        soft = self._fields.soft if s.time[S.SOFT] & S.SOFT_ON else self._fields.soft[:0]
        net, code = (t.order, t.row, t.source), (self._fields.doubled, self._fields.base, soft)
        bank = (s.spins, s.clamp_mask, s.clamp_value, s.enabled, s.slope)
        phases = scan_phases(s, t, first, count, self._scan_key)
        if s.lfsr.size:
            sweep_lfsr(net, code, bank, t.phase, phases, s.lfsr, self._bits, self._lfsr)
            return
        visits = bool(s.core["sequencer"][0, S.SCAN] == W.SCAN_RANDOM)
        sweep_coloured(net, code, bank, t.phase, phases, visits, first, s.memory, self._coloured, self._key)
