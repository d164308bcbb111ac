"""The door of hosts on a real socket: what it does in the midst of a long request, and with clients that do not read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import zmq
from numpy.typing import NDArray

from server.harness import block_read, read, small_config, write
from server.process import Dealer, short_directory
from tsu_contract.errors import Code
from tsu_contract.wire import Frame, Kind, Reply, Request, decode_reply, encode_request
from tsu_emu.chip import Chip, Result
from tsu_emu.server import daemon as daemons
from tsu_emu.server import limits
from tsu_emu.server.daemon import Daemon
from tsu_emu.server.listener import Keeping
from tsu_emu.server.session import Server
from tsu_emu.server.sessions import Decision

WAIT_S = 20.0


class Held:
    """A daemon whose requests last until they are let go, each looking up as a long run does."""

    def __init__(self, endpoint: str, keeping: Keeping | None = None) -> None:
        self.chip = Chip(small_config(learning={"hostmem_words": 1 << 16}))
        self.server = Server(self.chip)
        self.server.execute = self._execute
        self.decided: list[tuple[Decision, int]] = []
        self.server.decided = lambda what, session: self.decided.append((what, session))
        self.begun, self.free = threading.Event(), threading.Event()
        self.free.set()
        self.daemon = Daemon(self.server, endpoint, keeping=keeping)

    def _execute(self, records: NDArray[Any], payloads: Sequence[Frame] = ()) -> Result:
        self.begun.set()
        while not self.free.is_set():
            self.chip.between_calls()
            time.sleep(0.002)
        return self.chip.execute(records, payloads)

    def stop(self) -> None:
        with suppress(OSError):  # it may have ended already
            self.daemon.stop()

    def hold(self, dealer: Dealer) -> None:
        """From now on that dealer's request is under way."""
        self.begun.clear()
        self.free.clear()
        dealer.send(encode_request(dealer.request(read("SYS.ID"))))
        assert self.begun.wait(WAIT_S)


@contextmanager
def holding(keeping: Keeping | None = None) -> Iterator[Held]:
    with short_directory() as folder:
        held = Held(f"ipc://{folder}/c.sock", keeping)
        thread = threading.Thread(target=held.daemon.run)
        thread.start()
        try:
            yield held
        finally:
            held.free.set()
            held.stop()
            thread.join()


@pytest.fixture
def held() -> Iterator[Held]:
    with holding() as held:
        yield held


def dealer_of(held: Held) -> Dealer:
    dealer = Dealer(held.daemon.endpoint)
    dealer.hello()
    return dealer


def status(dealer: Dealer) -> dict[str, Any]:
    reply = dealer.exchange(Request(Kind.STATUS, 0, 0))
    assert (reply.kind, reply.failure) == (Kind.STATUS, None)
    return reply.body


def code_of(reply: Reply) -> Code:
    return reply.failure.code if reply.failure else Code.OK


def test_status_is_told_in_the_midst_of_a_request_and_others_wait_in_order(held: Held) -> None:
    with dealer_of(held) as busy, dealer_of(held) as other, Dealer(held.daemon.endpoint) as looker:
        assert status(looker)["busy"] is None
        held.hold(busy)
        for value in (1, 2, 3):
            other.send(encode_request(other.request(write("SYS.SCRATCH", value), read("SYS.SCRATCH"))))
        shown = status(looker)
        while shown["queues"]["waiting"] < 3:
            shown = status(looker)
        assert shown["busy"]["seconds"] >= 0
        assert shown["queues"]["waiting_bytes"] > 3 * 48
        assert other.nothing_comes(20)
        held.free.set()
        assert decode_reply(busy.receive()).failure is None
        assert [decode_reply(other.receive()).values.tolist() for _ in range(3)] == [[0, 1], [0, 2], [0, 3]]
        assert status(looker)["queues"] == {"kept_bytes": held.server.sessions.kept_bytes} | dict.fromkeys(
            ("waiting", "waiting_bytes", "unread_bytes"), 0
        )


def test_requests_beyond_the_credit_cut_their_session_and_no_other(held: Held) -> None:
    with dealer_of(held) as busy, dealer_of(held) as greedy, dealer_of(held) as modest:
        held.hold(busy)
        modest.send(encode_request(modest.request(read("SYS.ID"))))
        for _ in range(limits.CREDIT + 1):
            greedy.send(encode_request(greedy.request(write("SYS.SCRATCH", 9))))
        first = decode_reply(greedy.receive())
        assert first.failure is not None
        assert (first.failure.code, first.seq) == (Code.SESSION_CUT, limits.CREDIT + 1)
        assert "credit" in first.failure.message
        held.free.set()
        assert [code_of(decode_reply(d.receive())) for d in (busy, modest)] == [Code.OK, Code.OK]
        assert {code_of(decode_reply(greedy.receive())) for _ in range(limits.CREDIT)} == {Code.SESSION_CUT}
        assert held.decided == [(Decision.CREDIT, greedy.session)]
        assert modest.done(read("SYS.SCRATCH")).values.tolist() == [0]
        assert greedy.hello().failure is None


def test_credit_suffices_for_as_many_requests_as_it_says(held: Held) -> None:
    with dealer_of(held) as busy, dealer_of(held) as eager:
        held.hold(busy)
        for k in range(limits.CREDIT):
            eager.send(encode_request(eager.request(write("SYS.SCRATCH", k))))
        with Dealer(held.daemon.endpoint) as looker:
            while status(looker)["queues"]["waiting"] < limits.CREDIT:
                pass
        held.free.set()
        assert [decode_reply(eager.receive()).seq for _ in range(limits.CREDIT)] == list(range(1, limits.CREDIT + 1))
        assert held.decided == []


def test_session_cut_in_the_midst_of_its_own_request_still_gets_its_reply_and_leaves_nothing(held: Held) -> None:
    with dealer_of(held) as busy, Dealer(held.daemon.endpoint) as looker:
        held.hold(busy)
        for _ in range(limits.CREDIT + 1):
            busy.send(encode_request(busy.request(read("SYS.ID"))))
        assert code_of(decode_reply(busy.receive())) is Code.SESSION_CUT
        held.free.set()
        first = decode_reply(busy.receive())
        assert (first.seq, first.failure) == (1, None)
        assert {code_of(decode_reply(busy.receive())) for _ in range(limits.CREDIT)} == {Code.SESSION_CUT}
        assert status(looker)["queues"]["kept_bytes"] == 0


@pytest.mark.parametrize(("name", "value"), [("WAITING_REQUESTS", 2), ("WAITING_BYTES", 250)])
def test_requests_beyond_the_room_for_all_are_refused_and_keep_their_number(
    held: Held, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    monkeypatch.setattr(limits, name, value)
    with dealer_of(held) as busy, dealer_of(held) as a, dealer_of(held) as b, Dealer(held.daemon.endpoint) as looker:
        held.hold(busy)
        for _ in range(2):
            a.send(encode_request(a.request(*[read("SYS.ID")] * 4)))
        while status(looker)["queues"]["waiting"] < 2:
            pass
        reply = b.exchange(b.request(*[read("SYS.ID")] * 4))
        assert (code_of(reply), reply.session, reply.seq) == (Code.BUSY, b.session, 1)
        held.free.set()
        b.seq -= 1
        assert [code_of(decode_reply(a.receive())) for _ in range(2)] == [Code.OK, Code.OK]
        assert b.done(read("SYS.ID")).seq == 1


def test_garbage_in_the_midst_of_a_request_is_answered_afterwards(held: Held) -> None:
    with dealer_of(held) as busy, Dealer(held.daemon.endpoint) as odd:
        held.hold(busy)
        odd.send([b"\xc1"])
        odd.send([b"", b""])
        assert odd.nothing_comes(50)
        held.free.set()
        assert {code_of(decode_reply(odd.receive())) for _ in range(2)} == {Code.BAD_HEADER}


@pytest.mark.parametrize("flood", [3, limits.WAITING_REQUESTS + 500])
def test_daemon_ends_in_the_midst_of_a_request_whoever_waits(held: Held, flood: int) -> None:
    """The word to stop comes through the same socket as the flood."""
    with dealer_of(held) as busy, Dealer(held.daemon.endpoint) as odd:
        held.hold(busy)
        for _ in range(flood):
            odd.send([b"\xc1"])
        held.stop()


class Keeps:
    """As much of what keeps a chip as a daemon needs to know."""

    durable = False

    def settle(self) -> bool:
        return True

    def rest(self) -> None:
        pass


@pytest.mark.parametrize(("patience_s", "answered"), [(WAIT_S, True), (0.0, False)])
def test_request_under_way_may_end_before_a_daemon_that_keeps_its_chip(
    monkeypatch: pytest.MonkeyPatch, patience_s: float, answered: bool
) -> None:
    monkeypatch.setattr(daemons, "DRAIN_SECONDS", patience_s)
    with holding(Keeps()) as held, dealer_of(held) as busy:
        held.hold(busy)
        held.stop()
        assert busy.nothing_comes(200)
        if answered:
            held.free.set()
            assert decode_reply(busy.receive()).failure is None


# who does not read


class Deaf(Dealer):
    """Takes as little as ZeroMQ lets it."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self._socket.disconnect(endpoint)
        self._socket.setsockopt(zmq.RCVHWM, 1)
        self._socket.setsockopt(zmq.RCVBUF, 4096)
        self._socket.connect(endpoint)


def test_client_that_does_not_read_is_cut_and_told_when_it_speaks_again(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies of 64 MB in all go out, more than any queue on the way holds; the last is the reason."""
    monkeypatch.setattr(limits, "QUEUED_BYTES", 4 << 20)
    with Deaf(held.daemon.endpoint) as deaf, dealer_of(held) as good:
        deaf.hello()
        rows = [block_read("HOSTMEM", held.chip.capabilities.hostmem_words)] * 16
        size = 4 * held.chip.capabilities.hostmem_words * 16
        for _ in range((64 << 20) // size + 1):
            deaf.send(encode_request(deaf.request(*rows)))
        deadline = time.monotonic() + WAIT_S
        while not held.decided and time.monotonic() < deadline:
            good.done(read("SYS.ID"))
        assert held.decided == [(Decision.UNREAD, deaf.session)]
        assert good.done(read("SYS.ID")).failure is None
        deaf.send(encode_request(deaf.request(read("SYS.ID"))))
        replies = []
        while not replies or replies[-1].failure is None:
            replies.append(decode_reply(deaf.receive()))
        assert code_of(replies[-1]) is Code.SESSION_CUT
        assert "did not read" in str(replies[-1].failure)
        seqs = [r.seq for r in replies[:-1]]
        assert seqs == list(range(1, len(seqs) + 1))


def test_reply_to_a_client_that_has_gone_is_counted(held: Held) -> None:
    """Its socket's thread may take some time to notice; then another client goes."""
    with dealer_of(held) as busy, Dealer(held.daemon.endpoint) as looker:
        for seconds in (0.05, 0.5, 5.0):
            hasty = dealer_of(held)
            held.hold(busy)
            hasty.send(encode_request(hasty.request(read("SYS.ID"))))
            while status(looker)["queues"]["waiting"] < 1:
                pass
            hasty.close()
            time.sleep(seconds)
            held.free.set()
            assert decode_reply(busy.receive()).failure is None
            assert busy.done(read("SYS.ID")).failure is None
            if held.server.counters.gone:
                break
        assert held.server.counters.gone == 1


# updates


def subscribe(dealer: Dealer, every_ms: int, credit: int) -> None:
    dealer.send(encode_request(Request(Kind.SUBSCRIBE, dealer.session, 5, body={"every_ms": every_ms, "credit": credit})))


def test_updates_come_while_nothing_and_while_something_is_under_way(held: Held) -> None:
    with dealer_of(held) as busy, dealer_of(held) as watcher:
        subscribe(watcher, 100, 2)
        first = decode_reply(watcher.receive())
        assert (first.kind, first.seq, first.body) == (Kind.SUBSCRIBE, 5, {"every_ms": 100, "credit": 2})
        updates = [decode_reply(watcher.receive()).body for _ in range(2)]
        held.hold(busy)
        subscribe(watcher, 100, 2)
        assert "credit" in decode_reply(watcher.receive()).body
        updates += [decode_reply(watcher.receive()).body for _ in range(2)]
        assert [u["number"] for u in updates] == [1, 2, 3, 4]
        assert updates[0]["status"]["busy"] is None
        assert updates[3]["status"]["busy"]["seconds"] >= 0
        assert watcher.nothing_comes(400)
        subscribe(watcher, 100, 1)
        assert "credit" in decode_reply(watcher.receive()).body
        last = decode_reply(watcher.receive()).body
        assert last["number"] == 5
        assert last["gap"] >= 2
        with Dealer(held.daemon.endpoint) as looker:
            counters = status(looker)["counters"]
        assert (counters["updates"], counters["gaps"]) == (5, last["gap"] + sum(u["gap"] for u in updates))


def test_subscriber_that_grants_nothing_is_told_and_cut(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STALLED_SECONDS", 0.5)
    with dealer_of(held) as watcher:
        subscribe(watcher, 100, 1)
        replies = [decode_reply(watcher.receive()) for _ in range(3)]
        assert [code_of(r) for r in replies] == [Code.OK] * 2 + [Code.SESSION_CUT]
        assert held.decided == [(Decision.STALLED, watcher.session)]
        assert code_of(watcher.exchange(watcher.request(read("SYS.ID")))) is Code.SESSION_CUT
        assert watcher.nothing_comes(200)
