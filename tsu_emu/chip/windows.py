"""Memory windows: what lies behind each, and moving words between the bus and the chip's own layout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.registers import WINDOW_AT, WINDOW_STRIDE
from tsu_contract.wire import Frame
from tsu_emu import state as S
from tsu_emu.chip.codes import Codes
from tsu_emu.chip.machine import Plant
from tsu_emu.chip.parameters import BIAS_BANK, COUPLING_BANK
from tsu_emu.jit import kernel
from tsu_emu.state import ChipState

U = np.uint32
Q = np.uint64
DAC_BANKS = {"COUPLING": COUPLING_BANK, "BIAS": BIAS_BANK}
TRIMS = ("TRIM_OFFSET", "TRIM_SLOPE")


@kernel
def gather_planes(bank, cell_words, first, out):  # type: ignore[no-untyped-def]
    """out (n,) uint32: plane-major words first .. first + n - 1 of a bank (blocks, cells) of uint64."""
    cells = bank.shape[1]
    for k in range(out.size):
        plane, column = (first + k) // cell_words, (first + k) % cell_words
        row, shift = bank[plane >> 6], Q(plane & 63)
        word = U(0)
        for bit in range(min(32, cells - 32 * column)):
            word |= U((row[32 * column + bit] >> shift) & Q(1)) << U(bit)
        out[k] = word


@kernel
def scatter_planes(words, cell_words, first, bank):  # type: ignore[no-untyped-def]
    """Writes plane-major words first .. first + n - 1 into a bank (blocks, cells) of uint64, less bits past the last cell."""
    cells = bank.shape[1]
    for k in range(words.size):
        plane, column = (first + k) // cell_words, (first + k) % cell_words
        row, shift, word = bank[plane >> 6], Q(plane & 63), words[k]
        for bit in range(min(32, cells - 32 * column)):
            i = 32 * column + bit
            row[i] = (row[i] & ~(Q(1) << shift)) | (Q((word >> U(bit)) & U(1)) << shift)


@kernel
def copy_examples(hostmem, base, entries, first, count, place, planes, cell_words, bank):  # type: ignore[no-untyped-def]
    """Entries first .. first + count - 1 of the ring (entry n at place n % entries, n modulo 2^32) into a bank (blocks, cells) of
    uint64, in the planes (n,) int64 in turn from number `place` on; of each plane only the last that it gets is copied."""
    for k in range(max(0, count - planes.size), count):
        row = base + ((first + k) & 0xFFFFFFFF) % entries * cell_words
        plane = planes[(place + k) % planes.size]
        scatter_planes(hostmem[row : row + cell_words], cell_words, plane * cell_words, bank)


class WindowPort:
    """The chip's side of all windows. Addresses and lengths have been validated."""

    def __init__(self, plant: Plant, state: ChipState, codes: Codes) -> None:
        self._state, self._codes = state, codes
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
            "TOPO_SOURCE": topology.source,
            "TOPO_COLOUR": topology.colour,
            "TOPO_POSITION": topology.position.reshape(-1),
        }
        self._banks = {"CLAMP_MASK": state.clamp_mask_next, "CLAMP_VALUE": state.clamp_value_next, "SPIN": state.scan}
        self._cell_words = (state.spins.shape[1] + 31) // 32

    def read(self, address: int, words: int) -> bytes:
        """`words` 32-bit words from a window address on, little-endian."""
        name, first = WINDOW_AT[address // WINDOW_STRIDE].name, (address % WINDOW_STRIDE) // 4
        if name in self._banks:
            out = np.empty(words, np.uint32)
            gather_planes(self._banks[name], self._cell_words, first, out)
            return out.tobytes()
        flat = self._flat[name]
        begin = 4 * first // flat.itemsize
        if 4 * first % flat.itemsize or 4 * words % flat.itemsize:
            return flat.view(np.uint32)[first : first + words].tobytes()
        data = flat[begin : begin + 4 * words // flat.itemsize].tobytes()
        return data + bytes(4 * words - len(data))

    def write(self, address: int, data: Frame) -> None:
        """Little-endian words to a window address on; DACs take their new codes at once."""
        name, first = WINDOW_AT[address // WINDOW_STRIDE].name, (address % WINDOW_STRIDE) // 4
        if name in self._banks:
            scatter_planes(np.frombuffer(data, np.uint32), self._cell_words, first, self._banks[name])
            return
        flat = self._flat[name]
        if flat.itemsize > 4:
            words = np.frombuffer(data, np.uint32)
            flat.view(np.uint32)[first : first + len(words)] = words
            return
        begin = 4 * first // flat.itemsize
        values = np.frombuffer(data, flat.dtype)[: len(flat) - begin]
        flat[begin : begin + len(values)] = values
        if name in DAC_BANKS:
            self._codes.written(DAC_BANKS[name], begin, len(values), len(values))
            self._codes.new_version()
        elif name in TRIMS:
            self._codes.trimmed(begin, len(values))
        elif name == "SOFT":
            self._state.time[S.SOFT] |= S.SOFT_WRITTEN
