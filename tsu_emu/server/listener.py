"""A socket on which requests come and replies go."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import zmq

from tsu_contract.wire import PAYLOAD_BYTES_MAX, Frame
from tsu_emu.server import limits
from tsu_emu.server.endpoints import EndpointError, prepare

Handler = Callable[[list[Frame]], list[Frame]]
"""From the frames of a request to those of its reply."""
MESSAGES_A_TURN = 16
"""Requests answered at one door before the daemon looks at the others."""
SOCKET_BYTES = 1 << 20
"""Asked of the system for each direction of a connection: bulk data then wake the other side less often."""


class Keeping(Protocol):
    """What keeps the chip, as far as the daemon knows it. durable : replies wait for the disk, and had better go together"""

    durable: bool

    def settle(self) -> bool:
        """Before the replies of a turn go out: whether they may."""

    def rest(self) -> None:
        """After they did: time to tidy up."""


class Listener:
    """A ROUTER on one endpoint, and who answers there; EndpointError if it cannot listen.

    woken : called before a request is answered; what it raises ends the daemon
    keeping : says whether replies may go out, which then go together; an empty reply is none
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, handle: Handler, woken: Callable[[], None],
        keeping: Keeping | None = None,
    ) -> None:  # fmt: skip
        self._handle, self._woken, self._keeping = handle, woken, keeping
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 1000)
        self.socket.setsockopt(zmq.MAXMSGSIZE, PAYLOAD_BYTES_MAX)
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        self.socket.setsockopt(zmq.SNDHWM, limits.QUEUED_REPLIES)
        self.socket.setsockopt(zmq.RCVHWM, limits.CREDIT)
        self.socket.setsockopt(zmq.SNDBUF, SOCKET_BYTES)
        self.socket.setsockopt(zmq.RCVBUF, SOCKET_BYTES)
        self._bind(endpoint)
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._ipc = Path(endpoint.removeprefix("ipc://")) if endpoint.startswith("ipc://") else None

    def _bind(self, endpoint: str) -> None:
        before = os.umask(0o077)
        try:
            prepare(endpoint)
            os.umask(0o177)
            self.socket.bind(endpoint)
        except (zmq.ZMQError, EndpointError) as error:
            self.socket.close(0)
            raise EndpointError(f"{endpoint}: {error}" if isinstance(error, zmq.ZMQError) else str(error)) from None
        finally:
            os.umask(before)

    def answer(self, flags: int = 0) -> None:
        """Awaits a request and answers it; zmq.Again if `flags` say not to wait and there is none."""
        if self._keeping is not None:
            self._answer_turn(self._keeping, flags)
            return
        self._send(*self._answered(flags))

    def answer_some(self) -> None:
        """Answers what has arrived, up to MESSAGES_A_TURN."""
        with suppress(zmq.Again):
            for _ in range(1 if self._keeping and self._keeping.durable else MESSAGES_A_TURN):
                self.answer(zmq.NOBLOCK)

    def _answer_turn(self, keeping: Keeping, flags: int) -> None:
        """Answers a request, together with others that have come meanwhile if their replies wait for the disk."""
        owed = [self._answered(flags)]
        try:
            with suppress(zmq.Again):
                while keeping.durable and len(owed) < MESSAGES_A_TURN:
                    owed.append(self._answered(zmq.NOBLOCK))
        finally:
            if keeping.settle():
                for client, reply in owed:
                    if reply:
                        self._send(client, reply)
        keeping.rest()

    def _answered(self, flags: int) -> tuple[bytes, list[Frame]]:
        """Who asks, and the reply."""
        client, frames = self._receive(flags)
        self._woken()
        return client, self._handle(frames)

    def _send(self, client: bytes, reply: list[Frame]) -> None:
        self.socket.send_multipart([client, *reply], copy=len(reply) <= 2)

    def _receive(self, flags: int) -> tuple[bytes, list[Frame]]:
        """Who asks, and the frames; payloads, the third and later ones, are not copied."""
        client: bytes = self.socket.recv(flags)
        frames: list[Frame] = []
        while self.socket.getsockopt(zmq.RCVMORE):
            frames.append(self.socket.recv() if len(frames) < 2 else self.socket.recv(copy=False).buffer.toreadonly())
        return client, frames

    def close(self) -> None:
        self.socket.close()
        if self._ipc:
            self._ipc.unlink(missing_ok=True)
