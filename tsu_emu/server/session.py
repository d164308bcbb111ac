"""Requests of all sessions, frames to frames, without sockets. One is carried out once; asked again, its reply is given again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tsu_contract import wire
from tsu_contract.errors import Code, Layer, ProtocolError, fail
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Frame, Kind, Reply, Request
from tsu_emu.chip import Chip, Result
from tsu_emu.server.sessions import CACHED_BYTES, CACHED_REPLIES, SESSIONS_MAX, Session, Sessions


class Server:
    """All sessions of one chip.

    chip : the chip; name : what HELLO calls it; boot : a word that changes when the daemon starts anew
    sessions : who is known, and the replies that are kept
    accepted : called with the frames of each request that is going to be carried out, before anything is; what it raises leaves
        the request undone
    """

    def __init__(self, chip: Chip, name: str = "", boot: str = "") -> None:
        self.chip, self._name, self._boot = chip, name or chip.config.name, boot
        self.sessions = Sessions()
        self.accepted: Callable[[Sequence[Frame]], None] = lambda frames: None

    def handle(self, frames: Sequence[Frame]) -> list[Frame]:
        """The reply to a request; whatever is wrong with it becomes a reply that says so."""
        request = Request(Kind.HELLO, 0, 0)
        try:
            request = wire.decode_request(frames)
            match request.kind:
                case Kind.HELLO:
                    return wire.encode_reply(self._hello(request, frames))
                case Kind.OPERATE:
                    return self._operate(request, frames)
                case Kind.BYE:
                    return self._bye(request, frames)
                case _:
                    raise fail(Code.BAD_HEADER, f"this daemon does not answer {request.kind.name}")
        except ProtocolError as error:
            return wire.encode_reply(Reply(request.kind, request.session, request.seq, error.failure))

    def _hello(self, request: Request, frames: Sequence[Frame]) -> Reply:
        theirs = request.body.get("map_hash")
        if theirs != MAP_HASH:
            shown = theirs[:16] if isinstance(theirs, str) else type(theirs).__name__
            message = f"register map {shown}... is not this chip's {MAP_HASH[:16]}...; install matching versions"
            raise fail(Code.MAP_MISMATCH, message)
        self.accepted(frames)
        session = self.sessions.open(self.chip.interrupts_so_far())
        return Reply(Kind.HELLO, session.number, request.seq, body=self._welcome(session))

    def _welcome(self, session: Session) -> dict[str, Any]:
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
            "session": session.number, "boot": self._boot, "epoch": 0, "map_hash": MAP_HASH,
            "name": self._name, "chips": 1, "limits": limits,
        }  # fmt: skip

    @staticmethod
    def _check_next(session: Session, seq: int) -> None:
        """Refuses what is not the next request and has no reply kept."""
        if 0 < seq <= session.last_seq:
            message = f"request {seq} was taken, but its reply is no longer kept; it is not executed again"
            raise fail(Code.SEQUENCE_EVICTED, message)
        if seq != session.last_seq + 1:
            raise fail(Code.BAD_SEQUENCE, f"request {seq} after {session.last_seq}; {session.last_seq + 1} expected")

    def _bye(self, request: Request, frames: Sequence[Frame]) -> list[Frame]:
        session = self.sessions.of(request.session)
        if request.seq in session.replies:
            message = f"request {request.seq} was another one; BYE is request {session.last_seq + 1}"
            raise fail(Code.BAD_SEQUENCE, message)
        self._check_next(session, request.seq)
        self.accepted(frames)
        self.sessions.close(session)
        return wire.encode_reply(Reply(Kind.BYE, request.session, request.seq))

    def _operate(self, request: Request, frames: Sequence[Frame]) -> list[Frame]:
        session = self.sessions.of(request.session)
        if request.seq in session.replies:
            return session.replies[request.seq]
        self._check_next(session, request.seq)
        self.accepted(frames)
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
        answer = wire.encode_reply(reply)
        self.sessions.keep(session, request.seq, answer)
        return answer
