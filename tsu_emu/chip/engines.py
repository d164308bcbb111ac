"""What the sequencer asks of the digital engines beside the array: examples, learning, swaps."""

from __future__ import annotations

import numpy as np

from tsu_contract.capabilities import LSB_SCALE, Capabilities
from tsu_emu.chip.learning import learn
from tsu_emu.chip.plant import Engines
from tsu_emu.chip.tempering import energies, swap_round
from tsu_emu.config import ChipConfig
from tsu_emu.digital import sequencer
from tsu_emu.digital.ring import copy_examples
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import Topology, pair_couplers

DO_CLAMP, DO_LEARN, DO_SWAP = sequencer.DO_CLAMP, sequencer.DO_LEARN, sequencer.DO_SWAP


def make_engines(config: ChipConfig, cap: Capabilities, topology: Topology) -> Engines:
    """The engines of a chip."""
    heard, told = (numbers.astype(np.uint32) for numbers in pair_couplers(topology))
    seed, bits = config.seeds.run, config.learning.bits
    learn_key, swap_key = (np.array([seed & 0xFFFFFFFF, seed >> 32, s], np.uint32) for s in (Stream.LEARN, Stream.SWAP))
    return Engines(
        heard, told, np.arange(len(topology.order), dtype=np.uint32), (bits, config.coupling.dac.bits),
        (bits, config.bias.dac.bits), (cap.coupling_lsb, cap.bias_lsb), cap.temp_lsb * LSB_SCALE, learn_key, swap_key,
    )  # fmt: skip


@inner
def engage(c, p, s, action):  # type: ignore[no-untyped-def]
    """What an engine does at NOW: DO_CLAMP, DO_LEARN or DO_SWAP. p : Plant; s : state.Running"""
    if action == DO_CLAMP:
        copy_examples(c, p.timing[0], s.hostmem, s.clamp_value_next)
    elif action == DO_LEARN:
        learn(c, p, s)
    else:
        e, t = p.engines, p.topology
        found = np.empty(64 * s.enabled.size, np.int64)
        energies(found, s.spins, (s.coupling_code, s.bias_code), e.steps, (t.pair_i, t.pair_j, e.heard, e.told))
        swap_round(s.core, s.ladder, s.plane_temp, s.swap_count, found, e.temp_step, e.swap_key)


@kernel
def engage_once(p, s, action):  # type: ignore[no-untyped-def]
    """`engage`, for deferred arrays."""
    engage(s.core[0], p, s, action)
