"""What passes: roles, sessions of keys, what HELLO and its reply say; without sockets."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from server.harness import read, records_of
from tsu_contract import bench, wire
from tsu_contract.errors import Code, ProtocolError
from tsu_contract.wire import Kind, Reply, Request, decode_reply, decode_request, encode_reply, encode_request
from tsu_emu.gateway.keys import Role
from tsu_emu.gateway.rules import MAY, SESSIONS_OF_A_KEY, BenchDoor, FrontDoor, Sessions, User

ANN, BOB = User(b"a" * 40, "ann", Role.OPERATOR), User(b"b" * 40, "bob", Role.OPERATOR)
EVE, LAB = User(b"e" * 40, "eve", Role.OBSERVER), User(b"l" * 40, "lab", Role.BENCH)
LIMIT = 1000


def door(known: dict[int, bytes] | None = None) -> FrontDoor:
    return FrontDoor(Sessions(known or {}, lambda *_: None, lambda _: None), LIMIT)


def frames_of(kind: Kind, session: int = 0, body: dict[str, Any] | None = None, payload: bytes | None = None) -> list[Any]:
    payloads = () if payload is None else (payload,)
    return encode_request(Request(kind, session, 1, records_of([read("SYS.ID")]), payloads, body or {}))


def refused(rules: FrontDoor, user: User, frames: list[Any]) -> Code:
    with pytest.raises(ProtocolError) as caught:
        rules.admit(user, frames)
    request = decode_request(frames)
    reply = decode_reply(rules.refusal(frames, caught.value))
    assert (reply.kind, reply.session, reply.seq) == (request.kind, request.session, request.seq)
    assert reply.failure == caught.value.failure
    return caught.value.failure.code


def said_hello(rules: FrontDoor, user: User, session: int, **limits: int) -> Reply:
    reply = Reply(Kind.HELLO, session, 0, body={"session": session, "limits": limits})
    return decode_reply([rules.returned(user, bytes(encode_reply(reply)[0]), set()), b""])


@pytest.mark.parametrize(("user", "kind"), list(itertools.product((ANN, EVE, LAB), Kind)))
def test_each_role_may_do_what_it_may_and_nothing_else(user: User, kind: Kind) -> None:
    rules = door({5: user.key})
    looks = kind in (Kind.HELLO, Kind.STATUS, Kind.PEEK, Kind.SUBSCRIBE, Kind.BYE)
    frames = frames_of(kind, 0 if kind is Kind.HELLO else 5)
    if looks or user is not EVE:
        assert len(rules.admit(user, frames)) == len(frames)
    else:
        assert refused(rules, user, frames) is Code.FORBIDDEN
    assert set(MAY) == set(Role)


def test_session_is_of_the_key_that_opened_it() -> None:
    rules = door()
    said_hello(rules, ANN, 77)
    assert rules.admit(ANN, frames_of(Kind.OPERATE, 77)) == [None, None]
    for other, number in ((BOB, 77), (EVE, 77), (ANN, 78), (LAB, 1 << 63)):
        kind = Kind.BYE if other is EVE else Kind.OPERATE
        assert refused(rules, other, frames_of(kind, number)) is Code.UNKNOWN_SESSION


def test_stranger_does_not_learn_whether_a_session_exists() -> None:
    rules = door({77: ANN.key})
    messages = []
    for number in (77, 78):
        with pytest.raises(ProtocolError) as caught:
            rules.admit(BOB, frames_of(Kind.OPERATE, number))
        messages.append(str(caught.value).replace(str(number), "N"))
    assert messages[0] == messages[1]


def test_session_ends_with_bye_and_when_the_engine_does_not_know_it() -> None:
    for reply in (Reply(Kind.BYE, 77, 2), Reply(Kind.OPERATE, 77, 2, failure=refusal(Code.UNKNOWN_SESSION))):
        rules, mine = door({77: ANN.key}), {77}
        rules.returned(ANN, bytes(encode_reply(reply)[0]), mine)
        assert refused(rules, ANN, frames_of(Kind.OPERATE, 77)) is Code.UNKNOWN_SESSION
        assert mine == set()
    rules, mine = door({77: ANN.key}), {77}
    rules.returned(ANN, bytes(encode_reply(Reply(Kind.BYE, 77, 2, failure=refusal(Code.BAD_SEQUENCE)))[0]), mine)
    assert rules.admit(ANN, frames_of(Kind.OPERATE, 77))
    assert mine == {77}


def refusal(code: Code) -> Any:
    return wire.fail(code, "no").failure


def test_hello_says_whose_key_it_is_and_that_an_observer_is_one() -> None:
    rules = door()
    for user, body, told in (
        (ANN, {"client": "x 1", "map_hash": "h"}, {"client": "ann: x 1", "map_hash": "h"}),
        (ANN, {"role": "observer"}, {"client": "ann", "role": "observer"}),
        (EVE, {"client": 5, "role": "operator"}, {"client": "eve", "role": "observer"}),
    ):
        (header,) = rules.admit(user, frames_of(Kind.HELLO, body=body))
        assert header is not None
        assert decode_request([header]).body == told


def test_hello_that_grows_beyond_a_header_is_refused() -> None:
    assert refused(door(), ANN, frames_of(Kind.HELLO, body={"client": "c" * 4075})) is Code.TOO_LARGE


def test_reply_to_hello_has_the_smaller_limit_and_all_others() -> None:
    assert said_hello(door(), ANN, 1, payload_bytes=1 << 28, sessions=9).body["limits"] == {"payload_bytes": LIMIT, "sessions": 9}
    assert said_hello(door(), ANN, 1, payload_bytes=10).body["limits"] == {"payload_bytes": 10}


def test_payload_beyond_the_gateways_limit_is_refused() -> None:
    rules = door({1: ANN.key})
    assert rules.admit(ANN, frames_of(Kind.OPERATE, 1, payload=b"x" * LIMIT))
    assert refused(rules, ANN, frames_of(Kind.OPERATE, 1, payload=b"x" * (LIMIT + 1))) is Code.TOO_LARGE


def test_session_that_was_cut_says_why_until_bye_or_a_new_one() -> None:
    rules = door({1: ANN.key})
    rules.sessions.cut(1, "not read")
    assert refused(rules, ANN, frames_of(Kind.OPERATE, 1)) is Code.SESSION_CUT
    assert refused(rules, BOB, frames_of(Kind.OPERATE, 1)) is Code.UNKNOWN_SESSION
    said_hello(rules, ANN, 1)
    assert rules.admit(ANN, frames_of(Kind.OPERATE, 1))


def test_one_key_forgets_its_own_sessions_and_nobody_elses() -> None:
    told: list[Any] = []
    sessions = Sessions({9_999: BOB.key}, lambda number, key: told.append((number, key)), lambda number: told.append(number))
    for number in range(1, SESSIONS_OF_A_KEY + 2):
        sessions.open(number, ANN.key)
        sessions.check(1, ANN.key)
    assert told[-2:] == [(SESSIONS_OF_A_KEY + 1, ANN.key), 2]
    sessions.check(1, ANN.key)
    sessions.check(9_999, BOB.key)
    with pytest.raises(ProtocolError):
        sessions.check(2, ANN.key)


def test_bench_doors_are_for_bench_keys() -> None:
    rules, frames = BenchDoor(), bench.encode_request(bench.Request("skip", 3, {"seconds": 1.0}))
    assert rules.admit(LAB, frames) == [None]
    for user in (ANN, EVE):
        with pytest.raises(ProtocolError) as caught:
            rules.admit(user, frames)
        reply = bench.decode_reply(rules.refusal(frames, caught.value))
        assert (reply.verb, reply.number) == ("skip", 3)
        assert reply.failure is not None
        assert reply.failure.code is Code.FORBIDDEN


def test_malformed_messages_are_refused_as_the_engine_would() -> None:
    rng = np.random.default_rng(4)
    for rules, codec in ((door(), wire), (BenchDoor(), bench)):
        for _ in range(300):
            frames = [rng.bytes(int(rng.integers(0, 40))) for _ in range(int(rng.integers(0, 4)))]
            with pytest.raises(ProtocolError) as ours:
                rules.admit(LAB, frames)
            with pytest.raises(ProtocolError) as theirs:
                codec.decode_request(frames)
            assert ours.value.failure == theirs.value.failure
            assert codec.decode_reply(rules.refusal(frames, ours.value)).failure == ours.value.failure
