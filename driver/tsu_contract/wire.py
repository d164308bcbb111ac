"""Messages between driver and daemon, as lists of frames, in both directions. docs/protocol.md is the prose.

Request: [header][operation records][payload ...]; reply: [header][values][data ...]. A header is a msgpack array; all bulk
data are raw little-endian frames. Decoding a request checks its form: types, lengths,
limits. Replies come from a daemon that is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from tsu_contract import PROTOCOL_MAJOR
from tsu_contract.errors import Code, Failure, fail
from tsu_contract.operations import RECORD

MAGIC = "TSU"
HEADER_BYTES_MAX = 4096
OPERATIONS_MAX = 65536
"""Records of one message."""
FRAMES_MAX = 4096
"""Frames of one message."""
PAYLOAD_BYTES_MAX = 256 << 20
"""All payload frames of one message together, and all data frames of its reply."""

Frame = bytes | bytearray | memoryview


class Kind(IntEnum):
    """What a request asks for."""

    HELLO = 1
    OPERATE = 2
    BYE = 3
    STATUS = 4
    PEEK = 5
    LEASE = 6
    SUBSCRIBE = 7


WITH_RECORDS = (Kind.OPERATE, Kind.PEEK)
"""Kinds whose requests have a frame of operation records."""


_NO_RECORDS, _NO_VALUES = np.empty(0, RECORD), np.empty(0, np.uint32)


@dataclass
class Request:
    """A decoded request. Made for every message, hence not frozen, which costs a microsecond; nobody changes it.

    records : (n,) of `operations.RECORD`
    payloads : raw bytes, one for each BLKWR in order
    body : what HELLO says of the client, LEASE and SUBSCRIBE of what they ask for
    """

    kind: Kind
    session: int
    seq: int
    records: NDArray[Any] = field(default_factory=lambda: _NO_RECORDS)
    payloads: tuple[Frame, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Interrupt:
    """An interrupt event: its number since power-on, its chip time, PENDING after it."""

    number: int
    cycle: int
    pending: int


@dataclass
class Reply:
    """A decoded reply. Not frozen, as `Request`.

    executed : operations that were carried out
    t_start, t_end : chip time in cycles before the first and after the last of them
    values : (executed,) uint32, one per operation carried out
    data : raw bytes, one for each BLKRD carried out
    interrupts, interrupts_lost : events since this session's last reply, and how many of them the log no longer held
    """

    kind: Kind
    session: int
    seq: int
    failure: Failure | None = None
    executed: int = 0
    t_start: int = 0
    t_end: int = 0
    interrupts: tuple[Interrupt, ...] = ()
    interrupts_lost: int = 0
    body: dict[str, Any] = field(default_factory=dict)
    values: NDArray[np.uint32] = field(default_factory=lambda: _NO_VALUES)
    data: tuple[Frame, ...] = ()


def pack(values: list[Any]) -> bytes:
    packed: bytes = msgpack.packb(values)
    return packed


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("duplicate keys")
    return out


def read_header(frame: Frame, length: int) -> list[Any]:
    """A header's values after its magic and version are checked."""
    if len(frame) > HEADER_BYTES_MAX:
        raise fail(Code.TOO_LARGE, f"header of {len(frame)} bytes; at most {HEADER_BYTES_MAX}")
    try:
        values = msgpack.unpackb(frame, strict_map_key=True, object_pairs_hook=_unique, ext_hook=_no_extension)
    except Exception as error:  # msgpack raises a dozen types on hostile bytes
        raise fail(Code.BAD_HEADER, f"the header is no msgpack array: {type(error).__name__}") from None
    if not isinstance(values, list) or len(values) < 2 or values[0] != MAGIC:
        raise fail(Code.BAD_HEADER, f"the header does not start with {MAGIC!r}")
    if type(values[1]) is not int or values[1] != PROTOCOL_MAJOR:
        raise fail(Code.BAD_VERSION, f"protocol {shown(values[1])}; this side speaks {PROTOCOL_MAJOR}")
    if len(values) != length:
        raise fail(Code.BAD_HEADER, f"header of {len(values)} values; {length} expected")
    return values


def shown(value: Any) -> str:
    """A hostile value in few words: a container is not looked into."""
    return repr(value)[:40] if isinstance(value, int | float | str | bytes | None) else f"of type {type(value).__name__}"


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError("extension types are not used")


def unsigned(value: Any, name: str, bits: int = 64) -> int:
    if type(value) is not int or not 0 <= value < 1 << bits:
        raise fail(Code.BAD_HEADER, f"{name} is {shown(value)}; an unsigned {bits}-bit integer expected")
    return value


def encode_request(request: Request) -> list[Frame]:
    """Frames of a request: [MAGIC, major, kind, session, seq, body], records, payloads."""
    head = pack([MAGIC, PROTOCOL_MAJOR, int(request.kind), request.session, request.seq, request.body])
    if request.kind not in WITH_RECORDS:
        return [head]
    return [head, request.records.tobytes(), *request.payloads]


def decode_request(frames: Sequence[Frame]) -> Request:
    """A request from its frames; ProtocolError (transport layer) says what is malformed."""
    if not 1 <= len(frames) <= FRAMES_MAX:
        raise fail(Code.BAD_FRAMES, f"{len(frames)} frames; 1 to {FRAMES_MAX} expected")
    _, _, kind, session, seq, body = read_header(frames[0], 6)
    if type(kind) is not int or kind not in Kind._value2member_map_:
        raise fail(Code.BAD_HEADER, f"unknown kind {shown(kind)}")
    unsigned(session, "session")
    unsigned(seq, "seq")
    if not isinstance(body, dict):
        raise fail(Code.BAD_HEADER, "body is no map")
    kind = Kind(kind)
    if kind not in WITH_RECORDS:
        if len(frames) != 1:
            raise fail(Code.BAD_FRAMES, f"{kind.name} has one frame, not {len(frames)}")
        return Request(kind, session, seq, body=body)
    if len(frames) < 2:
        raise fail(Code.BAD_FRAMES, f"{kind.name} lacks its records")
    if len(frames[1]) % RECORD.itemsize:
        raise fail(Code.BAD_FRAMES, f"records of {len(frames[1])} bytes; a multiple of {RECORD.itemsize} expected")
    if len(frames[1]) > OPERATIONS_MAX * RECORD.itemsize:
        raise fail(Code.TOO_LARGE, f"{len(frames[1]) // RECORD.itemsize} operations; at most {OPERATIONS_MAX}")
    payloads = tuple(frames[2:])
    if sum(map(len, payloads)) > PAYLOAD_BYTES_MAX:
        raise fail(Code.TOO_LARGE, f"payload beyond {PAYLOAD_BYTES_MAX} bytes")
    return Request(kind, session, seq, np.frombuffer(frames[1], RECORD), payloads, body)


def encode_reply(reply: Reply) -> list[Frame]:
    """Frames of a reply: [MAGIC, major, kind, session, seq, status, executed, t_start, t_end, irqs, lost, body], values, data.

    On failure `body` is {message, index, address, field}; `values` and `data` hold what was carried out before it.
    """
    f = reply.failure
    body = {"message": f.message, "index": f.index, "address": f.address, "field": f.field} if f else reply.body
    irqs = [[i.number, i.cycle, i.pending] for i in reply.interrupts]
    times = [reply.executed, reply.t_start, reply.t_end]
    status = int(f.code) if f else 0
    head = [MAGIC, PROTOCOL_MAJOR, int(reply.kind), reply.session, reply.seq, status, *times, irqs, reply.interrupts_lost, body]
    return [pack(head), reply.values.tobytes(), *reply.data]


def decode_reply(frames: Sequence[Frame]) -> Reply:
    """A reply from its frames; ProtocolError (transport layer) if they are malformed."""
    if len(frames) < 2:
        raise fail(Code.BAD_FRAMES, f"{len(frames)} frames; at least 2 expected")
    _, _, kind, session, seq, status, executed, t_start, t_end, irqs, lost, body = read_header(frames[0], 12)
    try:
        failure = Failure(Code(status), **body) if status else None
        interrupts = tuple(Interrupt(*row) for row in irqs)
        values = np.frombuffer(frames[1], np.uint32)
        return Reply(
            Kind(kind), session, seq, failure, executed, t_start, t_end, interrupts, lost,
            {} if failure else body, values, tuple(frames[2:]),
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise fail(Code.BAD_HEADER, f"malformed reply: {error}") from None
