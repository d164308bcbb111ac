"""Captures that measurements of converters are made of: coherent records, references, DACs at known times after a write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.lab import Lab, have_patience
from tsu_contract.capabilities import LSB_SCALE, RANGE_SCALE
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_driver import Chip

Real = NDArray[np.float64]
REFERENCES = np.array([-0.875, 0.875])
"""Levels of the two references, of the range."""
STEPS_PER_MESSAGE = 128
CYCLES_PER_SAMPLE = 105
"""A coherent record has about one cycle in so many samples, so that the multiplexer's memory is no matter."""


def coherent_cycles(samples: int) -> int:
    """Cycles, odd, of a coherent record whose length is a power of two."""
    return max(samples // CYCLES_PER_SAMPLE, 1) | 1


def power_of_two(samples: int) -> int:
    """The largest power of two that is not more."""
    return 1 << samples.bit_length() - 1


def coherent_record(lab: Lab, adc: int, samples: int, low: float, high: float) -> NDArray[np.uint16]:
    """(samples,) codes of one sine between two levels (in ranges), in the order of its `coherent_cycles(samples)`.

    samples : a power of two. Captures of at most CAP.ADC_BUFFER samples fill it: each starts at a multiple of its length on the
    grid of sampling times, at a place in the record that is not yet filled; the sine goes on meanwhile. Its generator runs
    from the chip's clock, as for any coherent test.
    """
    chip, cap, bench = lab.chip, lab.chip.capabilities, lab.instruments
    assert bench is not None
    n = min(samples, power_of_two(cap.adc_buffer))
    block, places = n * cap.adc_cycles, samples // n
    hz = coherent_cycles(samples) / (samples * cap.adc_cycles) * cap.clock_hz
    bench.source((high + low) / 2, (high - low) / 2, hz)
    out, wanted = np.empty((places, n), np.uint16), set(range(places))
    start, first = chip.time_cycles + _reaction(chip), None
    for _ in range(8 * places + 8):
        slot = max(0, math.ceil((chip.time_cycles + _reaction(chip) - start) / block))
        slot += next(k for k in range(places) if (slot + k) % places in wanted)
        capture = chip.convert("external", n=n, adc=adc, at=start + slot * block)
        if first is None:
            first = capture.cycle - slot * block
        if capture.cycle == first + slot * block:
            out[slot % places] = capture.codes
            wanted.discard(slot % places)
        if not wanted:
            return out.ravel()
    raise RuntimeError("captures do not start on the grid of a coherent record: is the host too slow, or the clock not steady?")


def _reaction(chip: Chip) -> int:
    """Cycles in which a host is sure to have sent its next message: 10 ms."""
    return chip.capabilities.clock_hz // 100


class Ends(NamedTuple):
    """Inputs, in ranges, at which a converter's codes begin and end."""

    low: float
    high: float


def references(lab: Lab, adc: int, samples: int = 256) -> Real:
    """(2,) mean codes of the two references."""
    n = min(samples, lab.chip.capabilities.adc_buffer)
    return np.array([lab.chip.convert(f"reference-{end}", n=n, adc=adc).codes.mean() for end in ("low", "high")])


def ends_of(lab: Lab, adc: int) -> Ends:
    """From the two references."""
    low, high = references(lab, adc) + 0.5
    slope = (high - low) / (REFERENCES[1] - REFERENCES[0])
    start = float(REFERENCES[0] - low / slope)
    return Ends(start, start + float((1 << lab.chip.capabilities.adc_bits) / slope))


def spread_of(lab: Lab, adc: int) -> float:
    """Standard deviation of the codes of a steady input, LSB: noise and rounding."""
    return float(lab.chip.convert("reference-low", n=min(4096, lab.chip.capabilities.adc_buffer), adc=adc).codes.std())


class Dac(NamedTuple):
    """One DAC and how a converter sees it.

    name : "coupling" or "bias", as `Chip.convert` has it; window : of its codes; element : which
    bits, lsb : code width; nominal step, kT at T = 1; reach : input of the converter at the end of its range, kT
    adc_lsb : step of the converter, LSB of the DAC
    """

    name: str
    window: str
    element: int
    bits: int
    lsb: float
    reach: float
    adc_lsb: float

    @property
    def codes(self) -> NDArray[np.int64]:
        """(2^bits,) all codes, ascending."""
        return np.arange(1 << self.bits) - (1 << self.bits - 1)


def dac_of(chip: Chip) -> Dac:
    """Coupling DAC 0, or bias DAC 0 of a chip without couplers."""
    cap = chip.capabilities
    name, bits, lsb, reach = (
        ("coupling", cap.coupling_bits, cap.coupling_lsb, cap.range_coupling)
        if cap.couplers
        else ("bias", cap.bias_bits, cap.bias_lsb, cap.range_bias)
    )
    step, end = lsb * LSB_SCALE, reach * RANGE_SCALE
    return Dac(name, name.upper(), 0, bits, step, end, 2 * end / (1 << cap.adc_bits) / step)


class Step(NamedTuple):
    """Write code `before`, wait `wait` cycles, write `after`, wait `delay` cycles, capture."""

    before: int
    wait: int
    after: int
    delay: int


def after_writes(chip: Chip, dac: Dac, steps: Sequence[Step], n: int) -> NDArray[Any]:
    """(len(steps), n) codes of ADC 0: n samples of a DAC after each step.

    The first sample is held `delay` and a constant number of cycles after `after` was written.
    """
    parts = [_message(chip, dac, steps[k : k + STEPS_PER_MESSAGE], n) for k in range(0, len(steps), STEPS_PER_MESSAGE)]
    return np.concatenate(parts)


def _message(chip: Chip, dac: Dac, steps: Sequence[Step], n: int) -> NDArray[Any]:
    cap, batch = chip.capabilities, chip.batch()
    batch.write("ADC.MUX", SOURCE=f"{dac.name.upper()}_DAC", CONVERTER=0)
    batch.write("ADC.ELEMENT", dac.element)
    batch.write("ADC.PERIOD", cap.adc_cycles)
    batch.write_window("PROGRAM", assemble([Instruction(Opcode.ADC_CAPTURE, n), Instruction(Opcode.HALT)]))
    pair = 2 if cap.dimension("couplers" if dac.name == "coupling" else "bias_terms") > 1 else 1
    tickets = []
    for step in steps:
        batch.write_window(dac.window, np.array([step.before, 0][:pair], np.int16))
        batch.fence()
        batch.delay(step.wait)
        batch.write_window(dac.window, np.array([step.after, 0][:pair], np.int16))
        batch.delay(step.delay)
        batch.write("SEQ.PC", 0)
        batch.write("SEQ.CTRL", START=1)
        batch.wait_field("SEQ.STATUS.STATE", "HALTED", max_cycles=n * cap.adc_cycles + 1024)
        tickets.append(batch.read_window("ADC_DATA", 0, n))
    batch.execute()
    return np.array([t.value for t in tickets])


class Watch(NamedTuple):
    """seconds : (n,) chip time of the readings, from the first; codes : (n,) mean codes, or what was made of them"""

    seconds: Real
    codes: Real


def watch(chip: Chip, dac: Dac, count: int, spacing: int, n: int) -> Watch:
    """Mean codes of n samples of a DAC, `count` times, `spacing` cycles apart."""
    cap, cycles, codes = chip.capabilities, [], []
    have_patience(chip, STEPS_PER_MESSAGE * spacing / cap.clock_hz)
    for first in range(0, count, STEPS_PER_MESSAGE):
        batch, tickets = chip.batch(), []
        batch.write("ADC.MUX", SOURCE=f"{dac.name.upper()}_DAC", CONVERTER=0)
        batch.write("ADC.ELEMENT", dac.element)
        batch.write("ADC.PERIOD", cap.adc_cycles)
        batch.write_window("PROGRAM", assemble([Instruction(Opcode.ADC_CAPTURE, n), Instruction(Opcode.HALT)]))
        for _ in range(first, min(count, first + STEPS_PER_MESSAGE)):
            batch.delay(spacing)
            batch.write("SEQ.PC", 0)
            batch.write("SEQ.CTRL", START=1)
            at = batch.read("SYS.CYCLE")
            batch.wait_field("SEQ.STATUS.STATE", "HALTED", max_cycles=n * cap.adc_cycles + 1024)
            tickets.append((at, batch.read_window("ADC_DATA", 0, n)))
        batch.execute()
        cycles += [at.value for at, _ in tickets]
        codes += [float(data.value.mean()) for _, data in tickets]
    return Watch((np.array(cycles) - cycles[0]) / cap.clock_hz, np.array(codes))
