"""STATUS and updates in process: what they tell, credit, gaps, who is cut; clocks are the test's own."""

from __future__ import annotations

import pytest

from server.harness import Client, Clock, delay, fingerprint, read, write
from tsu_contract.errors import Code
from tsu_contract.wire import HEADER_BYTES_MAX, Kind, Reply, Request, encode_request
from tsu_emu.server import limits
from tsu_emu.server.session import Server


def code_of(reply: Reply) -> Code:
    return reply.failure.code if reply.failure else Code.OK


def subscribe(client: Client, every_ms: object = 1000, credit: object = 3, seq: int = 0) -> Reply:
    body = {"every_ms": every_ms, "credit": credit}
    return client.exchange(Request(Kind.SUBSCRIBE, client.session, seq, body=body))


def status(server: Server) -> Reply:
    client = Client.__new__(Client)
    client.server = server
    return client.exchange(Request(Kind.STATUS, 0, 7))


def stalled(server: Server) -> set[int]:
    return {s.session for s in server.subscriptions.stalled()}


# STATUS


def test_status_needs_no_session_and_has_no_effect(server: Server) -> None:
    before = fingerprint(server)
    reply = status(server)
    assert (reply.failure, reply.session, reply.seq) == (None, 0, 7)
    assert fingerprint(server) == before
    assert len(server.sessions) == 0


def test_status_tells_what_the_protocol_page_lists(server: Server, clock: Clock) -> None:
    holder, _ = Client(server, "alice 1.0"), Client(server, role="observer")
    holder.done(read("SYS.ID"), delay(1000))
    holder.done(write("SYS.SCRATCH", 1))
    holder.operate(read("SYS.CTRL"))
    holder.numbered(Kind.LEASE, seconds=30)
    server.handle(encode_request(Request(Kind.LEASE, holder.session, 4, body={"seconds": 30})))
    clock.now += 5
    body = status(server).body
    assert {k: body[k] for k in ("name", "boot", "kind", "uptime_s", "busy", "keeps", "warnings")} == {
        "name": "small", "boot": "b00t", "kind": "pbit", "uptime_s": 5.0, "busy": None, "keeps": "nothing", "warnings": [],
    }  # fmt: skip
    assert body["sessions"] == {"open": 2, "observers": 1, "subscribers": 0}
    assert body["lease"] == {"client": "alice 1.0", "seconds": 25.0}
    assert body["limits"] == holder.welcome["limits"] == limits.limits()
    counts = {"requests": 8, "operations": 3, "refused": 0, "failed": 1, "resent": 1, "leases": 1}
    assert {k: body["counters"][k] for k in counts} == counts
    assert body["rates"]["operations"] == pytest.approx(3 / 5)
    assert body["cycles"] >= 1000
    assert body["chip_s"] == body["cycles"] / server.chip.capabilities.clock_hz
    assert body["memory_bytes"] > 10 << 20
    assert "SYS.CTRL" in body["last_error"]
    clock.now += 26
    assert status(server).body["lease"] is None


def test_status_fits_a_header_whatever_clients_call_themselves(server: Server) -> None:
    client = Client(server, "x" * 3000)
    client.numbered(Kind.LEASE, seconds=30)
    server.counters.last_error = "y" * 5000
    server.status.warnings = lambda: ["z" * 5000] * 50
    frames = server.handle(encode_request(Request(Kind.STATUS, 0, 0)))
    assert len(frames[0]) < HEADER_BYTES_MAX
    assert len(status(server).body["warnings"]) == 8


# updates


def due(server: Server) -> list[tuple[int, int, int]]:
    return [(s.session, number, gap) for s, number, gap in server.subscriptions.due()]


def test_updates_come_every_so_often_while_there_is_credit(server: Server, clock: Clock) -> None:
    client = Client(server)
    assert subscribe(client).body == {"every_ms": 1000, "credit": 3}
    seen = []
    for _ in range(12):
        seen += due(server)
        clock.now += 0.5
    assert seen == [(client.session, n, 0) for n in (1, 2, 3)]


def test_updates_that_were_not_sent_are_counted(server: Server, clock: Clock) -> None:
    client = Client(server)
    subscribe(client, credit=1)
    assert due(server) == [(client.session, 1, 0)]
    for _ in range(3):
        clock.now += 1
        assert due(server) == []
    subscribe(client, credit=5)
    clock.now += 1
    assert due(server) == [(client.session, 2, 3)]
    clock.now += 4
    assert due(server) == [(client.session, 3, 3)]
    clock.now += 1
    assert due(server) == [(client.session, 4, 0)]


def test_who_grants_nothing_is_stalled_and_who_grants_is_not(server: Server, clock: Clock) -> None:
    silent, alive, slow = (Client(server) for _ in range(3))
    subscribe(silent, every_ms=100, credit=100)
    subscribe(alive, every_ms=100, credit=1)
    subscribe(slow, every_ms=60_000, credit=1)
    for _ in range(8):
        clock.now += 1
        subscribe(alive, every_ms=100, credit=1)
    assert stalled(server) == set()
    clock.now += 1
    assert stalled(server) == {silent.session}
    subscribe(alive, every_ms=100, credit=1)
    clock.now += 110
    assert stalled(server) == {silent.session, alive.session}
    clock.now += 1
    assert slow.session in stalled(server)


@pytest.mark.parametrize("how", ["zero", "bye"])
def test_subscription_ends(server: Server, how: str) -> None:
    client = Client(server)
    subscribe(client)
    assert server.subscriptions.wait == 0.0
    if how == "zero":
        assert subscribe(client, every_ms=0).body == {"every_ms": 0, "credit": 0}
    else:
        client.bye()
    assert (len(server.subscriptions), server.subscriptions.wait) == (0, None)


@pytest.mark.parametrize(
    ("every_ms", "credit"), [(99, 1), (3_600_001, 1), (-1, 1), (1000, -1), (1000, 101), ("1000", 1), (1000, None), (True, 1)]
)
def test_subscription_out_of_range_is_refused(server: Server, every_ms: object, credit: object) -> None:
    assert code_of(subscribe(Client(server), every_ms, credit)) is Code.BAD_HEADER
    assert len(server.subscriptions) == 0


def test_subscribers_are_limited(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SUBSCRIBERS_MAX", 2)
    clients = [Client(server, role="observer") for _ in range(3)]
    assert [code_of(subscribe(c)) for c in clients] == [Code.OK, Code.OK, Code.BUSY]
    assert code_of(subscribe(clients[0])) is Code.OK
    clients[1].bye()
    assert code_of(subscribe(clients[2])) is Code.OK


def test_subscribing_needs_a_session_and_uses_no_number(server: Server) -> None:
    client = Client(server)
    client.session += 1
    assert code_of(subscribe(client)) is Code.UNKNOWN_SESSION
    client.session -= 1
    assert subscribe(client, seq=99).seq == 99
    assert client.done(read("SYS.ID")).seq == 1
