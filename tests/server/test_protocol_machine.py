"""Random histories of sessions, played on the server and on a model of the protocol's rules; hypothesis looks for differences."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from server.harness import Clock, Row, read, records_of, small_server, write
from server.protocol_model import Model
from tsu_contract.errors import Code
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind, Request, decode_reply, encode_request
from tsu_emu.server import limits
from tsu_emu.server.session import Server
from tsu_emu.server.sessions import Sessions

PLACES, REPLIES = 3, 3
PLAYED = settings(
    max_examples=100, stateful_step_count=50, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
PICKS = st.integers(0, 15)
"""Which session: mostly one that is open."""
STEPS = st.sampled_from([1, 1, 1, 1, 1, 1, 1, 1, 0, -1, -2, -3, 2])
"""From the last number to the one that is asked for: mostly the next, also repeats, numbers long over, gaps."""


class Machine(RuleBasedStateMachine):
    """Server and model, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = Clock()
        self._server = small_server(self._clock)
        self._model = Model(PLACES, REPLIES, self._clock.now)

    def _ask(self, request: Request) -> tuple[Code, list[bytes]]:
        frames = [bytes(f) for f in self._server.handle(encode_request(request))]
        reply = decode_reply(frames)
        if reply.failure is None and request.kind is not Kind.HELLO:
            assert (reply.session, reply.seq) == (request.session, request.seq)
        return (reply.failure.code if reply.failure else Code.OK), frames

    def _number(self, pick: int) -> int:
        """An open session's, or any other from 0 up."""
        known = list(self._model.open)
        return known[pick % len(known)] if known and pick < 13 else pick % 7

    def _seq(self, number: int, step: int) -> int:
        place = self._model.open.get(number)
        return max(0, place.last + step) if place else 1

    @rule(observer=st.sampled_from([False, False, False, True]))
    def hello(self, observer: bool) -> None:
        body: dict[str, Any] = {"map_hash": MAP_HASH, **({"role": "observer"} if observer else {})}
        code, frames = self._ask(Request(Kind.HELLO, 0, 0, body=body))
        assert code is self._model.hello(observer)
        if code is Code.OK:
            assert decode_reply(frames).session == self._model.opened

    @initialize()
    def one_operator(self) -> None:
        self.hello(False)

    @rule(pick=PICKS, step=STEPS, value=st.integers(0, 9))
    def operate(self, pick: int, step: int, value: int) -> None:
        number = self._number(pick)
        if self._numbered(number, step, write("SYS.SCRATCH", value), read("SYS.SCRATCH")):
            self._model.scratch = value

    @rule(pick=PICKS, step=STEPS)
    def operate_what_the_bus_refuses(self, pick: int, step: int) -> None:
        number = self._number(pick)
        self._numbered(number, step, write("SYS.ID", 1), at_best=Code.READ_ONLY)

    def _numbered(self, number: int, step: int, *rows: Row, at_best: Code = Code.OK) -> bool:
        """Whether it was carried out now."""
        seq = self._seq(number, step)
        return self._carried_out(Request(Kind.OPERATE, number, seq, records_of(rows)), at_best)

    def _carried_out(self, request: Request, at_best: Code) -> bool:
        number, seq = request.session, request.seq
        expected = self._model.known(number)
        code, frames = self._ask(request)
        if expected is Code.OK and seq in self._model.open[number].replies:
            assert frames == self._model.open[number].replies[seq]
            return False
        expected = expected or self._model.admitted(number, seq)
        assert code is (expected or at_best)
        if expected is Code.OK:
            self._model.keep(number, seq, frames)
        return expected is Code.OK

    @rule(pick=PICKS, step=STEPS, seconds=st.sampled_from([0, 5.0, 100.0]))
    def lease(self, pick: int, step: int, seconds: float) -> None:
        number = self._number(pick)
        if self._carried_out(Request(Kind.LEASE, number, self._seq(number, step), body={"seconds": seconds}), Code.OK):
            self._model.lease(number, seconds)

    @rule(pick=PICKS)
    def peek(self, pick: int) -> None:
        number = self._number(pick)
        expected = self._model.known(number)
        code, frames = self._ask(Request(Kind.PEEK, number, 0, records_of([read("SYS.SCRATCH")])))
        assert code is expected
        if code is Code.OK:
            self._model.renew(number)
            assert decode_reply(frames).values.tolist() == [self._model.scratch]

    @rule(pick=PICKS, step=st.sampled_from([0, -1, 2, 0, -2, 9, 0, 1]))
    def bye(self, pick: int, step: int) -> None:
        number = self._number(pick)
        seq = self._seq(number, step)
        expected = self._model.known(number) or self._model.bye(number, seq)
        assert self._ask(Request(Kind.BYE, number, seq))[0] is expected

    @rule(pick=PICKS, step=STEPS)
    def records_cut_short(self, pick: int, step: int) -> None:
        number = self._number(pick)
        head, records = encode_request(Request(Kind.OPERATE, number, self._seq(number, step), records_of([read("SYS.ID")])))
        failure = decode_reply(self._server.handle([head, records[:-1]])).failure
        assert failure is not None
        assert failure.code is Code.BAD_FRAMES

    @rule(seconds=st.sampled_from([1.0, 1.0, 2.0, 6.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self._clock.now += seconds
        self._model.now = self._clock.now

    @invariant()
    def chip_holds_what_was_carried_out(self) -> None:
        word = self._server.chip.state.registers[7]
        assert (len(self._server.sessions), word) == (len(self._model.open), self._model.scratch)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SESSIONS_MAX", PLACES)
    monkeypatch.setattr(limits, "CACHED_REPLIES", REPLIES)


def play(*phases: Phase) -> None:
    run_state_machine_as_test(Machine, settings=settings(PLAYED, phases=phases or tuple(Phase)))


def test_server_keeps_the_protocols_rules() -> None:
    play()


def _executes_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeat of what was carried out is carried out again."""
    keep = Sessions.keep
    monkeypatch.setattr(Sessions, "keep", lambda self, session, seq, frames: keep(self, session, -seq, frames))


def _takes_any_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "_check_next", staticmethod(lambda session, seq: None))


def _leases_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "_end_lease_if_over", lambda self: None)


def _keeps_one_reply_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHED_REPLIES", REPLIES - 1)


def _nobody_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SILENT_SECONDS", 1e9)


@pytest.mark.parametrize(
    "mistake", [_executes_repeats, _takes_any_number, _leases_never_end, _keeps_one_reply_less, _nobody_is_silent]
)
def test_server_that_breaks_a_rule_is_noticed(mistake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake(monkeypatch)
    with pytest.raises((AssertionError, KeyError, BaseExceptionGroup)):
        play(Phase.generate)
