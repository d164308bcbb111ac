"""The host link: operations at their cycles; docs/theory-of-operation.md, "Transactions"."""

from __future__ import annotations

import numpy as np

from tsu_contract.operations import Op
from tsu_contract.registers import WINDOW_STRIDE
from tsu_emu import state as S
from tsu_emu.digital import words as W
from tsu_emu.digital.bus import fault_at, strike
from tsu_emu.digital.regfile import QUEUE, QUEUE_FAILS, peek_word, read_word, write_word
from tsu_emu.digital.validate import OK, first_fault
from tsu_emu.jit import kernel, unfolded

U = np.uint32
NOW, LINK, DRAINED, SENSED_AT, EVENT_SLOTS = S.NOW, S.LINK, S.DRAINED, S.SENSED_AT, S.EVENT_SLOTS
SENSOR, EVENT_SETTLED = W.SENSOR, S.EVENT_SETTLED
READ, WRITE, RMW, BLKRD, BLKWR, WAIT, DELAY, DELAY_UNTIL, FENCE = (int(op) for op in Op)
STRIDE = WINDOW_STRIDE

POSTED, POSTED_MAX = S.POSTED, S.POSTED_MAX

DONE, AT_WINDOW, AT_EFFECT, AT_WAIT, EVENTS_DUE, AT_SENSOR, AT_BUS_ERROR, AT_FULL, UNCHECKED = range(9)
"""Why `begin` or `execute` returned."""


@unfolded
def _quiet(c, until):  # type: ignore[no-untyped-def]
    """Moves NOW to `until` if nothing is due before; False if something is."""
    for k in range(EVENT_SLOTS):
        if c.events[k] <= until:
            return False
    c.time[NOW] = max(c.time[NOW], until)
    return True


@unfolded
def _posted(c, timing):  # type: ignore[no-untyped-def]
    """A posted write took effect at NOW; the link stalls if it is too far ahead."""
    c.time[DRAINED] = c.time[NOW]
    c.posted[c.time[POSTED] % POSTED_MAX] = c.time[NOW]
    c.time[POSTED] += 1
    c.time[LINK] = max(c.time[LINK], c.time[DRAINED] - timing.write_buffer)


@unfolded
def _room_at(c, depth):  # type: ignore[no-untyped-def]
    """Cycle from which a queue of so many posted writes has room for one more; 0: it is no limit."""
    number = c.time[POSTED]
    return c.posted[(number - depth) % POSTED_MAX] if 0 < depth <= number else np.int64(0)


@unfolded
def _beats(windows, timing, addr, words):  # type: ignore[no-untyped-def]
    """Cycles of the words of a window access."""
    cost = windows.cost[addr // STRIDE]
    return words * (timing.beat if cost == 0 else timing.dac_beat if cost == 1 else timing.scan_beat)


@unfolded
def _acts_at(c, t, op, burst, beats, room):  # type: ignore[no-untyped-def]
    """(cycle at which an access acts, the link's clock before it if it is a posted write).

    room : cycle from which the queue of posted writes has room
    """
    link = c.time[LINK]
    setup = t.burst_setup if burst else 0
    if op == WRITE or op == BLKWR:
        link = max(link + t.issue + setup + beats, room)
        return max(link, c.time[DRAINED]) + t.access, link
    return max(link + t.issue + setup, c.time[DRAINED]) + (2 * t.access if op == RMW else t.access), link


@unfolded
def _pass_time(c, op, arg):  # type: ignore[no-untyped-def]
    """DELAY, DELAY_UNTIL and FENCE."""
    if op == DELAY:
        c.time[LINK] += arg
    elif op == DELAY_UNTIL:
        c.time[LINK] = max(c.time[LINK], arg)
    else:
        c.time[LINK] = max(c.time[LINK], c.time[DRAINED])


@unfolded
def _goes_on(records, k, op, addr):  # type: ignore[no-untyped-def]
    """Whether operation k is followed by the same one on the next word."""
    n = k + 1
    return n < records.size and records[n].op == op and records[n].addr == addr + 4


@kernel
def begin(core, rules, windows, timings, records, values, cycles):  # type: ignore[no-untyped-def]
    """As `execute` from the start of a list that is validated first. UNCHECKED: `validate.check` has more to say of the list,
    and nothing was carried out."""
    _, code, rest = first_fault(records, rules, windows, core[0].time[LINK])
    if code != OK or rest:
        return 0, UNCHECKED, core[0].time[LINK], 0
    return execute(core, rules, windows, timings, records, values, cycles, 0)


@kernel
def execute(core, all_rules, all_windows, timings, records, values, cycles, start):  # type: ignore[no-untyped-def]
    """Operations from `start` on, at their cycles; results into `values` (n,) uint32, cycles of window accesses into `cycles`.

    Returns (index, reason, until, effects). DONE: all carried out (index = n). AT_WINDOW: operation `index` acts now and its
    data are to be moved, with those of `effects` such operations before it, on words one after the other; AT_EFFECT: it acted,
    and the correlator is to do `effects`; go on at index + 1 after either. EVENTS_DUE: `advance` to `until`, then try `index`
    again. AT_WAIT: WAIT `index` has its first look at `until`. AT_SENSOR: TEMP.SENSOR is to be set for `until`, then try `index`
    again. AT_BUS_ERROR: the access failed at `until`; AT_FULL: likewise, as the queue of posted writes was full.
    """
    c, timing, rules, windows = core[0], timings[0], all_rules[0], all_windows[0]
    run = 0  # operations on words one after the other before this one, whose data are still to be moved
    for k in range(start, records.size):
        r = records[k]
        op, addr, arg = np.int64(r.op), np.int64(r.addr), np.int64(r.arg)
        if op >= DELAY:
            _pass_time(c, op, arg)
            continue
        in_window, burst = addr >= STRIDE, op == BLKRD or op == BLKWR
        beats = _beats(windows, timing, addr, arg if burst else 1) if in_window else 0
        posts = op == WRITE or op == BLKWR
        room = _room_at(c, rules.policy[QUEUE]) if posts else np.int64(0)
        entry = c.time[LINK] + timing.issue + (timing.burst_setup if burst else 0) + beats
        at, link = _acts_at(c, timing, op, burst, beats, room)
        fault = fault_at(c, addr)
        full = fault < 0 and entry < room and rules.policy[QUEUE_FAILS] != 0
        at = entry if full else at
        if op == WAIT and fault < 0:
            return k, AT_WAIT, at, 0
        if run > 0 and (fault >= 0 or full):
            return k - 1, AT_WINDOW, at, run - 1
        if not _quiet(c, at):
            return (k - 1, AT_WINDOW, at, run - 1) if run > 0 else (k, EVENTS_DUE, at, 0)
        if fault >= 0:
            strike(c, fault)
            c.time[LINK] = at + timing.return_
            return k, AT_BUS_ERROR, at, 0
        if full:
            c.time[LINK] = at + timing.return_
            return k, AT_FULL, at, 0
        effects = 0
        if not in_window:
            word = rules.decode[addr >> 2]
            if word == SENSOR and c.time[SENSED_AT] != at:
                return k, AT_SENSOR, at, 0
            if op != WRITE:
                values[k] = read_word(c, rules, word)
            if op != READ:
                effects = write_word(c, rules, timing, word, r.value, r.mask if op == RMW else U(0xFFFFFFFF), False)
        if posts:
            c.time[LINK] = link
            _posted(c, timing)
        else:
            if op == RMW:
                c.time[DRAINED] = at
            c.time[LINK] = at + beats + timing.return_
        if in_window:
            if op == WRITE and windows.settles[addr // STRIDE]:
                c.events[EVENT_SETTLED] = c.time[NOW] + timing.settle
            cycles[k] = at
            if burst or not _goes_on(records, k, op, addr):
                return k, AT_WINDOW, at, run
            run += 1
        elif effects:
            return k, AT_EFFECT, at, effects
    last = c.time[LINK]
    return records.size, DONE if _quiet(c, last) else EVENTS_DUE, last, 0


@kernel
def finish_wait(core, rules, timings, word):  # type: ignore[no-untyped-def]
    """The link goes on after a WAIT that was met or timed out at NOW. Returns the word seen."""
    c = core[0]
    c.time[LINK] = c.time[NOW] + timings[0].return_
    return peek_word(c, rules[0], word)
