"""DACs, fields and the flip decision; docs/arithmetic.md, "DACs", "Fields" and "Flip". Python floats are float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tsu_emu.config import ChipConfig, Pbit
from tsu_emu.config import Dac as DacConfig

from . import noise
from .topology import Graph

EXP2 = tuple(
    np.float32(float.fromhex(text))
    for text in (
        "0x1.41fbbcp-13", "0x1.5f3e52p-10", "0x1.3b2d4cp-7", "0x1.c6aee8p-5", "0x1.ebfbdcp-3", "0x1.62e430p-1",
        "0x1p+0",
    )
)  # fmt: skip
"""Coefficients of 2^f from the highest power."""

STUCK_BANKS = {noise.COUPLING_DAC: 0, noise.BIAS_DAC: 1}
"""Third counter word of stuck bits."""

HALF = np.float32(0.5)
LIMIT = np.float32(126.0)
FULL = np.float32(16777216.0)


class Dac:
    """One segmented DAC with its errors."""

    def __init__(self, config: DacConfig, signed: bool, seed: int, stream: int, element: int) -> None:
        self.bits = config.bits
        self.binary = config.bits - config.thermometer_bits
        self.signed = signed
        self.stuck = [self._stuck_at(config, seed, STUCK_BANKS.get(stream, 0), element, bit) for bit in range(config.bits)]
        self.full_scale = config.full_scale
        self.lsb = config.full_scale / 2 ** (config.bits - 1 if signed else config.bits)
        units = self.binary + 2**config.thermometer_bits - 1
        weights = [self._weight(config, seed, stream, element, k) for k in range(units)]
        total = 0.0
        for weight in weights:
            total = total + weight
        scale = (self.lsb * (2**config.bits - 1)) / total
        self.stored = [float(np.float32(weight * scale)) for weight in weights]
        self.offset, self.gain = 0.0, 1.0
        if config.offset_sigma_lsb:
            self.offset = (config.offset_sigma_lsb * self.lsb) * noise.die_draw(seed, stream, element, units)
        if config.gain_sigma:
            self.gain = 1.0 + config.gain_sigma * noise.die_draw(seed, stream, element, units + 1)

    @staticmethod
    def _stuck_at(config: DacConfig, seed: int, bank: int, element: int, bit: int) -> int | None:
        """The value at which a bit of the code is stuck, None if it is not."""
        if not config.stuck_bit_probability:
            return None
        whether, where, _, _ = noise.draw(seed, noise.STUCK_BITS, (element, bit, bank, 0))
        return where >> 31 if whether < min(int(config.stuck_bit_probability * 2.0**32), 2**32 - 1) else None

    def _weight(self, config: DacConfig, seed: int, stream: int, element: int, k: int) -> float:
        nominal = float(2 ** min(k, self.binary))
        if not config.element_sigma:
            return nominal
        xi = noise.die_draw(seed, stream, element, k)
        return max(nominal + (config.element_sigma * math.sqrt(nominal)) * xi, 0.0)

    def on(self, code: int) -> list[int]:
        """Elements that a code turns on, ascending."""
        n = code + 2 ** (self.bits - 1) if self.signed else code
        for bit, value in enumerate(self.stuck):
            if value is not None:
                n = n & ~(1 << bit) | value << bit
        binary = [k for k in range(self.binary) if n >> k & 1]
        return binary + [self.binary + j for j in range(n >> self.binary)]

    def output(self, code: int) -> float:
        acc = 0.0
        for k in self.on(code):
            acc = acc + self.stored[k]
        if self.signed:
            acc = acc - self.full_scale
        return self.offset + self.gain * acc

    @property
    def bound(self) -> float:
        return abs(self.offset) + abs(self.gain) * self.full_scale


@dataclass(frozen=True)
class Analog:
    """Every device of the die.

    alpha, delta : slope and offset of each p-bit, as trimmed; alpha_0, delta_0 : before trims
    offset_trim, slope_trim : none on chips without trims
    kappa : gain of each coupler
    k : the grid is 2^-k
    """

    coupling: list[Dac]
    bias: list[Dac]
    temperature: Dac
    kappa: list[float]
    alpha: list[float]
    delta: list[float]
    alpha_0: list[float]
    delta_0: list[float]
    offset_trim: list[Dac]
    slope_trim: list[Dac]
    k: int

    def trim(self, i: int, offset_code: int, slope_code: int) -> None:
        """Trims of cell i take codes."""
        self.delta[i] = self.delta_0[i] + self.offset_trim[i].output(offset_code)
        self.alpha[i] = self.alpha_0[i] * (1.0 + self.slope_trim[i].output(slope_code))

    def coupling_field(self, e: int, target: int, code: int) -> int:
        """What coupler e adds to the field of its cell for a spin of +1, on the grid."""
        return to_grid(self.alpha[target] * (self.kappa[e] * self.coupling[e].output(code)), self.k)

    def bias_field(self, i: int, code: int) -> int:
        """Bias of cell i, on the grid."""
        return to_grid(self.alpha[i] * (self.bias[i].output(code) + self.delta[i]), self.k)

    def slope(self, tdac: int, multiplier: int) -> np.float32:
        """c_p of a plane whose PLANE_TEMP is `multiplier`."""
        t = max(self.temperature.output(tdac), self.temperature.lsb / 2)
        return np.float32(((-2.8853900817779268 * 2.0**-self.k) / t) / (multiplier / 4096))


def to_grid(value: float, k: int) -> int:
    return round(value * 2.0**k)


def choose_grid(bounds: list[float], cells: int) -> int:
    """The greatest k that keeps every field an exact float32 integer."""
    r = max(bounds)
    k = 16
    while r * 2.0**k > 2**24 - cells - 1:
        k -= 1
    return k


def opposite(graph: Graph, e: int) -> int:
    """The coupler of the same pair in the other direction."""
    i, j = graph.target[e], graph.source[e]
    return next(f for f in range(graph.row[j], graph.row[j + 1]) if graph.source[f] == i)


def pair_element(graph: Graph, e: int) -> int:
    """The number of a coupler's pair: the lesser of its two couplers'."""
    return min(e, opposite(graph, e))


def build_analog(config: ChipConfig, graph: Graph) -> Analog:
    """The die of a configuration."""
    seed, cell = config.seeds.die, config.cell
    assert isinstance(cell, Pbit)

    def spread(nominal: float, sigma: float, stream: int, element: int, sub: int) -> float:
        return nominal + sigma * noise.die_draw(seed, stream, element, sub) if sigma else nominal

    couplers, cells = range(len(graph.source)), range(graph.cells)
    coupling = [Dac(config.coupling.dac, True, seed, noise.COUPLING_DAC, e) for e in couplers]
    bias = [Dac(config.bias.dac, True, seed, noise.BIAS_DAC, i) for i in cells]
    temperature = Dac(config.temperature.dac, False, seed, noise.TEMPERATURE_DAC, 0)
    common = [spread(1.0, config.coupling.pair_gain_sigma, noise.COUPLER_GAIN, pair_element(graph, e), 1) for e in couplers]
    kappa = [spread(common[e], config.coupling.gain_sigma, noise.COUPLER_GAIN, e, 0) for e in couplers]
    alpha = [spread(1.0, cell.slope_sigma, noise.PBIT, i, 0) for i in cells]
    delta = [spread(0.0, cell.offset_sigma_kt, noise.PBIT, i, 1) for i in cells]
    alpha, delta, kappa = (
        list(stated) or drawn
        for stated, drawn in ((config.die.slope, alpha), (config.die.offset_kt, delta), (config.die.coupler_gain, kappa))
    )
    for dac, offset in zip(coupling, config.die.coupler_offset_kt, strict=False):
        dac.offset = offset
    if config.die.temperature:
        temperature.gain, temperature.offset = config.die.temperature
    offset_trim, slope_trim = trims(config, graph.cells)
    slope_most = [abs(alpha[i]) * (1.0 + slope_trim[i].bound) if slope_trim else abs(alpha[i]) for i in cells]
    offset_most = [abs(delta[i]) + offset_trim[i].bound if offset_trim else abs(delta[i]) for i in cells]
    bounds = []
    for i in cells:
        bound = slope_most[i] * (bias[i].bound + offset_most[i])
        for e in range(graph.row[i], graph.row[i + 1]):
            bound = bound + slope_most[i] * (abs(kappa[e]) * coupling[e].bound)
        bounds.append(bound)
    k = choose_grid(bounds, graph.cells)
    analog = Analog(coupling, bias, temperature, kappa, alpha, delta, list(alpha), list(delta), offset_trim, slope_trim, k)
    for i in cells if offset_trim else ():
        analog.trim(i, 0, 0)
    return analog


def trims(config: ChipConfig, cells: int) -> tuple[list[Dac], list[Dac]]:
    """Converters of offset trims and of slope trims."""
    trim = config.trim
    if not trim.bits:
        return [], []
    kinds = (noise.TRIM_OFFSETS, trim.offset_full_scale_kt), (noise.TRIM_SLOPES, trim.slope_full_scale)
    made = []
    for stream, full_scale in kinds:
        dac = DacConfig(
            bits=trim.bits,
            thermometer_bits=0,
            full_scale=full_scale,
            element_sigma=trim.element_sigma,
            gain_sigma=trim.gain_sigma,
        )
        made.append([Dac(dac, True, config.seeds.die, stream, i) for i in range(cells)])
    return made[0], made[1]


def flip_threshold(c: np.float32, field: int) -> int:
    """The least 24-bit v that no longer gives +1; for tests of other implementations of `decide`."""
    low, high = 0, 1 << 24
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if decide(c, field, middle << 8) > 0 else (low, middle)
    return low


def decide(c: np.float32, field: int, word: int) -> int:
    """The new spin of a cell: float32 after every operation."""
    x = c * np.float32(field)
    x = min(max(x, -LIMIT), LIMIT)
    n = np.floor(x + HALF)
    f = x - n
    q = EXP2[0]
    for coefficient in EXP2[1:]:
        q = q * f + coefficient
    y = q * np.float32(2.0 ** int(n))
    v = np.float32(word >> 8)
    return 1 if v * y + v < FULL else -1
