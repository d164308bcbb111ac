"""Memory windows: what lies behind each, as the host and the oracle reach it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.registers import WINDOW_AT, WINDOW_STRIDE, WINDOWS
from tsu_contract.wire import Frame
from tsu_emu import state as S
from tsu_emu.chip import codes
from tsu_emu.chip.parameters import Parameters
from tsu_emu.chip.plant import Plant
from tsu_emu.chip.window_memory import DAC_BANKS, GATHERED, TRIMS, gather_planes, make_memory, scatter_planes
from tsu_emu.state import ChipState

POWER_ON = {"PLANE_TEMP": 4096, "TEMP_TABLE": 1}
"""Elements of windows that are not 0 at power-on; LADDER counts."""


class WindowPort:
    """The chip's side of all windows. Addresses and lengths have been validated."""

    def __init__(self, plant: Plant, state: ChipState, parameters: Parameters) -> None:
        self._plant, self._state, self._parameters = plant, state, parameters
        topology = plant.topology
        self._flat: dict[str, NDArray[Any]] = {
            "PROGRAM": state.program,
            "COUPLING": state.coupling_code,
            "BIAS": state.bias_code,
            "CORR_PAIR": state.pair_latch.reshape(-1),
            "CORR_MEAN": state.mean_latch.reshape(-1),
            "PLANE_TEMP": state.plane_temp,
            "STATE": state.state_scan.reshape(-1),
            "VALUE": state.value_scan.reshape(-1),
            "PIN": state.pin_next.reshape(-1),
            "ADC_DATA": state.adc_data,
            "ADC_TRIM": state.adc_trim.reshape(-1),
            "TEMP_TABLE": state.temp_table,
            "LEARN_PAIR": state.learn_pair,
            "LEARN_BIAS": state.learn_bias,
            "FREEZE_PAIR": state.freeze_pair,
            "FREEZE_BIAS": state.freeze_bias,
            "HOSTMEM": state.hostmem,
            "LADDER": state.ladder,
            "SWAP_COUNT": state.swap_count.reshape(-1),
            "SOFT": state.soft_next.reshape(-1),
            "TRIM_OFFSET": state.trim_offset,
            "TRIM_SLOPE": state.trim_slope,
            "NVM": state.nvm,
            "TOPO_ROW": topology.row.astype(np.uint32),
            "TOPO_SOURCE": topology.source.copy(),
            "TOPO_COLOUR": topology.colour.copy(),
            "TOPO_POSITION": topology.position.reshape(-1).copy(),
        }
        banks = {"CLAMP_MASK": state.clamp_mask_next, "CLAMP_VALUE": state.clamp_value_next, "SPIN": state.scan}
        self.memory = make_memory(self._flat, banks, (state.spins.shape[1] + 31) // 32)

    def read(self, address: int, words: int) -> Frame:
        """`words` 32-bit words from a window address on, little-endian, as they are now."""
        number, first, memory = address // WINDOW_STRIDE, (address % WINDOW_STRIDE) // 4, self.memory
        if memory.kind[number] >= GATHERED:
            out = np.empty(words, np.uint32)
            gather_planes(memory.banks[memory.kind[number] - GATHERED], memory.cell_words, first, out)
            return out.tobytes()
        data = memory.flats[number][4 * first : 4 * (first + words)].tobytes()
        return data + bytes(4 * words - len(data))

    def write(self, address: int, data: Frame, cycles: NDArray[np.int64] | None = None) -> None:
        """Little-endian words to a window address on, in one access at NOW, or word by word at `cycles` up to NOW; DACs take
        their new codes at once."""
        number, first, memory = address // WINDOW_STRIDE, (address % WINDOW_STRIDE) // 4, self.memory
        if memory.kind[number] >= GATHERED:
            bank = memory.banks[memory.kind[number] - GATHERED]
            scatter_planes(np.frombuffer(data, np.uint32), memory.cell_words, first, bank)
            return
        name = WINDOW_AT[number].name
        place = memory.flats[number][4 * first : 4 * first + len(data)]
        place[:] = np.frombuffer(data, np.uint8, len(place))
        size = self._flat[name].itemsize
        begin, count = 4 * first // size, len(place) // size
        if name in DAC_BANKS:
            times, accesses = self._state.time[S.NOW : S.NOW + 1], 1
            if cycles is not None:
                times, accesses = np.repeat(cycles, 4 // size)[:count], len(cycles)
            codes.write(self._state.core, self._plant, DAC_BANKS[name], begin, count, times, accesses)
        elif name in TRIMS:
            self._parameters.trimmed(begin, count)
        elif name == "SOFT":
            self._state.time[S.SOFT] |= S.SOFT_WRITTEN

    def reset(self, trims: bool) -> None:
        """Windows that the host may write are at NOW as at power-on; trims of cells and converters only if `trims`, NVM never."""
        s = self._state
        for bank in (s.clamp_mask_next, s.clamp_value_next):
            bank[:] = 0
        for name, flat in self._flat.items():
            if "w" not in WINDOWS[name].access or name == "NVM" or (name in (*TRIMS, "ADC_TRIM") and not trims) or not len(flat):
                continue
            flat[:] = np.arange(len(flat)) if name == "LADDER" else POWER_ON.get(name, 0)
            if name in DAC_BANKS:
                codes.write(s.core, self._plant, DAC_BANKS[name], 0, len(flat), s.time[S.NOW : S.NOW + 1], 1)
            elif name in TRIMS:
                self._parameters.trimmed(0, len(flat))
        s.time[S.SOFT] |= S.SOFT_WRITTEN * bool(len(s.soft))
