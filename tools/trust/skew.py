"""F12, the wire's half: another major version, another register map, kinds and headers of later protocols are refused in type.

Each case is one message to a server in process. It must be answered with the code that docs/protocol.md names, leave the chip as
it was, and the next good request must be carried out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
from trust.effort import Effort

from server.harness import Client, fingerprint, small_server
from tsu_apps.report import Row
from tsu_contract.errors import Code, ProtocolError
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind, Reply, decode_reply, encode_reply

MAJORS = (0, 2, 3, 255, (1 << 64) - 1, -1, True, 1.0, "1", b"1", None, [1], {})
UNKNOWN_KINDS = (0, len(Kind) + 1, 255, (1 << 64) - 1, -1, True, 2.0, "HELLO", b"", None, [2], {})
MAPS: tuple[Any, ...] = (
    "", "0" * 64, MAP_HASH[:63], MAP_HASH + "0", MAP_HASH.upper(), MAP_HASH.encode(), 0, None, [MAP_HASH], {MAP_HASH: 1},
)  # fmt: skip
REQUEST_VALUES, REPLY_VALUES = 6, 12

Case = tuple[str, list[bytes], Code]
"""What it is, its frames, and how it is to be answered."""


def _header(*values: Any) -> bytes:
    return bytes(msgpack.packb(list(values)))


def _requests(session: int, seq: int) -> Iterator[Case]:
    """Requests of other versions, in a session that is open."""
    for kind in Kind:
        for major in MAJORS:
            frames = [_header("TSU", major, int(kind), session, seq, {}), b""]
            yield f"major {major!r}, {kind.name}", frames, Code.BAD_VERSION
        whole = ["TSU", 1, int(kind), session, seq, {}, 0, 0, 0, 0, {}, []]
        for length in range(2, len(whole) + 1):
            if length != REQUEST_VALUES:
                yield f"header of {length} values, {kind.name}", [_header(*whole[:length])], Code.BAD_HEADER
    for length in range(2):
        yield f"header of {length} values", [_header(*["TSU"][:length])], Code.BAD_HEADER
    for kind in UNKNOWN_KINDS:
        yield f"kind {kind!r}", [_header("TSU", 1, kind, session, seq, {})], Code.BAD_HEADER
    for theirs in MAPS:
        yield f"map {theirs!r}"[:60], [_header("TSU", 1, 1, 0, 0, {"map_hash": theirs})], Code.MAP_MISMATCH
    yield "no map", [_header("TSU", 1, 1, 0, 0, {"client": "later"})], Code.MAP_MISMATCH


def _replies() -> Iterator[Case]:
    """Replies of other versions, as a driver meets them."""
    good = msgpack.unpackb(bytes(encode_reply(Reply(Kind.OPERATE, 1, 1))[0]))
    for major in MAJORS:
        yield f"reply of major {major!r}", [_header(good[0], major, *good[2:]), b""], Code.BAD_VERSION
    for length in range(2, REPLY_VALUES + 3):
        if length != REPLY_VALUES:
            yield f"reply header of {length} values", [_header(*(good + [0, 0, 0])[:length]), b""], Code.BAD_HEADER
    for place, value, what in ((2, len(Kind) + 1, "kind"), (5, 999, "status")):
        yield f"reply of unknown {what}", [_header(*good[:place], value, *good[place + 1 :]), b""], Code.BAD_HEADER


def _request_faults(client: Client) -> Iterator[tuple[str, bool]]:
    for what, frames, code in list(_requests(client.session, client.seq + 1)):
        before = fingerprint(client.server)
        reply = decode_reply(client.server.handle(frames))
        refused = reply.failure is not None and reply.failure.code is code and bool(reply.failure.message)
        untouched = fingerprint(client.server) == before
        yield what, refused and untouched and client.value("SYS.ID") == 0x75500104


def _reply_faults() -> Iterator[tuple[str, bool]]:
    for what, frames, code in _replies():
        try:
            decode_reply(frames)
        except ProtocolError as error:
            yield what, error.failure.code is code
        else:
            yield what, False


def measure(effort: Effort) -> list[Row]:
    """Cases in which the answer is not the one promised; the matrix is small, so that every size has all of it."""
    outcomes = [*_request_faults(Client(small_server())), *_reply_faults()]
    effort.progress(1.0)
    wrong = [what for what, good in outcomes if not good]
    note = f": {wrong[:3]}; {effort.again('F12')}" if wrong else ""
    return [
        Row("messages of other versions", float(len(outcomes))),
        Row.at_most(f"of them not refused as promised{note}", len(wrong), 0),
    ]
