"""Sessions: from frames to frames, without sockets. A request is executed once; asked again, its reply is given again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tsu_contract import wire
from tsu_contract.errors import Code, ProtocolError, fail
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Frame, Kind, Reply, Request
from tsu_emu.chip import Chip

SESSIONS_MAX = 1000
CACHED_REPLIES = 16
"""Replies kept for each session."""
CACHED_BYTES = 64 << 20
"""Bytes of replies kept for each session; the newest is kept whatever its size."""


@dataclass
class _Session:
    number: int
    last_seq: int = 0
    interrupts_seen: int = 0
    replies: OrderedDict[int, list[Frame]] = field(default_factory=OrderedDict)
    kept_bytes: int = 0

    def keep(self, seq: int, frames: list[Frame]) -> None:
        """Keep a reply, and let go of the oldest beyond the limits."""
        self.last_seq = seq
        self.replies[seq] = frames
        self.kept_bytes += sum(map(len, frames))
        while len(self.replies) > CACHED_REPLIES or (len(self.replies) > 1 and self.kept_bytes > CACHED_BYTES):
            _, oldest = self.replies.popitem(last=False)
            self.kept_bytes -= sum(map(len, oldest))


class Server:
    """All sessions of one chip.

    chip : the chip; name : what HELLO calls it; boot : a word that changes when the daemon starts anew
    """

    def __init__(self, chip: Chip, name: str = "", boot: str = "") -> None:
        self.chip, self._name, self._boot = chip, name or chip.config.name, boot
        self._sessions: dict[int, _Session] = {}
        self._numbered = 0

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
            shown = str(theirs)[:16]
            raise fail(
                Code.MAP_MISMATCH, f"register map {shown}... is not this chip's {MAP_HASH[:16]}...; install matching versions"
            )
        if len(self._sessions) >= SESSIONS_MAX:
            raise fail(Code.TOO_MANY_SESSIONS, f"{SESSIONS_MAX} sessions are open; close one")
        self._numbered += 1
        _, lost = self.chip.interrupts(0)
        seen = lost + len(self.chip.interrupts(0)[0])
        self._sessions[self._numbered] = _Session(self._numbered, interrupts_seen=seen)
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
        return session

    def _replayed(self, session: _Session, seq: int) -> list[Frame] | None:
        """The kept reply to a request that came before; None if `seq` is the next one due."""
        if seq in session.replies:
            return session.replies[seq]
        if 0 < seq <= session.last_seq:
            raise fail(
                Code.SEQUENCE_EVICTED, f"request {seq} was answered, but its reply is no longer kept; it is not executed again"
            )
        if seq != session.last_seq + 1:
            raise fail(Code.BAD_SEQUENCE, f"request {seq} after {session.last_seq}; {session.last_seq + 1} expected")
        return None

    def _bye(self, request: Request) -> list[Frame]:
        session = self._session(request)
        if self._replayed(session, request.seq) is None:
            del self._sessions[session.number]
        return wire.encode_reply(Reply(Kind.BYE, request.session, request.seq))

    def _operate(self, request: Request) -> list[Frame]:
        session = self._session(request)
        kept = self._replayed(session, request.seq)
        if kept is not None:
            return kept
        reply = Reply(Kind.OPERATE, request.session, request.seq)
        try:
            r = self.chip.execute(request.records, request.payloads)
            reply = replace(
                reply,
                failure=r.failure,
                executed=r.executed,
                t_start=r.t_start,
                t_end=r.t_end,
                values=r.values,
                data=tuple(r.data),
            )
        except ProtocolError as error:
            reply = replace(reply, failure=error.failure)
        events, lost = self.chip.interrupts(session.interrupts_seen)
        session.interrupts_seen += len(events) + lost
        frames = wire.encode_reply(replace(reply, interrupts=events, interrupts_lost=lost))
        session.keep(request.seq, frames)
        return frames
