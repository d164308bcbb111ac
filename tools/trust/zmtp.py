"""ZMTP by hand: the bytes of greetings, commands and frames, and connections that send whatever they are told."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress

SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
MORE, LONG, COMMAND = 1, 2, 4
GREETING_BYTES = 64
SECONDS = 5.0
"""That a connection waits for the other side."""


def greeting(mechanism: bytes = b"NULL", major: int = 3, minor: int = 1, server: int = 0, filler: bytes = bytes(31)) -> bytes:
    """64 bytes with which a peer begins."""
    return SIGNATURE + bytes([major, minor]) + mechanism.ljust(20, b"\0") + bytes([server]) + filler


def frame(data: bytes, flags: int = 0) -> bytes:
    """A frame, or with COMMAND a command's."""
    if len(data) > 255 or flags & LONG:
        return bytes([flags | LONG]) + struct.pack(">Q", len(data)) + data
    return bytes([flags, len(data)]) + data


def announced(length: int, flags: int = 0) -> bytes:
    """The beginning of a frame that says how long it will be."""
    return bytes([flags | LONG]) + struct.pack(">Q", length)


def command(name: bytes, body: bytes = b"") -> bytes:
    """A command frame."""
    return frame(bytes([len(name)]) + name + body, COMMAND)


def metadata(**values: bytes) -> bytes:
    """Names and values, as READY has them; _ in a name is - on the wire."""
    names = {name.replace("_", "-").encode(): value for name, value in values.items()}
    return b"".join(bytes([len(name)]) + name + struct.pack(">I", len(value)) + value for name, value in names.items())


def ready(kind: bytes = b"DEALER", identity: bytes = b"") -> bytes:
    """The handshake of the mechanism NULL."""
    return command(b"READY", metadata(Socket_Type=kind, Identity=identity))


class Raw:
    """One connection to an endpoint, ipc or tcp. What goes wrong on the way is the other side's right, and is passed over."""

    def __init__(self, endpoint: str) -> None:
        if endpoint.startswith("ipc://"):
            self.socket = socket.socket(socket.AF_UNIX)
            where: str | tuple[str, int] = endpoint.removeprefix("ipc://")
        else:
            host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
            self.socket, where = socket.socket(), (host, int(port))
        try:
            self._connect(where)
        except OSError:
            self.close()
            raise

    def _connect(self, where: str | tuple[str, int]) -> None:
        """A local socket whose queue is full is waited for by the system alone, and only in blocking mode."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(SECONDS), 0))
        self.socket.connect(where)
        self.socket.settimeout(SECONDS)

    def send(self, *parts: bytes) -> bool:
        """Whether all of it went out."""
        try:
            for part in parts:
                self.socket.sendall(part)
        except OSError:
            return False
        return True

    def read(self, count: int = 1 << 16, seconds: float = 0.3) -> bytes:
        """What comes within some time, at most so many bytes; empty at the end or if nothing comes."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(count)
        except OSError:
            return b""
        finally:
            self.socket.settimeout(SECONDS)

    def ended(self, seconds: float) -> bool:
        """Reads until the other side has said nothing for so long, or has closed; whether it has."""
        while True:
            self.socket.settimeout(seconds)
            try:
                if not self.socket.recv(1 << 16):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True

    def shaken(self, kind: bytes = b"DEALER", identity: bytes = b"") -> Raw:
        """This connection after a handshake of the mechanism NULL, which the other side may refuse."""
        self.send(greeting(), ready(kind, identity))
        theirs = self.exactly(GREETING_BYTES + 2)
        if len(theirs) == GREETING_BYTES + 2:
            self.exactly(theirs[-1])
        return self

    def exactly(self, count: int, seconds: float = 1.0) -> bytes:
        """So many bytes, fewer if the other side ends it or they do not come in time."""
        found, deadline = b"", time.monotonic() + seconds
        while len(found) < count and time.monotonic() < deadline:
            data = self.read(count - len(found), max(0.01, deadline - time.monotonic()))
            if not data:
                break
            found += data
        return found

    def reset(self) -> None:
        """Ends it without a farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self.socket.close()


Connect = Callable[[], Raw]
"""Another connection to the target."""
