"""Packets of the remote serial protocol and what they do to a core that is stopped."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from tsu_emu.server.monitor import Monitor
from tsu_emu.server.rsp import PACKET_BYTES, RspError, unescaped
from tsu_emu.server.target import PC, Refused, Target

Answer = Callable[[bytes], "bytes | Resume"]
FEATURES = f"PacketSize={PACKET_BYTES:x};QStartNoAckMode+;qXfer:features:read+;qXfer:memory-map:read+;vContSupported+"
CONSTANT = {
    b"qC": b"QC1", b"qfThreadInfo": b"m1", b"qsThreadInfo": b"l", b"qAttached": b"1", b"vCont?": b"vCont;c;C;s;S",
    b"qTStatus": b"", b"vMustReplyEmpty": b"",
}  # fmt: skip
"""Replies that are always the same. There is one thread, number 1."""
HEX = re.compile(rb"[0-9a-fA-F]{1,8}")
CHUNK = PACKET_BYTES // 2 - 16
"""Bytes that a reply carries in hexadecimal."""


class Resume(Enum):
    """The core goes on: LET_GO and DETACH without a debugger, the latter after a reply."""

    CONTINUE = auto()
    STEP = auto()
    DETACH = auto()
    LET_GO = auto()


class Commands:
    """Answers packets.

    signal : why the core stopped last; acknowledges : whether packets are acknowledged, as they are until the debugger objects
    """

    def __init__(self, target: Target, monitor: Monitor, signal: Callable[[], int]) -> None:
        self._target, self._monitor, self._signal = target, monitor, signal
        self.acknowledges = True
        self._documents = {b"features:read:target.xml": target.description(), b"memory-map:read:": target.memory_map()}
        self._by_letter: dict[bytes, Answer] = {
            b"g": self._read_all, b"G": self._write_all, b"p": self._read_register, b"P": self._write_register,
            b"m": self._read_memory, b"M": self._write_memory, b"X": self._write_binary, b"Z": self._break, b"z": self._unbreak,
            b"c": lambda rest: self._resume(rest, Resume.CONTINUE), b"s": lambda rest: self._resume(rest, Resume.STEP),
            b"C": lambda rest: Resume.CONTINUE, b"S": lambda rest: Resume.STEP, b"v": self._verbose, b"q": self._query,
            b"Q": self._set, b"?": lambda rest: self.stop_reply(), b"H": self._thread, b"T": self._thread,
            b"D": lambda rest: Resume.DETACH, b"k": lambda rest: Resume.LET_GO,
        }  # fmt: skip

    def greet(self) -> None:
        """Another debugger has connected."""
        self.acknowledges = True

    def answer(self, contents: bytes) -> bytes | Resume:
        """The reply to a packet, an error if it makes no sense, nothing if it is of a kind that this server does not have."""
        if contents in CONSTANT:
            return CONSTANT[contents]
        kind = self._by_letter.get(contents[:1])
        if kind is None:
            return b""
        try:
            return kind(contents[1:])
        except Refused:
            return b"E0e"
        except (ValueError, RspError):
            return b"E16"

    def stop_reply(self) -> bytes:
        """Why the core stands, and where."""
        return b"T%02x%02x:%b;thread:1;" % (self._signal(), PC, _word(self._target.pc))

    def _resume(self, rest: bytes, how: Resume) -> Resume:
        if rest:
            self._target.set_register(PC, _number(rest))
        return how

    def _read_all(self, rest: bytes) -> bytes:
        return b"".join(_word(self._target.register(number)) for number in range(PC + 1))

    def _write_all(self, rest: bytes) -> bytes:
        data = _data(rest)
        if len(data) != 4 * (PC + 1):
            raise ValueError("not all registers")
        for number in range(PC + 1):
            self._target.set_register(number, int.from_bytes(data[4 * number : 4 * number + 4], "little"))
        return b"OK"

    def _read_register(self, rest: bytes) -> bytes:
        return _word(self._target.register(_number(rest)))

    def _write_register(self, rest: bytes) -> bytes:
        number, _, value = rest.partition(b"=")
        data = _data(value)
        if len(data) != 4:
            raise ValueError("registers have four bytes")
        self._target.set_register(_number(number), int.from_bytes(data, "little"))
        return b"OK"

    def _read_memory(self, rest: bytes) -> bytes:
        address, length = _pair(rest)
        return self._target.read(address, min(length, CHUNK)).hex().encode() if length else b""

    def _write_memory(self, rest: bytes) -> bytes:
        place, _, data = rest.partition(b":")
        return self._write(place, _data(data))

    def _write_binary(self, rest: bytes) -> bytes:
        place, _, data = rest.partition(b":")
        return self._write(place, unescaped(data))

    def _write(self, place: bytes, data: bytes) -> bytes:
        address, length = _pair(place)
        if length != len(data):
            raise ValueError("not as long as it says")
        if data:
            self._target.write(address, data)
        return b"OK"

    def _break(self, rest: bytes) -> bytes:
        return self._breakpoint(rest, self._target.set_breakpoint)

    def _unbreak(self, rest: bytes) -> bytes:
        return self._breakpoint(rest, self._target.clear_breakpoint)

    @staticmethod
    def _breakpoint(rest: bytes, change: Callable[[int], None]) -> bytes:
        """Kinds 0 and 1 are the hart's own breakpoints; of watchpoints there are none."""
        kind, address, *_ = rest.split(b",")
        if kind not in (b"0", b"1"):
            return b""
        change(_number(address))
        return b"OK"

    def _verbose(self, rest: bytes) -> bytes | Resume:
        if not rest.startswith(b"Cont;"):
            return b""
        action = rest[5:6].lower()
        if action not in (b"c", b"s"):
            raise ValueError("no such action")
        return Resume.STEP if action == b"s" else Resume.CONTINUE

    def _query(self, rest: bytes) -> bytes:
        if rest.startswith(b"Supported"):
            return FEATURES.encode()
        if rest.startswith(b"Rcmd,"):
            said = self._monitor.answer(_data(rest[5:]).decode("ascii", "replace"))
            return said.encode()[:CHUNK].hex().encode()
        if rest.startswith(b"Xfer:"):
            return self._document(rest[5:])
        return b""

    def _document(self, rest: bytes) -> bytes:
        name, _, span = rest.rpartition(b":")
        if name not in self._documents:
            return b"E00"
        offset, length = _pair(span)
        part = self._documents[name][offset : offset + min(length, CHUNK)]
        return (b"m" if offset + len(part) < len(self._documents[name]) else b"l") + part

    def _set(self, rest: bytes) -> bytes:
        if rest != b"StartNoAckMode":
            return b""
        self.acknowledges = False
        return b"OK"

    @staticmethod
    def _thread(rest: bytes) -> bytes:
        return b"OK"


def _word(value: int) -> bytes:
    """A register in hexadecimal, lowest byte first."""
    return value.to_bytes(4, "little").hex().encode()


def _number(text: bytes) -> int:
    if not HEX.fullmatch(text):
        raise ValueError(f"{text!r} is not a number of 32 bits")
    return int(text, 16)


def _pair(text: bytes) -> tuple[int, int]:
    first, _, second = text.partition(b",")
    return _number(first), _number(second)


def _data(text: bytes) -> bytes:
    return bytes.fromhex(text.decode("ascii"))
