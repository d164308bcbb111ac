"""The kinds of arrays behind one surface: take parameters, take a sweep's inputs, live for some sweeps.

Clocked p-bits with ideal noise are moved by the compiled loop itself (`machine`); the others are deferred and moved from here.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import PIN_STEPS
from tsu_emu import state as S
from tsu_emu.analog import async_pbit, gaussian, langevin, mixture, pdit
from tsu_emu.analog.choice import clocks_of
from tsu_emu.analog.dac import at
from tsu_emu.analog.die import Die, place_fields, silence
from tsu_emu.analog.pbit import random_colour, slopes_of
from tsu_emu.analog.sourced import sweep_coloured, sweep_lfsr
from tsu_emu.analog.sources import coloured_start, lfsr_bits, lfsr_start, make_coloured, make_lfsr
from tsu_emu.config import AsynchronousPbit, ChipConfig, ColouredNoise, Gaussian, Langevin, LfsrNoise, Mixture, Pdit
from tsu_emu.digital import words as W
from tsu_emu.jit import kernel
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.normal import normals
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import Topology

Floats = NDArray[np.float64]


class Fields(NamedTuple):
    """Fields of clocked p-bits in grid units: doubled (couplers,), bias (cells,), base (cells,), int32; `die.place_fields`."""

    doubled: NDArray[np.int32]
    bias: NDArray[np.int32]
    base: NDArray[np.int32]


class Array(Protocol):
    """An array of cells.

    place : new parameters: J (couplers,), h (bias terms,), kT; alpha (cells or 1,) slopes, delta (cells, states or 1,) offsets, kT
    take : a sweep begins, its clamps and planes are in the state; temperature (planes,) of each plane
    live : the sweeps first .. first + count - 1 happen
    values : (planes, cells) live analog values in units of the readout range
    """

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None: ...
    def take(self, temperature: Floats) -> None: ...
    def live(self, first: int, count: int) -> None: ...
    def values(self) -> Floats: ...


@kernel
def sloped(row, alpha, J, out):  # type: ignore[no-untyped-def]
    """out (couplers,) = alpha of the driven cell times J."""
    for i in range(row.size - 1):
        for e in range(row[i], row[i + 1]):
            out[e] = at(alpha, i) * J[e]


def _key(seed: int, stream: Stream, words: int = 3) -> NDArray[np.uint32]:
    return np.array([seed & 0xFFFFFFFF, seed >> 32, stream, 0][:words], np.uint32)


def per_plane(words: NDArray[np.uint64], planes: int) -> NDArray[np.bool_]:
    """(planes, cells) bool of bit planes (blocks, cells)."""
    k = np.arange(planes)
    return (words[k // 64] >> (k % 64).astype(np.uint64)[:, None] & np.uint64(1)).astype(np.bool_)


class Clocked:
    """Clocked p-bits: their fields."""

    def __init__(
        self, config: ChipConfig, topology: Topology, die: Die, state: S.ChipState, fields: Fields, floating: NDArray[np.bool_]
    ) -> None:
        self._scales = config.coupling.dac.full_scale, config.bias.dac.full_scale
        self._config, self._topology, self._die, self._state = config, topology, die, state
        self._fields, self._floating = fields, floating

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Everything to the grid."""
        place_fields(self._die, self._scales, self._topology.row, alpha, delta, J, h, *self._fields)
        silence(self._topology.row, self._floating, *self._fields)

    def take(self, temperature: Floats) -> None:
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
        self._scan_key = _key(run, Stream.SCAN)
        if isinstance(noise, ColouredNoise):
            self._key = _key(run, Stream.COLOURED)
            self._coloured = make_coloured(noise.tau_sweeps)
            coloured_start(self._state.memory, self._key)
        else:
            self._lfsr = make_lfsr(noise.width, noise.taps, noise.shared)
            self._state.lfsr[:] = lfsr_start(self._lfsr, cells, _key(run, Stream.LFSR))
            self._bits = lfsr_bits(self._lfsr, cells, self._state.plane_temp.size)

    def take(self, temperature: Floats) -> None:
        """Slopes of the planes."""
        slopes_of(self._state.slope, self._die.scale, 1.0, temperature * 4096.0)

    def live(self, first: int, count: int) -> None:
        """So many sweeps."""
        s, t = self._state, self._topology
        net, code = (t.order, t.row, t.source), (self._fields.doubled, self._fields.base)
        bank = (s.spins, s.clamp_mask, s.clamp_value, s.enabled, s.slope)
        phases = scan_phases(s, t, first, count, self._scan_key)
        if s.lfsr.size:
            sweep_lfsr(net, code, bank, t.phase, phases, s.lfsr, self._bits, self._lfsr)
            return
        visits = bool(s.core["sequencer"][0, S.SCAN] == W.SCAN_RANDOM)
        sweep_coloured(net, code, bank, t.phase, phases, visits, first, s.memory, self._coloured, self._key)


class _Deferred:
    """What deferred arrays have in common."""

    def __init__(self, config: ChipConfig, topology: Topology, state: S.ChipState, floating: NDArray[np.bool_]) -> None:
        self._config, self._topology, self._state, self._floating = config, topology, state, floating
        self._planes, self._cells = state.plane_temp.size, len(topology.order)
        self._J, self._temperature = np.zeros(len(topology.source)), np.ones(self._planes)
        self._hears_nothing = np.repeat(floating, np.diff(topology.row))
        self._tick_s = config.timing.colour / config.clock.hz

    def _place_couplings(self, J: Floats, alpha: Floats) -> None:
        sloped(self._topology.row, alpha, J, self._J)
        if self._floating.any():
            self._hears_nothing = np.repeat(self._floating, np.diff(self._topology.row))
            self._J[self._hears_nothing] = 0.0

    def take(self, temperature: Floats) -> None:
        """Temperatures of the sweeps to come."""
        self._temperature = temperature

    @property
    def _enabled(self) -> NDArray[np.int64]:
        return np.flatnonzero(per_plane(self._state.enabled[:, None], self._planes)[:, 0]).astype(np.int64)

    def values(self) -> Floats:
        """None, unless the kind has them."""
        return np.empty((self._planes, 0))


class Asynchronous(_Deferred):
    """p-bits that flip by themselves."""

    def __init__(self, cell: AsynchronousPbit, *common: Any) -> None:
        super().__init__(*common)
        config = self._config
        spread = np.zeros(self._cells)
        if cell.ln_tau_sigma:
            white = normals(np.uint64(config.seeds.die), int(Stream.CELL), 0, self._cells, 1, 0)[:, 0]
            spread = cell.ln_tau_sigma * white
        self._clocks = clocks_of(cell.tau_s * np.array([exponential(x) for x in spread]))
        self._net = async_pbit.network_of(self._topology.row, self._topology.source)
        self._kinetics = async_pbit.GLAUBER if cell.kinetics == "glauber" else async_pbit.ARRHENIUS
        self._synapse_s, self._h = cell.synapse_s, np.zeros(self._cells)
        self._key = _key(config.seeds.run, Stream.ASYNCHRONOUS, 4)

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Couplings and biases with slopes and offsets."""
        self._place_couplings(J, alpha)
        self._h = np.where(self._floating, 0.0, alpha * (h + delta))

    def live(self, first: int, count: int) -> None:
        """So many ticks."""
        s = self._state
        bank = async_pbit.Bank(s.spins, s.clamp_mask, s.clamp_value, s.enabled, s.value, self._temperature)
        async_pbit.live(
            self._net,
            self._J,
            self._h,
            self._clocks,
            self._synapse_s,
            self._kinetics,
            bank,
            first,
            count,
            self._tick_s,
            self._key,
        )


class Pdits(_Deferred):
    """Clocked cells of several states."""

    def __init__(self, cell: Pdit, *common: Any) -> None:
        super().__init__(*common)
        self._states, self._h = cell.states, np.zeros(self._cells * cell.states)
        self._key, self._scan_key = (_key(self._config.seeds.run, s) for s in (Stream.PDIT, Stream.SCAN))
        self._pinned = np.zeros((self._planes, self._cells), np.uint8)

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Couplings and the biases of every state."""
        self._place_couplings(J, alpha)
        slopes = np.repeat(np.broadcast_to(alpha, self._cells), self._states)
        self._h = np.where(np.repeat(self._floating, self._states), 0.0, slopes * (h + delta))

    def take(self, temperature: Floats) -> None:
        """Temperatures and pins; cells stuck down are in state 0, cells stuck up in the last."""
        super().take(temperature)
        s = self._state
        np.copyto(s.pin, s.pin_next)
        self._pinned = np.where(s.pin < 0, 0, np.minimum(s.pin, self._states - 1)).astype(np.uint8)

    def live(self, first: int, count: int) -> None:
        """So many sweeps, in the scan order that the sequencer took."""
        s, t = self._state, self._topology
        phases = scan_phases(s, t, first, count, self._scan_key)
        bank = pdit.Bank(s.state, s.clamp_mask, self._pinned, s.enabled, self._temperature)
        pdit.sweep((t.order, t.row, t.source), self._J, self._h, bank, t.phase, phases, first, self._key)


class _Analog(_Deferred):
    """Cells with a value, which a clamp pins to a code of PIN."""

    def __init__(self, range_: float, *common: Any) -> None:
        super().__init__(*common)
        self._range = range_
        self._held = np.zeros((self._planes, self._cells), np.bool_)

    def take(self, temperature: Floats) -> None:
        """Temperatures and pins; clamped cells of enabled planes take their value."""
        super().take(temperature)
        s = self._state
        np.copyto(s.pin, s.pin_next)
        self._held = per_plane(s.clamp_mask, self._planes)
        on = np.zeros(self._planes, np.bool_)
        on[self._enabled] = True
        pins = s.pin * (self._range / PIN_STEPS)
        driven = self._held & on[:, None]
        s.value[:, : self._cells][driven] = pins[driven]

    def _groups(self) -> list[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
        """Enabled planes by which cells are held in them."""
        planes = self._enabled
        if not self._held[planes].any():
            return [(np.zeros(self._cells, np.bool_), planes)]
        rows, group = np.unique(self._held[planes], axis=0, return_inverse=True)
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
        self._stiff = _stiffness(self._config, cell.stiffness_sigma, self._cells, 0)
        self._drive, self._matrix = np.zeros(self._cells), np.zeros((self._cells, self._cells))
        self._propagators: dict[bytes, gaussian.Propagator | None] = {}
        self._key = _key(self._config.seeds.run, Stream.GAUSSIAN)

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Stiffness matrix and drive; propagators follow when they are needed."""
        self._place_couplings(J, alpha)
        terms = h.reshape(self._cells, 2)
        self._drive = np.where(self._floating, 0.0, terms[:, 0] + delta)
        t = self._topology
        self._matrix = gaussian.stiffness_matrix(terms[:, 1] * self._stiff, t.row, t.source, self._J)
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
        value, rail = self._state.value, RAIL_RANGES * self._range
        for held, planes in self._groups():
            law = self._propagator(held)
            if law is None:
                self._run_away(planes, held, rail)
                continue
            gaussian.live(value, law, self._drive, self._temperature, planes, first, count, self._key)
            if not np.abs(value[planes]).max(initial=0.0) <= rail:
                self._run_away(planes, held, rail)

    def _run_away(self, planes: NDArray[np.int64], held: NDArray[np.bool_], rail: float) -> None:
        part = np.nan_to_num(self._state.value[planes], nan=rail)
        free = np.concatenate([~held] * self._order)
        part[:, free] = np.clip(part[:, free], -rail, rail)
        self._state.value[planes] = part
        self._state.registers[W.ERROR] |= np.uint32(W.ERROR_UNSTABLE)


RAIL_RANGES = 64.0
"""Readout ranges at which a linear cell meets the rails."""


class Mixtures(_Analog):
    """Cells that choose a mode."""

    def __init__(self, cell: Mixture, *common: Any) -> None:
        super().__init__(cell.range, *common)
        self._modes = cell.modes
        stiffness = cell.stiffness * _stiffness(self._config, cell.stiffness_sigma, self._cells, 0)
        empty = np.zeros((self._cells, cell.modes))
        self._law = mixture.Mixture(empty, empty, stiffness, self._tick_s / cell.tau_s, self._tick_s / cell.mode_tau_s)
        self._key = _key(self._config.seeds.run, Stream.MODE)

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

    def __init__(self, cell: Langevin, *common: Any) -> None:
        super().__init__(cell.range, *common)
        self._spread = [_stiffness(self._config, cell.stiffness_sigma, self._cells, sub) for sub in (0, 1)]
        zero = np.zeros(self._cells)
        step = self._tick_s / (cell.substeps * cell.tau_s)
        self._law = langevin.Quartic(zero, zero, zero, zero, cell.rail, cell.substeps, step)
        self._key = _key(self._config.seeds.run, Stream.LANGEVIN)

    def place(self, J: Floats, h: Floats, alpha: Floats, delta: Floats) -> None:
        """Couplings and the potential of every cell."""
        self._place_couplings(J, alpha)
        force, a, c, b = (np.ascontiguousarray(term) for term in h.reshape(self._cells, 4).T)
        force = np.where(self._floating, 0.0, force + delta)
        self._law = self._law._replace(h=force, a=a * self._spread[0], c=c, b=b * self._spread[1])

    def live(self, first: int, count: int) -> None:
        """So many ticks."""
        net = self._topology.row, self._topology.source, self._J
        for held, planes in self._groups():
            langevin.live(self._state.value, self._law, net, held, self._temperature, planes, first, count, self._key)
