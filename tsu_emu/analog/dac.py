"""Segmented digital-to-analog converters with mismatched elements; docs/arithmetic.md, "DACs".

The standard model of a segmented converter with Gaussian element mismatch (van der Plas et al., IEEE JSSC 34, 1999, 1708):
an element of weight w has a relative sigma of sigma_unit / sqrt(w), which gives a static staircase with jumps at major carries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.config import Dac
from tsu_emu.jit import inner, kernel, unfolded
from tsu_emu.noise.normal import normals


class DacBank(NamedTuple):
    """Converters of one kind. An array whose last axis is 1 holds for all of them.

    element : (elements, n or 1) float32, in kT (or temperature); offset : (n or 1,) float64; gain : (n or 1,) float64
    level : (2^bits,) float64, sums of the elements that each code switches on, from the lowest code on, less `zero`; no elements
        where converters differ in theirs
    bits, thermometer_bits : int; middle : int, code of output 0 as an unsigned number; zero : float64, subtracted from the sum
    """

    element: NDArray[np.float32]
    offset: NDArray[np.float64]
    gain: NDArray[np.float64]
    level: NDArray[np.float64]
    bits: int
    thermometer_bits: int
    middle: int
    zero: float


def lsb_of(dac: Dac, signed: bool) -> float:
    """Nominal step of a converter."""
    return dac.full_scale / (1 << (dac.bits - 1 if signed else dac.bits))


def make_bank(dac: Dac, signed: bool, count: int, die_seed: int, stream: int) -> DacBank:
    """The `count` converters that a die has."""
    binary = dac.bits - dac.thermometer_bits
    unary = (1 << dac.thermometer_bits) - 1
    nominal = np.array([1 << k for k in range(binary)] + [1 << binary] * unary, np.float64)
    elements, lsb, seed, stream = len(nominal), lsb_of(dac, signed), np.uint64(die_seed), int(stream)
    weight = np.broadcast_to(nominal, (1, elements))
    if dac.element_sigma > 0:
        xi = normals(seed, stream, 0, count, elements, 0)
        weight = np.maximum(nominal + (dac.element_sigma * np.sqrt(nominal)) * xi, 0.0)
    total = np.zeros(len(weight))
    for k in range(elements):
        total = total + weight[:, k]
    scale = (lsb * ((1 << dac.bits) - 1)) / total
    element = np.ascontiguousarray((weight * scale[:, None]).astype(np.float32).T)
    offset, gain = np.zeros(1), np.ones(1)
    if dac.offset_sigma_lsb > 0:
        offset = (dac.offset_sigma_lsb * lsb) * normals(seed, stream, 0, count, 1, elements)[:, 0]
    if dac.gain_sigma > 0:
        gain = 1.0 + dac.gain_sigma * normals(seed, stream, 0, count, 1, elements + 1)[:, 0]
    middle, zero = (1 << dac.bits - 1, dac.full_scale) if signed else (0, 0.0)
    level = levels(element, dac.bits, dac.thermometer_bits, zero)
    return DacBank(element, offset, gain, level, dac.bits, dac.thermometer_bits, middle, zero)


def levels(element: NDArray[np.float32], bits: int, thermometer_bits: int, zero: float) -> NDArray[np.float64]:
    """`DacBank.level` of elements (elements, n or 1)."""
    if element.shape[1] != 1:
        return np.empty(0)
    code, binary = np.arange(1 << bits), bits - thermometer_bits
    total = np.zeros(len(code))
    for k, weight in enumerate(element[:, 0]):
        on = code >> k & 1 if k < binary else code >> binary > k - binary
        total = np.where(on, total + np.float64(weight), total)
    return total - zero


@inner
def at(array, index):  # type: ignore[no-untyped-def]
    """Element `index` of an array that may hold one value for all."""
    return array[index if array.size > 1 else 0]


@kernel
def scaled(out, factor, first):  # type: ignore[no-untyped-def]
    """out[k] *= factor of element first + k; factor : (1,) or an array of all elements."""
    if factor.size == 1:
        one = factor[0]
        for k in range(out.size):
            out[k] = one * out[k]
        return
    part = factor[first : first + out.size]
    for k in range(out.size):
        out[k] = part[k] * out[k]


@inner
def raised(out, by, first):  # type: ignore[no-untyped-def]
    """out[k] += by of element first + k; by : (1,) or an array of all elements."""
    if by.size == 1:
        one = by[0]
        for k in range(out.size):
            out[k] = one + out[k]
        return
    part = by[first : first + out.size]
    for k in range(out.size):
        out[k] = part[k] + out[k]


@unfolded
def element_sum(bank, index, code):  # type: ignore[no-untyped-def]
    """Sum of the elements that a code switches on, less `zero`."""
    n = np.int64(code) + bank.middle
    if bank.level.size > 0:
        return bank.level[n]
    binary = bank.bits - bank.thermometer_bits
    total = 0.0
    for k in range(binary):
        if n >> k & 1:
            total = total + np.float64(bank.element[k, index])
    for k in range(n >> binary):
        total = total + np.float64(bank.element[binary + k, index])
    return total - bank.zero


@unfolded
def output(bank, index, code):  # type: ignore[no-untyped-def]
    """Output of converter `index` for a code, float64."""
    return at(bank.offset, index) + at(bank.gain, index) * element_sum(bank, index, code)


@inner
def output_bound(bank, index, full_scale):  # type: ignore[no-untyped-def]
    """Largest magnitude that converter `index` puts out."""
    return abs(at(bank.offset, index)) + abs(at(bank.gain, index)) * full_scale


SPAN = 64
"""Converters evaluated side by side."""
FEW = 32
"""Changed codes are placed one by one if these are less than one of so many."""


@kernel
def outputs(bank, codes, first, out):  # type: ignore[no-untyped-def]
    """`out[k]` = output of converter first + k for codes[k]; as `output`, many at once."""
    if bank.level.size > 0:
        table, middle = bank.level, np.int64(bank.middle)
        for k in range(codes.size):
            out[k] = table[np.uint64(codes[k] + middle)]
        scaled(out, bank.gain, first)
        raised(out, bank.offset, first)
        return
    binary = bank.bits - bank.thermometer_bits
    unsigned = np.empty(SPAN, np.int32)
    total = np.empty(SPAN, np.float64)
    for base in range(0, codes.size, SPAN):
        width = min(SPAN, codes.size - base)
        for k in range(width):
            unsigned[k] = np.int32(codes[base + k] + bank.middle)
            total[k] = 0.0
        for m in range(bank.element.shape[0]):
            column = bank.element[m, first + base : first + base + width]
            for k in range(width):
                on = (unsigned[k] >> m) & 1 if m < binary else np.int32((unsigned[k] >> binary) > m - binary)
                total[k] = total[k] + np.float64(column[k]) if on else total[k]
        part = out[base : base + width]
        for k in range(width):
            part[k] = total[k] - bank.zero
    scaled(out, bank.gain, first)
    raised(out, bank.offset, first)


@inner
def changes(codes, before):  # type: ignore[no-untyped-def]
    """How many codes are others."""
    count = np.int64(0)
    for k in range(codes.size):
        count += np.int64(codes[k] != before[k])
    return count


@kernel
def outputs_changed(bank, codes, before, first, out):  # type: ignore[no-untyped-def]
    """As `outputs`, where `out` holds the outputs for the codes `before`: if they are few, those of other codes alone are
    computed."""
    if FEW * changes(codes, before) > codes.size:
        outputs(bank, codes, first, out)
        return
    for base in range(0, codes.size, SPAN):
        stop = min(base + SPAN, codes.size)
        if changes(codes[base:stop], before[base:stop]) > 0:
            for k in range(base, stop):
                if codes[k] != before[k]:
                    out[k] = output(bank, first + k, codes[k])
