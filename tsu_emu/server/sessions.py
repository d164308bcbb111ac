"""The table of sessions: who is known, which request was the last, which replies are kept."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count

from tsu_contract.errors import Code, fail
from tsu_contract.wire import Frame
from tsu_emu.server import limits

REMEMBERED = 1000
"""Sessions closed by the daemon whose reason is still known."""


class Role(StrEnum):
    """What a session may do."""

    OPERATOR = "operator"
    OBSERVER = "observer"


class Decision(StrEnum):
    """What the daemon decides for a session by itself, because of clocks or queues; whoever repeats its life must be told."""

    SILENT = "silent"
    CREDIT = "credit"
    UNREAD = "unread"
    STALLED = "stalled"
    LEASE_OVER = "lease-over"


WHY = {
    Decision.SILENT: "it was the most silent of all sessions, and another one needed its place",
    Decision.CREDIT: "more of its requests were under way than its credit allows",
    Decision.UNREAD: "it did not read its replies",
    Decision.STALLED: "it subscribed, and granted no credit for updates for too long",
}
"""Decisions that close a session, in words."""


@dataclass
class Session:
    """A client's place at the chip.

    last_seq : number of the last request taken; interrupts_seen : events that its replies have told; replies : kept, by number
    client : what it calls itself; heard : when it spoke last, by the table's clock
    peer : the connection that opened it; b"" if that is not known, as after the daemon was started anew
    """

    number: int
    last_seq: int = 0
    interrupts_seen: int = 0
    replies: OrderedDict[int, list[Frame]] = field(default_factory=OrderedDict)
    role: Role = Role.OPERATOR
    client: str = ""
    heard: float = 0.0
    peer: bytes = b""


class Sessions:
    """Open sessions, the one that has been silent longest first.

    next_number : gives the number of the next session
    clock : seconds; only goes forward
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._open: OrderedDict[int, Session] = OrderedDict()
        self._closed: OrderedDict[int, Decision] = OrderedDict()
        self._kept_bytes = 0
        self._clock = clock
        self.next_number: Callable[[], int] = count(1).__next__

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._open.values())

    def get(self, number: int) -> Session | None:
        """The session of that number, if it is open; that does not count as hearing of it."""
        return self._open.get(number)

    @property
    def full(self) -> bool:
        """Whether one more needs another's place."""
        return len(self._open) >= limits.SESSIONS_MAX

    @property
    def kept_bytes(self) -> int:
        """Bytes of all replies kept."""
        return self._kept_bytes

    def silent(self, but: int = 0, of: bytes = b"") -> Session:
        """The session that would make room, other than number `but`; ProtocolError if none has been silent for long enough.

        of : the connection that it must be of, if one has too many
        """
        now, wait = self._clock(), limits.SILENT_SECONDS
        for session in self._open.values():
            if session.number != but and of in (b"", session.peer):
                wait = session.heard + limits.SILENT_SECONDS - now
                if wait <= 0:
                    return session
                break
        whose = f"{limits.CONNECTION_SESSIONS} sessions of this connection" if of else f"{len(self._open)} sessions"
        raise fail(Code.BUSY, f"{whose} are open, as many as there may be; try again in {wait:.0f} s")

    def crowded(self, peer: bytes) -> bool:
        """Whether one more of a connection needs the place of another of its own."""
        return peer != b"" and sum(s.peer == peer for s in self._open.values()) >= limits.CONNECTION_SESSIONS

    def open(self, interrupts_seen: int, role: Role = Role.OPERATOR, client: str = "", peer: bytes = b"") -> Session:
        """Another session; see `full` and `crowded`."""
        session = Session(self.next_number(), 0, interrupts_seen, role=role, client=client, heard=self._clock(), peer=peer)
        self._open[session.number] = session
        return session

    def of(self, number: int) -> Session:
        """The session of that number, which has just been heard of; ProtocolError if there is none."""
        session = self._open.get(number)
        if session is None:
            if number in self._closed:
                raise fail(Code.SESSION_CUT, f"the daemon closed session {number}: {WHY[self._closed[number]]}; say HELLO")
            why = "it was closed, or the daemon was started anew and kept nothing"
            raise fail(Code.UNKNOWN_SESSION, f"session {number} is not open: {why}; say HELLO")
        session.heard = self._clock()
        self._open.move_to_end(number)
        return session

    def take(self, sessions: list[Session]) -> None:
        """These are open, in this order, heard of just now, and no others."""
        now = self._clock()
        for session in sessions:
            session.heard = now
        self._open = OrderedDict((session.number, session) for session in sessions)
        self._kept_bytes = sum(len(f) for s in self._open.values() for frames in s.replies.values() for f in frames)

    def keep(self, session: Session, seq: int, frames: list[Frame]) -> None:
        """Keeps a reply, and lets go of old ones beyond the limits: its session's, then those of the most silent sessions.

        Nothing is kept of a session that was closed in the midst of its request.
        """
        if session.number not in self._open:
            return
        session.replies[seq] = frames
        self._kept_bytes += sum(map(len, frames))
        if len(session.replies) > limits.CACHED_REPLIES:
            self._forget_oldest(session)
        if self._kept_bytes > limits.CACHED_BYTES:
            self._make_room(session)

    def close(self, session: Session, why: Decision | None = None) -> None:
        """A session ends, and its replies go; if the daemon decided so, its client is told why when it speaks again."""
        while session.replies:
            self._forget_oldest(session)
        del self._open[session.number]
        if why is not None:
            self._closed[session.number] = why
            if len(self._closed) > REMEMBERED:
                self._closed.popitem(last=False)

    def _make_room(self, speaking: Session) -> None:
        for other in self._open.values():
            while self._kept_bytes > limits.CACHED_BYTES and len(other.replies) > (1 if other is speaking else 0):
                self._forget_oldest(other)

    def _forget_oldest(self, session: Session) -> None:
        _, frames = session.replies.popitem(last=False)
        self._kept_bytes -= sum(map(len, frames))
