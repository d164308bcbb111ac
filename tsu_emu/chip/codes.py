"""Codes of coupling, bias and trim DACs as they change: outputs, settling, energy, fields and the weight version follow."""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.analog.dac import FEW, changes, outputs_changed
from tsu_emu.analog.die import place_biases, place_changed, place_couplings, silence, take_trims
from tsu_emu.analog.pbit import place_soft
from tsu_emu.analog.slow import SETTLED_AFTER, kick
from tsu_emu.digital import words as W
from tsu_emu.jit import inner, kernel

U = np.uint32
NOW, SETTLED_AT, STALE, EVALUATED_AT, KICKED_UNTIL = S.NOW, S.SETTLED_AT, S.STALE, S.EVALUATED_AT, S.KICKED_UNTIL
WRITES, EVENT_SETTLED, FABRIC_STATUS, SETTLED, VERSION = S.WRITES, S.EVENT_SETTLED, W.FABRIC_STATUS, W.SETTLED, W.VERSION
SOFT, SOFT_ON = S.SOFT, S.SOFT_ON
COUPLINGS, BIASES = 0, 1
"""Numbers of the banks."""


@inner
def _hear(lines, first, stop):  # type: ignore[no-untyped-def]
    """Converters first .. stop - 1 of a bank get their codes, stuck bits included."""
    codes, heard, middle = lines.codes[first:stop], lines.heard[first:stop], lines.bank.middle
    mask, value = lines.stuck.mask[first:stop], lines.stuck.value[first:stop]
    for k in range(codes.size):
        heard[k] = np.int16(((np.int32(codes[k]) + middle) & ~np.int32(mask[k]) | np.int32(value[k])) - middle)


@inner
def _placed(p):  # type: ignore[no-untyped-def]
    """Fields were placed: cells that float hear nothing, and rows are to be laid out anew."""
    p.rows.fresh[0] = 0
    if p.floating.any():
        silence(p.topology.row, p.floating, p.doubled, p.bias, p.base)


@inner
def _place(p, bank, before, first, stop):  # type: ignore[no-untyped-def]
    """Fields follow the codes of a bank at once; before : (stop - first,) int16, what converters got until now."""
    heard = p.lines[bank].heard[first:stop]
    if bank == COUPLINGS and FEW * changes(heard, before) < heard.size:
        place_changed(p.die, p.topology.row, heard, before, first, p.doubled, p.base)
    elif bank == COUPLINGS:
        place_couplings(p.die, p.topology.row, heard, first, p.doubled, p.base)
    else:
        place_biases(p.die, heard, first, p.bias, p.base)
    _placed(p)


@inner
def _drive(c, lines, before, first, stop, times):  # type: ignore[no-untyped-def]
    """Outputs that fields are made of go to where the new codes settle; before : (stop - first,) int16, what converters got."""
    volts, heard, now = lines.volts[first:stop], lines.heard[first:stop], c.time[NOW]
    was = volts.copy()
    outputs_changed(lines.bank, heard, before, first, volts)
    if lines.tau > 0:
        kicks, written, mask = lines.kicks[first:stop], lines.written[first:stop], (1 << lines.bank.bits) - 1
        kick(volts, was, heard, before, kicks, written, times, lines.tau, lines.glitch, mask)
        c.time[KICKED_UNTIL] = max(c.time[KICKED_UNTIL], now + np.int64(np.ceil(SETTLED_AFTER * lines.tau)))
    c.time[STALE], c.time[EVALUATED_AT] = 1, -1


@inner
def _settle(c, p):  # type: ignore[no-untyped-def]
    """The fabric settles from NOW on."""
    c.time[SETTLED_AT] = c.events[EVENT_SETTLED] = c.time[NOW] + p.timing[0].settle
    c.registers[FABRIC_STATUS] &= ~U(SETTLED)


@inner
def written(c, p, bank, first, count, times, writes):  # type: ignore[no-untyped-def]
    """Codes first .. first + count - 1 of a bank are new. p : Plant.

    times : (count or 1,) int64, cycles at which they were written, the last of them NOW; writes : that cost energy
    """
    stop = first + count
    c.counts[WRITES] += writes
    before = p.lines[bank].heard[first:stop].copy()
    _hear(p.lines[bank], first, stop)
    if p.general:
        _drive(c, p.lines[bank], before, first, stop, times)
    else:
        _place(p, bank, before, first, stop)
    _settle(c, p)


@inner
def new_version(c, writes):  # type: ignore[no-untyped-def]
    """LEARN.VERSION rises by one for each write."""
    c.registers[VERSION] += U(writes)


@kernel
def write(core, p, bank, first, count, times, accesses):  # type: ignore[no-untyped-def]
    """The host, or firmware, has written codes first .. first + count - 1 of a bank in so many accesses.

    core : (1,) CORE; p : Plant; times : as in `written`
    """
    written(core[0], p, bank, first, count, times, count)
    new_version(core[0], accesses)


@kernel
def trim(core, p, offsets, slopes, first, soft):  # type: ignore[no-untyped-def]
    """Cells first .. first + n - 1 have new trim codes, (n,) int16 each, at NOW.

    core : (1,) CORE; p : Plant; soft : (planes, cells) int16, codes of soft clamps, whose fields follow slopes
    """
    c, row, stop = core[0], p.topology.row, first + offsets.size
    take_trims(p.die, offsets, slopes, first)
    if c.time[SOFT] & SOFT_ON:
        place_soft(p.soft, soft, p.die.alpha, p.floating, p.soft_step, p.die.scale)
    if p.general:
        c.time[STALE], c.time[EVALUATED_AT] = 1, -1
    else:
        low, high = np.int64(row[first]), np.int64(row[stop])
        place_couplings(p.die, row, p.lines[COUPLINGS].heard[low:high], low, p.doubled, p.base)
        place_biases(p.die, p.lines[BIASES].heard[first:stop], first, p.bias, p.base)
        _placed(p)
    c.counts[WRITES] += offsets.size
    _settle(c, p)


@kernel
def hear_all(p):  # type: ignore[no-untyped-def]
    """What converters of both banks get of their codes, when stuck bits or all codes may be others."""
    for bank in range(2):
        _hear(p.lines[bank], 0, p.lines[bank].codes.size)


@kernel
def place_all(p):  # type: ignore[no-untyped-def]
    """All fields of what converters get, where they follow at once."""
    p.doubled[:] = 0
    p.bias[:] = 0
    p.base[:] = 0
    place_couplings(p.die, p.topology.row, p.lines[COUPLINGS].heard, 0, p.doubled, p.base)
    place_biases(p.die, p.lines[BIASES].heard, 0, p.bias, p.base)
    _placed(p)
