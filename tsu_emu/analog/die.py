"""What a die is: the static errors that die_seed gives each device, and the grid on which its fields lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.dac import DacBank, at, make_bank, output_bound, outputs
from tsu_emu.config import ChipConfig
from tsu_emu.jit import kernel
from tsu_emu.noise.normal import normals
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import Topology

GRID_BITS_MAX = 16


class Die(NamedTuple):
    """Static parameters; an array of size 1 holds for all elements. docs/arithmetic.md, "Fields".

    coupling, bias, temperature : DacBank
    kappa : (couplers or 1,) float64, gain of each directed coupler
    alpha, delta : (cells or 1,) float64, slope and offset (kT at T = 1) of each p-bit
    scale : float64, 2^k: fields are integers in units of 2^-k kT
    """

    coupling: DacBank
    bias: DacBank
    temperature: DacBank
    kappa: NDArray[np.float64]
    alpha: NDArray[np.float64]
    delta: NDArray[np.float64]
    scale: float


def _spread(sigma: float, seed: int, stream: Stream, count: int, sub: int, nominal: float) -> NDArray[np.float64]:
    if sigma == 0:
        return np.full(1, nominal)
    return nominal + sigma * normals(np.uint64(seed), int(stream), 0, count, 1, sub)[:, 0]


@kernel
def _bound(row, coupling, bias, kappa, alpha, delta, coupling_scale, bias_scale):  # type: ignore[no-untyped-def]
    """R: the largest field that any codes and spins can give, kT."""
    largest = 0.0
    for i in range(row.size - 1):
        slope = abs(at(alpha, i))
        total = slope * (output_bound(bias, i, bias_scale) + abs(at(delta, i)))
        for e in range(row[i], row[i + 1]):
            total = total + slope * (abs(at(kappa, e)) * output_bound(coupling, e, coupling_scale))
        largest = max(largest, total)
    return largest


def make_die(config: ChipConfig, topology: Topology) -> Die:
    """The die of (config, config.seeds.die)."""
    cells, couplers, seed = len(topology.row) - 1, len(topology.source), config.seeds.die
    coupling = make_bank(config.coupling.dac, True, couplers, seed, Stream.COUPLING_DAC)
    bias = make_bank(config.bias.dac, True, cells, seed, Stream.BIAS_DAC)
    temperature = make_bank(config.temperature.dac, False, 1, seed, Stream.TEMPERATURE_DAC)
    kappa = _spread(config.coupling.gain_sigma, seed, Stream.COUPLER, couplers, 0, 1.0)
    alpha = _spread(config.pbit.slope_sigma, seed, Stream.PBIT, cells, 0, 1.0)
    delta = _spread(config.pbit.offset_sigma_kt, seed, Stream.PBIT, cells, 1, 0.0)
    scales = config.coupling.dac.full_scale, config.bias.dac.full_scale
    bound = _bound(topology.row, coupling, bias, kappa, alpha, delta, *scales)
    k = GRID_BITS_MAX
    while bound * 2.0**k > (1 << 24) - cells - 1:
        k -= 1
    return Die(coupling, bias, temperature, kappa, alpha, delta, 2.0**k)


@kernel
def place_couplings(die, row, codes, first, doubled, base):  # type: ignore[no-untyped-def]
    """Couplers first .. first + len(codes) - 1 take new codes.

    doubled : (couplers,) int32, 2 a_e in grid units, updated; base : (cells,) int32, b_i - sum a_e, kept in step
    """
    volts = np.empty(codes.size, np.float64)
    outputs(die.coupling, codes, first, volts)
    i = np.searchsorted(row, first, side="right") - 1
    for k in range(codes.size):
        e = first + k
        while e >= row[i + 1]:
            i += 1
        a = np.int32(np.rint((at(die.alpha, i) * (at(die.kappa, e) * volts[k])) * die.scale))
        base[i] += (doubled[e] >> 1) - a
        doubled[e] = a + a


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
