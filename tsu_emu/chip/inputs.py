"""What a sweep takes at its start: temperature, clamps, soft clamps, and which weights they are."""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.analog.dac import output
from tsu_emu.analog.pbit import drive_clamps, place_soft, slopes_of
from tsu_emu.digital import words as W
from tsu_emu.digital.crc import crc32
from tsu_emu.jit import inner, kernel

U = np.uint32
TDAC, VERSION, TAKEN_VERSION, TAKEN_CRC = W.TDAC, W.VERSION, S.TAKEN_VERSION, S.TAKEN_CRC
SOFT, SOFT_OFF, SOFT_ON, SOFT_WRITTEN = S.SOFT, S.SOFT_OFF, S.SOFT_ON, S.SOFT_WRITTEN


@kernel
def noise_temperature(die, temperature, floor, code):  # type: ignore[no-untyped-def]
    """T that the temperature DAC and the die make of a code."""
    return max(temperature[0] * output(die.temperature, 0, code) + temperature[1], floor)


@kernel
def take_clamps(mask, value, mask_next, value_next, dead_mask, dead_value):  # type: ignore[no-untyped-def]
    """The sweep's clamps, (blocks, cells) uint64: those asked for, and cells that are stuck."""
    for block in range(mask.shape[0]):
        for i in range(mask.shape[1]):
            dead = dead_mask[i]
            mask[block, i] = mask_next[block, i] | dead
            value[block, i] = (value_next[block, i] & ~dead) | (dead_value[i] & dead)


@kernel
def take_soft(core, soft, soft_next, field, alpha, floating, step, scale):  # type: ignore[no-untyped-def]
    """The sweep's soft clamps, if they were written since the last one; arguments as in `pbit.place_soft`."""
    c = core[0]
    if c.time[SOFT] & SOFT_WRITTEN == 0:
        return
    c.time[SOFT] = SOFT_OFF
    for p in range(soft.shape[0]):
        for i in range(soft.shape[1]):
            soft[p, i] = soft_next[p, i]
            if soft[p, i] != 0:
                c.time[SOFT] = SOFT_ON
    if c.time[SOFT] == SOFT_ON:
        place_soft(field, soft, alpha, floating, step, scale)


@inner
def start_sweep(c, p, s, bank):  # type: ignore[no-untyped-def]
    """Temperature, plane multipliers and clamps are taken; clamps drive. bank as in `update_cells`."""
    take_soft(s.core, s.soft, s.soft_next, p.soft, p.die.alpha, p.floating, p.soft_step, p.die.scale)
    temperature = noise_temperature(p.die, p.temperature, p.tdac_floor, c.registers[TDAC])
    slopes_of(s.slope, p.die.scale, temperature, s.plane_temp)
    take_clamps(s.clamp_mask, s.clamp_value, s.clamp_mask_next, s.clamp_value_next, p.dead_mask, p.dead_value)
    drive_clamps(bank)


@inner
def take_weights(c, couplings, biases):  # type: ignore[no-untyped-def]
    """The sweep's weight version, and the check sum of its codes."""
    version = np.int64(c.registers[VERSION])
    if c.time[TAKEN_VERSION] != version:
        c.time[TAKEN_VERSION] = version
        c.time[TAKEN_CRC] = crc32(biases.view(np.uint8), crc32(couplings.view(np.uint8), U(0)))
