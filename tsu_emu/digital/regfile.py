"""The register file: one table-driven engine for what a read or a write does to a word, and what follows from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import Capabilities
from tsu_contract.extension import BASE, EXTENSION_WORDS, RegisterMap
from tsu_contract.registers import REGISTERS, WINDOWS, access_table
from tsu_emu import state as S
from tsu_emu.digital import sequencer
from tsu_emu.digital import words as W
from tsu_emu.digital.calibration import calibrated
from tsu_emu.digital.interrupts import raise_irq, wake_core
from tsu_emu.jit import inner, kernel

U = np.uint32
NOW, SWEEP, BUSY, RAISED_AT, RAISED, IRQ_PENDING = S.NOW, S.SWEEP, S.BUSY, S.RAISED_AT, S.RAISED, W.IRQ_PENDING
PHYS_TIME, ENERGY, ENERGIES, STANDBY = W.PHYS_TIME, W.ENERGY, W.ENERGIES, S.COUNT_SLOTS
CTRL, CYCLE_LOW, IRQ_TEST, SEQ_CTRL, SEQ_PC, CORR_COUNT = W.CTRL, W.CYCLE_LOW, W.IRQ_TEST, W.SEQ_CTRL, W.SEQ_PC, W.CORR_COUNT
CORR_CTRL, CORR_CLEAR, CORR_LATCH, BOOT, IRQ_BOOT, RESET = W.CORR_CTRL, W.CORR_CLEAR, W.CORR_LATCH, W.BOOT, W.IRQ_BOOT, W.RESET
control, jump, reset_sequencer, refilled = sequencer.control, sequencer.jump, sequencer.reset, sequencer.refilled
UPDATES_DONE, SWAPS_DONE, LEARN_UPDATES, SWAPS = S.LEARN_UPDATES, S.SWAPS, W.LEARN_UPDATES, W.SWAPS
LEARN_CTRL, LEARN_CLEAR, LEARN_CLIPPED = W.LEARN_CTRL, W.LEARN_CLEAR, W.LEARN_CLIPPED
DMA_CTRL, DMA_RESET, DMA_HEAD, DMA_TAIL, DMA_ENTRIES, DMA_UNDERRUNS, DMA_PLACE, ERROR, OVERRUN = (
    W.DMA_CTRL, W.DMA_RESET, W.DMA_HEAD, W.DMA_TAIL, W.DMA_ENTRIES, W.DMA_UNDERRUNS, W.DMA_PLACE, W.ERROR, W.ERROR_DMA_OVERRUN,
)  # fmt: skip
CAL_CTRL, CAL_LIMIT, CAL_AGE, STAMPED_AT, EVENT_STALE, NEVER = (
    W.CAL_CTRL, W.CAL_LIMIT, W.CAL_AGE, S.STAMPED_AT, S.EVENT_STALE, S.NEVER,
)  # fmt: skip
TO_CORE, FROM_CORE, MAILBOX_STATUS, FULL_TO_CORE, FULL_FROM_CORE, IRQ_MAILBOX, CPU_CTRL = (
    W.TO_CORE, W.FROM_CORE, W.MAILBOX_STATUS, W.FULL_TO_CORE, W.FULL_FROM_CORE, W.IRQ_MAILBOX, W.CPU_CTRL,
)  # fmt: skip

RULE = np.dtype(
    [
        ("read", "u4"), ("write", "u4"), ("w1c", "u4"), ("pulse", "u4"), ("firmware", "u4"), ("reset", "u4"),
        ("latch", "i4"), ("free_running", "i4"), ("keep", "i4"),
    ]
)  # fmt: skip
"""Rule of a register word, as in `AccessTable`; `keep` words survive SYS.CTRL.RESET."""

# what follows from a write beyond the digital core
NO_EFFECT, LATCH_CORRELATIONS, CLEAR_CORRELATIONS, RESET_WINDOWS, RESET_TRIMS = 0, 1, 2, 4, 8

# index into RegisterRules.policy
ON_RESET, ON_BITE, SET_WINS, QUEUE, QUEUE_FAILS = range(5)
"""What follows from SYS.CTRL.RESET, and from a bite of the watchdog, -1: only the core is reset; whether an event wins over a
clear of its bit in the same cycle; posted writes that may be under way, 0: no limit; whether one more fails."""
DEFAULT_POLICY = (NO_EFFECT, -1, 0, 0, 0)

RegisterRules = NDArray[Any]
"""Access rules of a chip's words, (1,): one record, because compiled code counts references to each array that it passes on.

decode : (REGISTER_SPACE / 4,) int16, word number of an address / 4; words : (words,) RULE
ranges : (n, 5) int64 rows (word, low, mask, minimum, maximum); fields : (m, 2) int64 rows (word, mask)
range_at, field_at : (words + 1,) int64, rows range_at[w] .. range_at[w + 1] - 1 of `ranges` are those of word w
placed : int64, ranges of a map that has things elsewhere; places : (n, 3) int64, `Places.rows` and what fills them up
energy : (6,) int64, aJ an operation, in the order of MON.ENERGY_*; policy : (5,) int64, see ON_RESET
Arrays have the same sizes for every map, so that compiled code does not depend on it: a chip without registers of one's own has
words that no address leads to.
"""
PLACES_MAX = EXTENSION_WORDS + len({name.split(".")[0] for name in REGISTERS}) + len(WINDOWS)
"""A block, a window or a register of a user moves as a whole."""
NO_WORD = 1 << 30
"""Word number of rows that fill an array up."""


def _filled(rows: NDArray[Any], count: int, value: int = 0) -> NDArray[Any]:
    """Rows, and what fills them up to a count."""
    more = np.zeros((count - len(rows), *rows.shape[1:]), rows.dtype)
    if more.ndim == 2:
        more[:, 0] = value
    return np.concatenate([rows, more])


def make_rules(
    cap: Capabilities, energy: NDArray[np.int64], registers: RegisterMap = BASE, policy: tuple[int, ...] = DEFAULT_POLICY
) -> RegisterRules:
    """The rules of a chip: plane bits it lacks are reserved, codes end where its DACs end.

    energy : (6,) int64, aJ of an update, a read, a write, a conversion, an accumulator's update, and of a cycle's standby
    registers : its map; policy : in the order of ON_RESET ..
    """
    table, contract = registers.access, access_table()
    populated = np.full(len(table.reset), 0xFFFFFFFF, np.uint32)
    first_of: dict[int, int] = {}
    for word in np.flatnonzero(table.per_plane):
        first = first_of.setdefault(int(table.register[word]), int(word))
        planes = min(max(cap.planes - 32 * (int(word) - first), 0), 32)
        populated[word] = (1 << planes) - 1
    keep = np.array([table.names[r].startswith("CAP.") for r in table.register])
    keep[[W.MAP_HASH, W.BOOT, W.FABRIC_STATUS, W.SENSOR]] = True
    keep[[W.VERSION, W.SPIN_VERSION, W.SPIN_CRC, W.CORR_FIRST, W.CORR_VERSION, W.CORR_CRC]] = True
    keep[W.CAL_STATUS] = True
    keep |= np.array([table.names[r].startswith(("CPU.", "TIMER.", "WATCHDOG.")) for r in table.register])
    keep |= table.latch > 0
    ranges = _filled(table.ranges, len(contract.ranges) + EXTENSION_WORDS, NO_WORD)
    fields = _filled(table.fields, len(contract.fields) + 4 * EXTENSION_WORDS, NO_WORD)
    ranges[np.isin(ranges[:, 0], [W.TDAC, W.SCHEDULE_START, W.SCHEDULE_END]), 4] = (1 << cap.temp_bits) - 1
    words, count = np.zeros(S.WORDS, RULE), len(table.reset)
    for column in ("read", "w1c", "pulse", "firmware", "latch", "free_running"):
        words[column][:count] = getattr(table, column)
    for column, values in {"write": table.write & populated, "reset": table.reset & populated, "keep": keep}.items():
        words[column][:count] = values
    every = np.arange(len(words) + 1)
    parts = {"decode": table.decode, "words": words, "ranges": ranges, "fields": fields, "energy": energy}
    parts |= {"range_at": np.searchsorted(ranges[:, 0], every), "field_at": np.searchsorted(fields[:, 0], every)}
    parts |= {"policy": np.array(policy, np.int64), "placed": np.array(len(registers.places.rows))}
    parts["places"] = _filled(registers.places.rows, PLACES_MAX)
    rules = np.zeros(1, [(name, part.dtype, part.shape) for name, part in parts.items()])
    for name, part in parts.items():
        rules[name][0] = part
    return rules


def power_on_registers(
    rules: RegisterRules, cap: Capabilities, firmware: bool, registers: RegisterMap = BASE
) -> NDArray[np.uint32]:
    """Registers at power-on; without firmware the chip is READY at once."""
    words: NDArray[np.uint32] = rules["words"][0]["reset"].copy()
    words[W.MAP_HASH] = registers.hash_word
    words[W.FABRIC_STATUS] = W.SETTLED
    if not firmware:
        words[W.BOOT] = W.BOOT_READY
    for name in Capabilities.names():
        words[access_table().word(name)] = getattr(cap, name.removeprefix("CAP.").lower())
    return words


@inner
def femtojoules(c, rules, kind):  # type: ignore[no-untyped-def]
    """One part of the joule ledger: 0 .. 4 as CORE.counts, 5 standby; fJ, modulo 2^64."""
    n = c.time[NOW] if kind == STANDBY else c.counts[kind]
    return n // 1000 * rules.energy[kind] + n % 1000 * rules.energy[kind] // 1000


@inner
def _counter(c, rules, word):  # type: ignore[no-untyped-def]
    if word == CYCLE_LOW:
        return c.time[NOW]
    if word == PHYS_TIME:
        return c.time[BUSY]
    if word == ENERGY:
        total = np.int64(0)
        for kind in range(STANDBY + 1):
            total += femtojoules(c, rules, kind)
        return total
    for kind in range(STANDBY + 1):
        if word == ENERGIES[kind]:
            return femtojoules(c, rules, kind)
    if word == LEARN_UPDATES:
        return c.time[UPDATES_DONE]
    if word == SWAPS:
        return c.time[SWAPS_DONE]
    if word == CAL_AGE:
        return c.time[NOW] - c.time[STAMPED_AT]
    return c.time[SWEEP]


@kernel
def read_word(c, rules, word):  # type: ignore[no-untyped-def]
    """What a bus read of a word of a CORE record returns at NOW; a counter's low word latches its high word."""
    if rules.words[word].latch == 1:
        count = _counter(c, rules, word)
        c.registers[word + 1] = U(count >> 32)
        return U(count & 0xFFFFFFFF)
    return c.registers[word] & rules.words[word].read


@kernel
def peek_word(c, rules, word):  # type: ignore[no-untyped-def]
    """As `read_word`, latching nothing: a counter's high word is the live one. For WAIT."""
    half = rules.words[word].latch
    if half > 0:
        return U(_counter(c, rules, word - half + 1) >> (32 * (half - 1)) & 0xFFFFFFFF)
    return c.registers[word] & rules.words[word].read


@inner
def _reset_registers(c, rules):  # type: ignore[no-untyped-def]
    reset_sequencer(c)
    for w in range(rules.words.size):
        if rules.words[w].keep == 0:
            c.registers[w] = rules.words[w].reset
    c.events[EVENT_STALE] = NEVER


@inner
def _ring_moved(c, acts):  # type: ignore[no-untyped-def]
    """DMA.CTRL or DMA.HEAD was written; a stalled CLAMP_NEXT looks again."""
    if acts & U(DMA_RESET):
        for word in (DMA_HEAD, DMA_TAIL, DMA_UNDERRUNS, DMA_PLACE):
            c.registers[word] = 0
    refilled(c)


@kernel
def write_word(c, rules, timing, word, value, mask, by_firmware):  # type: ignore[no-untyped-def]
    """A bus write at NOW of the bits of `mask`. Returns what follows: LATCH_CORRELATIONS | CLEAR_CORRELATIONS | RESET_WINDOWS |
    RESET_TRIMS."""
    rule = rules.words[word]
    if word == SEQ_PC:
        jump(c, (c.registers[word] & ~mask) | (value & mask))
        return NO_EFFECT
    plain = rule.write & mask
    if by_firmware:
        plain |= rule.firmware & mask
    acts, cleared = value & mask & rule.pulse, value & mask & rule.w1c
    if by_firmware:
        cleared &= ~rule.firmware
    if word == IRQ_PENDING and rules.policy[SET_WINS] != 0 and c.time[RAISED_AT] == c.time[NOW]:
        cleared &= ~U(c.time[RAISED])
    c.registers[word] = ((c.registers[word] & ~plain) | (value & plain)) & ~cleared
    if word == SEQ_CTRL:
        control(c, timing, acts)
    elif word == CORR_CTRL:
        latch = LATCH_CORRELATIONS if acts & U(CORR_LATCH) else NO_EFFECT
        if acts & U(CORR_CLEAR):
            c.registers[CORR_COUNT] = 0
            return latch | CLEAR_CORRELATIONS
        return latch
    elif word == IRQ_TEST:
        c.registers[word] = 0
        raise_irq(c, value & mask)
    elif word == BOOT:
        raise_irq(c, U(IRQ_BOOT))
    elif word == LEARN_CTRL and acts & U(LEARN_CLEAR):
        c.registers[LEARN_CLIPPED] = 0
    elif word == DMA_CTRL or word == DMA_HEAD:
        if word == DMA_HEAD and U(c.registers[DMA_HEAD] - c.registers[DMA_TAIL]) > c.registers[DMA_ENTRIES]:
            c.registers[ERROR] |= U(OVERRUN)
        _ring_moved(c, acts)
    elif word == CAL_LIMIT or (word == CAL_CTRL and acts):
        calibrated(c, acts)
    elif word == TO_CORE:
        c.registers[MAILBOX_STATUS] |= U(FULL_TO_CORE)
        wake_core(c)
    elif word == FROM_CORE:
        c.registers[MAILBOX_STATUS] |= U(FULL_FROM_CORE)
        raise_irq(c, U(IRQ_MAILBOX))
    elif word == CPU_CTRL:
        wake_core(c)
    elif word == CTRL and acts & U(RESET):
        _reset_registers(c, rules)
        return rules.policy[ON_RESET]
    return NO_EFFECT


@kernel
def reset_registers(core, all_rules):  # type: ignore[no-untyped-def]
    """Registers and sequencer as SYS.CTRL.RESET leaves them."""
    _reset_registers(core[0], all_rules[0])
