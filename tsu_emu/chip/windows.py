"""Memory windows: what lies behind each, and moving words between the bus and the chip's own layout."""

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
from tsu_emu.jit import inner, kernel
from tsu_emu.state import ChipState

U = np.uint32
Q = np.uint64
DAC_BANKS = {"COUPLING": codes.COUPLINGS, "BIAS": codes.BIASES}
TRIMS = ("TRIM_OFFSET", "TRIM_SLOPE")
POWER_ON = {"PLANE_TEMP": 4096, "TEMP_TABLE": 1}
"""Elements of windows that are not 0 at power-on; LADDER counts."""


FEW_PLANES = 8
"""Up to so many planes of a block are gathered bit by bit; more are transposed."""


@inner
def _transpose(square):  # type: ignore[no-untyped-def]
    """Bit b of word a of (64,) uint64 changes places with bit a of word b: halves, then quarters, and so on."""
    width, mask = 32, Q(0x00000000FFFFFFFF)
    while width:
        for start in range(0, 64, 2 * width):
            for a in range(start, start + width):
                change = ((square[a] >> Q(width)) ^ square[a + width]) & mask
                square[a] ^= change << Q(width)
                square[a + width] ^= change
        width >>= 1
        mask ^= mask << Q(width)


@inner
def _gather_bits(row, shift, cell_words, begin, end, out, at):  # type: ignore[no-untyped-def]
    """Words begin .. end - 1 of one plane, bit `shift` of row (cells,) uint64, go to `at` and on."""
    for column in range(begin, end):
        word = U(0)
        for bit in range(min(32, row.size - 32 * column)):
            word |= U((row[32 * column + bit] >> Q(shift)) & Q(1)) << U(bit)
        out[at + column - begin] = word


@inner
def _gather_block(row, cell_words, begin, end, out, at):  # type: ignore[no-untyped-def]
    """Words begin .. end - 1 of the 64 planes of a block, plane-major, row (cells,) uint64, go to `at` and on.

    Eight squares of 64 cells at a time, for 16 words of a plane are a line of the cache.
    """
    squares = np.empty((8, 64), np.uint64)
    for left in range(0, cell_words, 16):
        columns = min(16, cell_words - left)
        for pair in range((columns + 1) // 2):
            first = 32 * left + 64 * pair
            for cell in range(64):
                squares[pair, cell] = row[first + cell] if first + cell < row.size else Q(0)
            _transpose(squares[pair])
        for plane in range(max(0, (begin - left - columns + cell_words) // cell_words), 64):
            place = plane * cell_words + left - begin
            if place >= end - begin:
                break
            for column in range(max(0, -place), min(columns, end - begin - place)):
                out[at + place + column] = U(squares[column >> 1, plane] >> Q(32 * (column & 1)) & Q(0xFFFFFFFF))


@kernel
def gather_planes(bank, cell_words, first, out):  # type: ignore[no-untyped-def]
    """out (n,) uint32: plane-major words first .. first + n - 1 of a bank (blocks, cells) of uint64."""
    block_words, k = 64 * cell_words, 0
    while k < out.size:
        block, begin = (first + k) // block_words, (first + k) % block_words
        end = min(begin + out.size - k, block_words)
        if end - begin > FEW_PLANES * cell_words:
            _gather_block(bank[block], cell_words, begin, end, out, k)
        else:
            plane, column = begin // cell_words, begin % cell_words
            end = min(end, begin - column + cell_words)
            _gather_bits(bank[block], plane, cell_words, column, column + end - begin, out, k)
        k += end - begin


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
            "TOPO_SOURCE": topology.source,
            "TOPO_COLOUR": topology.colour,
            "TOPO_POSITION": topology.position.reshape(-1),
        }
        self._constant = {name: flat.tobytes() for name, flat in self._flat.items() if name.startswith("TOPO_")}
        self._banks = {"CLAMP_MASK": state.clamp_mask_next, "CLAMP_VALUE": state.clamp_value_next, "SPIN": state.scan}
        self._cell_words = (state.spins.shape[1] + 31) // 32

    def read(self, address: int, words: int) -> Frame:
        """`words` 32-bit words from a window address on, little-endian, as they are now."""
        name, first = WINDOW_AT[address // WINDOW_STRIDE].name, (address % WINDOW_STRIDE) // 4
        if name in self._constant:
            part = memoryview(self._constant[name])[4 * first : 4 * (first + words)]
            return part if len(part) == 4 * words else bytes(part) + bytes(4 * words - len(part))
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

    def write(self, address: int, data: Frame, cycles: NDArray[np.int64] | None = None) -> None:
        """Little-endian words to a window address on, in one access at NOW, or word by word at `cycles` up to NOW; DACs take
        their new codes at once."""
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
            times, accesses = self._state.time[S.NOW : S.NOW + 1], 1
            if cycles is not None:
                times, accesses = np.repeat(cycles, 4 // flat.itemsize)[: len(values)], len(cycles)
            codes.write(self._state.core, self._plant, DAC_BANKS[name], begin, len(values), times, accesses)
        elif name in TRIMS:
            self._parameters.trimmed(begin, len(values))
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
