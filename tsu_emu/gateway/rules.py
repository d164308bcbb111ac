"""What passes a door: the form of a message, what the role of its key may do, whose a session is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgpack

from tsu_contract import bench, wire
from tsu_contract.errors import Code, ProtocolError, fail
from tsu_contract.wire import Frame, Kind, Reply, Request
from tsu_emu.gateway.keys import Role

SESSIONS_OF_A_KEY = 256
"""Sessions that the gateway remembers for one key; one more forgets the one that key used longest ago."""
LOOKING = frozenset({Kind.HELLO, Kind.STATUS, Kind.PEEK, Kind.SUBSCRIBE, Kind.BYE})
MAY = {Role.OBSERVER: LOOKING, Role.OPERATOR: frozenset(Kind), Role.BENCH: frozenset(Kind)}
"""Kinds of requests that each role may make."""


@dataclass(frozen=True)
class User:
    """Who sends a message: a key, what it is called, what it may do."""

    key: bytes
    name: str
    role: Role


class Rules(Protocol):
    """What one door asks of its messages."""

    def admit(self, user: User, frames: Sequence[Frame]) -> list[Frame | None]:
        """A message's frames as the engine is to get them, None where one goes on as it came; ProtocolError if it stays out."""

    def refusal(self, frames: Sequence[Frame], error: ProtocolError) -> list[Frame]:
        """The reply to a message that stays out."""

    def returned(self, user: User, header: bytes, mine: set[int]) -> bytes:
        """The header of an engine's reply as the client is to get it; `mine` are sessions opened on the client's connection."""


class Sessions:
    """Whose each session is.

    opened, closed : told of each session that comes or goes
    """

    def __init__(self, known: dict[int, bytes], opened: Callable[[int, bytes], None], closed: Callable[[int], None]) -> None:
        self._of: dict[int, bytes] = {}
        self._each: dict[bytes, OrderedDict[int, None]] = {}
        self._cut: dict[int, str] = {}
        self._opened = self._closed = lambda *_: None
        for number, key in known.items():
            self.open(number, key)
        self._opened, self._closed = opened, closed

    def open(self, number: int, key: bytes) -> None:
        """A key has opened a session."""
        self.close(number)
        mine = self._each.setdefault(key, OrderedDict())
        self._of[number] = key
        mine[number] = None
        self._opened(number, key)
        if len(mine) > SESSIONS_OF_A_KEY:
            self.close(next(iter(mine)))

    def close(self, number: int) -> None:
        """A session has ended, or is forgotten."""
        key = self._of.pop(number, None)
        if key is None:
            return
        del self._each[key][number]
        if not self._each[key]:
            del self._each[key]
        self._cut.pop(number, None)
        self._closed(number)

    def cut(self, number: int, why: str) -> None:
        """A session is over; its next requests are told why."""
        if number in self._of:
            self._cut[number] = why

    def check(self, number: int, key: bytes) -> None:
        """ProtocolError unless the session is this key's. Whether another key has it is not told."""
        if self._of.get(number) != key:
            raise fail(Code.UNKNOWN_SESSION, f"session {number} is not open; say HELLO")
        if number in self._cut:
            raise fail(Code.SESSION_CUT, self._cut[number])
        self._each[key].move_to_end(number)


class FrontDoor:
    """Rules of the front door.

    sessions : whose they are; payload_bytes : of one message, at most
    """

    def __init__(self, sessions: Sessions, payload_bytes: int) -> None:
        self.sessions, self.payload_bytes = sessions, payload_bytes

    def admit(self, user: User, frames: Sequence[Frame]) -> list[Frame | None]:
        """As `Rules.admit`. HELLO says what role the key has, and who the client is by its key's name."""
        request = wire.decode_request(frames)
        if request.kind not in MAY[user.role]:
            raise fail(Code.FORBIDDEN, f"{request.kind.name} is not for {user.name}, whose role is {user.role}")
        if sum(map(len, request.payloads)) > self.payload_bytes:
            raise fail(Code.TOO_LARGE, f"payload beyond {self.payload_bytes} bytes, the limit of this gateway")
        if request.session:
            self.sessions.check(request.session, user.key)
        passed: list[Frame | None] = [None] * len(frames)
        if request.kind is Kind.HELLO:
            passed[0] = header = wire.encode_request(_introduced(request, user))[0]
            if len(header) > wire.HEADER_BYTES_MAX:
                raise fail(Code.TOO_LARGE, f"header beyond {wire.HEADER_BYTES_MAX} bytes with the key's name in it")
        return passed

    def refusal(self, frames: Sequence[Frame], error: ProtocolError) -> list[Frame]:
        """As `Rules.refusal`: with the request's numbers if it can be read."""
        try:
            request = wire.decode_request(frames)
        except ProtocolError:
            request = Request(Kind.HELLO, 0, 0)
        return wire.encode_reply(Reply(request.kind, request.session, request.seq, error.failure))

    def returned(self, user: User, header: bytes, mine: set[int]) -> bytes:
        """As `Rules.returned`: notes what HELLO and BYE do, and puts the gateway's limit in place of the engine's."""
        values = msgpack.unpackb(header, strict_map_key=False)
        kind, session, status, body = values[2], values[3], values[5], values[11]
        if status == Code.UNKNOWN_SESSION or (kind == Kind.BYE and status == Code.OK):
            self.sessions.close(session)
            mine.discard(session)
        if kind != Kind.HELLO or status != Code.OK:
            return header
        self.sessions.open(session, user.key)
        mine.add(session)
        limits = body.get("limits", {})
        body["limits"] = {**limits, "payload_bytes": min(limits.get("payload_bytes", self.payload_bytes), self.payload_bytes)}
        return wire.pack(values)


def _introduced(request: Request, user: User) -> Request:
    """A HELLO with what the gateway knows of the client."""
    claimed = request.body.get("client")
    body: dict[str, Any] = {**request.body, "client": f"{user.name}: {claimed}" if isinstance(claimed, str) else user.name}
    if user.role is Role.OBSERVER:
        body["role"] = Role.OBSERVER.value
    return Request(Kind.HELLO, request.session, request.seq, body=body)


class BenchDoor:
    """Rules of the lab bench's doors: whole messages, of keys with the role bench."""

    def admit(self, user: User, frames: Sequence[Frame]) -> list[Frame | None]:
        """As `Rules.admit`."""
        request = bench.decode_request(frames)
        if user.role is not Role.BENCH:
            raise fail(Code.FORBIDDEN, f"{request.verb} is not for {user.name}, whose role is {user.role}; it needs {Role.BENCH}")
        return [None]

    def refusal(self, frames: Sequence[Frame], error: ProtocolError) -> list[Frame]:
        """As `Rules.refusal`."""
        try:
            request = bench.decode_request(frames)
        except ProtocolError:
            request = bench.Request("", 0)
        return bench.encode_reply(bench.Reply(request.verb, request.number, error.failure))

    def returned(self, user: User, header: bytes, mine: set[int]) -> bytes:
        """As `Rules.returned`: as it is."""
        return header
