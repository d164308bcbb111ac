"""What the sequencer asks of the digital engines beside the array: examples, learning, swaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import LSB_SCALE, Capabilities
from tsu_emu import state as S
from tsu_emu.chip.codes import Codes
from tsu_emu.chip.learning import LearningEngine
from tsu_emu.chip.machine import Plant
from tsu_emu.chip.tempering import energies, swap_round
from tsu_emu.chip.windows import copy_examples
from tsu_emu.config import ChipConfig
from tsu_emu.digital import words as W
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import pair_couplers


class Engines:
    """The engines of one chip; everything they know is in its state."""

    def __init__(self, config: ChipConfig, cap: Capabilities, plant: Plant, state: S.ChipState, codes: Codes) -> None:
        self._state, topology, seed = state, plant.topology, config.seeds.run
        self._learning = LearningEngine(config, plant, state, codes)
        self._cell_words = cap.dimension("spin_words")
        self._net = topology.pair_i, topology.pair_j, *pair_couplers(topology)
        self._steps = cap.coupling_lsb, cap.bias_lsb
        self._temp_step = cap.temp_lsb * LSB_SCALE
        self._key = np.array([seed & 0xFFFFFFFF, seed >> 32, Stream.SWAP], np.uint32)
        self._planes: dict[bytes, NDArray[np.int64]] = {}
        self._energies = np.zeros(64 * len(state.enabled), np.int64)

    def planes_of(self, first: int) -> NDArray[np.int64]:
        """Planes, ascending, of the plane set whose first register word is `first`."""
        words = self._state.registers[first : first + (len(self._state.plane_temp) + 31) // 32].tobytes()
        if words not in self._planes:
            bits = np.unpackbits(np.frombuffer(words, np.uint8), bitorder="little")
            self._planes = {words: np.flatnonzero(bits).astype(np.int64)}
        return self._planes[words]

    def clamp(self) -> None:
        """CLAMP_NEXT: the examples that the sequencer took from the ring go to their planes."""
        s, q = self._state, self._state.core["sequencer"][0]
        base, entries = int(s.registers[W.DMA_BASE]), int(s.registers[W.DMA_ENTRIES])
        count, first, place = (int(q[k]) for k in (S.CLAMP_COUNT, S.CLAMP_ENTRY, S.CLAMP_PLACE))
        planes = self.planes_of(W.DMA_PLANES)
        copy_examples(s.hostmem, base, entries, first, count, place, planes, self._cell_words, s.clamp_value_next)

    def learn(self) -> None:
        """LEARN."""
        self._learning.update()

    def swap(self) -> None:
        """SWAP: a round at NOW."""
        s = self._state
        energies(self._energies, s.spins, (s.coupling_code, s.bias_code), self._steps, self._net)
        swap_round(s.core, s.ladder, s.plane_temp, s.swap_count, self._energies, self._temp_step, self._key)
