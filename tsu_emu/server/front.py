"""The door of hosts: requests in the order in which they come, status at any time, replies that are never dropped silently."""

from __future__ import annotations

import errno
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import zmq

from tsu_contract import wire
from tsu_contract.errors import Code, Failure, ProtocolError
from tsu_contract.wire import Frame, Kind, Reply, Request
from tsu_emu.server import limits
from tsu_emu.server.listener import Handler, Keeping, Listener
from tsu_emu.server.session import AT_ONCE, Server
from tsu_emu.server.sessions import WHY, Decision

PULSE_SECONDS = 0.05
"""How often the daemon looks what is due for subscribers, when nothing else wakes it."""
TRACKED_BYTES = 1 << 16
"""Frames from this size on are not copied by ZeroMQ, which tells when it has let go of them."""


@dataclass
class _Waiting:
    client: bytes
    frames: list[Frame]
    key: int | bytes
    """Whose credit it uses: a session's, or, before there is one, a connection's."""


class Front(Listener):
    """A server behind a socket.

    handle : what answers requests, in their order; the server's own, or what stands before it
    beat : called every `beat_s` seconds or somewhat more often, also in the midst of a request
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, server: Server, woken: Callable[[], None],
        handle: Handler | None = None, keeping: Keeping | None = None,
    ) -> None:  # fmt: skip
        super().__init__(context, endpoint, handle or server.handle, woken, keeping)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._server = server
        self._waiting: deque[_Waiting] = deque()
        self._held: Counter[int | bytes] = Counter()
        self._waiting_bytes = 0
        self._unread: list[tuple[zmq.MessageTracker, bytes, int]] = []
        self._patience_ms, self._next_pulse = -1, 0.0
        self.beat: Callable[[], None] = lambda: None
        self.beat_s: float | None = None
        server.status.queues = self.queues

    def queues(self) -> dict[str, int]:
        """Lengths, for STATUS."""
        unread = sum(size for tracker, _, size in self._unread if not tracker.done)
        return {"waiting": len(self._waiting), "waiting_bytes": self._waiting_bytes, "unread_bytes": unread}

    @property
    def patience_s(self) -> float | None:
        """How long the daemon may sleep, if nothing comes; None for ever."""
        if self._waiting:
            return 0.0
        return PULSE_SECONDS if self._server.subscriptions else self.beat_s

    def serve(self) -> None:
        """Answers the next request, and does what is due meanwhile."""
        self.pulse()
        patience = self.patience_s
        milliseconds = -1 if patience is None else int(1000 * patience)
        if milliseconds != self._patience_ms:
            self.socket.setsockopt(zmq.RCVTIMEO, milliseconds)
            self._patience_ms = milliseconds
        with suppress(zmq.Again):
            self.answer()

    def look(self) -> None:
        """In the midst of a request: status is told, what else has come awaits its turn, and what is due is done."""
        with suppress(zmq.Again):
            for _ in range(limits.WAITING_REQUESTS):
                self._sort(*super()._receive(zmq.NOBLOCK))
        self.pulse()

    def pulse(self) -> None:
        """Updates that are due go out; who has stalled is cut."""
        server = self._server
        if self.beat_s is None and not server.subscriptions:
            return
        now = time.monotonic()
        if now < self._next_pulse:
            return
        self._next_pulse = now + PULSE_SECONDS
        self.beat()
        due = list(server.subscriptions.due()) if server.subscriptions else []
        status = server.status.body() if due else {}
        for s, number, gap in due:
            server.counters.updates += 1
            server.counters.gaps += gap
            body = {"number": number, "gap": gap, "status": status}
            self._send(s.client, wire.encode_reply(Reply(Kind.SUBSCRIBE, s.session, s.seq, body=body)))
        for s in server.subscriptions.stalled():
            server.decide(Decision.STALLED, s.session)
            failure = Failure(Code.SESSION_CUT, f"the daemon closed session {s.session}: {WHY[Decision.STALLED]}")
            self._send(s.client, wire.encode_reply(Reply(Kind.SUBSCRIBE, s.session, s.seq, failure)))

    def _answered(self, flags: int) -> tuple[bytes, list[Frame]]:
        client, frames = self._receive(flags)
        self._woken()
        self._server.peer = client
        return client, self._handle(frames)

    def _receive(self, flags: int) -> tuple[bytes, list[Frame]]:
        """The request that has waited longest."""
        if not self._waiting:
            return super()._receive(flags)
        first = self._waiting.popleft()
        self._held[first.key] -= 1
        if not self._held[first.key]:
            del self._held[first.key]
        self._waiting_bytes -= sum(map(len, first.frames))
        return first.client, first.frames

    def _sort(self, client: bytes, frames: list[Frame]) -> None:
        """What to do with a request that comes in the midst of another."""
        try:
            request = wire.decode_request(frames)
        except ProtocolError:
            request = Request(Kind.HELLO, 0, 0)
        if request.kind in AT_ONCE:
            self._server.peer = client
            self._send(client, self._server.handle(frames))
            return
        known = self._server.sessions.get(request.session) is not None
        waiting = _Waiting(client, frames, request.session if known else client)
        size = sum(map(len, frames))
        if self._held[waiting.key] >= limits.CREDIT and known:
            self._server.decide(Decision.CREDIT, request.session)
            self._send(client, self._server.handle(frames))
        elif (
            self._held[waiting.key] >= limits.CREDIT
            or len(self._waiting) >= limits.WAITING_REQUESTS
            or self._waiting_bytes + size > limits.WAITING_BYTES
        ):
            self._server.counters.refused += 1
            failure = Failure(Code.BUSY, f"{len(self._waiting)} requests await their turn, as many as there may be; try again")
            self._send(client, wire.encode_reply(Reply(request.kind, request.session, request.seq, failure)))
        else:
            self._waiting.append(waiting)
            self._held[waiting.key] += 1
            self._waiting_bytes += size

    def _send(self, client: bytes, reply: list[Frame]) -> None:
        """A reply goes out; if there is no room for it, because its client does not read, the session is cut."""
        try:
            if len(reply) <= 2:
                self.socket.send_multipart([client, *reply], zmq.NOBLOCK)
            else:
                self._send_large(client, reply)
        except zmq.Again:
            self._server.decide(Decision.UNREAD, wire.decode_reply(reply).session)
        except zmq.ZMQError as error:
            if error.errno != errno.EHOSTUNREACH:
                raise
            self._server.counters.gone += 1

    def _send_large(self, client: bytes, reply: list[Frame]) -> None:
        """With data, which are not copied; zmq.Again if too much of the client's is unread."""
        self._unread = [entry for entry in self._unread if not entry[0].done]
        if sum(size for _, whose, size in self._unread if whose == client) > limits.QUEUED_BYTES:
            raise zmq.Again
        flags = zmq.NOBLOCK | zmq.SNDMORE
        self.socket.send(client, flags)
        for k, frame in enumerate(reply):
            more = flags if k < len(reply) - 1 else zmq.NOBLOCK
            if len(frame) < TRACKED_BYTES:
                self.socket.send(frame, more, copy=k < 2)
            else:
                self._unread.append((self.socket.send(frame, more, copy=False, track=True), client, len(frame)))
