"""Batches: many operations in one message. What an operation reads comes back in a ticket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.extension import RegisterMap
from tsu_contract.operations import RECORD, TIME_MAX, Op
from tsu_contract.program import Opcode
from tsu_contract.wire import Frame, Interrupt, Reply
from tsu_driver.errors import HostError, error_of
from tsu_driver.names import (
    WORD_MAX,
    FieldValue,
    address_of,
    field_bits,
    field_value,
    find_field,
    find_register,
    integer,
    word,
)
from tsu_driver.session import Exchange, Session
from tsu_driver.tickets import NO_BLOCK, FieldTicket, Ticket, WideTicket, WindowTicket, WordTicket
from tsu_driver.windows import Layouts, payload, span

_READ, _WRITE, _RMW, _WAIT = int(Op.READ), int(Op.WRITE), int(Op.RMW), int(Op.WAIT)
_PACK = Struct("<QQQ").pack
"""A record from (op | address << 32, value | mask << 32, arg)."""


@cache
def _used(registers: RegisterMap) -> tuple[dict[str, bytes], dict[str, int]]:
    """Of a map's registers that were used, by name: the record that reads one, the first number of one that writes it."""
    return {}, {}


Before = Callable[[set[str], frozenset[Opcode] | None], None]
"""Told, before a batch goes out, what registers and windows it writes, and the opcodes of the program that it starts."""


@dataclass(frozen=True)
class Outcome:
    """What a batch came to.

    executed : operations carried out
    t_start, t_end : chip time in cycles before the first and after the last of them
    interrupts : events that came with this reply, oldest first; they are in `chip.interrupts` too
    interrupts_lost : events that the daemon's log no longer held
    """

    executed: int
    t_start: int
    t_end: int
    interrupts: tuple[Interrupt, ...]
    interrupts_lost: int

    @property
    def cycles(self) -> int:
        """Chip time that the batch took, in cycles."""
        return self.t_end - self.t_start


class Batch:
    """Operations in order. Nothing happens before `execute`, which may be called again for the same operations.

    A batch whose `execute` raised LinkTimeout is not sent anew by the next `execute`: that one collects the reply.
    Arrays given to `write_window` are not copied: leave them alone until the batch is executed.

    outcome : what the last execution came to, also if it failed; None before
    """

    def __init__(self, session: Session, layouts: Layouts | None, before: Before | None = None) -> None:
        self._session = session
        self._layouts = layouts
        self._before = before
        self._map = session.map
        self._reads, self._writes = _used(self._map)
        self._opcodes: frozenset[Opcode] | None = None
        self._records: list[bytes] = []
        self._payloads: list[memoryview] = []
        self._written: set[str] = set()
        self._sent_bytes = self._read_bytes = self._blocks = 0
        self._values: list[int] | None = None
        self._data: tuple[Frame, ...] = ()
        self._exchange: Exchange | None = None
        self.outcome: Outcome | None = None

    def __len__(self) -> int:
        return len(self._records)

    def read(self, name: str, index: int = 0) -> Ticket[int]:
        """Read a register, or element `index` of a register array. A 64-bit counter takes two operations."""
        record = self._reads.get(name)
        if record is None or index:
            reg = find_register(name, self._map)
            first = _READ | address_of(reg, index) << 32
            record = _PACK(first, 0, 0)
            if reg.words > 1:
                self._records += (record, _PACK(first + (4 << 32), 0, 0))
                return WideTicket(self, len(self._records) - 2)
            if not index:
                self._reads[name] = record
        slot = len(self._records)
        self._records.append(record)
        return WordTicket(self, slot)

    def read_field(self, path: str, index: int = 0) -> Ticket[int]:
        """Read one field: `read_field("SEQ.STATUS.STATE")`."""
        reg, fld = find_field(path, self._map)
        return FieldTicket(self, self.read(reg.name, index), fld)

    def read_path(self, path: str, index: int = 0) -> Ticket[int]:
        """Read a register or, if the path names one, a field."""
        return self.read(path, index) if path in self._map.registers else self.read_field(path, index)

    def write(self, name: str, value: int | None = None, index: int = 0, **fields: FieldValue) -> None:
        """Write a register: a whole word, or by field names, fields not named becoming 0.

        HostError if a field does not exist (the legal ones are listed), or a value is out of its range.
        """
        first = self._writes.get(name)
        if first is None or index:
            first = _WRITE | address_of(find_register(name, self._map), index) << 32
            if not index:
                self._writes[name] = first
        if fields:
            if value is not None:
                raise HostError(f"{name}: give a word or fields, not both")
            value, _ = field_bits(find_register(name, self._map), fields)
        elif value is None:
            raise HostError(f"{name}: nothing to write; fields are {', '.join(find_register(name, self._map).fields)}")
        if type(value) is not int or not 0 <= value <= WORD_MAX:
            value = word(value, name)
        self._records.append(_PACK(first, value, 0))
        self._written.add(name)

    def update(self, name: str, index: int = 0, **fields: FieldValue) -> Ticket[int]:
        """Change the named fields and leave the others as they are (RMW). The ticket is the word before."""
        reg = find_register(name, self._map)
        value, mask = field_bits(reg, fields)
        if not mask:
            raise HostError(f"{name}: nothing to update; fields are {', '.join(reg.fields)}")
        self._written.add(name)
        return self._add(_RMW | address_of(reg, index) << 32, value | mask << 32, 0)

    def read_window(self, name: str, start: int = 0, count: int | None = None) -> Ticket[NDArray[Any]]:
        """Read elements start .. start + count - 1 of a window, to its end if count is None.

        HostError if they leave the window or do not begin and end on 32-bit words.
        """
        where = span(self._layout()[name], start, count)
        if where.words == 0:
            return WindowTicket(self, NO_BLOCK, where)
        self._records.append(_PACK(int(Op.BLKRD) | where.address << 32, 0, where.words))
        self._read_bytes += 4 * where.words
        self._blocks += 1
        return WindowTicket(self, self._blocks - 1, where)

    def write_window(self, name: str, array: ArrayLike, start: int = 0) -> None:
        """Write an array to a window from element `start` on.

        array : integers, 1-D or in the window's shape; of the window's own type it goes out without a copy
        """
        where, data = payload(self._layout()[name], array, start)
        if where.words == 0:
            return
        self._records.append(_PACK(int(Op.BLKWR) | where.address << 32, 0, where.words))
        self._payloads.append(data)
        self._sent_bytes += len(data)
        self._written.add(name)

    def wait(self, name: str, *, value: int, max_cycles: int, mask: int = WORD_MAX, index: int = 0) -> Ticket[int]:
        """Wait until `register & mask == value`; `execute` raises ChipFault if that takes more than max_cycles."""
        first = _WAIT | address_of(find_register(name, self._map), index) << 32
        bits = word(value, f"value of {name}") | word(mask, f"mask of {name}") << 32
        return self._add(first, bits, _cycles(max_cycles, "max_cycles"))

    def wait_field(self, path: str, value: FieldValue, *, max_cycles: int, index: int = 0) -> Ticket[int]:
        """As `wait`, for a field and a number or label: `wait_field("SEQ.STATUS.STATE", "HALTED", max_cycles=1000)`."""
        reg, fld = find_field(path, self._map)
        bits = field_value(reg, fld, value) << fld.low
        return self.wait(reg.name, value=bits, max_cycles=max_cycles, mask=fld.mask, index=index)

    def delay(self, cycles: int) -> None:
        """Issue nothing for so many cycles."""
        self._add(int(Op.DELAY), 0, _cycles(cycles, "cycles"))

    def delay_until(self, cycle: int) -> None:
        """Issue nothing before that cycle of chip time."""
        self._add(int(Op.DELAY_UNTIL), 0, _cycles(cycle, "cycle"))

    def fence(self) -> None:
        """Issue nothing before every posted write has taken effect."""
        self._add(int(Op.FENCE), 0, 0)

    def announce(self, opcodes: frozenset[Opcode]) -> None:
        """Say what instructions the program has that this batch starts; else it counts as one that may hold any."""
        self._opcodes = opcodes

    def execute(self) -> Outcome:
        """Send the batch, await its reply and fill the tickets.

        HostError: an operation is not legal, nothing was carried out. ChipFault: a wait ran out; tickets of operations
        before it hold. LinkTimeout: call again to collect the reply. LinkError: the session is lost.
        """
        reply = self._collect()
        self._values, self._data = reply.values.tolist(), reply.data
        self.outcome = Outcome(reply.executed, reply.t_start, reply.t_end, reply.interrupts, reply.interrupts_lost)
        if reply.failure is not None:
            raise error_of(reply.failure)
        return self.outcome

    def _collect(self) -> Reply:
        if self._exchange is None:
            self._check()
            if self._before is not None:
                self._before(self._written, self._opcodes)
            records = np.frombuffer(b"".join(self._records), RECORD)
            self._exchange = self._session.start(records, tuple(self._payloads))
        reply = self._session.finish(self._exchange)
        self._exchange = None
        return reply

    def _check(self) -> None:
        """HostError naming the limit of the daemon that the message would exceed."""
        limits = self._session.limits
        for size, limit, what in (
            (len(self), limits.operations, "operations"),
            (self._sent_bytes, limits.payload_bytes, "bytes written to windows"),
            (self._read_bytes, limits.payload_bytes, "bytes read from windows"),
            (len(self._payloads), limits.blocks, "window writes"),
            (self._blocks, limits.blocks, "window reads"),
        ):
            if size > limit:
                raise HostError(f"{size} {what} in one batch; at most {limit} are allowed")

    def _add(self, first: int, bits: int, arg: int) -> Ticket[int]:
        self._records.append(_PACK(first, bits, arg))
        return WordTicket(self, len(self._records) - 1)

    def _layout(self) -> Layouts:
        if self._layouts is None:
            raise HostError("the chip's windows are not known yet")
        return self._layouts

    def _value(self, slot: int) -> int:
        if self._values is None:
            raise HostError("the ticket's batch has not been executed")
        if slot >= len(self._values):
            raise HostError("the ticket's operation was not carried out: one before it failed, or it was added later")
        return self._values[slot]

    def _block(self, slot: int) -> Frame:
        if self._values is None:
            raise HostError("the ticket's batch has not been executed")
        if slot >= len(self._data):
            raise HostError("the ticket's operation was not carried out: one before it failed, or it was added later")
        return self._data[slot]


def _cycles(value: int, what: str) -> int:
    number = integer(value, what)
    if not 0 <= number <= TIME_MAX:
        raise HostError(f"{what} = {number} is not in 0 .. 2^62")
    return number
