"""Converters whose code lines are stuck."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.clusters import local_rates
from tsu_emu.analog.dac import at
from tsu_emu.analog.process import midway
from tsu_emu.config import ChipConfig
from tsu_emu.jit import kernel
from tsu_emu.noise.streams import Stream
from tsu_emu.noise.threefry import threefry
from tsu_emu.topology import Topology

U = np.uint32


class StuckBits(NamedTuple):
    """Which bits of each converter's unsigned code are stuck, and where: mask, value (n,) uint16."""

    mask: NDArray[np.uint16]
    value: NDArray[np.uint16]


@kernel
def _draw(mask, value, bits, threshold, k0, k1, k2, bank):  # type: ignore[no-untyped-def]
    for e in range(mask.size):
        for bit in range(bits):
            a, b, _, _ = threefry(U(e), U(bit), U(bank), U(0), k0, k1, k2, U(0))
            if a < at(threshold, e):
                mask[e] |= np.uint16(1 << bit)
                value[e] |= np.uint16(((b >> U(31)) & U(1)) << bit)


def draw_stuck_bits(
    probability: float | NDArray[np.float64], bits: int, count: int, seed: int, stream: int, bank: int
) -> StuckBits:
    """The stuck bits of `count` converters of a die; counter (element, bit, bank, 0): word 0 whether, the top bit of word 1
    where.

    probability : of a bit, or (count,) of each converter's
    """
    stuck = StuckBits(np.zeros(count, np.uint16), np.zeros(count, np.uint16))
    each = np.atleast_1d(np.asarray(probability, np.float64))
    if each.any():
        threshold = np.minimum(np.floor(each * 2.0**32), 2.0**32 - 1).astype(np.uint32)
        _draw(*stuck, bits, threshold, U(seed & 0xFFFFFFFF), U(seed >> 32), U(stream), bank)
    return stuck


def stuck_bits_of(config: ChipConfig, topology: Topology, count: int, bank: int) -> StuckBits:
    """The stuck bits of the `count` coupling (bank 0) or bias DACs (bank 1) of a configuration's die, in its process's clusters.

    The density is one for all of a die: it is drawn in the frame of the cells.
    """
    dac, seed, cells = (config.coupling.dac, config.bias.dac)[bank], config.seeds.die, topology.position
    rate: float | NDArray[np.float64] = dac.stuck_bit_probability
    if config.process.defect_alpha and 0 < dac.stuck_bit_probability < 1:
        place = midway(topology) if bank == 0 else np.repeat(cells, count // len(cells), axis=0)
        rate = local_rates(config.process, dac.stuck_bit_probability, np.concatenate((cells, place)), seed)[len(cells) :]
    return draw_stuck_bits(rate, dac.bits, count, seed, Stream.STUCK_BITS, bank)


def as_stuck(stuck: StuckBits, codes: NDArray[np.int16], first: int, middle: int) -> NDArray[np.int16]:
    """What converters first .. first + n - 1 get of two's-complement codes (n,); middle : 2^(bits - 1)."""
    part = slice(first, first + len(codes))
    unsigned = (codes.astype(np.int32) + middle).astype(np.uint16)
    return (((unsigned & ~stuck.mask[part]) | stuck.value[part]).astype(np.int32) - middle).astype(np.int16)
