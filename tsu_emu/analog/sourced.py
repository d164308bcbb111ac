"""Clocked p-bits that draw from a noise source with flaws: sweeps as in `pbit`, with words from `sources`."""

from __future__ import annotations

import numpy as np

from tsu_emu.analog.pbit import LANES, VISIT_SHIFT, decide, drive_clamps, fields
from tsu_emu.analog.sources import coloured_noise, lfsr_noise, lfsr_phase
from tsu_emu.jit import inner, kernel

Q = np.uint64


@inner
def _update(net, code, bank, block, i, row_of_noise, noise, scratch):  # type: ignore[no-untyped-def]
    """One cell in the enabled planes of a block."""
    _, row, source = net
    doubled, base, soft = code
    spins, clamp_mask, _, enabled, slope = bank
    field, mantissa, power_bits = scratch
    fields(field, spins[block], source, doubled, row[i], row[i + 1], base[i])
    if soft.shape[0] > 0:
        for r in range(LANES):
            field[r] += soft[block, i, r]
    slopes = slope[LANES * block : LANES * block + LANES]
    word = decide(field, slopes, noise, row_of_noise, mantissa, power_bits.view(np.float32), power_bits)
    free = enabled[block] & ~clamp_mask[block, i]
    spins[block, i] = (spins[block, i] & ~free) | (word & free)


@kernel
def sweep_coloured(net, code, bank, phase, phases, visits, first_tick, z, coloured, key):  # type: ignore[no-untyped-def]
    """Sweeps first_tick .. with noise that remembers; net, code, bank as in `pbit.update_cells`.

    phase : (colours + 1,) int64; phases : (sweeps, phases) int64, colours; visits : bool, phases are told apart in the noise
    z, coloured, key : as in `sources.coloured_noise`
    """
    enabled = bank[3]
    scratch = np.empty(LANES, np.int32), np.empty(LANES, np.float32), np.empty(LANES, np.int32)
    noise = np.empty((4, LANES), np.uint32)
    for n in range(phases.shape[0]):
        drive_clamps(bank)
        for k in range(phases.shape[1]):
            low, high = phase[phases[n, k]], phase[phases[n, k] + 1]
            visit = k if visits else 0
            for block in range(enabled.size):
                plane0 = LANES * block + (visit << VISIT_SHIFT)
                for rank in range(low, high):
                    if rank == low or rank & 3 == 0:
                        coloured_noise(noise, z, coloured, enabled, rank >> 2, low, high, plane0, first_tick + n, key)
                    _update(net, code, bank, block, net[0][rank], rank & 3, noise, scratch)


@kernel
def sweep_lfsr(net, code, bank, phase, phases, state, bits, lfsr):  # type: ignore[no-untyped-def]
    """Sweeps with shift registers; arguments as in `sweep_coloured`; state, bits, lfsr : as in `sources.lfsr_phase`."""
    enabled = bank[3]
    scratch = np.empty(LANES, np.int32), np.empty(LANES, np.float32), np.empty(LANES, np.int32)
    noise = np.empty((4, LANES), np.uint32)
    for n in range(phases.shape[0]):
        drive_clamps(bank)
        for k in range(phases.shape[1]):
            low, high = phase[phases[n, k]], phase[phases[n, k] + 1]
            lfsr_phase(bits, state, lfsr, enabled, low, high)
            for block in range(enabled.size):
                for rank in range(low, high):
                    if rank == low or rank & 3 == 0:
                        lfsr_noise(noise, bits, lfsr, enabled, rank >> 2, low, high, block)
                    _update(net, code, bank, block, net[0][rank], rank & 3, noise, scratch)
