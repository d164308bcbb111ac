"""The remote serial protocol of GDB as bytes: packets out of what a connection brings, and replies for it.

Source: "Debugging with GDB", appendix "GDB Remote Serial Protocol".
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

PACKET_BYTES = 4096
"""Bytes of contents that a debugger may send in a packet."""
ESCAPE, ESCAPED = b"}", b"}#$*"
INTERRUPT_BYTE = 0x03


class RspError(ValueError):
    """What came is no part of the protocol; says why."""


@dataclass(frozen=True)
class Packet:
    """Contents of a packet as they came, escapes and all; sound : its checksum is right."""

    contents: bytes
    sound: bool = True


@dataclass(frozen=True)
class Interrupt:
    """The debugger wants the core to stop."""


@dataclass(frozen=True)
class Resend:
    """The debugger did not understand the last reply."""


Event = Packet | Interrupt | Resend


def packet(contents: bytes) -> bytes:
    """Contents, escaped where they must be, with their checksum."""
    for byte in ESCAPED:
        contents = contents.replace(bytes([byte]), ESCAPE + bytes([byte ^ 0x20]))
    return b"$" + contents + b"#%02x" % (sum(contents) & 0xFF)


def unescaped(contents: bytes) -> bytes:
    """Binary contents as they were before they were escaped; RspError if they end within an escape."""
    first, *others = contents.split(ESCAPE)
    if not all(others):
        raise RspError("an escape without a byte")
    return first + b"".join(bytes([part[0] ^ 0x20]) + part[1:] for part in others)


class Stream:
    """What a connection brings, in order; events are taken from the front of `events`."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque()
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Takes bytes; RspError if they are of another protocol, or a packet is too long: the connection is of no more use."""
        self._rest += data
        while self._rest and self._take_one():
            pass

    def _take_one(self) -> bool:
        """Takes one event from the front; False if it is not whole yet."""
        if self._rest[:1] == b"$":
            return self._take_packet()
        first, self._rest = self._rest[0], self._rest[1:]
        if first == INTERRUPT_BYTE:
            self.events.append(Interrupt())
        elif first == ord("-"):
            self.events.append(Resend())
        elif first != ord("+"):
            raise RspError(f"byte {first:#04x} outside a packet")
        return True

    def _take_packet(self) -> bool:
        contents, mark, rest = self._rest[1:].partition(b"#")
        if len(contents) > PACKET_BYTES:
            raise RspError(f"a packet of more than {PACKET_BYTES} bytes")
        if not mark or len(rest) < 2:
            return False
        try:
            sound = int(rest[:2].decode("ascii"), 16) == sum(contents) & 0xFF
        except ValueError:
            sound = False
        self.events.append(Packet(contents, sound))
        self._rest = rest[2:]
        return True
