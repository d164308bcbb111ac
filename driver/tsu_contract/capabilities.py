"""What a chip says of itself in its CAP registers, and the window dimensions that follow."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

from tsu_contract.registers import Window, register, value_of

ROLES = 2
"""Rows of the correlation windows: 0 the data role, 1 the free role."""

LSB_SCALE = 2.0**-28
"""Unit of CAP.*_LSB and of the trim steps."""
RANGE_SCALE = 2.0**-20
"""Unit of CAP.RANGE_*."""
PIN_STEPS = 2048
"""Steps of PIN from 0 to the end of the range of analog cells."""
SOFT_MAX = 1 << 25
"""Planes times cells that the SOFT window has room for."""
LEARN_TERMS = 8
"""Terms of the learning engine's rule for pairs, and for biases."""
FACTOR_BITS = 14
"""Fraction bits of a factor of the learning engine."""
RATE_SCALE = 2.0**-16
"""Unit of LEARN.*_RATE, in accumulator steps."""
GAIN_SCALE = 2.0**-31
"""Unit of LEARN.GAIN."""
ENERGY_PARTS = ("UPDATE", "READ", "WRITE", "ADC", "LEARN", "STANDBY")
"""MON.ENERGY_*, whose sum is MON.ENERGY."""
TRIM_CODES = (-64, 63)
"""Least and greatest code of an ADC's trims."""

PBIT_CLOCKED, PBIT_ASYNC, PDIT, GAUSSIAN, MIXTURE, LANGEVIN = (
    value_of("CAP.CELL_KIND.KIND", name) for name in ("PBIT_CLOCKED", "PBIT_ASYNC", "PDIT", "GAUSSIAN", "MIXTURE", "LANGEVIN")
)
SPIN_KINDS, STATE_KINDS, VALUE_KINDS = (PBIT_CLOCKED, PBIT_ASYNC), (PDIT, MIXTURE), (GAUSSIAN, MIXTURE, LANGEVIN)
"""Cells read as spins, as states, as ADC codes."""


@dataclass(frozen=True)
class Capabilities:
    """The CAP block; field names are register names in lower case."""

    cell_kind: int
    cells: int
    couplers: int
    pairs: int
    planes: int
    colours: int
    clock_hz: int
    coupling_bits: int
    coupling_lsb: int
    bias_bits: int
    bias_lsb: int
    temp_bits: int
    temp_lsb: int
    program_words: int
    loop_depth: int
    corr_fraction: int
    sweep_cycles: int
    colour_cycles: int
    slot_cycles: int
    corr_cycles: int
    instruction_cycles: int
    strobe_cycles: int
    settle_cycles: int
    states: int
    terms: int
    adc_count: int
    adc_bits: int
    adc_cycles: int
    adc_acquire_cycles: int
    adc_buffer: int
    adc_trim_offset: int
    adc_trim_gain: int
    range_cell: int
    range_coupling: int
    range_bias: int
    range_temp: int
    learn_bits: int
    learn_cycles: int
    swap_cycles: int
    hostmem_words: int
    table_entries: int
    trim_bits: int
    trim_offset_lsb: int
    trim_slope_lsb: int
    nvm_words: int
    serial_low: int
    serial_high: int

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Register names in the order of the fields."""
        return tuple("CAP." + f.name.upper() for f in fields(cls))

    @cached_property
    def _derived(self) -> dict[str, int]:
        """Words of windows' shapes and limits that are no fields."""
        spins, learns = self.cell_kind in SPIN_KINDS, self.learn_bits > 0
        return {
            "cell_words": (self.cells + 31) // 32,
            "spin_words": (self.cells + 31) // 32 if spins else 0,
            "spin_planes": self.planes if spins else 0,
            "soft_cells": self.cells if self.cell_kind == PBIT_CLOCKED and self.planes * self.cells <= SOFT_MAX else 0,
            "swap_counts": 2,
            "plane_max": self.planes - 1,
            "temp_code_max": (1 << self.temp_bits) - 1,
            "learn_pairs": self.pairs if learns else 0,
            "learn_cells": self.cells if learns else 0,
            "learn_pair_words": (self.pairs + 31) // 32 if learns else 0,
            "learn_cell_words": (self.cells + 31) // 32 if learns else 0,
            "learn_min": -(1 << self.learn_bits - 1) if learns else 0,
            "learn_max": (1 << self.learn_bits - 1) - 1 if learns else 0,
            "cells_plus_1": self.cells + 1,
            "roles": ROLES,
            "axes": 2,
            "trims": 2,
            "bias_terms": self.cells * self.terms,
            "state_cells": self.cells if self.cell_kind in STATE_KINDS else 0,
            "value_cells": self.cells if self.cell_kind in VALUE_KINDS else 0,
            "pin_cells": self.cells if self.cell_kind == PDIT or self.cell_kind in VALUE_KINDS else 0,
            "pin_min": 0 if self.cell_kind == PDIT else -PIN_STEPS,
            "pin_max": self.states - 1 if self.cell_kind == PDIT else PIN_STEPS - 1,
            "trim_min": TRIM_CODES[0],
            "trim_max": TRIM_CODES[1],
            "trim_cells": self.cells if self.trim_bits else 0,
            "trim_code_min": -(1 << self.trim_bits - 1) if self.trim_bits else 0,
            "trim_code_max": (1 << self.trim_bits - 1) - 1 if self.trim_bits else 0,
            "adc_samples": self.adc_buffer if self.adc_count else 0,
            "coupling_code_min": -(1 << self.coupling_bits - 1),
            "coupling_code_max": (1 << self.coupling_bits - 1) - 1,
            "bias_code_min": -(1 << self.bias_bits - 1),
            "bias_code_max": (1 << self.bias_bits - 1) - 1,
        }

    @property
    def serial(self) -> int:
        """The number that tells this chip from all others."""
        return self.serial_high << 32 | self.serial_low

    def dimension(self, word: str) -> int:
        """A word of a window's shape or limits, as a number."""
        if word.isdigit():
            return int(word)
        return self._derived[word] if word in self._derived else int(getattr(self, word))

    def shape(self, window: Window) -> tuple[int, ...]:
        return tuple(self.dimension(word) for word in window.shape)

    def words(self, window: Window) -> int:
        """32-bit words that the window is populated with."""
        count = 1
        for n in self.shape(window):
            count *= n
        return (count * window.dtype.itemsize + 3) // 4

    def limits(self, window: Window) -> tuple[int, int] | None:
        """Least and greatest legal element, or None if every bit pattern is legal."""
        if window.minimum is None or window.maximum is None:
            return None
        return self.dimension(window.minimum), self.dimension(window.maximum)

    def sweep_time(self, planes: int, correlate: bool) -> int:
        """Cycles of one sweep with `planes` enabled planes, with or without a correlation update."""
        phases = self.colours * (self.colour_cycles + planes * self.slot_cycles)
        return self.sweep_cycles + phases + (planes * self.corr_cycles if correlate else 0)


for _name in Capabilities.names():
    register(_name)
