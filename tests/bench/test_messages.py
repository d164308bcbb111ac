"""The doors' messages: what is encoded comes back, and hostile bytes are answered in form and change nothing."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgpack
import numpy as np
import pytest

from bench.harness import Bench, at, chain
from tsu_contract.bench import (
    DTYPES,
    FAULTS,
    Reply,
    Request,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    exchange,
)
from tsu_contract.errors import Code, Failure, Layer, ProtocolError
from tsu_contract.wire import Kind
from tsu_contract.wire import Request as FrontRequest
from tsu_contract.wire import encode_request as encode_front_request
from tsu_emu.state import digest

CASES = 1000
"""For each door and seed."""


def test_messages_come_back_as_they_were() -> None:
    request = Request("source", (1 << 64) - 1, {"offset": 0.5, "hz": 3, "at": "up"})
    assert decode_request(encode_request(request)) == request
    arrays = {f"a{k}": np.arange(6).reshape(2, 3).astype(dtype) for k, dtype in enumerate(DTYPES)}
    sent = Reply("truth", 3, None, 1 << 61, {"x": [1, 2.5]}, {**arrays, "empty": np.empty((0, 5), "<i8")})
    back = decode_reply(encode_reply(sent))
    assert (back.verb, back.number, back.failure, back.cycle, back.body) == ("truth", 3, None, 1 << 61, {"x": [1, 2.5]})
    assert list(back.arrays) == list(sent.arrays)
    for name, array in sent.arrays.items():
        assert (back.arrays[name].dtype, back.arrays[name].tolist()) == (array.dtype, array.tolist())
    failure = Failure(Code.OUT_OF_RANGE, "k = 7; more expected", None, 16, "k")
    assert decode_reply(encode_reply(Reply("ambient", 1, failure, 5))).failure == failure


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([], Code.BAD_FRAMES),
        ([b"", b""], Code.BAD_FRAMES),
        ([b""], Code.BAD_HEADER),
        ([b"\xc1"], Code.BAD_HEADER),
        ([bytes(5000)], Code.TOO_LARGE),
        (["TSU", 2, "read", 1, {}], Code.BAD_VERSION),
        (["TSV", 1, "read", 1, {}], Code.BAD_HEADER),
        (["TSU", 1, "read", 1], Code.BAD_HEADER),
        (["TSU", 1, "read", 1, {}, {}], Code.BAD_HEADER),
        (["TSU", 1, 3, 1, {}], Code.BAD_HEADER),
        (["TSU", 1, "", 1, {}], Code.BAD_HEADER),
        (["TSU", 1, "x" * 33, 1, {}], Code.BAD_HEADER),
        (["TSU", 1, "read", -1, {}], Code.BAD_HEADER),
        (["TSU", 1, "read", True, {}], Code.BAD_HEADER),
        (["TSU", 1, "read", 1, []], Code.BAD_HEADER),
        (["TSU", 1, "read", 1, {b"k": 1}], Code.BAD_HEADER),
        (["TSU", 1, "read", 1, {"": 1}], Code.BAD_HEADER),
        (["TSU", 1, "read", 1, {"k": msgpack.ExtType(1, b"x")}], Code.BAD_HEADER),
        (encode_front_request(FrontRequest(Kind.HELLO, 0, 0)), Code.BAD_HEADER),
    ],
)
def test_malformed_requests_are_refused_in_the_transport_layer(frames: list[Any], code: Code) -> None:
    if frames and not isinstance(frames[0], bytes):
        frames = [msgpack.packb(frames)]
    with pytest.raises(ProtocolError) as error:
        decode_request(frames)
    assert (error.value.failure.code, error.value.failure.layer) == (code, Layer.TRANSPORT)


def test_malformed_replies_are_refused() -> None:
    good = encode_reply(Reply("truth", 1, arrays={"J": np.zeros(3)}))
    for frames in ([], good[:1], [*good, b""], [good[0], bytes(23)], [good[0].replace(b"<f8", b"|O8"), good[1]]):
        with pytest.raises(ProtocolError):
            decode_reply(frames)


class Wire:
    """A DEALER that has some replies waiting."""

    def __init__(self, *replies: Reply) -> None:
        self.replies, self.sent = list(replies), 0

    def send_multipart(self, frames: list[Any], /) -> None:
        self.sent += 1

    def recv_multipart(self) -> list[bytes]:
        return [bytes(f) for f in encode_reply(self.replies.pop(0))]

    def poll(self, milliseconds: int, /) -> int:
        return len(self.replies)


def test_late_replies_are_dropped_and_none_is_none() -> None:
    wire = Wire(Reply("skip", 1), Reply("read", 2, cycle=9))
    found = exchange(wire, Request("read", 2), 5.0)
    assert found is not None
    assert (found.cycle, wire.sent) == (9, 1)
    assert exchange(Wire(Reply("skip", 1)), Request("read", 2), 0.05) is None
    unreadable = exchange(Wire(Reply("", 0, Failure(Code.BAD_VERSION, "protocol 2"))), Request("read", 2), 5.0)
    assert unreadable is not None
    assert unreadable.failure is not None


def _value(rng: random.Random, depth: int = 0) -> Any:
    """Some msgpack value."""
    words = ("up", "down", "floating", "J", "coupling_dac", "adc_thresholds", "", "x" * 3000, "\x00", *FAULTS)
    return rng.choice(
        (
            lambda: rng.choice((0, 1, 2, 3, 7, 64, -1, 1 << 31, 1 << 63, (1 << 64) - 1, at("TEMP.TDAC"), at("BIAS"))),
            lambda: rng.choice((0.0, 0.5, 300.0, 1e300, -1e-300, float("nan"), float("inf"), float("-inf"))),
            lambda: rng.choice(words),
            lambda: rng.choice((None, True, False, b"", b"\x00" * 40)),
            lambda: [_value(rng, depth + 1) for _ in range(rng.randrange(3))] if depth < 3 else 0,
            lambda: {rng.choice(words): _value(rng, depth + 1)} if depth < 3 else 0,
            lambda: msgpack.ExtType(3, b"abc"),
        )
    )()


KEYS = ("k", "v", "offset", "amplitude", "hz", "phase", "seconds", "kind", "cell", "at", "coupler", "term", "bit", "converter",
        "address", "accesses", "events", "count", "fault", "bits", "name", "element", "nonsense")  # fmt: skip
VERBS = ("identify", "read", "ambient", "supply", "source", "skip", "inject", "list", "clear", "upset", "truth", "digest", "rm")
PLAUSIBLE: list[tuple[str, dict[str, Any]]] = [
    ("ambient", {"k": 310}), ("supply", {"v": 0.9}), ("source", {"offset": 0, "amplitude": 1, "hz": 10, "phase": 0}),
    ("skip", {"seconds": 0.5}), ("inject", {"kind": "stuck-cell", "cell": 1, "at": "up"}), ("clear", {}),
    ("inject", {"kind": "bus-error", "address": 28, "accesses": 1}), ("upset", {"address": 28, "bits": 5}),
    ("truth", {"name": "coupling_dac", "element": 1}), ("truth", {"name": "J"}), ("list", {}),
]  # fmt: skip


def _hostile(rng: random.Random) -> list[bytes]:
    """Anything: random bytes, odd headers, requests that are nearly right or right."""
    kind = rng.random()
    if kind < 0.1:
        return [rng.randbytes(rng.choice((0, 1, 5, 40, 5000))) for _ in range(rng.randrange(4))]
    verb, body = rng.choice(PLAUSIBLE)
    body = dict(body)
    if kind < 0.6:
        for _ in range(rng.randrange(1, 4)):
            body[rng.choice((*body, *KEYS))] = _value(rng)
    header: list[Any] = ["TSU", 1, rng.choice((verb, verb, verb, rng.choice(VERBS))), rng.getrandbits(64), body]
    if kind > 0.85:
        header[rng.randrange(5)] = _value(rng)
    packed = bytearray(msgpack.packb(header))
    if kind > 0.7 and rng.random() < 0.5:
        packed[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
        packed = packed[: rng.randrange(1, len(packed) + 1)] if rng.random() < 0.3 else packed
    return [bytes(packed), *([b"more"] if rng.random() < 0.05 else [])]


@pytest.mark.parametrize("door", ["lab", "oracle"])
@pytest.mark.parametrize("seed", [1, 2])
def test_hostile_messages_are_answered_and_what_is_refused_changes_nothing(door: str, seed: int) -> None:
    """2,000 messages to each door: most are refused, some are not, and the chip still runs."""
    rng, bench, outcomes = random.Random(seed), Bench(chain()), Counter[str]()
    for _ in range(CASES):
        before = digest(bench.chip.state)
        reply = decode_reply(bench._doors[door].handle(_hostile(rng)))
        if reply.failure is None:
            outcomes["done"] += 1
            continue
        outcomes[reply.failure.layer] += 1
        assert reply.failure.message
        assert digest(bench.chip.state) == before
    assert min(outcomes[k] for k in ("done", "transport", "bus")) > CASES / 50, outcomes
    bench.oracle("clear")
    bench.sweeps(3)
    assert bench.lab("read")["cycle"] > 0
