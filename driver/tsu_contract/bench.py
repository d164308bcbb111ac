"""Messages of the lab bench: the instruments door and the oracle door. docs/bench.md is the prose.

Request: [header]; reply: [header][array ...]. A header is a msgpack array with the rules of `wire`; arrays are raw little-endian
frames whose names, types and shapes the header gives. Decoding a request checks its form. Replies come from a daemon that is
trusted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tsu_contract import PROTOCOL_MAJOR
from tsu_contract.errors import Code, Failure, Layer, fail
from tsu_contract.wire import MAGIC, Frame, pack, read_header, shown, unsigned

NAME_MAX = 32
"""Characters of a verb, and of a key of a body."""
DTYPES = ("<f8", "<i8", "<i4", "<i2", "<u2", "|u1")
"""Types of arrays."""


@dataclass(frozen=True)
class Request:
    """What is asked of a door; `number` tells its reply from others."""

    verb: str
    number: int
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What a door answers; `cycle` is the link's clock after the request."""

    verb: str
    number: int
    failure: Failure | None = None
    cycle: int = 0
    body: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """What the instruments are set to, and chip time.

    ambient_k : K; supply_v : V; offset, amplitude : of the source on the converters' external pin, in units of their range
    hz : its frequency; phase : in turns; cycle, seconds : chip time
    """

    ambient_k: float
    supply_v: float
    offset: float
    amplitude: float
    hz: float
    phase: float
    cycle: int
    seconds: float


def encode_request(request: Request) -> list[Frame]:
    """Frames of a request: [MAGIC, major, verb, number, body]."""
    return [pack([MAGIC, PROTOCOL_MAJOR, request.verb, request.number, request.body])]


def decode_request(frames: Sequence[Frame]) -> Request:
    """A request from its frames; ProtocolError (transport layer) says what is malformed."""
    if len(frames) != 1:
        raise fail(Code.BAD_FRAMES, f"{len(frames)} frames; 1 expected")
    _, _, verb, number, body = read_header(frames[0], 5)
    if not _is_name(verb):
        raise fail(Code.BAD_HEADER, f"the verb is {shown(verb)}; a text of 1 to {NAME_MAX} characters expected")
    unsigned(number, "number")
    if not isinstance(body, dict) or not all(_is_name(key) for key in body):
        raise fail(Code.BAD_HEADER, f"body is no map with keys of 1 to {NAME_MAX} characters")
    return Request(verb, number, body)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= NAME_MAX


def encode_reply(reply: Reply) -> list[Frame]:
    """Frames of a reply: [MAGIC, major, verb, number, status, cycle, body, [[name, type, shape] ...]], array ...

    On failure `body` is {message, address, field}, `field` being the key of the request's body that is to blame.
    """
    f = reply.failure
    body = {"message": f.message, "address": f.address, "field": f.field} if f else reply.body
    arrays = {name: np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for name, a in reply.arrays.items()}
    table = [[name, a.dtype.str, list(a.shape)] for name, a in arrays.items()]
    head = [MAGIC, PROTOCOL_MAJOR, reply.verb, reply.number, int(f.code) if f else 0, reply.cycle, body, table]
    return [pack(head), *(a.tobytes() for a in arrays.values())]


def decode_reply(frames: Sequence[Frame]) -> Reply:
    """A reply from its frames; ProtocolError (transport layer) if they are malformed."""
    if not frames:
        raise fail(Code.BAD_FRAMES, "no frames; at least 1 expected")
    _, _, verb, number, status, cycle, body, table = read_header(frames[0], 8)
    try:
        failure = Failure(Code(status), **body) if status else None
        arrays = {name: _array(dtype, shape, frame) for (name, dtype, shape), frame in zip(table, frames[1:], strict=True)}
    except (TypeError, ValueError) as error:
        raise fail(Code.BAD_HEADER, f"malformed reply: {error}") from None
    return Reply(verb, number, failure, cycle, {} if failure else body, arrays)


def _array(dtype: str, shape: list[int], frame: Frame) -> NDArray[Any]:
    if dtype not in DTYPES:
        raise ValueError(f"arrays of type {dtype!r}")
    return np.frombuffer(frame, dtype).reshape(shape)


class Arguments:
    """A request's body, asked for by key: every value has a type and a range, and what is wrong names its key (bus layer)."""

    def __init__(self, body: dict[str, Any], keys: Sequence[str]) -> None:
        self._body = body
        self.only(keys)

    def only(self, keys: Sequence[str]) -> None:
        """ProtocolError if the body has another key than these."""
        for key in self._body:
            if key not in keys:
                raise fail(Code.BAD_OPERATION, f"{key!r} is no value of this request; {_listed(keys)} expected", field=key)

    def given(self, key: str) -> bool:
        """Whether the body has a value for a key."""
        return key in self._body

    def _value(self, key: str) -> Any:
        if key not in self._body:
            raise fail(Code.BAD_OPERATION, f"{key} is missing", field=key)
        return self._body[key]

    def number(self, key: str, low: float, high: float) -> float:
        """A number of low .. high."""
        value = self._value(key)
        if type(value) not in (int, float) or not low <= value <= high:
            raise fail(Code.OUT_OF_RANGE, f"{key} = {shown(value)}; a number of {low:.10g} to {high:.10g} expected", field=key)
        return float(value)

    def integer(self, key: str, low: int, high: int) -> int:
        """An integer of low .. high."""
        value = self._value(key)
        if type(value) is not int or not low <= value <= high:
            raise fail(Code.OUT_OF_RANGE, f"{key} = {shown(value)}; {_span(low, high)} expected", field=key)
        return value

    def word(self, key: str, words: Sequence[str]) -> str:
        """One of some words."""
        value = self._value(key)
        if not isinstance(value, str) or value not in words:
            raise fail(Code.OUT_OF_RANGE, f"{key} is {shown(value)}; {_listed(words)} expected", field=key)
        return value


def _span(low: int, high: int) -> str:
    return f"an integer of {low} to {high}" if low <= high else "nothing: the chip has none"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) if words else "none"


class Dealer(Protocol):
    """What `exchange` needs of a ZeroMQ DEALER."""

    def send_multipart(self, frames: list[Frame], /) -> Any: ...
    def recv_multipart(self) -> list[bytes]: ...
    def poll(self, milliseconds: int, /) -> int: ...


def exchange(dealer: Dealer, request: Request, timeout_s: float) -> Reply | None:
    """The reply to a request, or None if none comes in time. Replies to earlier requests are dropped."""
    deadline = time.monotonic() + timeout_s
    dealer.send_multipart(encode_request(request))
    while (left := deadline - time.monotonic()) > 0 and dealer.poll(max(1, int(left * 1000))):
        reply = decode_reply(dealer.recv_multipart())
        unreadable = reply.number == 0 and reply.failure is not None and reply.failure.layer is Layer.TRANSPORT
        if reply.number == request.number or unreadable:
            return reply
    return None


# Faults, which only the oracle has

POSITIONS = ("down", "up", "floating")
"""Where a cell is stuck; one that floats hears nothing."""
FAULTS: dict[str, tuple[str, ...]] = {
    "stuck-cell": ("cell", "at"),
    "stuck-coupling-bit": ("coupler", "bit", "at"),
    "stuck-bias-bit": ("term", "bit", "at"),
    "dead-adc": ("converter",),
    "bus-error": ("address", "accesses"),
    "dropped-interrupt": ("events", "count"),
}
"""Kinds of faults, numbered from 1 in this order, and what each is told by; `at` is of POSITIONS for a cell, 0 or 1 for a bit."""


def fault_of(row: Sequence[int]) -> dict[str, Any]:
    """A row (number, kind, values ...) of the oracle's array `faults` in words: fault, kind, and the kind's own keys."""
    number, kind, *values = (int(n) for n in row)
    name = list(FAULTS)[kind - 1]
    fault: dict[str, Any] = {"fault": number, "kind": name, **dict(zip(FAULTS[name], values, strict=False))}
    return {**fault, "at": POSITIONS[fault["at"]]} if name == "stuck-cell" else fault
