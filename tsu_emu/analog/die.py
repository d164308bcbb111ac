"""What a die is: the static errors that die_seed gives each device, and the grid on which its p-bits' fields lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.dac import DacBank, at, changes, make_bank, output, output_bound, outputs, scaled
from tsu_emu.analog.network import gains, opposites
from tsu_emu.analog.process import deviates, midway
from tsu_emu.analog.tails import own_deviates
from tsu_emu.config import ChipConfig, ConfigError, Dac, Pdit
from tsu_emu.jit import kernel
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import Topology

GRID_BITS_MAX = 16
HEADROOM = 1.25
"""By how much a device may exceed what its static errors permit before it meets the rails, on a chip whose parameters move."""
DRIFT_RAIL_KT = 2.0
"""How far the offset of a p-bit may drift."""

# fourth key word of the fields of stream FIELD
FIELD_KAPPA, FIELD_SLOPE, FIELD_OFFSET = 1, 2, 3


class Die(NamedTuple):
    """Static parameters; an array of size 1 holds for all elements. docs/arithmetic.md, "Fields".

    coupling, bias, temperature : DacBank
    kappa : (couplers or 1,) float64, gain of each directed coupler
    alpha : (cells or 1,) float64, slope of each cell; delta : (cells, or states, or 1,) float64, offset, kT at T = 1
    offset_trim, slope_trim : DacBank; offset0, slope0 : without trims; alpha and delta follow trims, see `take_trims`
    slope_most, offset_most : (cells, or states, or 1,) float64, largest magnitudes that trims can give
    scale : float64, 2^k: fields are integers in units of 2^-k kT
    headroom : float64, 1, or HEADROOM on chips whose parameters move; rail_kt : float64, room for drift of the offset
    """

    coupling: DacBank
    bias: DacBank
    temperature: DacBank
    kappa: NDArray[np.float64]
    alpha: NDArray[np.float64]
    delta: NDArray[np.float64]
    offset_trim: DacBank
    slope_trim: DacBank
    offset0: NDArray[np.float64]
    slope0: NDArray[np.float64]
    offset_most: NDArray[np.float64]
    slope_most: NDArray[np.float64]
    scale: float
    headroom: float
    rail_kt: float


def _spread(
    config: ChipConfig, sigma: float, stream: Stream, sub: int, position: NDArray[np.float64], field: int
) -> NDArray[np.float64]:
    """sigma times the deviates of as many elements as there are positions; (1,) 0 if sigma is 0."""
    if sigma == 0:
        return np.zeros(1)
    seed = config.seeds.die
    white = own_deviates(config.process, seed, stream, len(position), sub)
    return sigma * deviates(config.process, white, position, seed, field)


def _kappa(config: ChipConfig, topology: Topology) -> NDArray[np.float64]:
    """Gain of each coupler: a part of each direction's own, and one common to both, which alone follows the die's process."""
    coupling = config.coupling
    if coupling.gain_sigma == 0 and coupling.pair_gain_sigma == 0:
        return np.ones(1)
    middle = midway(topology)
    own = own_deviates(config.process, config.seeds.die, Stream.COUPLER, len(middle), 0)
    pair = _spread(config, 1.0 if coupling.pair_gain_sigma else 0.0, Stream.COUPLER, 1, middle, FIELD_KAPPA)
    return gains(opposites(topology.row, topology.source), pair, own, coupling.pair_gain_sigma, coupling.gain_sigma)


@kernel
def _bound(row, coupling, bias, kappa, alpha, delta, coupling_scale, bias_scale, headroom, rail):  # type: ignore[no-untyped-def]
    """R: the largest field that any codes and spins can give, kT; alpha, delta : largest magnitudes of slopes and offsets."""
    largest = 0.0
    for i in range(row.size - 1):
        slope = at(alpha, i)
        total = slope * (output_bound(bias, i, bias_scale) + at(delta, i) + rail)
        for e in range(row[i], row[i + 1]):
            total = total + slope * (abs(at(kappa, e)) * output_bound(coupling, e, coupling_scale))
        largest = max(largest, headroom * total)
    return largest


def _trims(
    config: ChipConfig, cells: int, slope: NDArray[np.float64], offset: NDArray[np.float64]
) -> tuple[tuple[DacBank, NDArray[np.float64]], tuple[DacBank, NDArray[np.float64]]]:
    """Converters of offset and slope trims, and the largest magnitudes of offsets and slopes that they allow.

    slope, offset : magnitudes without trims
    """
    t = config.trim
    scales, bits = (t.offset_full_scale_kt, t.slope_full_scale), t.bits or 4
    dacs = [
        Dac(bits=bits, thermometer_bits=0, full_scale=s, element_sigma=t.element_sigma, gain_sigma=t.gain_sigma) for s in scales
    ]
    streams = Stream.TRIM_OFFSET, Stream.TRIM_SLOPE
    banks = [
        make_bank(dac, True, cells if t.bits else 1, config.seeds.die, stream) for dac, stream in zip(dacs, streams, strict=True)
    ]
    if not t.bits:
        return (banks[0], offset), (banks[1], slope)
    reach = [np.abs(bank.gain) * scale for bank, scale in zip(banks, scales, strict=True)]
    ones = np.ones(cells)
    return (banks[0], ones * (offset + reach[0])), (banks[1], ones * (slope * (1.0 + reach[1])))


def _measured(values: tuple[float, ...], count: int, name: str) -> NDArray[np.float64]:
    """Values that a configuration states; ConfigError if they are not those of this chip's elements."""
    if len(values) != count:
        raise ConfigError(f"die.{name}: {len(values)} values; this chip has {count} elements")
    return np.array(values, np.float64)


def make_die(config: ChipConfig, topology: Topology, moving: bool, terms: int = 1) -> Die:
    """The die of (config, config.seeds.die).

    moving : parameters change beyond the codes; terms : bias DACs of a cell
    """
    cells, couplers, seed, cell = len(topology.row) - 1, len(topology.source), config.seeds.die, config.cell
    coupling = make_bank(config.coupling.dac, True, couplers, seed, Stream.COUPLING_DAC)
    bias = make_bank(config.bias.dac, True, cells * terms, seed, Stream.BIAS_DAC)
    temperature = make_bank(config.temperature.dac, False, 1, seed, Stream.TEMPERATURE_DAC)
    place = topology.position.astype(np.float64)
    places = np.repeat(place, cell.states, axis=0) if isinstance(cell, Pdit) else place
    kappa = _kappa(config, topology)
    alpha = 1.0 + _spread(config, getattr(cell, "slope_sigma", 0.0), Stream.PBIT, 0, place, FIELD_SLOPE)
    delta = _spread(config, cell.offset_sigma_kt, Stream.PBIT, 1, places, FIELD_OFFSET)
    known = config.die
    if known.slope:
        alpha = _measured(known.slope, cells, "slope")
    if known.offset_kt:
        delta = _measured(known.offset_kt, cells, "offset_kt")
    if known.coupler_gain:
        kappa = _measured(known.coupler_gain, couplers, "coupler_gain")
    if known.coupler_offset_kt:
        coupling = coupling._replace(offset=_measured(known.coupler_offset_kt, couplers, "coupler_offset_kt"))
    if known.temperature:
        gain, offset = known.temperature
        temperature = temperature._replace(gain=np.array([gain]), offset=np.array([offset]))
    (offset_trim, offset_most), (slope_trim, slope_most) = _trims(config, cells, np.abs(alpha), np.abs(delta))
    if config.trim.bits:
        alpha, delta = np.broadcast_to(alpha, cells).copy(), np.broadcast_to(delta, cells).copy()
    headroom, rail = (HEADROOM, DRIFT_RAIL_KT) if moving else (1.0, 0.0)
    k = GRID_BITS_MAX
    if terms == 1:
        scales = config.coupling.dac.full_scale, config.bias.dac.full_scale
        bound = _bound(topology.row, coupling, bias, kappa, slope_most, offset_most, *scales, headroom, rail)
        while bound * 2.0**k > (1 << 24) - cells - 1:
            k -= 1
    return Die(
        coupling, bias, temperature, kappa, alpha, delta, offset_trim, slope_trim, delta.copy(), alpha.copy(),
        offset_most, slope_most, 2.0**k, headroom, rail,
    )  # fmt: skip


@kernel
def take_trims(die, offsets, slopes, first):  # type: ignore[no-untyped-def]
    """Cells first .. first + n - 1 take trim codes (n,) int16: die.delta and die.alpha follow."""
    for k in range(offsets.size):
        i = first + k
        die.delta[i] = die.offset0[i] + output(die.offset_trim, i, offsets[k])
        die.alpha[i] = die.slope0[i] * (1.0 + output(die.slope_trim, i, slopes[k]))


@kernel
def place_couplings(die, row, codes, first, doubled, base):  # type: ignore[no-untyped-def]
    """Couplers first .. first + len(codes) - 1 take new codes.

    doubled : (couplers,) int32, 2 a_e in grid units, updated; base : (cells,) int32, b_i - sum a_e, kept in step
    """
    volts = np.empty(codes.size, np.float64)
    outputs(die.coupling, codes, first, volts)
    scaled(volts, die.kappa, first)
    i, e, stop = np.searchsorted(row, first, side="right") - 1, first, first + codes.size
    while e < stop:
        end, alpha, total = min(row[i + 1], stop), at(die.alpha, i), np.int32(0)
        heard, part = volts[e - first : end - first], doubled[e:end]
        for k in range(end - e):
            a = np.int32(np.rint((alpha * heard[k]) * die.scale))
            total += (part[k] >> 1) - a
            part[k] = a + a
        base[i] += total
        i, e = i + 1, end


@kernel
def place_changed(die, row, codes, before, first, doubled, base):  # type: ignore[no-untyped-def]
    """As `place_couplings`, where `doubled` and `base` hold what the codes `before` made: other codes alone are placed."""
    i, e, stop = np.searchsorted(row, first, side="right") - 1, first, first + codes.size
    while e < stop:
        end = min(row[i + 1], stop)
        new, old = codes[e - first : end - first], before[e - first : end - first]
        if changes(new, old) > 0:
            for k in range(end - e):
                if new[k] != old[k]:
                    heard = at(die.kappa, e + k) * output(die.coupling, e + k, new[k])
                    a = np.int32(np.rint((at(die.alpha, i) * heard) * die.scale))
                    base[i] += (doubled[e + k] >> 1) - a
                    doubled[e + k] = a + a
        i, e = i + 1, end


@kernel
def place_biases(die, codes, first, bias, base):  # type: ignore[no-untyped-def]
    """Cells first .. first + len(codes) - 1 take new bias codes; `bias` (cells,) int32 holds b_i, `base` follows."""
    volts = np.empty(codes.size, np.float64)
    outputs(die.bias, codes, first, volts)
    for k in range(codes.size):
        i = first + k
        b = np.int32(np.rint((at(die.alpha, i) * (volts[k] + at(die.delta, i))) * die.scale))
        base[i] += b - bias[i]
        bias[i] = b


@kernel
def silence(row, floating, doubled, bias, base):  # type: ignore[no-untyped-def]
    """Cells that float, (cells,) bool, hear nothing: their fields are 0."""
    for i in range(floating.size):
        if floating[i]:
            doubled[row[i] : row[i + 1]] = 0
            bias[i] = 0
            base[i] = 0


@kernel
def rails(die, scales, row, couplings, biases):  # type: ignore[no-untyped-def]
    """Where fields meet the rails, kT: couplings (couplers,) and biases (cells,) float64, what headroom and rail leave them.

    scales : full scales of couplings and biases, kT
    """
    for i in range(row.size - 1):
        slope = at(die.slope_most, i)
        biases[i] = die.headroom * (slope * (output_bound(die.bias, i, scales[1]) + at(die.offset_most, i) + die.rail_kt))
        for e in range(row[i], row[i + 1]):
            couplings[e] = die.headroom * (slope * (abs(at(die.kappa, e)) * output_bound(die.coupling, e, scales[0])))


@kernel
def place_fields(scale, limits, row, alpha, delta, J, h, doubled, bias, base):  # type: ignore[no-untyped-def]
    """All fields at once, from what the network makes of the converters: doubled, bias, base as above.

    scale : of the die; limits : (couplings, biases) of `rails`; alpha, delta : (cells or 1,) float64, of this time; J :
    (couplers,), h : (cells,) float64, kT. A field beyond its limit meets the rail.
    """
    for i in range(row.size - 1):
        slope, limit, wanted = at(alpha, i), limits[1][i], at(alpha, i) * (h[i] + at(delta, i))
        b = np.int32(np.rint(min(max(wanted, -limit), limit) * scale))
        heard, most, part = J[row[i] : row[i + 1]], limits[0][row[i] : row[i + 1]], doubled[row[i] : row[i + 1]]
        total = np.int32(0)
        for k in range(part.size):
            a = np.int32(np.rint(min(max(slope * heard[k], -most[k]), most[k]) * scale))
            part[k] = a + a
            total += a
        bias[i] = b
        base[i] = b - total
