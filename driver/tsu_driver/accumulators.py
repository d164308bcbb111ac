"""The learning engine's accumulators: what weights they stand for, and which of them are frozen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.bits import pack_spins
from tsu_contract.capabilities import LSB_SCALE, Capabilities
from tsu_driver.bus import Bus
from tsu_driver.couplings import Programmed, Quantised, quantise, write
from tsu_driver.errors import HostError
from tsu_driver.programs import require_engine
from tsu_driver.topology import Topology

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """What accumulators stand for.

    pairs : (pairs,) couplings in kT, in the order of `chip.topology.pairs`; biases : (cells,) in kT
    updates : LEARN.UPDATES before they were read and after: equal unless a program learnt meanwhile, and then both are of one
        moment
    """

    pairs: Floats
    biases: Floats
    updates: tuple[int, int]


@dataclass(frozen=True)
class Bank:
    """Accumulators of pairs or of biases.

    name : as in LEARN.PAIR_TERM; bits, dac_bits : of accumulator and code; full : end of the range, kT
    """

    name: str
    bits: int
    dac_bits: int
    full: float

    @property
    def step(self) -> float:
        """A step of the accumulator, kT."""
        return self.full / (1 << self.bits - 1)

    def quantise(self, values: ArrayLike, size: int, what: str) -> Quantised:
        """Accumulators nearest to values in kT, (size,)."""
        given = np.asarray(values, np.float64)
        if given.shape != (size,):
            raise HostError(f"{what} of shape {given.shape}; ({size},) is expected")
        return quantise(given, self.step, self.bits)

    def codes(self, accumulators: Quantised) -> Quantised:
        """The codes that LEARN would make of accumulators, to the nearest; residuals of the accumulators, in LSB."""
        shift = self.bits - self.dac_bits
        half = 1 << shift >> 1
        codes = np.minimum((accumulators.codes.astype(np.int64) + half) >> shift, (1 << self.dac_bits - 1) - 1)
        lsb = 2.0**-shift
        errors = accumulators.residual_lsb * lsb, accumulators.residual_rms_lsb * lsb
        return Quantised(codes.astype(np.int16), accumulators.clipped, *errors)


def banks(cap: Capabilities) -> tuple[Bank, Bank]:
    """Those of pairs and of biases; HostError if the chip has no engine."""
    require_engine(cap)
    full = [
        (1 << bits - 1) * lsb * LSB_SCALE for bits, lsb in ((cap.coupling_bits, cap.coupling_lsb), (cap.bias_bits, cap.bias_lsb))
    ]
    return Bank("PAIR", cap.learn_bits, cap.coupling_bits, full[0]), Bank("BIAS", cap.learn_bits, cap.bias_bits, full[1])


def read_weights(bus: Bus) -> Weights:
    """All accumulators, in one message."""
    pair_bank, bias_bank = banks(bus.capabilities)
    batch = bus.batch()
    before, pairs, biases = batch.read("LEARN.UPDATES"), batch.read_window("LEARN_PAIR"), batch.read_window("LEARN_BIAS")
    after = batch.read("LEARN.UPDATES")
    batch.execute()
    return Weights(pairs.value * pair_bank.step, biases.value * bias_bank.step, (before.value, after.value))


def write_weights(bus: Bus, topology: Topology, pairs: ArrayLike, biases: ArrayLike) -> Programmed:
    """Set all accumulators, and all codes as they follow."""
    pair_bank, bias_bank = banks(bus.capabilities)
    w = pair_bank.quantise(pairs, bus.capabilities.pairs, "couplings of pairs")
    b = bias_bank.quantise(biases, bus.capabilities.cells, "biases")
    couplings = pair_bank.codes(w)
    both_ways = replace(couplings, codes=couplings.codes[topology.pair_of])
    return write(bus, both_ways, bias_bank.codes(b), {"LEARN_PAIR": w.codes, "LEARN_BIAS": b.codes})


def freeze(bus: Bus, pairs: ArrayLike | None, cells: ArrayLike | None) -> None:
    """Write both masks; None for none frozen."""
    require_engine(bus.capabilities)
    batch = bus.batch()
    for window, mask, size in (("FREEZE_PAIR", pairs, bus.capabilities.pairs), ("FREEZE_BIAS", cells, bus.capabilities.cells)):
        frozen = np.zeros(size, bool) if mask is None else np.asarray(mask)
        if frozen.dtype != np.bool_ or frozen.shape != (size,):
            what = "pairs" if window == "FREEZE_PAIR" else "cells"
            raise HostError(f"{what} to freeze are a mask, bool of shape ({size},); got {frozen.dtype} of shape {frozen.shape}")
        batch.write_window(window, pack_spins(frozen))
    batch.execute()
