"""The array of spins, its codes and clamps, the phases of a sweep, and the correlator."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tsu_emu.config import ChipConfig

from . import noise
from .analog import build_analog, decide, to_grid
from .capabilities import capabilities_of
from .ledger import Ledger
from .topology import Graph

PLANE_WORDS = 8
"""Words of a set of planes."""


def planes_of(words: list[int], planes: int) -> set[int]:
    """The planes that a set's words name."""
    return {p for p in range(planes) if words[p // 32] >> p % 32 & 1}


class Weights(NamedTuple):
    """LEARN.VERSION, and the check sum of the codes that it names."""

    version: int
    crc: int


NO_WEIGHTS = Weights(2**32 - 1, 0)
"""Those of the last sweep, before the first."""


@dataclass(frozen=True)
class Taken:
    """What a sweep takes at its start and keeps to its end; `soft` : codes."""

    planes: list[int]
    order: int
    slope: dict[int, np.float32]
    clamped: dict[int, set[int]]
    soft: dict[int, list[int]]


def dead_cells(config: ChipConfig, cells: int) -> dict[int, int]:
    """What is wrong with the cells that are dead: -1 or +1 where they are stuck, 0 if they hear nothing."""
    dead, found = config.cell.dead, {}
    for i in range(cells):
        u = noise.draw(config.seeds.die, noise.DEAD_CELLS, (i, 0, 0, 0))[0] / 2**32
        if u < dead.down + dead.up + dead.floating:
            found[i] = -1 if u < dead.down else 1 if u < dead.down + dead.up else 0
    return found


class Fabric:
    """Spins and everything that acts on them."""

    def __init__(self, config: ChipConfig, graph: Graph) -> None:
        self.graph = graph
        self.settle_cycles = config.timing.settle
        self.bias_lsb = capabilities_of(config, graph).bias_lsb
        self.planes = config.fabric.planes
        self.cell_words = (graph.cells + 31) // 32
        self.seed = config.seeds.run
        self.by_aes = config.cell.noise.generator == "aes"
        self.analog = build_analog(config, graph)
        self.ledger = Ledger(config)
        dead = dead_cells(config, graph.cells)
        self.stuck = {i: spin for i, spin in dead.items() if spin}
        self.floating = dead.keys() - self.stuck.keys()
        words = self.planes * self.cell_words
        self.coupling = [0] * len(graph.source)
        self.bias = [0] * graph.cells
        self.plane_temp = [4096] * self.planes
        self.clamp_mask = [0] * words
        self.clamp_value = [0] * words
        self.soft = [0] * (self.planes * graph.cells)
        self.offset_trims = [0] * (graph.cells if config.trim.bits else 0)
        self.slope_trims = list(self.offset_trims)
        self.nvm = [0] * config.nvm.words
        self.spin_window = [0] * words
        self.enable = self.every_plane()
        self.tdac = 64
        self.scan = 0
        self.sweep = 0
        self.version = 0
        self.last_weights = NO_WEIGHTS
        self.spin_weights = Weights(0, 0)
        self.settle_at: int | None = None
        self.taken: Taken | None = None
        self.flips = 0
        self.spins = [[self._first_spin(p, i) for i in range(graph.cells)] for p in range(self.planes)]
        self.coupling_field = [self.analog.coupling_field(e, graph.target[e], 0) for e in range(len(graph.source))]
        self.bias_field = [self.analog.bias_field(i, 0) for i in range(graph.cells)]

    def every_plane(self) -> list[int]:
        return [sum(1 << p % 32 for p in range(self.planes) if p // 32 == w) for w in range(PLANE_WORDS)]

    def _first_spin(self, plane: int, cell: int) -> int:
        word = noise.spin_word(self.seed, noise.POWER_ON, self.graph.rank[cell], plane, 0)
        return 1 if word >> 31 else -1

    def existing_cells(self, word: int) -> int:
        """Bits of word `word` of a row of cells that are cells."""
        return (1 << min(32, self.graph.cells - 32 * word)) - 1

    def write_codes(self, coupling: list[int], bias: list[int], now: int) -> None:
        """New codes, or the old ones anew: another version of the weights, whose DACs have to settle."""
        for e, code in enumerate(coupling):
            if code != self.coupling[e]:
                self.coupling_field[e] = self.analog.coupling_field(e, self.graph.target[e], code)
        for i, code in enumerate(bias):
            if code != self.bias[i]:
                self.bias_field[i] = self.analog.bias_field(i, code)
        self.coupling, self.bias = coupling, bias
        self.version = self.version + 1 & 0xFFFFFFFF
        self._disturb(now)

    def write_trims(self, offsets: list[int], slopes: list[int], now: int) -> None:
        """New trim codes: slopes and offsets of cells follow at once."""
        for i, codes in enumerate(zip(offsets, slopes, strict=True)):
            if codes != (self.offset_trims[i], self.slope_trims[i]):
                self.analog.trim(i, *codes)
                self.bias_field[i] = self.analog.bias_field(i, self.bias[i])
                for e in range(self.graph.row[i], self.graph.row[i + 1]):
                    self.coupling_field[e] = self.analog.coupling_field(e, i, self.coupling[e])
        self.offset_trims[:], self.slope_trims[:] = offsets, slopes
        self._disturb(now)

    def weights(self) -> Weights:
        """Those of the codes as they are."""
        crc = zlib.crc32(np.array(self.coupling, "<i2").tobytes())
        return Weights(self.version, zlib.crc32(np.array(self.bias, "<i2").tobytes(), crc))

    def _disturb(self, now: int) -> None:
        self.settle_at = now + self.settle_cycles
        self.settle(now)

    def settle(self, now: int) -> None:
        """The edge at which the DACs have settled, if it is due."""
        if self.settle_at is not None and self.settle_at <= now:
            self.settle_at = None

    @property
    def settled(self) -> bool:
        return self.settle_at is None

    def strobe(self) -> None:
        self.ledger.reads += self.planes * self.graph.cells
        self.spin_weights = self.last_weights
        for p, row in enumerate(self.spins):
            for w in range(self.cell_words):
                chunk = row[32 * w : 32 * w + 32]
                self.spin_window[p * self.cell_words + w] = sum(1 << k for k, spin in enumerate(chunk) if spin > 0)

    def _clamp_bit(self, words: list[int], plane: int, cell: int) -> int:
        return words[plane * self.cell_words + cell // 32] >> cell % 32 & 1

    def begin_sweep(self) -> int:
        """Take all that a sweep keeps to its end, drive the clamped and the stuck spins; returns the number of enabled planes."""
        planes = sorted(planes_of(self.enable, self.planes))
        slope = {p: self.analog.slope(self.tdac, self.plane_temp[p]) for p in planes}
        cells = range(self.graph.cells)
        clamped = {p: {i for i in cells if i in self.stuck or self._clamp_bit(self.clamp_mask, p, i)} for p in planes}
        for p in planes:
            for i in clamped[p]:
                self.spins[p][i] = self.stuck.get(i, 1 if self._clamp_bit(self.clamp_value, p, i) else -1)
        self.taken = Taken(planes, self.scan, slope, clamped, {p: self.soft_codes(p) for p in planes})
        self.last_weights = self.weights()
        return len(planes)

    def colour_of(self, phase: int) -> int:
        """The colour that a phase of this sweep updates: chromatic 0, palindromic 1, random 2."""
        colours, order = self.graph.colours, self.sweep_under_way.order
        if order == 2:
            counter = (phase, 0, self.sweep & 0xFFFFFFFF, self.sweep >> 32)
            return noise.draw(self.seed, noise.SCAN_ORDER, counter)[0] * colours >> 32
        return colours - 1 - phase if order == 1 and self.sweep % 2 else phase

    def colour_phase(self, phase: int) -> None:
        """Update every free cell of this phase's colour in the planes of this sweep; clamped ones cost as much."""
        taken = self.sweep_under_way
        colour, visit = self.colour_of(phase), phase if taken.order == 2 else 0
        self.ledger.updates += len(taken.planes) * self.graph.colour.count(colour)
        for p in taken.planes:
            for i in range(self.graph.cells):
                if self.graph.colour[i] == colour and i not in taken.clamped[p]:
                    word = self._flip_word(self.graph.rank[i], p, visit)
                    self.spins[p][i] = decide(taken.slope[p], self.field(p, i), word)
                    self.flips += 1

    def _flip_word(self, rank: int, plane: int, visit: int) -> int:
        if self.by_aes:
            return noise.ars_spin_word(self.seed, noise.FLIPS, rank, plane, visit, self.sweep)
        return noise.spin_word(self.seed, noise.FLIPS, rank, plane + 65536 * visit, self.sweep)

    def field(self, plane: int, cell: int) -> int:
        """Field of a cell in units of the grid."""
        if cell in self.floating:
            return 0
        total = self.bias_field[cell] + (self.soft_field(cell, self.taken.soft[plane][cell]) if self.taken else 0)
        for e in range(self.graph.row[cell], self.graph.row[cell + 1]):
            total += self.coupling_field[e] * self.spins[plane][self.graph.source[e]]
        return total

    def soft_codes(self, plane: int) -> list[int]:
        """SOFT of a plane's cells."""
        cells = self.graph.cells
        return self.soft[plane * cells : (plane + 1) * cells]

    def soft_field(self, cell: int, code: int) -> int:
        """What a code of SOFT adds to a cell's field, in units of the grid."""
        return code and to_grid(self.analog.alpha[cell] * (code * (self.bias_lsb * 2.0**-28)), self.analog.k)

    @property
    def sweep_under_way(self) -> Taken:
        assert self.taken is not None
        return self.taken

    def end_sweep(self) -> None:
        self.taken = None
        self.sweep += 1


class Correlator:
    """Accumulators of both roles; role 0 is data, role 1 is free."""

    def __init__(self, graph: Graph, planes: int) -> None:
        self.pairs = graph.pairs
        self.cells = graph.cells
        self.planes = planes
        self.first = NO_WEIGHTS.version
        self.last = NO_WEIGHTS
        self.first_window = 0
        self.last_window = Weights(0, 0)
        self.pair_window, self.mean_window = [0] * (2 * len(self.pairs)), [0] * (2 * self.cells)
        self.reset()
        self.clear()

    def reset(self) -> None:
        """Registers to their reset values."""
        self.enable = 0
        self.period = 1
        self.alpha = [65536, 65536]
        self.count = 0
        self.role_planes = [[0] * PLANE_WORDS, [0] * PLANE_WORDS]

    def clear(self) -> None:
        self.pair = [[0] * len(self.pairs) for _ in range(2)]
        self.mean = [[0] * self.cells for _ in range(2)]
        self.count = 0

    def latch(self) -> None:
        self.pair_window = [value for row in self.pair for value in row]
        self.mean_window = [value for row in self.mean for value in row]
        self.first_window, self.last_window = self.first, self.last

    def update(self, spins: list[list[int]], enabled: list[int], weights: Weights) -> None:
        if self.count == 0:
            self.first = weights.version
        self.last = weights
        for role in range(2):
            members = planes_of(self.role_planes[role], self.planes) & set(enabled)
            if not members:
                continue
            for index, (i, j) in enumerate(self.pairs):
                x = sum(spins[p][i] * spins[p][j] for p in members)
                self.pair[role][index] = self._moved(self.pair[role][index], x, self.alpha[role])
            for i in range(self.cells):
                x = sum(spins[p][i] for p in members)
                self.mean[role][i] = self._moved(self.mean[role][i], x, self.alpha[role])
        self.count = self.count + 1 & 0xFFFFFFFF

    @staticmethod
    def _moved(acc: int, x: int, alpha: int) -> int:
        return acc + ((((x << 16) - acc) * alpha + (1 << 15)) >> 16)
