"""A server that is kept: where it was it goes on, what was refused was not done, and trouble with the disk passes."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from keep.trusting import Life, client, disk, moved
from server.harness import Client, block_read, delay, read, small_config, write
from server.harness import fingerprint as of
from tsu_contract.bench import Request as Question
from tsu_contract.bench import decode_reply as decode_answer
from tsu_contract.bench import encode_request as encode_question
from tsu_contract.errors import Code, ProtocolError
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind, Request, decode_reply, encode_request
from tsu_emu.keep.records import JournalError
from tsu_emu.keep.snapshot import SnapshotError
from tsu_emu.keep.store import journal_name, numbers, snapshot_name
from tsu_emu.server.session import Server
from tsu_emu.server.sessions import Decision

NEWS = [write("TEMP.TDAC", 77), write("BIAS", 0x00050003), delay(1000), block_read("BIAS", 21)]


@pytest.fixture
def kept() -> Any:
    """An empty disk."""
    return disk()


@pytest.fixture
def life(kept: Any) -> Life:
    """The first start on that disk."""
    return Life(kept)


@pytest.fixture
def c(life: Life) -> Client:
    """A session of that start."""
    return client(life)


def ended(life: Life, power: bool = False) -> None:
    """Killed between two requests."""
    life.disk.crash(power)


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("power", [True, False])
def test_killed_daemon_is_where_it_was(durable: bool, power: bool, kept: Any) -> None:
    life = Life(kept, durable=durable)
    c = client(life)
    for k in range(5):
        c.operate(*NEWS, write("SYS.SCRATCH", k))
    life.oracle.handle(encode_question(Question("inject", 1, {"kind": "stuck-cell", "cell": 3, "at": "up"})))
    life.instruments.handle(encode_question(Question("ambient", 1, {"k": 310.0})))
    life.oracle.handle(encode_question(Question("list", 2)))
    life.keeper.sync()
    before = of(life.server)
    ended(life, power)
    again = Life(kept, durable=durable)
    assert of(again.server) == before
    assert again.recovered == (False, 8, 0)  # HELLO, 5 lists, 2 of the bench; looking is not one
    assert moved(c, again).operate(read("SYS.SCRATCH")).values.tolist() == [4]


def test_request_sent_again_after_a_kill_is_answered_from_what_is_kept(kept: Any, life: Life, c: Client) -> None:
    frames = c.frames(*NEWS)
    reply = [bytes(f) for f in life.handle(frames)]
    ended(life)
    again = Life(kept)
    time = again.chip.link_time
    assert [bytes(f) for f in again.handle(frames)] == reply
    assert again.chip.link_time == time


def test_clean_end_leaves_nothing_to_do_again(kept: Any, life: Life, c: Client) -> None:
    c.operate(*NEWS)
    before = of(life.server)
    life.keeper.close()
    again = Life(kept)
    assert (of(again.server), again.recovered.requests) == (before, 0)
    assert moved(c, again).operate(read("TEMP.TDAC")).values.tolist() == [77]


def test_request_that_was_broken_off_leaves_nothing_and_can_be_sent_again(kept: Any, life: Life, c: Client) -> None:
    class Stop(Exception):
        pass

    c.operate(*NEWS)
    before, frames = of(life.server), c.frames(write("TEMP.TDAC", 5), delay(1 << 40))

    def stop() -> None:
        raise Stop

    life.server.execute = lambda *_: stop()
    with pytest.raises(Stop):
        life.handle(frames)
    life.keeper.close()
    again = Life(kept)
    assert of(again.server) == before
    assert decode_reply(again.handle(c.frames(write("TEMP.TDAC", 5)))).failure is None


def test_snapshots_are_taken_as_time_is_spent_and_two_are_kept(kept: Any, life: Life, c: Client) -> None:
    for _ in range(5):
        c.operate(*NEWS)
        life.clock += 0.3
    assert numbers(kept, "snapshot") == numbers(kept, "journal") == [2, 3]


def test_damaged_snapshot_is_made_good_by_the_one_before(kept: Any, life: Life, c: Client) -> None:
    for _ in range(4):
        c.operate(*NEWS)
        life.clock += 2
    c.operate(*NEWS)
    before = of(life.server)
    ended(life)
    newest = snapshot_name(numbers(kept, "snapshot")[-1])
    kept.flip(newest, 8 * kept.length(newest) // 2)
    assert of(Life(kept).server) == before
    assert f"{newest}.bad" in kept.names()


def test_journal_that_is_not_there_is_named(kept: Any, life: Life, c: Client, caplog: pytest.LogCaptureFixture) -> None:
    """What the snapshot has is what is left; where all are there, nothing is said."""
    logger = logging.getLogger("tsu_emu.keep")
    logger.addHandler(caplog.handler)
    try:
        before = of(life.server)
        c.operate(*NEWS)
        ended(life)
        kept.remove(journal_name(1))
        assert of(Life(kept).server)[1:] == before[1:]
        ended(life)
        Life(kept)
    finally:
        logger.removeHandler(caplog.handler)
    (said,) = {record.getMessage() for record in caplog.records}
    assert said == f"{journal_name(1)} is not there: what was done after {snapshot_name(1)} is left out"


def test_two_damaged_snapshots_are_refused_and_nothing_is_changed(kept: Any, life: Life, c: Client) -> None:
    for _ in range(4):
        c.operate(*NEWS)
        life.clock += 2
    ended(life)
    for number in numbers(kept, "snapshot"):
        kept.flip(snapshot_name(number), 3000)
    names = kept.names()
    with pytest.raises(SnapshotError, match=r"snapshot-\d+\.tsu: .*no earlier snapshot is sound"):
        Life(kept)
    assert kept.names() == names


def test_another_chip_is_refused(kept: Any) -> None:
    ended(Life(kept))
    with pytest.raises(SnapshotError, match=r"seeds\.run was 1, is 2"):
        Life(kept, small_config(seeds={"run": 2}))


def test_program_that_computes_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch, kept: Any, life: Life, c: Client) -> None:
    c.operate(*NEWS)
    c.operate(*NEWS)
    ended(life)
    handle = Server.handle

    def slower(self: Server, frames: list[bytes]) -> list[bytes]:
        reply = handle(self, frames)
        self.chip.state.time[1] += 1
        return [bytes(f) for f in reply]

    monkeypatch.setattr(Server, "handle", slower)
    with pytest.raises(JournalError, match="another version of the program"):
        Life(kept)


def refused(life: Life, c: Client) -> Code:
    reply = decode_reply(life.handle(c.frames(*NEWS)))
    assert reply.failure is not None
    return reply.failure.code


def test_full_disk_refuses_and_goes_on_by_itself(kept: Any, life: Life, c: Client) -> None:
    c.operate(*NEWS)
    before = of(life.server)
    kept.faults.room = 10
    for _ in range(3):
        assert refused(life, c) is Code.NOT_KEPT
    assert of(life.server) == before
    assert "No space" in life.keeper.trouble
    (warning,) = life.server.status.body()["warnings"]
    assert warning == f"requests that change something are refused, for they cannot be kept: {life.keeper.trouble}"
    answer = decode_answer(life.oracle.handle(encode_question(Question("clear", 1))))
    assert answer.failure is not None
    assert answer.failure.code is Code.NOT_KEPT
    assert decode_answer(life.oracle.handle(encode_question(Question("digest", 2)))).failure is None
    kept.faults.room = None
    c.operate(*NEWS)
    after = of(life.server)
    assert (life.keeper.trouble, life.server.status.body()["warnings"]) == ("", [])
    ended(life, power=True)
    again = Life(kept)
    assert of(again.server) == after
    assert moved(c, again).operate(read("TEMP.TDAC")).values.tolist() == [77]


def test_full_disk_at_a_snapshot_costs_nothing(kept: Any, life: Life, c: Client) -> None:
    kept.faults.room = 5000
    life.clock += 2
    c.operate(*NEWS)
    life.clock += 2
    c.operate(write("SYS.SCRATCH", 9))
    assert numbers(kept, "snapshot") == [1]
    before = of(life.server)
    ended(life, power=True)
    assert of(Life(kept).server) == before


@pytest.mark.parametrize("withdraws", [True, False], ids=["withdrawn", "power check"])
def test_snapshot_that_may_be_there_or_not_is_withdrawn(
    monkeypatch: pytest.MonkeyPatch, withdraws: bool, kept: Any, life: Life, c: Client
) -> None:
    """The directory cannot be synced just after a snapshot got its name; the journal before it goes on, and must be heard."""
    sync, calls = kept.sync, []

    def fails_after_the_name() -> None:
        calls.append(kept.names())
        if len(calls) == 2:
            raise OSError(5, "broken")
        sync()

    monkeypatch.setattr(kept, "sync", fails_after_the_name)
    if not withdraws:
        monkeypatch.setattr(life.keeper, "_withdraw", lambda number: None)
    life.clock += 2
    c.operate(*NEWS)
    assert snapshot_name(2) in calls[1]
    c.operate(write("SYS.SCRATCH", 9), delay(100))
    before = of(life.server)
    ended(life)
    assert (of(Life(kept).server) == before) is withdraws


def test_reply_whose_request_may_not_be_on_the_disk_is_withheld_until_it_is(kept: Any, life: Life, c: Client) -> None:
    frames = c.frames(*NEWS)
    reply = life.front(frames)  # type: ignore[arg-type]
    assert decode_reply(reply).failure is None
    kept.faults.errors = 1.0
    assert not life.keeper.settle()
    time = life.chip.link_time
    assert life.handle(frames) == []
    other = client_refused(life)
    assert other is Code.NOT_KEPT
    kept.faults.errors = 0.0
    assert decode_reply(life.handle(frames)).t_end == time == life.chip.link_time
    before = of(life.server)
    ended(life, power=True)
    assert of(Life(kept).server) == before


def client_refused(life: Life) -> Code:
    """A HELLO while the disk does not do."""
    reply = decode_reply(life.handle(encode_request(Request(Kind.HELLO, 0, 0, body={"map_hash": MAP_HASH}))))
    assert reply.failure is not None
    return reply.failure.code


def test_decision_of_the_daemon_is_done_again(kept: Any, life: Life, c: Client) -> None:
    life.server.decide(Decision.SILENT, c.session)
    life.keeper.sync()
    ended(life)
    again = Life(kept)
    with pytest.raises(ProtocolError, match="it was the most silent"):
        again.server.sessions.of(c.session)


@pytest.mark.parametrize("crash", [True, False])
def test_lease_is_held_over_a_restart_whatever_recovery_finds(kept: Any, life: Life, crash: bool) -> None:
    """From the journal after a crash, from the snapshot after an end; nobody else operates the chip, its holder does."""
    holder, other = client(life), client(life)
    asked = Request(Kind.LEASE, holder.session, 1, body={"seconds": 600})
    assert decode_reply(life.handle(encode_request(asked))).failure is None
    life.keeper.sync()
    if crash:
        ended(life, power=True)
    else:
        life.keeper.close()
    again = Life(kept)
    assert again.server.lease.holder == holder.session
    refused = decode_reply(again.handle(encode_request(Request(Kind.OPERATE, other.session, 1))))
    assert refused.failure is not None
    assert refused.failure.code is Code.LEASED
    assert decode_reply(again.handle(encode_request(Request(Kind.OPERATE, holder.session, 2)))).failure is None


def test_decision_that_cannot_be_written_stands_and_is_in_the_next_snapshot(kept: Any, life: Life) -> None:
    c, other = client(life), client(life)
    kept.faults.room = 0
    life.server.decide(Decision.SILENT, c.session)
    assert refused(life, other) is Code.NOT_KEPT
    kept.faults.room = None
    other.operate(*NEWS)
    before = of(life.server)
    ended(life, power=True)
    again = Life(kept)
    assert of(again.server) == before
    assert [session.number for session in again.server.sessions] == [other.session]


def test_no_snapshot_is_taken_in_the_midst_of_a_request(kept: Any, life: Life) -> None:
    """A decision falls into a request while the disk is full, another one when it has room again."""
    c, cut, gone = client(life), client(life), client(life)
    execute = life.chip.execute

    def deciding(*arguments: Any) -> Any:
        for room, who in ((0, cut), (None, gone)):
            kept.faults.room = room
            life.server.decide(Decision.SILENT, who.session)
        return execute(*arguments)

    life.server.execute = deciding
    c.operate(*NEWS)
    life.server.execute = execute
    now = of(life.server)
    ended(life, power=True)
    assert of(Life(kept).server) == now


def test_end_in_trouble_leaves_what_can_be_recovered(kept: Any, life: Life, c: Client) -> None:
    """A request is broken off while the journal has a torn end that could not be removed."""
    c.operate(*NEWS)
    life.keeper.sync()
    kept.faults.short, kept.faults.errors = 1.0, 0.7
    while life.keeper._in_order():
        refused(life, c)
    kept.faults.short = kept.faults.errors = 0.0
    life.keeper._broken_off = True
    before = of(life.server)
    life.keeper.close()
    assert of(Life(kept).server) == before


def test_hello_tells_how_it_is_kept_and_a_number_nobody_guesses() -> None:
    for durable, said in ((True, "durable"), (False, "fast")):
        life = Life(disk(), durable=durable, draw=5_000_000)
        c = client(life)
        assert (c.welcome["keeps"], c.session) == (said, 5_000_000)
