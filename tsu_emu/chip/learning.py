"""The learning engine of a chip: what LEARN does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.chip.codes import Codes
from tsu_emu.chip.machine import Plant
from tsu_emu.chip.parameters import BIAS_BANK, COUPLING_BANK
from tsu_emu.chip.rule import CHANGED, CLIPPED, LEARNT, SATURATED, update_biases, update_pairs
from tsu_emu.config import ChipConfig
from tsu_emu.digital import words as W
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import pair_couplers


class LearningEngine:
    """The learning engine of one chip; `update` is what LEARN does."""

    def __init__(self, config: ChipConfig, plant: Plant, state: S.ChipState, codes: Codes) -> None:
        self._plant, self._state, self._codes = plant, state, codes
        topology, seed = plant.topology, config.seeds.run
        self._key = np.array([seed & 0xFFFFFFFF, seed >> 32, Stream.LEARN], np.uint32)
        couplers = (numbers.astype(np.uint32) for numbers in pair_couplers(topology))
        self._net, self._cells = (topology.pair_i, topology.pair_j, *couplers), np.arange(len(topology.order), dtype=np.uint32)
        bits = config.learning.bits
        self._widths = (bits, config.coupling.dac.bits), (bits, config.bias.dac.bits)

    def update(self) -> None:
        """Every accumulator that is not frozen moves, and the codes follow, at NOW."""
        s, report = self._state, np.zeros(4, np.int64)
        pair_state, bias_state = (s.learn_pair, s.freeze_pair, s.coupling_code), (s.learn_bias, s.freeze_bias, s.bias_code)
        update_pairs(s.core, s.pair_sum, s.mean_sum, self._net, pair_state, self._widths[0], self._key, report)
        pairs = int(report[CHANGED])
        update_biases(s.core, s.mean_sum, self._cells, bias_state, self._widths[1], self._key, report)
        self._codes.written(COUPLING_BANK, 0, len(s.coupling_code), pairs)
        self._codes.written(BIAS_BANK, 0, len(s.bias_code), int(report[CHANGED]) - pairs)
        self._codes.new_version()
        self._count(report)

    def _count(self, report: NDArray[np.int64]) -> None:
        r, core = self._state.registers, self._state.core
        core["counts"][0, S.LEARNS] += report[LEARNT]
        r[W.LEARN_CLIPPED] += np.uint32(report[CLIPPED])
        r[W.LEARN_SATURATED], r[W.LEARN_CHANGED] = report[SATURATED], report[CHANGED]
        gain = int(r[W.LEARN_GAIN])
        r[W.LEARN_GAIN] = gain - (gain * int(r[W.LEARN_DECAY]) >> 32)
        self._state.time[S.LEARN_UPDATES] += 1
