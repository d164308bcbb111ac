"""Sessions over `Server.handle`: opening, numbers, repeats, interrupts; no sockets."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest

from server.harness import (
    CELLS,
    PLANES,
    Client,
    Clock,
    block_read,
    block_write,
    delay,
    fingerprint,
    program_rows,
    read,
    rmw,
    small_server,
    wait,
    write,
)
from tsu_contract.errors import Code, Layer
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Interrupt, Kind, Reply, Request, decode_reply, encode_request
from tsu_emu.server import limits
from tsu_emu.server.session import Server

ALL_IRQS = 0x1F


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server)


def code_of(reply: Reply) -> Code:
    return reply.failure.code if reply.failure else Code.OK


# opening


def test_hello_tells_what_the_protocol_page_lists(client: Client) -> None:
    assert client.session == 1
    assert client.welcome == {
        "session": 1,
        "boot": "b00t",
        "epoch": 0,
        "map_hash": MAP_HASH,
        "name": "small",
        "chips": 1,
        "role": "operator",
        "keeps": "nothing",
        "limits": limits.limits(),
    }


def test_each_hello_opens_another_session(server: Server) -> None:
    assert [Client(server).session for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    "body", [{"map_hash": "0" * 64}, {"map_hash": MAP_HASH[:-1]}, {"map_hash": MAP_HASH.upper()}, {"map_hash": 5}, {}]
)
def test_hello_with_another_map_is_refused_and_opens_nothing(server: Server, body: dict[str, object]) -> None:
    reply = decode_reply(server.handle(encode_request(Request(Kind.HELLO, 0, 0, body=body))))
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.layer, reply.session) == (Code.MAP_MISMATCH, Layer.SESSION, 0)
    assert MAP_HASH[:16] in reply.failure.message
    assert Client(server).session == 1


@pytest.mark.parametrize("major", [0, 2, "1", None])
def test_other_major_version_is_refused_by_name(server: Server, major: object) -> None:
    header = msgpack.packb(["TSU", major, 1, 0, 0, {"map_hash": MAP_HASH}])
    reply = decode_reply(server.handle([header]))
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.layer) == (Code.BAD_VERSION, Layer.TRANSPORT)
    assert repr(major) in reply.failure.message


def test_unreadable_request_is_answered_with_session_and_number_0(server: Server) -> None:
    reply = decode_reply(server.handle([b"\xc1"]))
    assert (reply.session, reply.seq, code_of(reply)) == (0, 0, Code.BAD_HEADER)


@pytest.mark.parametrize("kind", [Kind.OPERATE, Kind.BYE])
@pytest.mark.parametrize("number", [0, 2, (1 << 64) - 1])
def test_unknown_session_is_refused(client: Client, kind: Kind, number: int) -> None:
    reply = client.exchange(Request(kind, number, 1))
    assert (code_of(reply), reply.kind, reply.session, reply.seq) == (Code.UNKNOWN_SESSION, kind, number, 1)


def test_one_session_too_many_closes_the_one_that_was_silent_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SESSIONS_MAX", 3)
    clock = Clock()
    server = small_server(clock)
    clients = [Client(server) for _ in range(3)]
    clients[0].done()
    clock.now += limits.SILENT_SECONDS
    clients.append(Client(server))
    assert [c.session for c in clients] == [1, 2, 3, 4]
    assert code_of(clients[1].exchange(Request(Kind.OPERATE, 2, 1))) is Code.SESSION_CUT
    for k in (0, 2, 3):
        assert clients[k].value("SYS.ID") == 0x75500104


def test_bye_makes_room_so_that_nobody_else_is_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SESSIONS_MAX", 2)
    first, second = Client(server), Client(server)
    second.bye()
    third = Client(server)
    assert [c.value("SYS.ID") for c in (first, third)] == [0x75500104] * 2


def test_most_silent_session_loses_its_kept_replies_first(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are counted over all sessions; the one that speaks keeps what it can."""
    silent, speaking = Client(server), Client(server)
    old = silent.frames(read("SYS.ID"))
    small = sum(map(len, server.handle(old)))
    frames = [speaking.frames(block_read("CLAMP_MASK", 100), seq=k) for k in (1, 2)]
    first = [server.handle(frames[0])]
    monkeypatch.setattr(limits, "CACHED_BYTES", 2 * sum(map(len, first[0])) + small - 1)
    first.append(server.handle(frames[1]))
    assert code_of(decode_reply(server.handle(old))) is Code.SEQUENCE_EVICTED
    assert [server.handle(f) for f in frames] == first


def test_bytes_of_closed_sessions_are_free_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHED_BYTES", 1000)
    for _ in range(5):
        client = Client(server)
        client.done(block_read("CLAMP_MASK", 140))
        client.bye()
    keeper = Client(server)
    frames = [keeper.frames(read("SYS.ID"), seq=k) for k in range(1, 11)]
    first = [server.handle(f) for f in frames]
    assert [server.handle(f) for f in frames] == first


def test_bye_closes_the_session(client: Client) -> None:
    reply = client.bye()
    assert (reply.kind, reply.failure, reply.session, reply.seq) == (Kind.BYE, None, client.session, 1)
    assert code_of(client.exchange(Request(Kind.OPERATE, client.session, 2))) is Code.UNKNOWN_SESSION


def test_bye_with_a_number_that_is_not_due_closes_nothing(client: Client) -> None:
    client.done(read("SYS.ID"))
    assert code_of(client.exchange(Request(Kind.BYE, client.session, 9))) is Code.BAD_SEQUENCE
    assert client.value("SYS.ID") == 0x75500104


def test_bye_with_the_number_of_an_earlier_request_does_not_pretend_to_close(client: Client) -> None:
    """The number has been used up, by an OPERATE: either its reply comes again, or an error; the session stays."""
    first = client.server.handle(client.frames(read("SYS.ID")))
    client.seq += 1
    again = client.server.handle(encode_request(Request(Kind.BYE, client.session, 1)))
    assert again == first or decode_reply(again).failure is not None
    assert client.value("SYS.ID") == 0x75500104


# numbers


def test_numbers_start_at_1_and_have_no_gaps(client: Client) -> None:
    before = fingerprint(client.server)
    for seq in (0, 2, 3, (1 << 64) - 1):
        reply = decode_reply(client.server.handle(client.frames(write("SYS.SCRATCH", 1), seq=seq)))
        assert (code_of(reply), reply.seq, reply.executed) == (Code.BAD_SEQUENCE, seq, 0)
    assert fingerprint(client.server) == before
    client.done(write("SYS.SCRATCH", 1))


def test_refused_number_is_not_used_up(client: Client) -> None:
    decode_reply(client.server.handle(client.frames(seq=7)))
    assert client.done(read("SYS.ID")).seq == 1


def test_bus_failure_uses_its_number_up(client: Client) -> None:
    assert code_of(client.operate(read("SYS.CTRL"))) is Code.WRITE_ONLY
    assert client.done(read("SYS.ID")).seq == 2


def test_transport_failure_does_not_use_its_number_up(client: Client) -> None:
    """docs/protocol.md: a request that fails in transport or session has not used its number up."""
    broken = [client.frames(read("SYS.ID"))[0], bytes(23)]
    assert code_of(decode_reply(client.server.handle(broken))) is Code.BAD_FRAMES
    assert client.done(read("SYS.ID")).seq == 1


def test_list_whose_reply_would_be_too_large_does_not_use_its_number_up(client: Client) -> None:
    """TOO_LARGE is of the transport layer: the client says the number again with other operations, which must be carried out."""
    reads = [block_read("CLAMP_MASK", 140)] * 5000
    reply = decode_reply(client.server.handle(client.frames(*reads)))
    assert code_of(reply) is Code.TOO_LARGE
    assert client.done(read("SYS.ID")).seq == 1


def test_repeat_returns_the_same_bytes_and_executes_nothing_again(client: Client) -> None:
    """A read of the cycle counter would differ, a write of SYS.ERROR would clear again, a start would start again."""
    client.done(*program_rows(Instruction(Opcode.RUN, 3), Instruction(Opcode.HALT)))
    frames = client.frames(read("SYS.CYCLE"), write("SEQ.CTRL", 1), block_read("SPIN", 4), read("SEQ.STATUS"))
    first = client.server.handle(frames)
    client.seq += 1
    before = fingerprint(client.server)
    for _ in range(3):
        assert client.server.handle(frames) == first
    assert fingerprint(client.server) == before


def test_repeat_returns_the_same_bytes_after_other_requests_and_other_sessions(client: Client) -> None:
    frames = client.frames(read("SYS.CYCLE"))
    first = client.server.handle(frames)
    client.seq += 1
    client.done(delay(1000))
    Client(client.server).done(write("SYS.SCRATCH", 9))
    assert client.server.handle(frames) == first


def test_repeat_of_a_failed_request_returns_the_same_bytes(client: Client) -> None:
    frames = client.frames(write("SYS.SCRATCH", 5), wait("SEQ.STATUS", 2, 0xFF, 40))
    first = client.server.handle(frames)
    assert code_of(decode_reply(first)) is Code.WAIT_TIMEOUT
    client.seq += 1
    before = fingerprint(client.server)
    assert client.server.handle(frames) == first
    assert fingerprint(client.server) == before


def test_interrupts_come_again_in_a_repeat_and_not_in_the_next_reply(client: Client) -> None:
    client.done(write("IRQ.ENABLE", ALL_IRQS))
    frames = client.frames(write("IRQ.TEST", 1), delay(100))
    first = client.server.handle(frames)
    client.seq += 1
    assert len(decode_reply(first).interrupts) == 1
    assert client.server.handle(frames) == first
    assert client.done().interrupts == ()


def test_oldest_reply_is_evicted_and_never_executed_again(client: Client) -> None:
    frames = client.frames(write("SYS.SCRATCH", 1))
    client.server.handle(frames)
    client.seq += 1
    for _ in range(limits.CACHED_REPLIES):
        client.done(write("SYS.SCRATCH", 2))
    before = fingerprint(client.server)
    reply = decode_reply(client.server.handle(frames))
    assert (code_of(reply), reply.seq) == (Code.SEQUENCE_EVICTED, 1)
    assert fingerprint(client.server) == before
    kept = decode_reply(client.server.handle(client.frames(seq=2)))
    assert (kept.failure, kept.executed) == (None, 1)


def test_bytes_kept_are_bounded_and_the_newest_reply_is_always_kept(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHED_BYTES", 1000)
    small = client.frames(read("SYS.ID"))
    client.server.handle(small)
    client.seq += 1
    large = client.frames(block_read("CLAMP_MASK", 140), *[block_read("CLAMP_MASK", 140)] * 3)
    first = client.server.handle(large)
    client.seq += 1
    assert sum(len(f) for f in first) > 2000
    assert client.server.handle(large) == first
    assert code_of(decode_reply(client.server.handle(small))) is Code.SEQUENCE_EVICTED


def test_sessions_count_on_their_own(server: Server) -> None:
    a, b = Client(server), Client(server)
    for _ in range(3):
        a.done(read("SYS.ID"))
    assert b.done(read("SYS.ID")).seq == 1
    assert code_of(decode_reply(server.handle(b.frames(seq=3)))) is Code.BAD_SEQUENCE


# replies


def test_reply_has_times_values_and_data(client: Client) -> None:
    """Times by hand from the timing table: issue 1, access 2, return 1, burst 4, beats 1."""
    payload = np.array([0x7, 0x1], "<u4").tobytes()
    reply = client.done(
        write("SYS.SCRATCH", 0xABCD),
        block_write("CLAMP_MASK", 2),
        block_read("CLAMP_MASK", 3),
        read("SYS.SCRATCH"),
        payloads=[payload],
    )
    assert reply.values.tolist() == [0, 0, 0, 0xABCD]
    assert [bytes(d) for d in reply.data] == [payload + bytes(4)]
    write_at = 1
    burst = write_at + 1 + 4 + 2
    block_at = max(burst + 1 + 4, burst + 2) + 2
    link = block_at + 3 + 1
    assert (reply.t_start, reply.t_end) == (0, link + 1 + 2 + 1)


def test_chip_stands_still_between_messages(client: Client) -> None:
    end = client.done(delay(123)).t_end
    client.exchange(Request(Kind.OPERATE, 99, 1))
    assert client.done().t_start == end
    assert client.done().t_end == end


def test_empty_list_is_carried_out(client: Client) -> None:
    reply = client.done()
    assert (reply.executed, reply.values.tolist(), reply.data) == (0, [], ())


def test_refused_list_says_at_which_chip_time_it_was(client: Client) -> None:
    """docs/protocol.md, second example: both times are the chip's, not 0."""
    end = client.done(delay(500)).t_end
    reply = client.operate(read("SYS.CTRL"))
    assert (reply.t_start, reply.t_end, reply.executed) == (end, end, 0)


def test_half_word_at_the_end_of_a_window_reads_0_and_its_other_half_is_ignored(client: Client) -> None:
    """41 biases are 20 words and a half; only the low half of the last word exists."""
    last = CELLS // 2
    client.done(write("BIAS", 0x7FFF0005, last))
    assert client.value("BIAS", last) == 5
    client.done(block_write("BIAS", 2, last - 1), payloads=[np.array([1, -2, 3, 9999], "<i2").tobytes()])
    data = client.done(block_read("BIAS", 2, last - 1)).data[0]
    assert np.frombuffer(data, "<i2").tolist() == [1, -2, 3, 0]


def test_plane_sets_hold_the_planes_that_the_chip_has(client: Client) -> None:
    words = client.done(*[read("FABRIC.PLANE_ENABLE", k) for k in range(8)]).values.tolist()
    assert words == [0xFFFFFFFF, 0xFFFFFFFF, (1 << PLANES - 64) - 1, 0, 0, 0, 0, 0]
    client.done(rmw("FABRIC.PLANE_ENABLE", 0x15, 0x3F, 2))
    assert client.value("FABRIC.PLANE_ENABLE", 2) == 0x15


def test_wait_on_a_counter_that_rests_is_allowed_and_latches_nothing(client: Client) -> None:
    reply = client.done(wait("FABRIC.SWEEP", 0, 0xFFFFFFFF, 0), read("FABRIC.SWEEP"), read("SYS.CYCLE"))
    assert reply.values.tolist()[:2] == [0, 0]


# timeouts


def test_wait_timeout_stops_the_list_at_its_index(client: Client) -> None:
    rows = (
        write("SYS.SCRATCH", 7),
        block_read("TOPO_ROW", 2),
        read("SYS.SCRATCH"),
        wait("SEQ.STATUS", 2, 0xFF, 50),
        write("SYS.SCRATCH", 8),
    )
    reply = client.operate(*rows, block_read("TOPO_ROW", 2))
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.layer, reply.failure.index) == (Code.WAIT_TIMEOUT, Layer.DEVICE, 3)
    assert (reply.failure.address, reply.failure.field) == (0x304, "SEQ.STATUS")
    assert reply.executed == 3
    assert reply.values.tolist() == [0, 0, 7]
    assert [np.frombuffer(d, "<u4").tolist() for d in reply.data] == [[0, 2]]
    assert client.value("SYS.SCRATCH") == 7


def test_wait_timeout_lasts_its_cycles_of_chip_time(client: Client) -> None:
    """First look at issue + access, timeout `arg` later, then the way back."""
    reply = client.operate(wait("SEQ.STATUS", 2, 0xFF, 50))
    assert (reply.t_start, reply.t_end) == (0, 1 + 2 + 50 + 1)
    assert client.done().t_start == reply.t_end


def test_wait_that_holds_at_once_takes_no_longer_than_a_read(client: Client) -> None:
    assert client.done(wait("SEQ.STATUS", 0, 0xFF, 0)).t_end == 1 + 2 + 1


def test_wait_of_aeons_with_nothing_due_answers_at_once(client: Client) -> None:
    reply = client.operate(wait("SEQ.STATUS", 2, 0xFF, 1 << 60))
    assert (code_of(reply), reply.t_end) == (Code.WAIT_TIMEOUT, (1 << 60) + 4)


def test_wait_compares_the_bits_of_its_mask_alone(client: Client) -> None:
    client.done(write("SYS.SCRATCH", 0xF0))
    assert client.done(wait("SYS.SCRATCH", 0x50, 0x50, 0)).values.tolist() == [0xF0]
    assert code_of(client.operate(wait("SYS.SCRATCH", 0x50, 0xFF, 3))) is Code.WAIT_TIMEOUT


# interrupts


def test_interrupt_has_number_cycle_and_pending(client: Client) -> None:
    client.done(write("IRQ.ENABLE", ALL_IRQS))
    reply = client.done(write("IRQ.TEST", 1), write("IRQ.TEST", 4), delay(100))
    assert [i.number for i in reply.interrupts] == [0, 1]
    assert [i.pending for i in reply.interrupts] == [1, 5]
    assert [i.cycle for i in reply.interrupts] == [5, 7]
    assert reply.interrupts_lost == 0


def test_event_of_a_posted_write_comes_with_the_reply_whose_time_reaches_it(client: Client) -> None:
    """A write is posted: the link is free at cycle 2, the write acts at 5. The host hears of nothing that is yet to come."""
    first = client.done(write("IRQ.ENABLE", ALL_IRQS), write("IRQ.TEST", 1))
    assert (first.t_end, first.interrupts) == (2, ())
    assert client.done(delay(2)).interrupts == ()
    assert client.done(delay(1)).interrupts == (Interrupt(0, 5, 1),)


def test_numbers_go_on_and_each_event_comes_once(client: Client) -> None:
    client.done(write("IRQ.ENABLE", ALL_IRQS))
    seen: list[Interrupt] = []
    for k in range(6):
        seen += client.done(*[write("IRQ.TEST", 2)] * k, delay(100)).interrupts
    assert [i.number for i in seen] == list(range(15))
    cycles = [i.cycle for i in seen]
    assert cycles == sorted(set(cycles))


def test_event_that_is_not_enabled_is_pending_but_not_told(client: Client) -> None:
    client.done(write("IRQ.ENABLE", 1))
    assert client.done(write("IRQ.TEST", 2), delay(100)).interrupts == ()
    assert client.value("IRQ.PENDING") == 2
    late = client.done(write("IRQ.ENABLE", ALL_IRQS), write("IRQ.TEST", 1), delay(100)).interrupts
    assert [(i.number, i.pending) for i in late] == [(0, 3)]


@pytest.mark.parametrize(("events", "lost"), [(64, 0), (65, 1), (100, 36)])
def test_log_holds_64_events_and_counts_what_it_lost(client: Client, events: int, lost: int) -> None:
    client.done(write("IRQ.ENABLE", ALL_IRQS))
    reply = client.done(*[write("IRQ.TEST", 1)] * events, delay(100))
    assert reply.interrupts_lost == lost
    assert [i.number for i in reply.interrupts] == list(range(lost, events))
    after = client.done(write("IRQ.TEST", 1), delay(100))
    assert ([i.number for i in after.interrupts], after.interrupts_lost) == ([events], 0)


def test_two_sessions_each_see_every_event(server: Server) -> None:
    a, b = Client(server), Client(server)
    a.done(write("IRQ.ENABLE", ALL_IRQS))
    mine = a.done(*[write("IRQ.TEST", 1)] * 3, delay(100)).interrupts
    mine += a.done(write("IRQ.TEST", 2), delay(100)).interrupts
    theirs = b.done()
    assert (theirs.interrupts, theirs.interrupts_lost) == (mine, 0)
    assert [i.number for i in mine] == [0, 1, 2, 3]
    assert b.done().interrupts == ()


def test_slow_session_is_told_how_many_it_lost_while_another_lost_none(server: Server) -> None:
    a, b = Client(server), Client(server)
    a.done(write("IRQ.ENABLE", ALL_IRQS))
    for _ in range(10):
        assert a.done(*[write("IRQ.TEST", 1)] * 10, delay(100)).interrupts_lost == 0
    reply = b.done()
    assert (reply.interrupts_lost, [i.number for i in reply.interrupts]) == (36, list(range(36, 100)))


def test_session_opened_later_sees_later_events_only(server: Server) -> None:
    a = Client(server)
    a.done(write("IRQ.ENABLE", ALL_IRQS), *[write("IRQ.TEST", 1)] * 70, delay(100))
    b = Client(server)
    reply = b.done(write("IRQ.TEST", 1), delay(100))
    assert ([i.number for i in reply.interrupts], reply.interrupts_lost) == ([70], 0)


def test_refused_list_still_brings_interrupts_of_other_sessions(server: Server) -> None:
    a, b = Client(server), Client(server)
    a.done(write("IRQ.ENABLE", ALL_IRQS), write("IRQ.TEST", 1), delay(100))
    assert len(b.operate(read("SYS.CTRL")).interrupts) == 1


def test_every_program_event_raises_its_interrupt(client: Client) -> None:
    """IRQ and HALT, then a fault: PENDING collects SEQ_IRQ, SEQ_DONE and SEQ_FAULT in their order."""
    program = program_rows(Instruction(Opcode.IRQ), Instruction(Opcode.HALT), Instruction(Opcode.END))
    client.done(write("IRQ.ENABLE", ALL_IRQS), *program, write("SEQ.CTRL", 1), delay(100))
    reply = client.done(write("SEQ.PC", 2), write("SEQ.CTRL", 1), delay(100))
    assert [i.pending for i in reply.interrupts] == [0b111]
    assert client.value("IRQ.PENDING") == 0b111


def test_mutable_state_of_a_reply_is_not_shared_with_the_chip(client: Client) -> None:
    """Data frames are copies: a later write must not change a reply that is kept for a repeat."""
    frames = client.frames(block_read("BIAS", 4), read("BIAS"))
    first = [bytes(f) for f in client.server.handle(frames)]
    client.seq += 1
    client.done(block_write("BIAS", 4), payloads=[bytes([1, 0]) * 8])
    assert [bytes(f) for f in client.server.handle(frames)] == first


def test_payload_buffer_may_be_reused_by_the_caller(client: Client) -> None:
    payload = bytearray(8)
    client.done(block_write("CLAMP_MASK", 2), payloads=[payload])
    payload[:] = b"\x05" * 8
    assert client.value("CLAMP_MASK") == 0
