"""Records of a journal as bytes, one after the other, each tied to the one before by its check sum.

    segment: magic 8 | version u32 | number of the first record u64 | chain u32 | CRC-32 of all before
    record:  mark 4 | bytes of the body u32 | kind u8, 3 of 0 | chain u32 | number, time, session, safe u64 each | body | CRC-32

`chain` is the CRC of the record before, so that none can be changed, left out or moved. `safe` says how many bytes of the
segment were on the disk when the record was written: what is bad before that was damaged, what is bad after may not have arrived.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from tsu_contract.wire import Frame

MAGIC = b"TSUJOUR\n"
VERSION = 1
HEAD = struct.Struct("<8sIQI")
MARK = b"\xa5TSr"
RECORD = struct.Struct("<4sIB3xIQQQQ")
CRC = struct.Struct("<I")
HEAD_BYTES = HEAD.size + CRC.size
COUNT = struct.Struct("<I")


class JournalError(Exception):
    """A journal that is damaged, or none; says where, and what to do."""


class What(IntEnum):
    """What a record is about."""

    REQUEST = 1
    """Frames of a request at the front door."""
    INSTRUMENTS = 2
    """Frames of a request at the instruments' door."""
    ORACLE = 3
    """Frames of a request at the oracle's door."""
    UNDONE = 4
    """The request before was broken off, and nothing of it stands."""
    DECIDED = 5
    """What the daemon decided of the session of the record, in a word; no request asked for it."""
    REPLY = 6
    """Check sums of the reply to the request before."""
    END = 7
    """Digest of the state at the end of a recording."""


REQUESTS = (What.REQUEST, What.INSTRUMENTS, What.ORACLE)


class Record(NamedTuple):
    """number : of the request, counted from power-on; time : the link's clock before it; session : number that a session which
    is opened by it gets, or that a decision is about; safe : see above; body : for requests, `join_frames`"""

    what: What
    number: int
    time: int
    session: int
    safe: int
    body: bytes


def head(first: int, chain: int) -> bytes:
    """The beginning of a segment whose records count from `first`, and go on from the check sum `chain`."""
    data = HEAD.pack(MAGIC, VERSION, first, chain)
    return data + CRC.pack(zlib.crc32(data))


def encode(record: Record, chain: int) -> tuple[bytes, int]:
    """Bytes of a record after the check sum `chain`, and its own."""
    what, number, time, session, safe, body = record
    data = RECORD.pack(MARK, len(body), what, chain, number, time, session, safe) + body
    crc = zlib.crc32(data)
    return data + CRC.pack(crc), crc


def join_frames(frames: Sequence[Frame]) -> bytes:
    """Frames with their lengths: the body of a request's record."""
    return b"".join((COUNT.pack(len(frames)), *(COUNT.pack(len(f)) for f in frames), *frames))


def split_frames(body: bytes) -> list[Frame]:
    """The frames that `join_frames` was given."""
    (count,) = COUNT.unpack_from(body)
    lengths = struct.unpack_from(f"<{count}I", body, COUNT.size)
    frames: list[Frame] = []
    at = COUNT.size * (1 + count)
    for length in lengths:
        frames.append(body[at : at + length])
        at += length
    return frames


class Segment(NamedTuple):
    """A segment as it was read. first, chain : of its head; last : check sum after its last record; cut : bytes at the end that
    are no record, for they never arrived whole"""

    first: int
    chain: int
    records: list[Record]
    last: int
    cut: int


def read(name: str, data: bytes) -> Segment:
    """Records of a segment up to where it was being written; JournalError if it is damaged before that."""
    if len(data) < HEAD_BYTES:
        return Segment(-1, 0, [], 0, len(data))
    if zlib.crc32(data[: HEAD.size]) != CRC.unpack_from(data, HEAD.size)[0]:
        _refuse_damage(name, data, 0)
        return Segment(-1, 0, [], 0, len(data))
    magic, version, first, chain = HEAD.unpack_from(data)
    if magic != MAGIC:
        raise JournalError(f"{name}: this is no journal")
    if version != VERSION:
        raise JournalError(f"{name}: version {version} of journals; this program reads version {VERSION}")
    records: list[Record] = []
    at, last = HEAD_BYTES, chain
    while at < len(data):
        found = _record(data, at)
        if found is None or found[2] != last:
            _refuse_damage(name, data, at)
            break
        record, end, _ = found
        (last,) = CRC.unpack_from(data, end - CRC.size)
        at = end
        records.append(record)
    return Segment(first, chain, records, last, len(data) - at)


def _record(data: bytes, at: int) -> tuple[Record, int, int] | None:
    """The record at an offset, where the next one begins, and the check sum before it; None if there is no sound one."""
    if len(data) < at + RECORD.size + CRC.size:
        return None
    mark, length, what, chain, number, time, session, safe = RECORD.unpack_from(data, at)
    end = at + RECORD.size + length
    if mark != MARK or len(data) < end + CRC.size or what not in What._value2member_map_:
        return None
    if zlib.crc32(memoryview(data)[at:end]) != CRC.unpack_from(data, end)[0]:
        return None
    return Record(What(what), number, time, session, safe, data[at + RECORD.size : end]), end + CRC.size, chain


def _refuse_damage(name: str, data: bytes, bad: int) -> None:
    """JournalError if a sound record after an offset says that what is there had been on the disk."""
    at = data.find(MARK, bad)
    while at >= 0:
        found = _record(data, at)
        if found is not None and found[0].safe > bad:
            raise JournalError(
                f"{name}, offset {bad}: the record there is damaged, and records after it are sound. Nothing was changed. Bring "
                "the file back from a copy, or move it and later files away to go on from the snapshot before it"
            )
        at = data.find(MARK, at + 1)
