"""Checks a whole list of operations before any of it is executed; compiled code finds, and `refusals` explains."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import Capabilities
from tsu_contract.errors import Code, fail
from tsu_contract.extension import BASE, RegisterMap
from tsu_contract.operations import TIME_MAX, Op
from tsu_contract.registers import REGISTER_SPACE, WINDOW_AT, WINDOW_STRIDE
from tsu_contract.wire import FRAMES_MAX, PAYLOAD_BYTES_MAX, Frame
from tsu_emu.digital.refusals import explain
from tsu_emu.digital.regfile import RegisterRules
from tsu_emu.jit import kernel, unfolded

U = np.uint32
SPACE, STRIDE = REGISTER_SPACE, WINDOW_STRIDE
READ, WRITE, RMW, BLKRD, BLKWR, WAIT, DELAY, DELAY_UNTIL, FENCE = (int(op) for op in Op)
OK, BAD_OPERATION, BAD_CHIP, UNMAPPED, MISALIGNED, READ_ONLY, WRITE_ONLY, RESERVED, RANGE, SPLIT, UNPOPULATED, FREE = (
    int(c)
    for c in (
        Code.OK, Code.BAD_OPERATION, Code.BAD_CHIP, Code.UNMAPPED, Code.MISALIGNED, Code.READ_ONLY, Code.WRITE_ONLY,
        Code.RESERVED_BITS, Code.OUT_OF_RANGE, Code.SPLIT_FIELD, Code.UNPOPULATED, Code.FREE_RUNNING,
    )
)  # fmt: skip
TIME_ROOM = TIME_MAX - (1 << 50)
"""Chip time that operations may ask for; the rest is room for their own cost."""
READS_MAX, READ_WORDS_MAX = FRAMES_MAX - 2, PAYLOAD_BYTES_MAX // 4
"""BLKRD operations of a message, and words of them all."""


WindowRules = NDArray[Any]
"""Per window number (address / WINDOW_STRIDE), one record (1,) as RegisterRules.

words : populated 32-bit words (0: no window); writable; cost : class 0, 1 or 2
elements, bytes : how many elements, of how many bytes; limited : whether each is to be in low .. high
settles : a write moves DACs
"""
_WINDOW_COLUMNS = ("words", "writable", "cost", "elements", "bytes", "limited", "low", "high", "settles")


def make_window_rules(cap: Capabilities) -> WindowRules:
    """The windows of a chip."""
    rules = np.zeros(1, [(name, "i8", ((1 << 32) // WINDOW_STRIDE,)) for name in _WINDOW_COLUMNS])
    for index, window in WINDOW_AT.items():
        limits, size = cap.limits(window), window.dtype.itemsize
        cost = ("beat", "dac_beat", "scan_beat").index(window.cost)
        first = (cap.words(window), "w" in window.access, cost, prod(cap.shape(window)), size, limits is not None)
        row = (*first, *(limits or (0, 0)), window.name in ("COUPLING", "BIAS"))
        for name, value in zip(_WINDOW_COLUMNS, row, strict=True):
            rules[name][0, index] = value
    return rules


@unfolded
def _window_fault(windows, op, addr, count):  # type: ignore[no-untyped-def]
    """Code of what is wrong with an access of `count` words at a window address."""
    window = addr // STRIDE
    if windows.words[window] == 0:
        return UNMAPPED
    if op == RMW or op == WAIT:
        return BAD_OPERATION
    first = (addr % STRIDE) // 4
    if count < 1 or first + count > windows.words[window]:
        return UNPOPULATED
    if (op == WRITE or op == BLKWR) and not windows.writable[window]:
        return READ_ONLY
    return OK


@unfolded
def _bits_fault(rules, op, word, value, mask):  # type: ignore[no-untyped-def]
    """Code of what is wrong with the bits that WRITE or RMW brings to a register word."""
    legal = rules.words[word].write | rules.words[word].w1c | rules.words[word].pulse
    if legal == 0:
        return READ_ONLY
    if op == RMW:
        if mask & ~legal or mask == 0:
            return RESERVED
        for k in range(rules.field_at[word], rules.field_at[word + 1]):
            covered = rules.fields[k, 1] & mask
            if covered != 0 and covered != rules.fields[k, 1] & legal:
                return SPLIT
    elif value & ~legal:
        return RESERVED
    for k in range(rules.range_at[word], rules.range_at[word + 1]):
        if rules.ranges[k, 2] & mask:
            number = (value & rules.ranges[k, 2]) >> rules.ranges[k, 1]
            if number < rules.ranges[k, 3] or number > rules.ranges[k, 4]:
                return RANGE
    return OK


@unfolded
def _register_fault(rules, op, addr, value, mask):  # type: ignore[no-untyped-def]
    if addr >= SPACE or rules.decode[addr // 4] < 0:
        return UNMAPPED
    word = rules.decode[addr // 4]
    if op == BLKRD or op == BLKWR:
        return BAD_OPERATION
    if op != WRITE and rules.words[word].read == 0:
        return WRITE_ONLY
    if op == WAIT:
        return FREE if rules.words[word].free_running else OK
    if op == READ:
        return OK
    return _bits_fault(rules, op, word, np.int64(value), np.int64(mask if op == RMW else U(0xFFFFFFFF)))


@kernel
def first_fault(records, all_rules, all_windows, link):  # type: ignore[no-untyped-def]
    """(index, code) of the first operation that may not be, or (-1, OK), and whether payloads, single writes to windows or the
    length of the reply are still to be looked at.

    link : the link's clock, cycles
    """
    rules, windows = all_rules[0], all_windows[0]
    asked, rest, reads, words = link, False, 0, np.int64(0)
    for k in range(records.size):
        r = records[k]
        op, addr, arg = np.int64(r.op), np.int64(r.addr), np.int64(r.arg & np.uint64(0x7FFFFFFFFFFFFFFF))
        if op < READ or op > FENCE or r.flags != 0:
            return k, BAD_OPERATION, rest
        if r.chip != 0:
            return k, BAD_CHIP, rest
        timed = op == DELAY or op == DELAY_UNTIL
        if (addr != 0 and (timed or op == FENCE)) or (r.arg != 0 and (op <= RMW or op == FENCE)):
            return k, BAD_OPERATION, rest
        if (r.value != 0 and not (op == WRITE or op == RMW or op == WAIT)) or (r.mask != 0 and op != RMW and op != WAIT):
            return k, BAD_OPERATION, rest
        if timed or op == WAIT:
            asked = max(asked, arg) if op == DELAY_UNTIL else asked + arg
            if r.arg > np.uint64(TIME_ROOM) or asked > TIME_ROOM:
                return k, RANGE, rest
        if timed or op == FENCE:
            continue
        if addr % 4 != 0:
            return k, MISALIGNED, rest
        count = arg if op == BLKRD or op == BLKWR else 1
        if np.uint64(count) != r.arg and (op == BLKRD or op == BLKWR):
            return k, UNPOPULATED, rest
        if (op == RMW or op == WAIT) and r.value & ~r.mask:
            return k, BAD_OPERATION, rest
        code = _window_fault(windows, op, addr, count) if addr >= STRIDE else _register_fault(rules, op, addr, r.value, r.mask)
        if code != OK:
            return k, code, rest
        if op == BLKRD:
            reads, words = reads + 1, words + count
        rest = bool(rest or (addr >= STRIDE and (op == WRITE or op == BLKWR)) or reads > READS_MAX or words > READ_WORDS_MAX)
    return -1, OK, rest


@unfolded
def _value_fault(windows, addr, word):  # type: ignore[no-untyped-def]
    """Whether a word of a window has an element out of limits; none past the last is looked at."""
    window = addr // STRIDE
    if windows.limited[window] == 0:
        return False
    size, low, high = windows.bytes[window], windows.low[window], windows.high[window]
    first, bits = (addr % STRIDE) // size, 8 * size
    for part in range(min(4 // size, windows.elements[window] - first)):
        value = word >> bits * part & (1 << bits) - 1
        if low < 0 and value >> bits - 1:
            value -= 1 << bits
        if value < low or value > high:
            return True
    return False


@kernel
def takes_word(all_windows, addr, store, word):  # type: ignore[no-untyped-def]
    """Whether a host might load a word of a window, or store `word` there; all int64."""
    windows, op = all_windows[0], WRITE if store else READ
    if addr % 4 != 0 or addr >= 1 << 32 or _window_fault(windows, op, addr, 1) != OK:
        return False
    return not (store and _value_fault(windows, addr, word))


@kernel
def first_value_fault(records, all_windows):  # type: ignore[no-untyped-def]
    """Index of the first WRITE of a window's word with an element out of limits, or -1."""
    for k in range(records.size):
        r = records[k]
        addr = np.int64(r.addr)
        if r.op == WRITE and addr >= STRIDE and _value_fault(all_windows[0], addr, np.int64(r.value)):
            return k
    return -1


def check(
    records: NDArray[Any], payloads: Sequence[Frame], rules: RegisterRules, windows: WindowRules, cap: Capabilities, link: int,
    registers: RegisterMap = BASE, asked: NDArray[Any] | None = None,
) -> None:  # fmt: skip
    """Raises the ProtocolError of the first thing wrong with a list; nothing has been executed then.

    records : (n,) of `operations.RECORD`; payloads : one for each BLKWR in order; link : cycle, the host link's clock
    registers : the chip's, for the words of an error; asked : the same list with the addresses of the bus, if they are others
    """
    given = (records if asked is None else asked)["addr"]
    index, code, _ = first_fault(records, rules, windows, link)
    if code:
        raise explain(Code(code), int(index), records[index], cap, registers, int(given[index]))
    burst_reads = records["arg"][records["op"] == BLKRD]
    if len(burst_reads) > READS_MAX:
        raise fail(Code.TOO_LARGE, f"{len(burst_reads)} BLKRD operations; a reply has room for {READS_MAX}")
    if 4 * int(burst_reads.sum(dtype=np.uint64)) > PAYLOAD_BYTES_MAX:
        raise fail(Code.TOO_LARGE, f"the reply would exceed {PAYLOAD_BYTES_MAX} bytes; read in several messages")
    _check_payloads(records, payloads, cap, given)
    index = first_value_fault(records, windows)
    if index >= 0:
        r = records[index]
        _check_values(r, r["value"].tobytes(), int(index), int(given[index]), cap)


def _check_payloads(records: NDArray[Any], payloads: Sequence[Frame], cap: Capabilities, given: NDArray[np.uint32]) -> None:
    bursts = np.flatnonzero(records["op"] == BLKWR)
    if len(bursts) != len(payloads):
        raise fail(Code.BAD_PAYLOAD, f"{len(payloads)} payload frames for {len(bursts)} BLKWR operations")
    for index, payload in zip(bursts.tolist(), payloads, strict=True):
        r = records[index]
        if len(payload) != 4 * int(r["arg"]):
            message = f"payload of {len(payload)} bytes for a burst of {r['arg']} words; {4 * int(r['arg'])} expected"
            window = WINDOW_AT[int(r["addr"]) // WINDOW_STRIDE].name
            raise fail(Code.BAD_PAYLOAD, message, index, int(given[index]), window)
        _check_values(r, payload, index, int(given[index]), cap)


def _check_values(record: Any, data: Frame, index: int, given: int, cap: Capabilities) -> None:
    """Elements within the window's limits; those past its last one are not looked at. given : the address on the bus."""
    window = WINDOW_AT[int(record["addr"]) // WINDOW_STRIDE]
    limits = cap.limits(window)
    if limits is None:
        return
    first = (int(record["addr"]) % WINDOW_STRIDE) // window.dtype.itemsize
    total = prod(cap.shape(window))
    values = np.frombuffer(data, window.dtype)[: total - first]
    if values.min() < limits[0] or values.max() > limits[1]:
        worst = int(np.flatnonzero((values < limits[0]) | (values > limits[1]))[0])
        message = f"{window.name}[{first + worst}] = {values[worst]}; {limits[0]} to {limits[1]} expected"
        raise fail(Code.OUT_OF_RANGE, message, index, given, window.name)
