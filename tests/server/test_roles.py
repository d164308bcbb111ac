"""Who may do what: roles, the lease, places in the table of sessions; clocks are the test's own."""

from __future__ import annotations

import pytest

from server.harness import Client, Clock, delay, fingerprint, read, small_server, write
from tsu_contract.errors import Code, Layer
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind, Reply, Request, decode_reply, encode_request
from tsu_emu.server import limits
from tsu_emu.server.session import Server
from tsu_emu.server.sessions import Decision


def code_of(reply: Reply) -> Code:
    return reply.failure.code if reply.failure else Code.OK


def tried(client: Client) -> Reply:
    """An OPERATE with the next number, used up if it is carried out."""
    reply = client.exchange(Request(Kind.OPERATE, client.session, client.seq + 1))
    client.seq += reply.failure is None
    return reply


def decisions_of(server: Server) -> list[tuple[Decision, int]]:
    """Decisions as they are taken."""
    made: list[tuple[Decision, int]] = []
    server.decided = lambda what, session: made.append((what, session))
    return made


# roles


def test_observer_may_not_operate_nor_lease_and_its_number_is_not_used_up(server: Server) -> None:
    observer = Client(server, role="observer")
    before = fingerprint(server)
    assert observer.welcome["role"] == "observer"
    for reply in (tried(observer), observer.numbered(Kind.LEASE, seconds=5)):
        assert (code_of(reply), reply.executed) == (Code.FORBIDDEN, 0)
    assert fingerprint(server) == before
    assert code_of(observer.peek(read("SYS.ID"))) is Code.OK
    assert code_of(observer.bye()) is Code.OK


@pytest.mark.parametrize("role", ["admin", "", 5, None, ["operator"]])
def test_unknown_role_is_refused_and_opens_nothing(server: Server, role: object) -> None:
    body = {**Client(server).welcome, "role": role}
    reply = Client(server).exchange(Request(Kind.HELLO, 0, 0, body={"map_hash": body["map_hash"], "role": role}))
    assert (code_of(reply), reply.session) == (Code.BAD_HEADER, 0)
    assert len(server.sessions) == 2


# the lease


def test_while_one_holds_the_lease_others_are_told_who_and_for_how_long(server: Server, clock: Clock) -> None:
    holder, other = Client(server, "alice 1.0"), Client(server)
    assert holder.numbered(Kind.LEASE, seconds=30).body == {"seconds": 30}
    clock.now += 10
    before = fingerprint(server)
    reply = tried(other)
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.layer) == (Code.LEASED, Layer.SESSION)
    assert "alice 1.0" in reply.failure.message
    assert "20.0 s" in reply.failure.message
    assert fingerprint(server) == before
    assert code_of(tried(holder)) is Code.OK
    assert code_of(other.numbered(Kind.LEASE, seconds=1)) is Code.LEASED


def test_without_a_lease_all_share(server: Server) -> None:
    assert [code_of(tried(c)) for c in (Client(server), Client(server))] == [Code.OK, Code.OK]


@pytest.mark.parametrize("speak", ["operate", "peek", "renew", "subscribe"])
def test_every_request_of_the_holder_renews_the_lease(server: Server, clock: Clock, speak: str) -> None:
    holder, other = Client(server), Client(server)
    holder.numbered(Kind.LEASE, seconds=10)
    for _ in range(3):
        clock.now += 9
        match speak:
            case "operate":
                tried(holder)
            case "peek":
                holder.peek(read("SYS.ID"))
            case "subscribe":
                holder.exchange(Request(Kind.SUBSCRIBE, holder.session, 0, body={"every_ms": 1000, "credit": 1}))
            case _:
                holder.numbered(Kind.LEASE, seconds=10)
    assert code_of(tried(other)) is Code.LEASED
    clock.now += 9.9
    assert code_of(tried(other)) is Code.LEASED
    clock.now += 0.2
    assert code_of(tried(other)) is Code.OK


def test_lease_that_ran_out_is_a_decision_taken_before_the_next_request(server: Server, clock: Clock) -> None:
    """Whoever repeats the requests must not need the clock: the end stands among what was accepted, at its place."""
    holder, other = Client(server), Client(server)
    holder.numbered(Kind.LEASE, seconds=10)
    log: list[object] = []
    server.decided = lambda what, session: log.append((what, session))
    server.accepted = lambda frames: log.append("request")
    clock.now += 10
    assert code_of(tried(other)) is Code.OK
    assert log == [(Decision.LEASE_OVER, holder.session), "request"]
    assert code_of(tried(holder)) is Code.OK


@pytest.mark.parametrize("how", ["zero", "bye", "applied"])
def test_lease_is_given_back(server: Server, how: str) -> None:
    holder, other = Client(server), Client(server)
    holder.numbered(Kind.LEASE, seconds=3600)
    assert code_of(tried(other)) is Code.LEASED
    match how:
        case "zero":
            assert holder.numbered(Kind.LEASE, seconds=0).body == {"seconds": 0}
        case "bye":
            holder.bye()
        case _:
            server.apply(Decision.LEASE_OVER, holder.session)
    assert code_of(tried(other)) is Code.OK


@pytest.mark.parametrize("seconds", [-1, 3601, float("nan"), float("inf"), "5", None, True, [5]])
def test_lease_of_another_length_is_refused(server: Server, seconds: object) -> None:
    assert code_of(Client(server).numbered(Kind.LEASE, seconds=seconds)) is Code.BAD_HEADER
    assert server.lease.holder == 0


def test_lease_is_numbered_and_said_again_gets_the_same_reply(server: Server) -> None:
    client = Client(server)
    frames = encode_request(Request(Kind.LEASE, client.session, 1, body={"seconds": 5}))
    assert server.handle(frames) == server.handle(frames)
    assert (server.counters.leases, server.counters.resent) == (1, 1)
    client.seq = 1
    assert code_of(tried(client)) is Code.OK


def test_kept_reply_is_given_again_while_somebody_else_holds_the_lease(server: Server) -> None:
    early, holder = Client(server), Client(server)
    frames = early.frames(read("SYS.CYCLE"))
    first = server.handle(frames)
    holder.numbered(Kind.LEASE, seconds=30)
    assert server.handle(frames) == first


def test_lease_request_that_is_not_accepted_takes_nothing(server: Server) -> None:
    class NotKept(Exception):
        pass

    def refuse(frames: object) -> None:
        raise NotKept

    client = Client(server)
    server.accepted = refuse
    with pytest.raises(NotKept):
        client.numbered(Kind.LEASE, seconds=30)
    assert (server.lease.holder, server.sessions.of(client.session).last_seq) == (0, 0)


# places in the table


def test_table_that_is_full_refuses_until_somebody_has_been_silent(
    server: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SESSIONS_MAX", 3)
    made = decisions_of(server)
    clients = []
    for _ in range(3):
        clients.append(Client(server))
        clock.now += 10
    hello = Request(Kind.HELLO, 0, 0, body={"map_hash": clients[0].welcome["map_hash"]})
    reply = clients[0].exchange(hello)
    assert reply.failure is not None
    assert reply.failure.code is Code.BUSY
    assert "30 s" in reply.failure.message
    assert (len(server.sessions), made) == (3, [])
    clock.now += 30
    assert code_of(clients[0].exchange(hello)) is Code.OK
    assert made == [(Decision.SILENT, clients[0].session)]
    reply = tried(clients[0])
    assert reply.failure is not None
    assert reply.failure.code is Code.SESSION_CUT
    assert "most silent" in reply.failure.message


def test_holder_of_the_lease_keeps_its_place(server: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SESSIONS_MAX", 2)
    holder, other = Client(server), Client(server)
    holder.numbered(Kind.LEASE, seconds=3600)
    clock.now += 100
    assert code_of(tried(other)) is Code.LEASED
    clock.now += 100
    Client(server)
    assert code_of(tried(holder)) is Code.OK
    assert code_of(tried(other)) is Code.SESSION_CUT


def test_decisions_repeated_in_their_places_give_the_same_sessions(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A life with a stopped clock, told what the first one decided, ends with the same table, lease and chip."""
    monkeypatch.setattr(limits, "SESSIONS_MAX", 3)
    server, log = small_server(clock), list[object]()
    server.accepted = lambda frames: log.append([bytes(f) for f in frames])
    server.decided = lambda what, session: log.append((what, session))
    first, second = Client(server, "first"), Client(server, role="observer")
    first.numbered(Kind.LEASE, seconds=5)
    first.done(write("SYS.SCRATCH", 1))
    clock.now += 70
    third = Client(server, "third")
    third.done(delay(10))
    fourth = Client(server, "fourth")
    fourth.numbered(Kind.LEASE, seconds=9)
    assert sum(isinstance(entry, tuple) for entry in log) == 2
    again = small_server(Clock())
    for entry in log:
        if isinstance(entry, tuple):
            again.apply(*entry)
        else:
            assert isinstance(entry, list)
            again.handle(entry)
    shown = [[(s.number, s.role, s.client, s.last_seq) for s in each.sessions] for each in (server, again)]
    assert sorted(shown[0]) == sorted(shown[1])
    assert (again.lease.holder, again.lease.client) == (fourth.session, "fourth")
    assert fingerprint(again) == fingerprint(server)
    assert second.session not in {s.number for s in again.sessions}


def test_a_connection_that_says_hello_in_a_loop_takes_its_own_places(
    server: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONNECTION_SESSIONS", 3)
    hello = Request(Kind.HELLO, 0, 0, body={"map_hash": MAP_HASH})
    other = Client(server)
    server.peer = b"one"
    mine = [Client(server) for _ in range(3)]
    refused = decode_reply(server.handle(encode_request(hello)))
    assert code_of(refused) is Code.BUSY
    assert refused.failure is not None
    assert "3 sessions of this connection are open" in refused.failure.message
    for peer in (b"another", b""):
        server.peer = peer
        assert all(decode_reply(server.handle(encode_request(hello))).failure is None for _ in range(3))
    server.peer = b"one"
    mine[1].bye()
    mine[1] = Client(server)
    clock.now += limits.SILENT_SECONDS
    mine[0].done()
    Client(server)
    assert code_of(mine[2].exchange(Request(Kind.OPERATE, mine[2].session, 1))) is Code.SESSION_CUT
    for client in (other, mine[0], mine[1]):
        assert client.value("SYS.ID") == 0x75500104
