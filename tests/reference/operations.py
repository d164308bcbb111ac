"""Lists of operations: building them, cutting them into messages, telling them in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Opcode
from tsu_contract.registers import WINDOWS, register

from .registers import PLACES, Windows, is_window


@dataclass(frozen=True)
class Message:
    """Records of one message and the payload of each of its burst writes."""

    records: NDArray[Any]
    payloads: tuple[bytes, ...]


@dataclass
class OperationList:
    """Operations in order; each has its payload, empty for all but burst writes."""

    rows: list[tuple[int, ...]] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)

    def _add(self, op: Op, address: int = 0, value: int = 0, mask: int = 0, arg: int = 0, payload: bytes = b"") -> None:
        self.rows.append((int(op), 0, 0, address, value, mask, arg))
        self.payloads.append(payload)

    def read(self, name: str, index: int = 0, high: bool = False) -> None:
        self._add(Op.READ, register(name).at(index) + 4 * high)

    def write(self, name: str, value: int, index: int = 0) -> None:
        self._add(Op.WRITE, register(name).at(index), value)

    def rmw(self, name: str, value: int, mask: int, index: int = 0) -> None:
        self._add(Op.RMW, register(name).at(index), value, mask)

    def wait(self, name: str, value: int, mask: int, most: int, high: bool = False) -> None:
        self._add(Op.WAIT, register(name).at() + 4 * high, value, mask, most)

    def read_word(self, window: str, word: int) -> None:
        self._add(Op.READ, WINDOWS[window].address + 4 * word)

    def write_word(self, window: str, word: int, value: int) -> None:
        self._add(Op.WRITE, WINDOWS[window].address + 4 * word, value)

    def read_burst(self, window: str, word: int, words: int) -> None:
        self._add(Op.BLKRD, WINDOWS[window].address + 4 * word, arg=words)

    def write_burst(self, window: str, word: int, data: bytes) -> None:
        self._add(Op.BLKWR, WINDOWS[window].address + 4 * word, arg=len(data) // 4, payload=data)

    def delay(self, cycles: int) -> None:
        self._add(Op.DELAY, arg=cycles)

    def delay_until(self, cycle: int) -> None:
        self._add(Op.DELAY_UNTIL, arg=cycle)

    def fence(self) -> None:
        self._add(Op.FENCE)

    def cut(self, places: list[int]) -> list[Message]:
        """Messages that end before each of the places, and a last one."""
        ends = sorted({p for p in places if 0 < p < len(self.rows)} | {len(self.rows)})
        messages = []
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            payloads = tuple(p for p in self.payloads[first:end] if p)
            messages.append(Message(np.array(self.rows[first:end], RECORD), payloads))
        return messages


def tell_address(address: int) -> str:
    """A register by name, or a window and its word."""
    if is_window(address):
        window, byte = Windows.at(address)
        return f"{window.name} word {byte // 4}"
    reg, index, half = PLACES[address]
    return reg.name + (f"[{index}]" if reg.count > 1 else "") + (" high" if half else "")


def tell_instruction(word: int) -> str:
    """An instruction in words, also one that is illegal."""
    opcode = word >> 56
    if word >> 32 & 0xFFFFFF or opcode not in Opcode._value2member_map_:
        return f"illegal {word:#018x}"
    return f"{Opcode(opcode).name} {word & 0xFFFFFFFF}"


def tell(record: Any, payload: bytes = b"") -> str:
    """An operation in words."""
    op, address, arg = Op(record["op"]), int(record["addr"]), int(record["arg"])
    value, mask = int(record["value"]), int(record["mask"])
    if op is Op.FENCE:
        return "FENCE"
    if op in (Op.DELAY, Op.DELAY_UNTIL):
        return f"{op.name} {arg}"
    where = f"{op.name} {tell_address(address)}"
    if op is Op.WRITE:
        return f"{where} = {value:#x}"
    if op is Op.RMW:
        return f"{where} = {value:#x} mask {mask:#x}"
    if op is Op.WAIT:
        return f"{where} & {mask:#x} == {value:#x} for {arg}"
    if payload and where.startswith("BLKWR PROGRAM"):
        program = ", ".join(tell_instruction(int(w)) for w in np.frombuffer(payload, "<u8"))
        return f"{where}: {program}"
    return f"{where}, {arg} words" if op in (Op.BLKRD, Op.BLKWR) else where
