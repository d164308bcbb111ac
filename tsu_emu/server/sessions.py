"""The table of sessions: who is known, which request was the last, which replies are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from tsu_contract.errors import Code, fail
from tsu_contract.wire import Frame

SESSIONS_MAX = 1000
"""Open sessions; one more closes the one that has been silent longest."""
CACHED_REPLIES = 16
"""Replies kept for each session."""
CACHED_BYTES = 256 << 20
"""Bytes of replies kept for all sessions together; the newest reply is kept whatever its size."""


@dataclass
class Session:
    """A client's place at the chip.

    last_seq : number of the last request taken; interrupts_seen : events that its replies have told; replies : kept, by number
    """

    number: int
    last_seq: int = 0
    interrupts_seen: int = 0
    replies: OrderedDict[int, list[Frame]] = field(default_factory=OrderedDict)


class Sessions:
    """Open sessions, the one that has been silent longest first.

    next_number : gives the number of the next session
    """

    def __init__(self) -> None:
        self._open: OrderedDict[int, Session] = OrderedDict()
        self._kept_bytes = 0
        self.next_number: Callable[[], int] = count(1).__next__

    def open(self, interrupts_seen: int) -> Session:
        """Another session."""
        if len(self._open) >= SESSIONS_MAX:
            self.close(next(iter(self._open.values())))
        session = Session(self.next_number(), interrupts_seen=interrupts_seen)
        self._open[session.number] = session
        return session

    def of(self, number: int) -> Session:
        """The session of that number, which has just been heard of; ProtocolError if there is none."""
        session = self._open.get(number)
        if session is None:
            raise fail(Code.UNKNOWN_SESSION, f"session {number} is not open; say HELLO")
        self._open.move_to_end(number)
        return session

    def keep(self, session: Session, seq: int, frames: list[Frame]) -> None:
        """Keeps a reply, and lets go of old ones beyond the limits: its session's, then those of the most silent sessions."""
        session.replies[seq] = frames
        self._kept_bytes += sum(map(len, frames))
        if len(session.replies) > CACHED_REPLIES:
            self._forget_oldest(session)
        for other in self._open.values():
            while self._kept_bytes > CACHED_BYTES and len(other.replies) > (1 if other is session else 0):
                self._forget_oldest(other)

    def close(self, session: Session) -> None:
        """A session ends, and its replies go."""
        while session.replies:
            self._forget_oldest(session)
        del self._open[session.number]

    def _forget_oldest(self, session: Session) -> None:
        _, frames = session.replies.popitem(last=False)
        self._kept_bytes -= sum(map(len, frames))
