"""The firmware core at work between two events of its chip, compiled: instructions, and accesses to registers."""

from __future__ import annotations

import numpy as np

from tsu_contract.registers import REGISTER_SPACE, WINDOW_STRIDE
from tsu_emu import state as S
from tsu_emu.chip.window_memory import load_word, store_word
from tsu_emu.cpu.hart import BUS, UNTIL, bus_fault, finish_load, finish_store, run
from tsu_emu.cpu.machine import EXTERNAL, SOFTWARE, TIMER
from tsu_emu.cpu.state import BUS_LOAD
from tsu_emu.digital import words as W
from tsu_emu.digital.bus import fault_at, inward, strike
from tsu_emu.digital.regfile import peek_word, read_word, write_word
from tsu_emu.digital.validate import takes_word
from tsu_emu.jit import inner, kernel, unfolded

U, Z = np.uint32, np.int64
NOW, NEVER, BITE_AT, EVENT_SETTLED, EVENT_SEQUENCER, EVENT_STALE = (
    S.NOW, S.NEVER, S.BITE_AT, S.EVENT_SETTLED, S.EVENT_SEQUENCER, S.EVENT_STALE,
)  # fmt: skip
PENDING, ENABLE, STATUS, FULL, LOW, HIGH = (
    W.IRQ_PENDING, W.CPU_IRQ_ENABLE, W.MAILBOX_STATUS, W.FULL_TO_CORE, W.COMPARE_LOW, W.COMPARE_HIGH,
)  # fmt: skip
SENSOR, WATCHDOG, CTRL, HOLD, SPACE = W.SENSOR, W.WATCHDOG, W.CPU_CTRL, W.CPU_HOLD, REGISTER_SPACE
STRIDE = WINDOW_STRIDE
NOBODY, ALL = -1, -2
"""Instead of the word that somebody watches: nobody watches; every access is watched."""
SLICE = 10_000_000
"""Cycles that the core works in one go, some 100 ms."""


@kernel
def compare_at(core):  # type: ignore[no-untyped-def]
    """Cycle from which the timer's line is up, or NEVER."""
    c = core[0]
    cycle = Z(c.registers[HIGH]) << 32 | Z(c.registers[LOW])
    return cycle if cycle >= 0 else Z(NEVER)


@kernel
def takes(all_rules, word, value):  # type: ignore[no-untyped-def]
    """Whether every field of a register word may hold what a value has for it."""
    rules = all_rules[0]
    for k in range(rules.range_at[word], rules.range_at[word + 1]):
        field = (Z(value) & rules.ranges[k, 2]) >> rules.ranges[k, 1]
        if field < rules.ranges[k, 3] or field > rules.ranges[k, 4]:
            return False
    return True


@unfolded
def lines_at(c, cycle, compare):  # type: ignore[no-untyped-def]
    """Interrupt lines at a cycle, as bits of mip; compare : the timer's cycle."""
    return U(
        Z((c.registers[PENDING] & c.registers[ENABLE]) != U(0)) << EXTERNAL
        | Z((c.registers[STATUS] & U(FULL)) != U(0)) << SOFTWARE
        | Z(cycle >= compare) << TIMER
    )


@inner
def _end(c, until, compare, now):  # type: ignore[no-untyped-def]
    """Cycle at which something else is due, after `until` at the latest; instructions that begin before it are the core's."""
    end = min(until, c.events[EVENT_STALE], NEVER - 1) + 1
    end = min(end, c.events[EVENT_SETTLED], c.events[EVENT_SEQUENCER])
    bite = c.firmware[BITE_AT]
    end = min(end, bite) if bite > 0 else end
    return min(end, compare) if compare > now else end


@unfolded
def _seen(c, rules, watch):  # type: ignore[no-untyped-def]
    """Whether what is watched has come."""
    word = watch[0]
    return word == ALL or (word >= 0 and (Z(peek_word(c, rules, word)) ^ watch[2]) & watch[1] == 0)


@kernel
def seen(core, all_rules, watch):  # type: ignore[no-untyped-def]
    """Whether `watch` of `work` has come."""
    return _seen(core[0], all_rules[0], watch)


@kernel
def work(core, all_rules, timings, harts, models, rom, ram, until, watch):  # type: ignore[no-untyped-def]
    """The core executes from its cycle, which is NOW, as far as nothing else happens, at most to `until` or for SLICE cycles.

    watch : (3,) int64 (word, mask, wanted): return after the access that makes a register word so, NOBODY or ALL in its place
    Returns (reason, effects): UNTIL, with what the correlator is to do; ASLEEP; BUS: NOW is the cycle of an access that this loop
    leaves to its caller.
    """
    c, rules, timing, h = core[0], all_rules[0], timings[0], harts[0]
    until = min(until, h.cycle + SLICE)
    while True:
        now, compare = h.cycle, compare_at(core)
        h.lines = lines_at(c, now, compare)
        reason, _ = run(harts, models, rom, ram, _end(c, until, compare, now))
        if reason != BUS:
            return reason, 0
        c.time[NOW] = h.cycle
        address, effects = Z(h.bus_address) - models[0].mmio_base, 0
        if rules.placed > 0:
            address = inward(rules, address)
        fault = fault_at(c, address) if h.bus_size == U(4) else -1
        if fault >= 0:
            strike(c, fault)
            bus_fault(harts, models, timing.issue + 1)
            if _seen(c, rules, watch):
                return UNTIL, 0
            continue
        word = Z(rules.decode[address >> 2]) if address < SPACE and h.bus_size == U(4) else Z(-1)
        load = h.bus_kind == U(BUS_LOAD)
        if word < 0 or word == SENSOR or not (load or takes(all_rules, word, h.bus_value)):
            return BUS, 0
        if load:
            found = read_word(c, rules, word)
            finish_load(harts, found, max(timing.issue + timing.access + timing.return_, 1))
        else:
            value = h.bus_value
            effects = write_word(c, rules, timing, word, value, U(0xFFFFFFFF), True)
            finish_store(harts, max(timing.issue + timing.access, 1))
            if word == WATCHDOG:
                c.firmware[BITE_AT] = h.cycle + Z(value) if value > U(0) else 0
        if effects or c.registers[CTRL] & U(HOLD) or _seen(c, rules, watch):
            return UNTIL, effects


@unfolded
def at_window(core, p, memory, harts, models):  # type: ignore[no-untyped-def]
    """Carries out the access at which `work` returned BUS; False if it is none that may be made to a window, or one that
    `WindowPort` is to make. p : Plant; memory : `window_memory.Memory`"""
    c, h, timing = core[0], harts[0], p.timing[0]
    address, load = Z(h.bus_address) - models[0].mmio_base, h.bus_kind == U(BUS_LOAD)
    if p.rules[0].placed > 0:
        address = inward(p.rules[0], address)
    if h.bus_size != U(4) or address < STRIDE or not takes_word(p.windows, address, not load, Z(h.bus_value)):
        return False
    number, first = address // STRIDE, (address % STRIDE) // 4
    if load:
        found = load_word(memory, number, first)
        finish_load(harts, found, max(timing.issue + timing.access + timing.return_, 1))
        return True
    if not store_word(c, p, memory, number, first, h.bus_value):
        return False
    finish_store(harts, max(timing.issue + timing.access, 1))
    return True


@kernel
def work_on(core, p, memory, harts, models, rom, ram, until, watch):  # type: ignore[no-untyped-def]
    """As `work`, which returned BUS, and on through accesses to windows. BUS: the access is one that `at_window` leaves."""
    while at_window(core, p, memory, harts, models):
        if harts[0].cycle > until or _seen(core[0], p.rules[0], watch):
            return UNTIL, 0
        reason, effects = work(core, p.rules, p.timing, harts, models, rom, ram, until, watch)
        if reason != BUS:
            return reason, effects
    return BUS, 0
