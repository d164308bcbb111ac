"""Requests of all sessions, frames to frames, without sockets. One is carried out once; asked again, its reply is given again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract import wire
from tsu_contract.errors import Code, Layer, ProtocolError, fail
from tsu_contract.wire import Frame, Kind, Reply, Request
from tsu_emu.chip import Chip, Result
from tsu_emu.server.counters import Counters
from tsu_emu.server.events import Events
from tsu_emu.server.lease import Lease
from tsu_emu.server.limits import LEASE_SECONDS_MAX, limits
from tsu_emu.server.peek import Peeker
from tsu_emu.server.pieces import PIECE, in_pieces
from tsu_emu.server.sessions import Decision, Role, Session, Sessions
from tsu_emu.server.status import Status, Work
from tsu_emu.server.subscriptions import Subscriptions

CLIENT_MAX = 200
"""Characters of a client's name that are kept."""
AT_ONCE = (Kind.STATUS, Kind.SUBSCRIBE)
"""Kinds that may be answered in the midst of another request: they neither look at the chip's parts nor change them."""


class Server:
    """All sessions of one chip.

    chip : the chip; name : what HELLO calls it; boot : a word that changes when the daemon starts anew
    clock : seconds, only goes forward; leases and silent sessions go by it
    sessions : who is known, and the replies that are kept; lease : who alone may operate
    peer : whose request is answered now: where updates go if it subscribes; set by the door
    keeps : what of this the daemon finds again after its end
    accepted : called with the frames of each request that is going to be carried out, before anything is; what it raises leaves
        the request undone
    decided : called with what the daemon is about to do to a session by itself, and the session's number. `apply` does it again.
    events : what is told of all this
    execute : carries out a list of operations; a trace may stand before the chip
    """

    def __init__(self, chip: Chip, name: str = "", boot: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.chip, self.name, self.boot, self._clock = chip, name or chip.config.name, boot, clock
        self.sessions, self.lease, self.subscriptions = Sessions(clock), Lease(clock), Subscriptions(clock)
        self.counters = Counters()
        self.status = Status(self, clock)
        self.events = Events(lambda: self.chip.link_time, clock)
        self.under_way: Work | None = None
        self.peer, self.keeps = b"", "nothing"
        self.accepted: Callable[[Sequence[Frame]], None] = lambda frames: None
        self.decided: Callable[[Decision, int], None] = lambda what, session: None
        self.execute: Callable[[NDArray[Any], Sequence[Frame]], Result] = self._execute
        self._peeker = Peeker(chip)
        self._answers: dict[Kind, Callable[[Request, Sequence[Frame]], Reply]] = {
            Kind.HELLO: self._hello, Kind.BYE: self._bye, Kind.STATUS: self._status, Kind.PEEK: self._peek,
            Kind.SUBSCRIBE: self._subscribe,
        }  # fmt: skip

    def handle(self, frames: Sequence[Frame]) -> list[Frame]:
        """The reply to a request; whatever is wrong with it becomes a reply that says so."""
        request = Request(Kind.HELLO, 0, 0)
        self.counters.requests += 1
        try:
            request = wire.decode_request(frames)
            if request.kind is Kind.OPERATE:
                return self._numbered(request, frames, self._operate)
            if request.kind is Kind.LEASE:
                return self._numbered(request, frames, self._lease)
            return wire.encode_reply(self._answers[request.kind](request, frames))
        except ProtocolError as error:
            self.counters.refused += 1
            self.counters.last_error = str(error)
            self.events.tell(
                "refused", session=request.session, kind=request.kind.name, code=error.failure.code.name, why=str(error)
            )
            return wire.encode_reply(Reply(request.kind, request.session, request.seq, error.failure))

    def decide(self, what: Decision, session: int) -> None:
        """The daemon does something to a session by itself."""
        self.decided(what, session)
        self.apply(what, session)

    def apply(self, what: Decision, session: int) -> None:
        """Does what was decided, to whoever is still there."""
        self.events.tell("decided", logging.WARNING, session, what=what.value)
        self.lease.end(session)
        known = self.sessions.get(session)
        if what is not Decision.LEASE_OVER and known is not None:
            self.subscriptions.end(session)
            self.sessions.close(known, what)
            self.counters.cut += 1

    def _hello(self, request: Request, frames: Sequence[Frame]) -> Reply:
        theirs = request.body.get("map_hash")
        ours = self.chip.map.hash
        if theirs != ours:
            shown = theirs[:16] if isinstance(theirs, str) else type(theirs).__name__
            message = f"register map {shown}... is not this chip's {ours[:16]}...; install matching versions"
            raise fail(Code.MAP_MISMATCH, message)
        role, name = request.body.get("role", Role.OPERATOR.value), request.body.get("client", "")
        if not isinstance(role, str) or role not in tuple(Role):
            raise fail(Code.BAD_HEADER, f"role is {wire.shown(role)}; {' or '.join(Role)} expected")
        for crowded, of in ((self.sessions.crowded(self.peer), self.peer), (self.sessions.full, b"")):
            if crowded:
                self._end_lease_if_over()
                self.decide(Decision.SILENT, self.sessions.silent(but=self.lease.holder, of=of).number)
                break
        self.accepted(frames)
        known_as = name[:CLIENT_MAX] if isinstance(name, str) else ""
        session = self.sessions.open(self.chip.interrupts_so_far(), Role(role), known_as, self.peer)
        self.events.tell("session opened", session=session.number, client=known_as, role=role)
        return Reply(Kind.HELLO, session.number, request.seq, body=self._welcome(session))

    def _welcome(self, session: Session) -> dict[str, Any]:
        return {
            "session": session.number, "boot": self.boot, "epoch": 0, "map_hash": self.chip.map.hash,
            "name": self.name, "chips": 1, "role": session.role.value,
            "keeps": self.keeps, "limits": limits(),
        }  # fmt: skip

    @staticmethod
    def _check_next(session: Session, seq: int) -> None:
        """Refuses what is not the next request and has no reply kept."""
        if 0 < seq <= session.last_seq:
            message = f"request {seq} was taken, but its reply is no longer kept; it is not executed again"
            raise fail(Code.SEQUENCE_EVICTED, message)
        if seq != session.last_seq + 1:
            raise fail(Code.BAD_SEQUENCE, f"request {seq} after {session.last_seq}; {session.last_seq + 1} expected")

    def _bye(self, request: Request, frames: Sequence[Frame]) -> Reply:
        session = self.sessions.of(request.session)
        if request.seq in session.replies:
            message = f"request {request.seq} was another one; BYE is request {session.last_seq + 1}"
            raise fail(Code.BAD_SEQUENCE, message)
        self._check_next(session, request.seq)
        self.accepted(frames)
        self.lease.end(session.number)
        self.subscriptions.end(session.number)
        self.sessions.close(session)
        self.events.tell("session closed", session=session.number)
        return Reply(Kind.BYE, request.session, request.seq)

    def _status(self, request: Request, frames: Sequence[Frame]) -> Reply:
        now = self.chip.link_time
        return Reply(Kind.STATUS, request.session, request.seq, t_start=now, t_end=now, body=self.status.body())

    def _peek(self, request: Request, frames: Sequence[Frame]) -> Reply:
        session, now = self.sessions.of(request.session), self.chip.link_time
        values, data = self._peeker.look(request)
        self.lease.heard(session.number)
        count = len(request.records)
        return Reply(Kind.PEEK, session.number, request.seq, None, count, now, now, values=values, data=tuple(data))

    def _subscribe(self, request: Request, frames: Sequence[Frame]) -> Reply:
        session = self.sessions.of(request.session)
        body = self.subscriptions.set(request, self.peer)
        self.lease.heard(session.number)
        return Reply(Kind.SUBSCRIBE, session.number, request.seq, body=body)

    def _numbered(
        self, request: Request, frames: Sequence[Frame], act: Callable[[Request, Session, Sequence[Frame]], Reply]
    ) -> list[Frame]:
        """A request that is carried out once, and whose reply is kept."""
        session = self.sessions.of(request.session)
        if request.seq in session.replies:
            self.counters.resent += 1
            return session.replies[request.seq]
        self._check_next(session, request.seq)
        if session.role is Role.OBSERVER:
            raise fail(Code.FORBIDDEN, f"an observer may not {request.kind.name}; it has STATUS, PEEK and SUBSCRIBE")
        if self.lease.holder:
            self._end_lease_if_over()
            self.lease.admit(session.number)
            self.lease.heard(session.number)
        reply = act(request, session, frames)
        answer = wire.encode_reply(reply)
        self.sessions.keep(session, request.seq, answer)
        return answer

    def _end_lease_if_over(self) -> None:
        if self.lease.over:
            self.decide(Decision.LEASE_OVER, self.lease.holder)

    def _lease(self, request: Request, session: Session, frames: Sequence[Frame]) -> Reply:
        seconds: Any = request.body.get("seconds")
        if type(seconds) not in (int, float) or not 0 <= seconds <= LEASE_SECONDS_MAX:
            raise fail(Code.BAD_HEADER, f"seconds is {wire.shown(seconds)}; 0 to {LEASE_SECONDS_MAX:g} expected")
        self.accepted(frames)
        session.last_seq = request.seq
        if seconds:
            self.lease.take(session.number, session.client, float(seconds))
            self.counters.leases += 1
        else:
            self.lease.end(session.number)
        self.events.tell("lease", session=session.number, client=session.client, seconds=seconds)
        return Reply(Kind.LEASE, session.number, request.seq, body={"seconds": seconds})

    def _operate(self, request: Request, session: Session, frames: Sequence[Frame]) -> Reply:
        self.accepted(frames)
        session.last_seq = request.seq
        begun = self._clock()
        self.under_way = Work(session.number, begun)
        try:
            r = self.execute(request.records, request.payloads)
        except ProtocolError as error:
            if error.failure.layer is Layer.TRANSPORT:
                session.last_seq -= 1
                raise
            now = self.chip.link_time
            r = Result(0, now, now, np.empty(0, np.uint32), failure=error.failure)
        finally:
            self.under_way = None
        self._count(r, self._clock() - begun)
        events, lost = self.chip.interrupts(session.interrupts_seen)
        session.interrupts_seen += len(events) + lost
        self.lease.heard(session.number)
        return Reply(
            Kind.OPERATE, session.number, request.seq, r.failure, r.executed, r.t_start, r.t_end, events, lost,
            values=r.values, data=tuple(r.data),
        )  # fmt: skip

    def _execute(self, records: NDArray[Any], payloads: Sequence[Frame]) -> Result:
        if len(records) <= PIECE:
            return self.chip.execute(records, payloads)
        return in_pieces(self.chip, records, payloads, PIECE, lambda k, done: self.chip.between_calls())

    def _count(self, result: Result, seconds: float) -> None:
        self.counters.operations += result.executed
        self.counters.took(seconds)
        if result.failure is not None:
            self.counters.failed += 1
            self.counters.last_error = result.failure.message
            self.events.tell("failed", code=result.failure.code.name, why=result.failure.message)
