"""The converters: scans of analog cells, and captures of whatever the multiplexer selects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.analog.adc import AdcBank, convert, make_bank
from tsu_emu.config import ChipConfig
from tsu_emu.digital import words as W
from tsu_emu.jit import kernel
from tsu_emu.noise.functions import sine
from tsu_emu.noise.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsu_emu.chip.arrays import Array
    from tsu_emu.chip.parameters import Parameters

REFERENCE = 0.875
"""Level of REF_HIGH, and of REF_LOW with the other sign, of the range."""
DAC_HEADROOM = 1.25
"""Range of the converters over a DAC's full scale, so that gain and offset errors fit."""


@kernel
def sines(turns, offset, amplitude):  # type: ignore[no-untyped-def]
    """(n,) float64: offset + amplitude sin(2 pi turns)."""
    out = np.empty(turns.size, np.float64)
    for k in range(turns.size):
        out[k] = offset + amplitude * sine(turns[k])
    return out


class Converters:
    """All ADCs of a chip. Inputs are in units of the range, -1 .. 1.

    bank : their arrays
    """

    def __init__(self, config: ChipConfig, state: S.ChipState, array: Array, parameters: Parameters, cycles: int) -> None:
        self._config, self._state, self._array, self._parameters, self._cycles = config, state, array, parameters, cycles
        self.bank: AdcBank = make_bank(config.adc, config.seeds.die, config.clock.hz)
        seed = config.seeds.run
        self._key = np.array([seed & 0xFFFFFFFF, seed >> 32, Stream.ADC_NOISE], np.uint32)

    def _convert(self, adc: int, inputs: NDArray[np.float64], out: NDArray[np.uint16]) -> None:
        """Conversions of one converter, one after the other; a dead one gives 0."""
        core, state = self._state.core[0], self._state
        faults = core["faults"]
        number = int(core["counts"][S.CONVERSIONS])
        core["counts"][S.CONVERSIONS] += len(inputs)
        if ((faults[:, 0] == S.DEAD_ADC) & (faults[:, 1] == adc)).any():
            out[:] = 0
            return
        trims = int(state.adc_trim[adc, 0]), int(state.adc_trim[adc, 1])
        held, clipped = convert(self.bank, adc, inputs, trims, state.adc_held[adc], self._key, number, out)
        state.adc_held[adc] = held
        state.registers[W.ADC_CLIPPED] += np.uint32(clipped)

    def scan(self, planes: NDArray[np.int64], live: Callable[[int], None]) -> None:
        """All cells of the planes, ascending: converter k takes cells k, k + count, ...

        live : lets the array live for so many ticks; asked for it only in rolling mode, where a conversion sees the cells as they
        are when it samples them
        """
        count, cells = self._config.adc.count, self._state.value_scan.shape[1]
        slots = (cells + count - 1) // count
        hold = bool(self._state.registers[W.ADC_MODE] & W.ADC_HOLD)
        seen = np.empty((len(planes), cells))
        if hold:
            seen[:] = self._array.values()[planes]
        else:
            self._roll(planes, slots, seen, live)
        for k in range(min(count, cells)):
            mine = np.ascontiguousarray(seen[:, k::count])
            codes = np.empty(mine.size, np.uint16)
            self._convert(k, mine.ravel(), codes)
            self._state.value_scan[planes, k::count] = codes.reshape(mine.shape)

    def _roll(self, planes: NDArray[np.int64], slots: int, seen: NDArray[np.float64], live: Callable[[int], None]) -> None:
        """What each conversion of a rolling scan sees: between those that fall into one tick the cells are as that tick left
        them.
        """
        count, tick = self._config.adc.count, self._config.timing.colour
        sampled = np.arange(len(planes) * slots) * self._cycles + self._config.adc.acquisition_cycles
        lived = 0
        for ticks in np.unique(sampled // tick):
            live(int(ticks) - lived)
            lived = int(ticks)
            values = self._array.values()
            for place in np.flatnonzero(sampled // tick == ticks):
                row, slot = divmod(int(place), slots)
                part = slice(slot * count, (slot + 1) * count)
                seen[row, part] = values[planes[row], part]

    def capture(self, count: int, plane: int, live: Callable[[int], None]) -> None:
        """`count` samples of what ADC.MUX selects into the buffer; plane : whose cell, if a cell is selected."""
        registers, now = self._state.registers, int(self._state.time[S.NOW])
        mux, element = int(registers[W.ADC_MUX]), int(registers[W.ADC_ELEMENT])
        adc = (mux >> W.CONVERTER_SHIFT) % self._config.adc.count
        period = max(int(registers[W.ADC_PERIOD]), self._cycles)
        times = now + self._config.adc.acquisition_cycles + period * np.arange(count, dtype=np.int64)
        source = mux & 0xF
        if source == W.MUX_CELL:
            inputs = self._follow(plane, element, times - now, live)
        else:
            inputs = self._inputs(source, element, times)
        self._convert(adc, inputs, self._state.adc_data[:count])

    def _follow(self, plane: int, cell: int, after: NDArray[np.int64], live: Callable[[int], None]) -> NDArray[np.float64]:
        """One cell's value at each sample; held throughout in hold mode."""
        values = self._array.values()
        if plane < 0 or cell >= values.shape[1]:
            return np.zeros(len(after))
        if self._state.registers[W.ADC_MODE] & W.ADC_HOLD:
            return np.full(len(after), values[plane, cell])
        out, lived, ticks = np.empty(len(after)), 0, after // self._config.timing.colour
        for tick in np.unique(ticks):
            live(int(tick) - lived)
            lived = int(tick)
            out[ticks == tick] = self._array.values()[plane, cell]
        return out

    def _inputs(self, source: int, element: int, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n,) float64: the selected source at each time."""
        if source in (W.MUX_LOW, W.MUX_HIGH):
            return np.full(len(times), REFERENCE if source == W.MUX_HIGH else -REFERENCE)
        if source == W.MUX_EXTERNAL:
            return self._stimulus(times)
        p, c = self._parameters, self._config
        if source == W.MUX_TEMP:
            code = int(self._state.registers[W.TDAC])
            return np.full(len(times), p.temperature_output(code) / (DAC_HEADROOM * c.temperature.dac.full_scale))
        bank = 0 if source == W.MUX_COUPLING else 1
        dac = (c.coupling.dac, c.bias.dac)[bank]
        if element >= p.elements(bank):
            return np.zeros(len(times))
        return p.outputs(bank, element, times) / (DAC_HEADROOM * dac.full_scale)

    def _stimulus(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """The lab's source on the external pin: offset + amplitude sin(2 pi (f t + phase))."""
        lab = self._state.core["lab"][0]
        if lab[S.STIMULUS_AMPLITUDE] == 0:
            return np.full(len(times), lab[S.STIMULUS_OFFSET])
        per_cycle = float(lab[S.STIMULUS_HZ]) / self._config.clock.hz
        turns = np.mod(times * per_cycle, 1.0) + float(lab[S.STIMULUS_PHASE])
        out: NDArray[np.float64] = sines(turns, float(lab[S.STIMULUS_OFFSET]), float(lab[S.STIMULUS_AMPLITUDE]))
        return out
