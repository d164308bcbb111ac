"""The codec: golden bytes in both directions, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsu_contract import PROTOCOL_MAJOR
from tsu_contract.errors import Code, Failure, ProtocolError
from tsu_contract.operations import RECORD, Op
from tsu_contract.wire import (
    FRAMES_MAX,
    HEADER_BYTES_MAX,
    OPERATIONS_MAX,
    PAYLOAD_BYTES_MAX,
    Frame,
    Interrupt,
    Kind,
    Reply,
    Request,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)

# one record of each operation: (op, flags, chip, addr, value, mask, arg), bytes
GOLDEN_RECORDS = {
    Op.READ: ((1, 0, 0, 0x400, 0, 0, 0), "010000000004000000000000000000000000000000000000"),
    Op.WRITE: ((2, 0, 0, 0x1C, 0xDEADBEEF, 0, 0), "020000001c000000efbeadde000000000000000000000000"),
    Op.RMW: ((3, 0, 0, 0x600, 1, 1, 0), "030000000006000001000000010000000000000000000000"),
    Op.BLKRD: ((4, 0, 0, 0x18000000, 0, 0, 3), "040000000000001800000000000000000300000000000000"),
    Op.BLKWR: ((5, 0, 0, 0x0C000000, 0, 0, 2), "050000000000000c00000000000000000200000000000000"),
    Op.WAIT: ((6, 0, 0, 0x304, 2, 0xFF, 0x123456789), "060000000403000002000000ff0000008967452301000000"),
    Op.DELAY: ((7, 0, 0, 0, 0, 0, 1000), "07000000000000000000000000000000e803000000000000"),
    Op.DELAY_UNTIL: ((8, 0, 0, 0, 0, 0, (1 << 40) + 2), "080000000000000000000000000000000200000000010000"),
    Op.FENCE: ((9, 0, 0, 0, 0, 0, 0), "090000000000000000000000000000000000000000000000"),
}
ALL_RECORDS = np.array([row for row, _ in GOLDEN_RECORDS.values()], RECORD)
ALL_RECORDS_HEX = "".join(text for _, text in GOLDEN_RECORDS.values())
PAYLOAD = "0100ffff02000000"

HELLO = Request(Kind.HELLO, 0, 0, body={"client": "probe 1.0", "map_hash": "00ff"})
OPERATE = Request(Kind.OPERATE, 258, 65536, ALL_RECORDS, (bytes.fromhex(PAYLOAD),))
GOLDEN_REQUESTS: dict[str, tuple[Request, list[str]]] = {
    "hello": (HELLO, ["96a35453550101000082a6636c69656e74a970726f626520312e30a86d61705f68617368a430306666"]),
    "operate": (OPERATE, ["96a35453550102cd0102ce0001000080", ALL_RECORDS_HEX, PAYLOAD]),
    "operate nothing": (Request(Kind.OPERATE, 1, 1), ["96a3545355010201" + "0180", ""]),
    "bye": (Request(Kind.BYE, 7, 300), ["96a3545355010307cd012c80"]),
    "bye at the end of all numbers": (
        Request(Kind.BYE, (1 << 64) - 1, (1 << 64) - 1),
        ["96a35453550103cfffffffffffffffffcfffffffffffffffff80"],
    ),
}

WELCOME: dict[str, Any] = {
    "session": 3,
    "boot": "ab",
    "epoch": 0,
    "map_hash": "00ff",
    "name": "c",
    "chips": 1,
    "limits": {"operations": 65536},
}
INTERRUPTS = (Interrupt(64, 1 << 32, 17), Interrupt(65, (1 << 32) + 1, 19))
DONE = Reply(
    Kind.OPERATE,
    3,
    2,
    executed=2,
    t_start=5,
    t_end=1 << 33,
    interrupts=INTERRUPTS,
    interrupts_lost=6,
    values=np.array([0xDEADBEEF, 0], np.uint32),
    data=(bytes.fromhex("01020304"), bytes.fromhex("05060708")),
)
REFUSED = Reply(Kind.OPERATE, 3, 2, Failure(Code.READ_ONLY, "no", 1, 0x304, "SEQ.STATUS"), t_start=5, t_end=5)
FAILED_ACCESS = Reply(Kind.OPERATE, 1, 1, Failure(Code.BUS_ERROR, "no", 0, 0x0C000000), t_start=5, t_end=9)
LATE = Reply(
    Kind.OPERATE,
    1,
    1,
    Failure(Code.WAIT_TIMEOUT, "late", 1, 0x304, "SEQ.STATUS"),
    executed=1,
    t_end=9,
    values=np.array([7], np.uint32),
    data=(bytes.fromhex("01020304"),),
)
GOLDEN_REPLIES: dict[str, tuple[Reply, list[str]]] = {
    "hello": (
        Reply(Kind.HELLO, 3, 0, body=WELCOME),
        [
            "9ca35453550101030000000000900087a773657373696f6e03a4626f6f74a26162a565706f636800a86d61705f68617368a430306666"
            "a46e616d65a163a5636869707301a66c696d69747381aa6f7065726174696f6e73ce00010000",
            "",
        ],
    ),
    "operate": (
        DONE,
        [
            "9ca354535501020302000205cf0000000200000000929340cf0000000100000000119341cf0000000100000001130680",
            "efbeadde00000000",
            "01020304",
            "05060708",
        ],
    ),
    "bye": (Reply(Kind.BYE, 3, 9), ["9ca35453550103030900000000900080", ""]),
    "bus failure": (
        REFUSED,
        [
            "9ca354535501020302cd0130000505900084a76d657373616765a26e6fa5696e64657801a761646472657373cd0304"
            "a56669656c64aa5345512e535441545553",
            "",
        ],
    ),
    "transport failure": (
        Reply(Kind.HELLO, 0, 0, Failure(Code.BAD_FRAMES, "no")),
        ["9ca35453550101000064000000900084a76d657373616765a26e6fa5696e646578c0a761646472657373c0a56669656c64c0", ""],
    ),
    "failure on the bus of the chip": (
        FAILED_ACCESS,
        [
            "9ca354535501020101cd0191000509900084a76d657373616765a26e6fa5696e64657800a761646472657373ce0c000000a56669656c64c0",
            "",
        ],
    ),
    "failure with earlier results": (
        LATE,
        [
            "9ca354535501020101cd0190010009900084a76d657373616765a46c617465a5696e64657801a761646472657373cd0304"
            "a56669656c64aa5345512e535441545553",
            "07000000",
            "01020304",
        ],
    ),
}


def _plain(message: Request | Reply) -> dict[str, Any]:
    """All values of a message; arrays as (type, values), frames as bytes, so that == compares everything."""
    out = dict(vars(message))
    for name, value in out.items():
        if isinstance(value, np.ndarray):
            out[name] = (value.dtype, value.tolist())
        if name in ("payloads", "data"):
            out[name] = [bytes(v) for v in value]
    return out


def test_protocol_version_is_pinned() -> None:
    assert PROTOCOL_MAJOR == 1
    assert (HEADER_BYTES_MAX, OPERATIONS_MAX, FRAMES_MAX, PAYLOAD_BYTES_MAX) == (4096, 65536, 4096, 268435456)
    names = ("HELLO", "OPERATE", "BYE", "STATUS", "PEEK", "LEASE", "SUBSCRIBE")
    assert {k.name: k.value for k in Kind} == dict(zip(names, range(1, 8), strict=True))


@pytest.mark.parametrize("op", list(Op), ids=lambda op: op.name)
def test_record_of_each_operation_has_its_golden_bytes(op: Op) -> None:
    row, text = GOLDEN_RECORDS[op]
    record = np.array([row], RECORD)
    assert record.tobytes().hex() == text
    assert np.frombuffer(bytes.fromhex(text), RECORD).tolist() == [row]


@pytest.mark.parametrize("name", GOLDEN_REQUESTS)
def test_request_encodes_to_its_golden_bytes(name: str) -> None:
    request, frames = GOLDEN_REQUESTS[name]
    assert [bytes(f).hex() for f in encode_request(request)] == frames


@pytest.mark.parametrize("name", GOLDEN_REQUESTS)
def test_golden_bytes_decode_to_the_request(name: str) -> None:
    request, frames = GOLDEN_REQUESTS[name]
    assert _plain(decode_request([bytes.fromhex(f) for f in frames])) == _plain(request)


@pytest.mark.parametrize("name", GOLDEN_REPLIES)
def test_reply_encodes_to_its_golden_bytes(name: str) -> None:
    reply, frames = GOLDEN_REPLIES[name]
    assert [bytes(f).hex() for f in encode_reply(reply)] == frames


@pytest.mark.parametrize("name", GOLDEN_REPLIES)
def test_golden_bytes_decode_to_the_reply(name: str) -> None:
    reply, frames = GOLDEN_REPLIES[name]
    assert _plain(decode_reply([bytes.fromhex(f) for f in frames])) == _plain(reply)


@pytest.mark.parametrize("code", [c for c in Code if c], ids=lambda c: c.name)
def test_every_failure_comes_back_from_its_bytes(code: Code) -> None:
    reply = Reply(Kind.OPERATE, 9, 8, Failure(code, "why", 5, 0x0C000000, "BIAS"))
    assert _plain(decode_reply(encode_reply(reply))) == _plain(reply)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview], ids=lambda w: w.__name__)
def test_any_kind_of_buffer_decodes(wrap: Any) -> None:
    assert _plain(decode_request([wrap(f) for f in encode_request(OPERATE)])) == _plain(OPERATE)
    assert _plain(decode_reply([wrap(f) for f in encode_reply(DONE)])) == _plain(DONE)


UNSIGNED = st.integers(0, (1 << 64) - 1)
WORDS = st.lists(st.integers(0, (1 << 32) - 1), max_size=5)


@settings(deadline=None, database=None)
@given(UNSIGNED, UNSIGNED, st.binary(max_size=120), st.lists(st.binary(max_size=9), max_size=3))
def test_requests_come_back_from_their_bytes(session: int, seq: int, raw: bytes, payloads: list[bytes]) -> None:
    records = np.frombuffer(raw[: len(raw) // 24 * 24], RECORD)
    request = Request(Kind.OPERATE, session, seq, records, tuple(payloads))
    assert _plain(decode_request(encode_request(request))) == _plain(request)


@settings(deadline=None, database=None)
@given(
    UNSIGNED,
    UNSIGNED,
    WORDS,
    st.lists(st.tuples(UNSIGNED, UNSIGNED, UNSIGNED), max_size=4),
    st.lists(st.binary(max_size=9), max_size=3),
)
def test_replies_come_back_from_their_bytes(
    start: int, end: int, values: list[int], irqs: list[tuple[int, int, int]], data: list[bytes]
) -> None:
    reply = Reply(
        Kind.OPERATE,
        1,
        2,
        executed=len(values),
        t_start=start,
        t_end=end,
        interrupts=tuple(Interrupt(*row) for row in irqs),
        interrupts_lost=len(irqs),
        values=np.array(values, np.uint32),
        data=tuple(data),
    )
    assert _plain(decode_reply(encode_reply(reply))) == _plain(reply)


def _head(*values: Any) -> list[bytes]:
    return [msgpack.packb(list(values))]


def _deep(levels: int) -> bytes:
    """A header of six values whose third is an array `levels` deep."""
    return b"\x96\xa3TSU\x01" + b"\x91" * levels + b"\xc0" + b"\x00\x00\x80"


BAD_REQUESTS: dict[str, tuple[list[bytes], Code]] = {
    "no frame": ([], Code.BAD_FRAMES),
    "too many frames": ([b""] * (FRAMES_MAX + 1), Code.BAD_FRAMES),
    "empty header": ([b""], Code.BAD_HEADER),
    "header too long": ([b"\xc0" * (HEADER_BYTES_MAX + 1)], Code.TOO_LARGE),
    "no msgpack": ([b"\xc1"], Code.BAD_HEADER),
    "bytes behind the array": ([_head("TSU", 1, 1, 0, 0, {})[0] + b"\x00"], Code.BAD_HEADER),
    "map instead of array": ([msgpack.packb({"TSU": 1})], Code.BAD_HEADER),
    "text instead of array": ([msgpack.packb("TSU")], Code.BAD_HEADER),
    "magic alone": (_head("TSU"), Code.BAD_HEADER),
    "wrong magic": (_head("TSX", 1, 1, 0, 0, {}), Code.BAD_HEADER),
    "magic as bytes": (_head(b"TSU", 1, 1, 0, 0, {}), Code.BAD_HEADER),
    "later major": (_head("TSU", 2, 1, 0, 0, {}), Code.BAD_VERSION),
    "major as text": (_head("TSU", "1", 1, 0, 0, {}), Code.BAD_VERSION),
    "major as truth": (_head("TSU", True, 3, 0, 0, {}), Code.BAD_VERSION),
    "major as a fraction": (_head("TSU", 1.0, 3, 0, 0, {}), Code.BAD_VERSION),
    "later major of another shape": (_head("TSU", 2), Code.BAD_VERSION),
    "five values": (_head("TSU", 1, 1, 0, 0), Code.BAD_HEADER),
    "seven values": (_head("TSU", 1, 1, 0, 0, {}, 0), Code.BAD_HEADER),
    "kind 0": (_head("TSU", 1, 0, 0, 0, {}), Code.BAD_HEADER),
    "kind 8": (_head("TSU", 1, 8, 0, 0, {}), Code.BAD_HEADER),
    "kind as truth": (_head("TSU", 1, True, 0, 0, {}), Code.BAD_HEADER),
    "kind as a list": (_head("TSU", 1, [1], 0, 0, {}), Code.BAD_HEADER),
    "negative session": (_head("TSU", 1, 3, -1, 0, {}), Code.BAD_HEADER),
    "session as text": (_head("TSU", 1, 3, "0", 0, {}), Code.BAD_HEADER),
    "sequence number as nil": (_head("TSU", 1, 3, 0, None, {}), Code.BAD_HEADER),
    "sequence number as a fraction": (_head("TSU", 1, 3, 0, 1.0, {}), Code.BAD_HEADER),
    "body as an array": (_head("TSU", 1, 1, 0, 0, []), Code.BAD_HEADER),
    "body with a number as key": (_head("TSU", 1, 1, 0, 0, {1: 2}), Code.BAD_HEADER),
    "body with a key twice": ([_head("TSU", 1, 1, 0, 0, {})[0][:-1] + b"\x82\xa1a\x01\xa1a\x02"], Code.BAD_HEADER),
    "extension type": (_head("TSU", 1, 1, 0, 0, {"a": msgpack.ExtType(5, b"x")}), Code.BAD_HEADER),
    "text that is no UTF-8": ([_head("TSU", 1, 1, 0, 0, {})[0][:-1] + b"\x81\xa1a\xa1\xff"], Code.BAD_HEADER),
    "hello with records": ([*_head("TSU", 1, 1, 0, 0, {}), b""], Code.BAD_FRAMES),
    "bye with records": ([*_head("TSU", 1, 3, 1, 1, {}), b""], Code.BAD_FRAMES),
    "operate without records": (_head("TSU", 1, 2, 1, 1, {}), Code.BAD_FRAMES),
    "half a record": ([*_head("TSU", 1, 2, 1, 1, {}), bytes(23)], Code.BAD_FRAMES),
    "too many records": ([*_head("TSU", 1, 2, 1, 1, {}), bytes(24 * (OPERATIONS_MAX + 1))], Code.TOO_LARGE),
    "nested as deep as msgpack goes": ([_deep(1020)], Code.BAD_HEADER),
    "nested deeper": ([_deep(4000)], Code.BAD_HEADER),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_malformed_request_is_refused_with_its_code(name: str) -> None:
    frames, code = BAD_REQUESTS[name]
    with pytest.raises(ProtocolError) as caught:
        decode_request(frames)
    assert caught.value.failure.code is code
    assert len(caught.value.failure.message) < 300


def test_payload_beyond_its_limit_is_refused_before_it_is_looked_at() -> None:
    """Frames of one buffer, repeated, so that the test itself stays small."""
    block = memoryview(bytes(1 << 20))
    frames: list[Frame] = [*_head("TSU", 1, 2, 1, 1, {}), b"", *[block] * 257]
    with pytest.raises(ProtocolError) as caught:
        decode_request(frames)
    assert caught.value.failure.code is Code.TOO_LARGE
    assert len(decode_request(frames[:-1]).payloads) == 256


def test_largest_numbers_of_records_and_frames_are_taken() -> None:
    records = bytes(24 * OPERATIONS_MAX)
    assert len(decode_request([*_head("TSU", 1, 2, 1, 1, {}), records]).records) == OPERATIONS_MAX
    assert len(decode_request([*_head("TSU", 1, 2, 1, 1, {}), *[b""] * (FRAMES_MAX - 1)]).payloads) == FRAMES_MAX - 2


@pytest.mark.parametrize("length", [4000, 4080])
@pytest.mark.parametrize("place", [1, 2, 3, 4], ids=["major", "kind", "session", "seq"])
def test_message_about_a_hostile_value_stays_short_enough_for_a_header(place: int, length: int) -> None:
    """repr of bytes is up to four times as long; a reply that repeats it would not decode."""
    values: list[Any] = ["TSU", 1, 1, 0, 0, {}]
    values[place] = b"\x00" * length
    with pytest.raises(ProtocolError) as caught:
        decode_request([msgpack.packb(values)])
    reply = Reply(Kind.HELLO, 0, 0, caught.value.failure)
    assert decode_reply(encode_reply(reply)).failure == caught.value.failure


GOOD_REPLY = ["TSU", 1, 2, 1, 1, 0, 0, 0, 0, [], 0, {}]
FAILED_BODY = {"message": "no", "index": None, "address": None, "field": None}


def _changed(place: int, value: Any) -> list[bytes]:
    values = list(GOOD_REPLY)
    values[place] = value
    return [msgpack.packb(values), b""]


BAD_REPLIES: dict[str, tuple[list[bytes], Code]] = {
    "one frame": ([msgpack.packb(GOOD_REPLY)], Code.BAD_FRAMES),
    "header too long": ([b"\xc0" * (HEADER_BYTES_MAX + 1), b""], Code.TOO_LARGE),
    "garbage": ([b"\xc1", b""], Code.BAD_HEADER),
    "eleven values": ([msgpack.packb(GOOD_REPLY[:-1]), b""], Code.BAD_HEADER),
    "wrong magic": (_changed(0, "UST"), Code.BAD_HEADER),
    "later major": (_changed(1, 2), Code.BAD_VERSION),
    "unknown kind": (_changed(2, 9), Code.BAD_HEADER),
    "unknown status": ([msgpack.packb([*GOOD_REPLY[:5], 999, *GOOD_REPLY[6:-1], FAILED_BODY]), b""], Code.BAD_HEADER),
    "failure without a body": (_changed(5, 300), Code.BAD_HEADER),
    "failure with a foreign key": (
        [msgpack.packb([*GOOD_REPLY[:5], 300, *GOOD_REPLY[6:-1], {**FAILED_BODY, "x": 1}]), b""],
        Code.BAD_HEADER,
    ),
    "interrupts as nil": (_changed(9, None), Code.BAD_HEADER),
    "interrupt of two values": (_changed(9, [[1, 2]]), Code.BAD_HEADER),
    "values of three bytes": ([msgpack.packb(GOOD_REPLY), b"abc"], Code.BAD_HEADER),
}


@pytest.mark.parametrize("name", BAD_REPLIES)
def test_malformed_reply_is_refused_with_its_code(name: str) -> None:
    frames, code = BAD_REPLIES[name]
    with pytest.raises(ProtocolError) as caught:
        decode_reply(frames)
    assert caught.value.failure.code is code


def test_the_good_reply_of_these_tests_decodes() -> None:
    """So that each of them fails for its one change alone."""
    assert _plain(decode_reply([msgpack.packb(GOOD_REPLY), b""])) == _plain(Reply(Kind.OPERATE, 1, 1))


def test_replace_changes_one_value_of_a_message() -> None:
    """The session layer builds replies from others."""
    changed, kept = replace(DONE, seq=5), DONE.seq
    assert (changed.seq, DONE.seq, changed.kind) == (5, kept, DONE.kind)
