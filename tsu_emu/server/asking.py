"""Asking another daemon for its status, for the command line and checks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import zmq

from tsu_contract.errors import ProtocolError
from tsu_contract.wire import Kind, Request, decode_reply, encode_request

Connect = Callable[["zmq.Socket[bytes]", str], object]
"""Connects a socket to an endpoint."""


def asked_for_status(endpoint: str, timeout_s: float, connect: Connect = zmq.Socket.connect) -> dict[str, Any]:
    """The body of a reply to STATUS. ConnectionError: the endpoint is none, or what answers there is no daemon of this protocol;
    TimeoutError: nobody answers."""
    context = zmq.Context(1)
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    request = Request(Kind.STATUS, 0, secrets.randbits(32))
    end = time.monotonic() + timeout_s
    try:
        connect(socket, endpoint)
        socket.send_multipart(encode_request(request))
        while (left := end - time.monotonic()) > 0 and socket.poll(int(1000 * left) + 1):
            reply = decode_reply(socket.recv_multipart())
            if reply.failure is not None:
                raise ConnectionError(f"{endpoint}: {reply.failure.message}")
            if (reply.kind, reply.seq) == (request.kind, request.seq):
                return reply.body
    except ProtocolError as error:
        raise ConnectionError(f"{endpoint} answers, but not as a daemon does: {error}") from None
    except zmq.ZMQError as error:
        raise ConnectionError(f"{endpoint}: {error}") from None
    finally:
        socket.close()
        context.term()
    hint = "is a daemon serving there"
    hint += ", and no gateway with keys, whose URL is tcp+curve://...?" if endpoint.startswith("tcp://") else ", or stopped?"
    raise TimeoutError(f"no reply from {endpoint} within {timeout_s:g} s; {hint}")
