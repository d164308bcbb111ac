"""A daemon in a process of its own and many plain clients in this one, for figures about them."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zmq

from server.process import SMALL, Process, short_directory
from tsu_apps.report import Row
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind, Reply, Request, decode_reply, encode_request

REPLY_MS = 30_000
PER_CLIENT = 3
"""Descriptors that a client's socket takes here."""


@contextmanager
def served(config: str | None = None, *arguments: str) -> Iterator[Process]:
    """A daemon of a shipped configuration, or of a small chip."""
    with short_directory() as folder:
        path = folder / "small.toml"
        path.write_text(SMALL)
        with Process(Path(config) if config else path, f"ipc://{folder}/chip.sock", *arguments) as process:
            yield process


def repeatable(rows: list[Row], again: str) -> list[Row]:
    """The same rows; each that is missed says what repeats it."""
    return [row if row.ok is not False else replace(row, name=f"{row.name}; {again}") for row in rows]


class Crowd:
    """Sockets that connect one by one; a context manager.

    count : how many there will be at the most
    """

    def __init__(self, endpoint: str, count: int) -> None:
        self.endpoint = endpoint
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = PER_CLIENT * count + 200
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        self._context = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, count + 10)
        self.members: list[Member] = []

    def join(self, role: str = "operator") -> Member:
        """One more, who has said HELLO."""
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, REPLY_MS)
        socket.connect(self.endpoint)
        member = Member(socket, role)
        self.members.append(member)
        return member

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for member in self.members:
            member.socket.close()
        self._context.term()


class Member:
    """One client. session, seq : as in the protocol."""

    def __init__(self, socket: zmq.Socket[bytes], role: str) -> None:
        self.socket, self.seq, self._role = socket, 0, role
        self.session = self.hello().session

    def hello(self) -> Reply:
        """Another HELLO."""
        return self.asked(Request(Kind.HELLO, 0, 0, body={"client": "crowd", "map_hash": MAP_HASH, "role": self._role}))

    def post(self, request: Request) -> None:
        """Sends, and awaits nothing."""
        self.socket.send_multipart(encode_request(request))

    def asked(self, request: Request) -> Reply:
        """Sends, and awaits the next reply."""
        self.post(request)
        return self.reply()

    def reply(self) -> Reply:
        """The next one; zmq.Again if it does not come."""
        return decode_reply(self.socket.recv_multipart())

    def operate(self, records: Any) -> Request:
        """The next OPERATE."""
        self.seq += 1
        return Request(Kind.OPERATE, self.session, self.seq, records)

    def status(self) -> dict[str, Any]:
        """The body of STATUS."""
        return self.asked(Request(Kind.STATUS, 0, 1)).body
