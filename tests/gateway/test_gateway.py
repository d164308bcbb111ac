"""`tsu-emu gateway` as processes: who gets in, what they may do, and that a worker's death costs nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

import tsu_driver as tsu
from gateway.harness import SECONDS, Gateway, KeyedDealer, Site, engine, keyed, site
from server.harness import block_read, fingerprint, read, small_config, write
from server.process import Dealer, finished, short_directory
from tsu_contract.errors import Code
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind, Reply, Request, decode_reply, encode_reply, encode_request
from tsu_driver.instruments import Instruments
from tsu_emu.bench.client import Oracle
from tsu_emu.chip import Chip
from tsu_emu.gateway import door
from tsu_emu.gateway.keys import GATEWAY, Role, make, revoke
from tsu_emu.gateway.rules import FrontDoor, Sessions, User

MAGIC = 0x75500104


@pytest.fixture(scope="module")
def here() -> Iterator[Site]:
    with site() as made:
        yield made


def says_hello(dealer: Dealer) -> Request:
    return Request(Kind.HELLO, 0, 0, body={"client": "plain", "map_hash": MAP_HASH})


def code_of(reply: Reply) -> Code | None:
    return reply.failure.code if reply.failure else None


def test_driver_works_through_a_gateway(here: Site) -> None:
    with tsu.open(here.url("ann"), timeout_s=20) as chip:
        chip.write_register("SYS.SCRATCH", 77)
        assert chip.read_register("SYS.SCRATCH") == 77
        chip.run(1)
        assert chip.read().shape == (70, 41)


def test_bulk_data_passes_whole(here: Site) -> None:
    dealer = here.dealer("ann")
    words = 21
    data = bytes(dealer.done(block_read("BIAS", words)).data[0])
    assert data == bytes(4 * words)
    dealer.close()


def test_two_clients_of_one_key_get_their_own_replies(here: Site) -> None:
    one, two = here.dealer("ann"), here.dealer("ann")
    assert one.session != two.session
    requests = [(d, d.request(write("SYS.SCRATCH", k), read("SYS.SCRATCH"))) for k in range(10) for d in (one, two)]
    for dealer, request in requests:
        dealer.send(encode_request(request))
    for dealer, request in requests:
        reply = decode_reply(dealer.receive())
        assert (reply.session, reply.seq, reply.failure) == (dealer.session, request.seq, None)
    assert one.nothing_comes(50)
    assert two.nothing_comes(0)
    one.close()
    two.close()


def test_session_of_one_key_is_unknown_to_another(here: Site) -> None:
    ann, bob = here.dealer("ann"), here.dealer("bob")
    before, handled = fingerprint_of(here), here.handled
    reply = bob.exchange(Request(Kind.BYE, ann.session, 1))
    assert code_of(reply) is Code.UNKNOWN_SESSION
    bob.session = ann.session
    assert code_of(bob.exchange(bob.request(write("SYS.SCRATCH", 5)))) is Code.UNKNOWN_SESSION
    assert (fingerprint_of(here), here.handled) == (before, handled)
    ann.done(write("SYS.SCRATCH", 6))
    ann.close()
    bob.close()


def fingerprint_of(here: Site) -> tuple[str, int, int]:
    class Holder:
        chip = here.chip

    return fingerprint(Holder)  # type: ignore[arg-type]


def test_observer_may_not_operate_and_the_engine_hears_nothing_of_it(here: Site) -> None:
    eve = here.dealer("eve")
    handled = here.handled
    for kind in (Kind.OPERATE, Kind.LEASE):
        assert code_of(eve.exchange(Request(kind, eve.session, 1))) is Code.FORBIDDEN
    assert here.handled == handled
    assert code_of(eve.bye()) is None
    eve.close()


def test_malformed_messages_are_answered_and_do_not_reach_the_engine(here: Site) -> None:
    dealer, handled = KeyedDealer(here.url("ann")), here.handled
    for frames, code in (([b"x"], Code.BAD_HEADER), ([b""] * 5000, Code.BAD_FRAMES), ([b"x" * 5000], Code.TOO_LARGE)):
        dealer.send(frames)
        assert code_of(decode_reply(dealer.receive())) is code
    assert here.handled == handled
    dealer.close()


def test_routing_id_of_ones_own_is_refused(here: Site) -> None:
    dealer, handled = KeyedDealer(here.url("ann"), routing_id=b"\x01mine"), here.handled
    assert code_of(dealer.exchange(says_hello(dealer))) is Code.FORBIDDEN
    assert here.handled == handled
    dealer.close()


def test_doors_of_the_bench_are_for_bench_keys(here: Site) -> None:
    with Instruments(here.url("lab", "instruments"), timeout_s=20) as lab:
        assert lab.skip(1.0).seconds > 1.0
    for user in ("ann", "eve"):
        with pytest.raises(tsu.LinkError, match=f"not for {user}") as caught:
            Instruments(here.url(user, "instruments"), timeout_s=20)
        assert caught.value.code is Code.FORBIDDEN
    assert Code.FORBIDDEN.layer == "session"


def test_wrong_key_wrong_server_and_no_key_are_not_served(here: Site, tmp_path: Path) -> None:
    make(tmp_path / "k", "ann", Role.OPERATOR)
    endpoint, handled = here.gateway.endpoint, here.handled
    strangers = [
        KeyedDealer(keyed(endpoint, tmp_path / "k" / "ann.secret", here.keys / f"{GATEWAY}.public")),
        KeyedDealer(keyed(endpoint, here.keys / "ann.secret", tmp_path / "k" / f"{GATEWAY}.public")),
        Dealer(endpoint),
    ]
    for dealer in strangers:
        dealer.send(encode_request(says_hello(dealer)))
    assert all(dealer.nothing_comes(400) for dealer in strangers)
    for dealer in strangers:
        dealer.close()
    assert here.handled == handled
    assert here.gateway.event("denied")["connections"] >= 1


def test_revoked_key_is_refused_in_an_open_connection_and_kept_out_of_new_ones() -> None:
    with site() as here:
        bob = here.dealer("bob")
        (here.keys / "bob.secret").rename(here.folder / "bob.secret")
        revoke(here.keys, "bob")
        while "bob" in here.gateway.event("keys")["names"]:
            pass
        assert code_of(bob.exchange(bob.request(read("SYS.ID")))) is Code.FORBIDDEN
        again = KeyedDealer(keyed(here.gateway.endpoint, here.folder / "bob.secret", here.keys / f"{GATEWAY}.public"))
        again.send(encode_request(says_hello(again)))
        assert again.nothing_comes(400)
        make(here.keys, "new", Role.OPERATOR)
        assert "new" in here.gateway.event("keys")["names"]
        new = here.dealer("new")
        for dealer in (bob, again, new):
            dealer.close()


def test_worker_that_is_killed_is_back_with_all_sessions() -> None:
    """A client that asks again with its number gets the reply of the first time; a stranger gets none of it."""
    with site() as here:
        ann, bob = here.dealer("ann"), here.dealer("bob")
        ann.done(write("SYS.SCRATCH", 41))
        request = ann.request(read("SYS.SCRATCH"))
        first = ann.exchange(request)
        for _ in range(3):
            os.kill(here.gateway.worker, signal.SIGKILL)
            assert here.gateway.event("worker-died")["code"] == -signal.SIGKILL
            here.gateway.event("worker-started")
            ann.send(encode_request(request))
            again = decode_reply(ann.receive())
            assert (again.values.tolist(), again.t_end) == (first.values.tolist(), first.t_end)
            assert code_of(bob.exchange(Request(Kind.BYE, ann.session, 3))) is Code.UNKNOWN_SESSION
        ann.done(read("SYS.SCRATCH"))
        ann.close()
        bob.close()


def test_connection_made_while_there_is_no_worker_waits_and_is_served() -> None:
    with site() as here:
        os.kill(here.gateway.worker, signal.SIGKILL)
        with socket.create_connection(("127.0.0.1", int(here.gateway.endpoint.rpartition(":")[2])), timeout=SECONDS) as raw:
            assert raw.recv(1) == b"\xff"  # the greeting of ZMTP
        here.dealer("ann").close()


def test_client_that_does_not_read_is_cut_with_a_reason_and_nobody_else_is() -> None:
    with site() as here:
        ann, bob = KeyedDealer(here.url("ann"), unread=1), here.dealer("bob")
        ann.hello()
        burst = [block_read("SPIN", 140)] * 250
        for _ in range(600):
            ann.send(encode_request(ann.request(*burst)))
        assert here.gateway.event("cut", 60)["session"] == ann.session
        bob.done(read("SYS.ID"))
        while ann._socket.poll(500):
            ann.receive()
        reply = ann.exchange(ann.request(read("SYS.ID")))
        while reply.seq != ann.seq:
            reply = decode_reply(ann.receive())
        assert code_of(reply) is Code.SESSION_CUT
        ann.close()
        bob.close()


def test_clients_that_said_bye_leave_no_descriptor_behind() -> None:
    """A hundred of them; a client that goes on after its BYE is served as before."""
    with site() as here:
        here.dealer("ann").close()
        before = len(os.listdir(f"/proc/{here.gateway.worker}/fd"))
        for _ in range(100):
            ann = here.dealer("ann")
            assert code_of(ann.bye()) is None
            ann.close()
        last = here.dealer("ann")
        last.bye()
        last.hello()
        last.done(read("SYS.ID"))
        deadline = time.monotonic() + SECONDS
        while len(os.listdir(f"/proc/{here.gateway.worker}/fd")) >= before + 20:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        last.close()


def test_client_that_went_without_a_word_leaves_nothing_behind_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """In process: a peer to whom a reply is owed stays; one that is silent and owed nothing goes, and may come again."""
    monkeypatch.setattr(door, "IDLE_S", 0.2)
    with (
        zmq.Context() as context,
        socket.create_server(("127.0.0.1", 0)) as listening,
        context.socket(zmq.ROUTER) as engine_socket,
    ):
        port = engine_socket.bind_to_random_port("tcp://127.0.0.1")
        listening.setblocking(False)
        rules, poller = FrontDoor(Sessions({}, lambda *_: None, lambda _: None), 1000), zmq.Poller()
        user, at = User(b"", "ann", Role.OPERATOR), f"tcp://127.0.0.1:{port}"
        tidied = door.Door(context, os.dup(listening.fileno()), at, None, 1000, rules, lambda _: user, lambda _: None, poller)
        dealer = KeyedDealer(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        for _ in range(2):
            dealer.send(encode_request(says_hello(dealer)))
            assert tidied.front.poll(5000)
            tidied.serve(tidied.front)
            time.sleep(0.3)
            tidied.tidy()
            assert len(tidied._peers) == 1
            peer, *_ = engine_socket.recv_multipart()
            engine_socket.send_multipart([peer, *encode_reply(Reply(Kind.HELLO, 5, 0, body={"session": 5}))])
            (inner,) = tidied._by_socket
            assert inner.poll(5000)
            tidied.serve(inner)
            tidied.tidy()
            assert len(tidied._peers) == 0
        dealer.close()
        tidied.close()


def test_without_keys_loopback_alone_is_served() -> None:
    with site(keyed=False) as here:
        with tsu.open(here.gateway.endpoint, timeout_s=20) as chip:
            assert chip.read_register("SYS.ID") == MAGIC
        with Oracle(here.gateway.ready["oracle"]) as oracle:
            assert len(oracle.digest()) == 64


def test_oracle_is_for_bench_keys_and_commands_come_by_key(here: Site) -> None:
    run = finished("status", here.url("eve"), "--json")
    assert json.loads(run.stdout)["name"] == "small", run.stderr
    run = finished("oracle", here.url("lab", "oracle"), "digest")
    assert run.stdout.startswith("digest "), run.stderr
    run = finished("oracle", here.url("ann", "oracle"), "digest")
    assert (run.returncode, run.stdout) == (2, "")
    assert "whose role is operator; it needs bench" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listen", "tcp://0.0.0.0:0"), "without keys a gateway listens on loopback alone"),
        (("--listen", "ipc:///tmp/x"), "tcp://HOST:PORT expected"),
        (("--listen", "tcp://127.0.0.1"), "tcp://HOST:PORT expected"),
        (("--listen", "tcp://127.0.0.1:99999"), "tcp://HOST:PORT expected"),
        (("--listen", "tcp://127.0.0.1:*", "--memory", "1"), "a worker needs 64 MiB or more"),
        (("--listen", "tcp://127.0.0.1:*", "--keys", "{empty}"), "has no keys"),
        (("--listen", "tcp://127.0.0.1:*", "--keys", "{open}"), "is open to others"),
        (("--listen", "tcp://127.0.0.1:*", "--keys", "{none}"), "No such file"),
        (("--listen", "tcp://127.0.0.1:*", "--keys", "{readable}"), "gateway.secret is open to others"),
        (("--listen", "tcp://127.0.0.1:65535", "--oracle", "ipc:///x"), "no port for the doors"),
    ],
)
def test_gateway_that_cannot_be_says_why(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    make(tmp_path / "open", "ann", Role.OPERATOR)
    (tmp_path / "open").chmod(0o755)
    make(tmp_path / "readable", "ann", Role.OPERATOR)
    (tmp_path / "readable" / "gateway.secret").chmod(0o644)
    places: Any = {name: tmp_path / name for name in ("empty", "open", "none", "readable")}
    done = finished("gateway", "--to", "ipc:///tmp/none", *(a.format(**places) for a in arguments))
    assert done.returncode == 2
    assert said in done.stderr


def test_port_that_is_taken_is_named() -> None:
    with site(keyed=False) as here:
        done = finished("gateway", "--to", here.endpoint, "--listen", here.gateway.endpoint)
        assert done.returncode == 2
        assert "in use" in done.stderr


def test_ends_with_sigterm_and_takes_its_worker_along() -> None:
    with site() as here:
        worker = here.gateway.worker
        assert here.gateway.close() == 0
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_worker_does_not_outlive_a_supervisor_that_is_killed() -> None:
    with site() as here:
        worker = here.gateway.worker
        here.gateway.process.kill()
        deadline = time.monotonic() + SECONDS
        while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not Path(f"/proc/{worker}").exists()


def test_worker_that_never_is_ready_is_started_ever_more_rarely(tmp_path: Path) -> None:
    """The gateway's own key goes while it runs."""
    make(tmp_path / "k", "ann", Role.OPERATOR)
    gateway = Gateway("--to", "ipc:///tmp/none", "--listen", "tcp://127.0.0.1:*", "--keys", str(tmp_path / "k"))
    with gateway:
        (tmp_path / "k" / "gateway.secret").unlink()
        os.kill(gateway.worker, signal.SIGKILL)
        pauses = [gateway.event("worker-died")["again_in_s"] for _ in range(4)]
        assert pauses == [0.0, 0.1, 0.2, 0.4]


def test_engine_that_is_not_there_yet_is_found_when_it_comes() -> None:
    with short_directory() as folder, Gateway("--to", f"ipc://{folder}/chip.sock", "--listen", "tcp://127.0.0.1:*") as gateway:
        dealer = KeyedDealer(gateway.endpoint)
        dealer.send(encode_request(says_hello(dealer)))
        assert dealer.nothing_comes(300)
        with engine(folder, Chip(small_config())):
            assert code_of(decode_reply(dealer.receive())) is None
        dealer.close()
