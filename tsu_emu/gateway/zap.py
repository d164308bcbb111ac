"""Who may connect: the ZeroMQ authentication protocol (RFC 27), answered in the loop that serves.

Without a handler libzmq lets every CURVE key in; `ZAP_ENFORCE_DOMAIN` makes it refuse instead, so that a handler that is not
there, or does not answer, keeps everybody out.
"""

from __future__ import annotations

from collections.abc import Callable

import zmq
from zmq.utils import z85

ADDRESS = "inproc://zeromq.zap.01"
DOMAIN = b"tsu"
"""Of all doors; a request of any other is refused."""
FRAMES = 7
"""Version, request, domain, address, routing id, mechanism, key."""


class Zap:
    """Answers for a context whether a key may connect.

    allowed : whether a public key, in Z85, is let in; a message's User-Id is then that key
    denied : called with the address of each connection that is refused
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], allowed: Callable[[bytes], bool], denied: Callable[[str], None]
    ) -> None:
        self._allowed, self._denied = allowed, denied
        self.socket = context.socket(zmq.REP)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(ADDRESS)

    def answer(self) -> None:
        """Answer what is asked now."""
        frames = self.socket.recv_multipart()
        user = self._user(frames)
        if not user:
            self._denied(frames[3].decode(errors="replace") if len(frames) > 3 else "")
        status = [b"200", b"OK", user] if user else [b"400", b"this key is not let in", b""]
        self.socket.send_multipart([b"1.0", frames[1] if len(frames) > 1 else b"", *status, b""])

    def _user(self, frames: list[bytes]) -> bytes:
        """The key in Z85, or nothing if it is not let in."""
        if len(frames) != FRAMES or frames[0] != b"1.0" or frames[2] != DOMAIN or frames[5] != b"CURVE" or len(frames[6]) != 32:
            return b""
        key: bytes = z85.encode(frames[6])
        return key if self._allowed(key) else b""

    def close(self) -> None:
        self.socket.close()
