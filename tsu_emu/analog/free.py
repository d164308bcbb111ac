"""p-bits that flip by themselves, heard at once: whole ticks of all blocks, by the kernel that the processor has."""

from __future__ import annotations

import numpy as np

from tsu_emu.analog.glauber import Visits
from tsu_emu.jit import kernel
from tsu_emu.lanes.target import HAS_VECTORS

if HAS_VECTORS:
    from tsu_emu.analog.glauber512 import draw, play
else:
    from tsu_emu.analog.glauber import draw, play


@kernel
def live(net, code, rounds, bank, slope, first_tick, ticks, key):  # type: ignore[no-untyped-def]
    """Let the enabled planes live for ticks first_tick .. first_tick + ticks - 1; clamped cells take their value at once.

    bank = (spins, clamp_mask, clamp_value, enabled); the rest as in `glauber.play`
    """
    spins, mask, value, enabled = bank
    most = rounds.tail.size
    visits = Visits(np.empty(most, np.int32), np.empty(most, np.uint64))
    for block in range(enabled.size):
        if enabled[block] == np.uint64(0):
            continue
        for i in range(spins.shape[1]):
            pinned = mask[block, i] & enabled[block]
            spins[block, i] = (spins[block, i] & ~pinned) | (value[block, i] & pinned)
        for turn in range(first_tick * rounds.turns, (first_tick + ticks) * rounds.turns):
            count = draw(rounds, block, turn, key, visits)
            play(net, code, (spins, mask, enabled), slope, block, turn, key, visits, count)
