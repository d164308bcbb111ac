"""Links: one request goes out, its reply comes back, or an error says why not."""

from __future__ import annotations

import logging
import os
import time
from typing import Protocol

import zmq

from tsu_contract.errors import Layer, ProtocolError
from tsu_contract.wire import Frame, Kind, Reply, Request, decode_reply, encode_request
from tsu_driver.curve import SCHEME, connect
from tsu_driver.errors import LinkError, LinkTimeout

SOCKET_BYTES = 1 << 20
"""Asked of the system for each direction: bulk data then wake the other side less often."""


NUMBERED = (Kind.OPERATE, Kind.LEASE, Kind.BYE)
"""Kinds of requests that have a number."""
LOG = logging.getLogger("tsu_driver")
MILLISECONDS_MAX = (1 << 31) - 1
"""The longest that a socket can be told to wait at a time."""
UNMET_S, LOOK_S = 2.0, 0.02
"""After so long without a socket where a daemon is to be, whoever waits is told."""
RESEND_S = 1.0
"""A request without a reply is sent again after so long, then after twice, four times ... so long, while its time lasts."""


class Link(Protocol):
    """What a session needs of a transport."""

    def call(self, request: Request, timeout_s: float) -> Reply:
        """The reply to `request`; LinkTimeout if none comes within `timeout_s` seconds.

        The same request may be sent again: the daemon never carries out a sequence number twice.
        """

    def close(self) -> None:
        """Let go of the transport. May be called again."""


class ZmqLink:
    """A ZeroMQ DEALER to the ROUTER at `ipc://path`, `tcp://host:port` or a gateway's URL. Not for several threads at once."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._context = zmq.Context(1)
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDBUF, SOCKET_BYTES)
        self._socket.setsockopt(zmq.RCVBUF, SOCKET_BYTES)
        self._patience_ms: dict[int, int] = {}
        try:
            connect(self._socket, endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise LinkError(f"cannot connect to {endpoint}: {error}") from None
        except BaseException:
            self.close()
            raise

    def call(self, request: Request, timeout_s: float) -> Reply:
        """As `Link.call`. Replies to earlier requests, which a time-out left behind, are dropped.

        A daemon that ended takes with it what was under way to it, and another may have come in its place. So requests with a
        number are sent again now and then.
        """
        if self._socket.closed:
            raise LinkError(f"the link to {self.endpoint} is closed")
        frames, numbered = encode_request(request), request.kind in NUMBERED
        end, patience = time.monotonic() + timeout_s, RESEND_S
        if request.kind is Kind.HELLO:
            self._await_socket(end)
        while (left := end - time.monotonic()) > 0:
            reply = self._answer(request, frames, min(left, patience) if numbered else left)
            if reply is not None:
                return reply
            patience *= 2
        raise self._timeout(request, timeout_s)

    def _lacks_socket(self) -> str:
        """The file of an `ipc://` endpoint if it is not there, or ""; names that begin with @ are none of files."""
        path = self.endpoint.removeprefix("ipc://")
        return "" if path == self.endpoint or path.startswith("@") or os.path.exists(path) else path

    def _await_socket(self, end: float) -> None:
        """Until an `ipc://` endpoint has its file, at most to `end` of `time.monotonic`; the log tells if that takes long."""
        tell_at = time.monotonic() + UNMET_S
        while (path := self._lacks_socket()) and (now := time.monotonic()) < end:
            if now > tell_at:
                LOG.warning("there is no socket %s; waiting for a daemon there for %.0f s more", path, end - now)
                tell_at = end
            time.sleep(LOOK_S)

    def _answer(self, request: Request, frames: list[Frame], patience_s: float) -> Reply | None:
        """Sends a request and awaits its reply so long."""
        left, end = patience_s, time.monotonic() + patience_s
        try:
            self._send(frames, left)
            while left > 0:
                reply = self._receive(left)
                if _answers(reply, request):
                    return reply
                left = end - time.monotonic()
        except zmq.Again:
            pass
        return None

    def post(self, request: Request, timeout_s: float) -> None:
        """Send a request whose reply comes among others; LinkTimeout if it cannot be sent within `timeout_s` seconds."""
        try:
            self._send(encode_request(request), timeout_s)
        except zmq.Again:
            raise self._timeout(request, timeout_s) from None

    def next(self, timeout_s: float) -> Reply | None:
        """Whatever comes next, or None if nothing comes within `timeout_s` seconds."""
        try:
            return self._receive(timeout_s)
        except zmq.Again:
            return None

    def close(self) -> None:
        """Close the socket; nothing unsent lingers."""
        self._socket.close()
        self._context.term()

    def _send(self, frames: list[Frame], timeout_s: float) -> None:
        self._wait_for(zmq.SNDTIMEO, timeout_s)
        self._socket.send_multipart(frames, copy=len(frames) <= 2)

    def _receive(self, timeout_s: float) -> Reply:
        """The next reply, whosesoever; data, the third and later frames, are not copied."""
        self._wait_for(zmq.RCVTIMEO, timeout_s)
        frames: list[Frame] = [self._socket.recv()]
        while self._socket.getsockopt(zmq.RCVMORE):
            frames.append(self._socket.recv() if len(frames) < 2 else self._socket.recv(copy=False).buffer.toreadonly())
        try:
            return decode_reply(frames)
        except ProtocolError as error:
            said = f"{self.endpoint} answers, but not as a chip does: {error.failure.message}"
            raise LinkError(said, code=error.failure.code) from None

    def _wait_for(self, option: int, timeout_s: float) -> None:
        """Sets how long sending or receiving may take; zmq.Again then."""
        milliseconds = max(1, int(min(timeout_s * 1000, MILLISECONDS_MAX)))
        if self._patience_ms.get(option) != milliseconds:
            self._socket.setsockopt(option, milliseconds)
            self._patience_ms[option] = milliseconds

    def _timeout(self, request: Request, timeout_s: float) -> LinkTimeout:
        what = f"{request.kind.name} (sequence number {request.seq})"
        hint = "is a daemon serving there"
        hint += ", and no gateway with keys, whose URL is tcp+curve://...?" if self.endpoint.startswith("tcp://") else "?"
        if self.endpoint.startswith(SCHEME):
            hint = "does a gateway serve there, has it this public key, does it let this key in, and is a daemon behind it?"
        if request.kind in NUMBERED or request.kind is Kind.PEEK:
            hint = "raise timeout_s if the work takes longer"
        if path := self._lacks_socket():
            hint = f"there is no socket {path}"
        return LinkTimeout(f"no reply from {self.endpoint} to {what} within {timeout_s:g} s; {hint}")


def _answers(reply: Reply, request: Request) -> bool:
    """Whether a reply belongs to a request; a daemon that could not read the header answers with zeros."""
    if reply.failure is not None and reply.failure.layer is Layer.TRANSPORT and reply.session == reply.seq == 0:
        return True
    same_session = reply.session == request.session or request.kind is Kind.HELLO
    return same_session and reply.seq == request.seq and reply.kind == request.kind
