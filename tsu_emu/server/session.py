"""Sessions: from frames to frames, without sockets. A request is executed once; asked again, its reply is given again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tsu_contract import wire
from tsu_contract.errors import Code, Layer, ProtocolError, fail
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Frame, Kind, Reply, Request
from tsu_emu.chip import Chip, Result

SESSIONS_MAX = 1000
"""Open sessions; one more closes the one that has been silent longest."""
CACHED_REPLIES = 16
"""Replies kept for each session."""
CACHED_BYTES = 256 << 20
"""Bytes of replies kept for all sessions together; the newest reply is kept whatever its size."""


@dataclass
class _Session:
    number: int
    last_seq: int = 0
    interrupts_seen: int = 0
    replies: OrderedDict[int, list[Frame]] = field(default_factory=OrderedDict)


class Server:
    """All sessions of one chip.

    chip : the chip; name : what HELLO calls it; boot : a word that changes when the daemon starts anew
    """

    def __init__(self, chip: Chip, name: str = "", boot: str = "") -> None:
        self.chip, self._name, self._boot = chip, name or chip.config.name, boot
        self._sessions: OrderedDict[int, _Session] = OrderedDict()
        self._numbered = self._kept_bytes = 0

    def handle(self, frames: Sequence[Frame]) -> list[Frame]:
        """The reply to a request; whatever is wrong with it becomes a reply that says so."""
        request = Request(Kind.HELLO, 0, 0)
        try:
            request = wire.decode_request(frames)
            match request.kind:
                case Kind.HELLO:
                    return wire.encode_reply(self._hello(request))
                case Kind.BYE:
                    return self._bye(request)
                case _:
                    return self._operate(request)
        except ProtocolError as error:
            return wire.encode_reply(Reply(request.kind, request.session, request.seq, error.failure))

    def _hello(self, request: Request) -> Reply:
        theirs = request.body.get("map_hash")
        if theirs != MAP_HASH:
            shown = theirs[:16] if isinstance(theirs, str) else type(theirs).__name__
            message = f"register map {shown}... is not this chip's {MAP_HASH[:16]}...; install matching versions"
            raise fail(Code.MAP_MISMATCH, message)
        if len(self._sessions) >= SESSIONS_MAX:
            self._close(next(iter(self._sessions.values())))
        self._numbered += 1
        self._sessions[self._numbered] = _Session(self._numbered, interrupts_seen=self.chip.interrupts_so_far())
        return Reply(Kind.HELLO, self._numbered, request.seq, body=self._welcome())

    def _welcome(self) -> dict[str, Any]:
        limits = {
            "operations": wire.OPERATIONS_MAX,
            "frames": wire.FRAMES_MAX,
            "header_bytes": wire.HEADER_BYTES_MAX,
            "payload_bytes": wire.PAYLOAD_BYTES_MAX,
            "sessions": SESSIONS_MAX,
            "cached_replies": CACHED_REPLIES,
            "cached_bytes": CACHED_BYTES,
        }
        return {
            "session": self._numbered, "boot": self._boot, "epoch": 0, "map_hash": MAP_HASH,
            "name": self._name, "chips": 1, "limits": limits,
        }  # fmt: skip

    def _session(self, request: Request) -> _Session:
        session = self._sessions.get(request.session)
        if session is None:
            raise fail(Code.UNKNOWN_SESSION, f"session {request.session} is not open; say HELLO")
        self._sessions.move_to_end(session.number)
        return session

    @staticmethod
    def _check_next(session: _Session, seq: int) -> None:
        """Refuses what is not the next request and has no reply kept."""
        if 0 < seq <= session.last_seq:
            message = f"request {seq} was taken, but its reply is no longer kept; it is not executed again"
            raise fail(Code.SEQUENCE_EVICTED, message)
        if seq != session.last_seq + 1:
            raise fail(Code.BAD_SEQUENCE, f"request {seq} after {session.last_seq}; {session.last_seq + 1} expected")

    def _bye(self, request: Request) -> list[Frame]:
        session = self._session(request)
        if request.seq in session.replies:
            message = f"request {request.seq} was another one; BYE is request {session.last_seq + 1}"
            raise fail(Code.BAD_SEQUENCE, message)
        self._check_next(session, request.seq)
        self._close(session)
        return wire.encode_reply(Reply(Kind.BYE, request.session, request.seq))

    def _operate(self, request: Request) -> list[Frame]:
        session = self._session(request)
        if request.seq in session.replies:
            return session.replies[request.seq]
        self._check_next(session, request.seq)
        session.last_seq = request.seq
        try:
            r = self.chip.execute(request.records, request.payloads)
        except ProtocolError as error:
            if error.failure.layer is Layer.TRANSPORT:
                session.last_seq -= 1
                raise
            now = self.chip.link_time
            r = Result(0, now, now, np.empty(0, np.uint32), failure=error.failure)
        events, lost = self.chip.interrupts(session.interrupts_seen)
        session.interrupts_seen += len(events) + lost
        reply = Reply(
            Kind.OPERATE, session.number, request.seq, r.failure, r.executed, r.t_start, r.t_end, events, lost,
            values=r.values, data=tuple(r.data),
        )  # fmt: skip
        frames = wire.encode_reply(reply)
        self._keep(session, request.seq, frames)
        return frames

    def _keep(self, session: _Session, seq: int, frames: list[Frame]) -> None:
        """Keeps a reply, and lets go of old ones beyond the limits: its session's, then those of the most silent sessions."""
        session.replies[seq] = frames
        self._kept_bytes += sum(map(len, frames))
        if len(session.replies) > CACHED_REPLIES:
            self._forget_oldest(session)
        for other in self._sessions.values():
            while self._kept_bytes > CACHED_BYTES and len(other.replies) > (1 if other is session else 0):
                self._forget_oldest(other)

    def _forget_oldest(self, session: _Session) -> None:
        _, frames = session.replies.popitem(last=False)
        self._kept_bytes -= sum(map(len, frames))

    def _close(self, session: _Session) -> None:
        while session.replies:
            self._forget_oldest(session)
        del self._sessions[session.number]
