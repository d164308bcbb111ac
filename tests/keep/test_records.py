"""Segments of a journal: torn tails are cut, damage before them is refused, and nothing can be left out or moved."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tsu_emu.keep.records import HEAD_BYTES, JournalError, Record, What, encode, head, join_frames, read, split_frames

BODIES = [b"", b"x", b"\xa5TSr" * 9, bytes(300), b"TSUJOUR\n"]


def segment(count: int = 12) -> tuple[bytes, list[int], list[Record]]:
    """A segment as durable mode writes it, where its records begin, and the records."""
    data, chain, starts, records = head(5, 77), 77, [], []
    for k in range(count):
        starts.append(len(data))
        records.append(Record(What.REQUEST, 5 + k, 100 * k, 9, len(data), BODIES[k % len(BODIES)]))
        part, chain = encode(records[-1], chain)
        data += part
    return data, [*starts, len(data)], records


def test_records_are_read_as_they_were_written() -> None:
    data, _, records = segment()
    found = read("j", data)
    assert (found.first, found.chain, found.records, found.cut) == (5, 77, records, 0)


def test_frames_come_back() -> None:
    for frames in ([], [b""], [b"a", b"", b"ccc"], [bytes(1000)] * 3):
        assert split_frames(join_frames(frames)) == frames
    assert split_frames(join_frames([memoryview(b"ab"), bytearray(b"c")])) == [b"ab", b"c"]


def test_segment_that_ends_anywhere_is_read_up_to_its_last_whole_record() -> None:
    data, starts, records = segment(5)
    for length in range(len(data)):
        found = read("j", data[:length])
        whole = [record for record, end in zip(records, starts[1:], strict=True) if end <= length]
        assert found.records == whole
        assert found.cut == length - (max(s for s in starts if s <= length) if length >= HEAD_BYTES else 0)


def test_every_flipped_bit_before_the_last_record_is_refused_and_in_the_last_it_is_cut() -> None:
    data, starts, records = segment(6)
    for bit in range(8 * len(data)):
        bad = bytearray(data)
        bad[bit // 8] ^= 1 << bit % 8
        if bit // 8 < starts[-2]:
            with pytest.raises(JournalError, match=r"offset \d+"):
                read("j", bytes(bad))
        else:
            found = read("j", bytes(bad))
            assert (found.records, found.cut) == (records[:-1], starts[-1] - starts[-2])


def test_many_flipped_bits_are_never_taken() -> None:
    data, starts, _ = segment()
    rng = random.Random(3)
    for _ in range(2000):
        bad = bytearray(data)
        for bit in {rng.randrange(8 * starts[-2]) for _ in range(rng.randrange(2, 9))}:
            bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(JournalError):
            read("j", bytes(bad))


def test_record_left_out_repeated_or_moved_is_refused() -> None:
    data, starts, _ = segment()
    parts = [data[a:b] for a, b in pairwise(starts)]
    for order in ([0, 1, 3, 4, 5], [0, 1, 1, 2, 3], [0, 2, 1, 3, 4], [1, 2, 3]):
        with pytest.raises(JournalError):
            read("j", data[:HEAD_BYTES] + b"".join(parts[k] for k in order))


def test_what_was_never_said_to_be_on_the_disk_may_be_missing() -> None:
    """Power went before a sync: an earlier record of that time is zeros, a later one has arrived."""
    data, chain, records, starts = head(0, 0), 0, [], []
    for k in range(6):
        starts.append(len(data))
        records.append(Record(What.REQUEST, k, k, 1, starts[min(k, 3)], bytes(50)))
        part, chain = encode(records[-1], chain)
        data += part
    bad = bytearray(data)
    bad[starts[3] : starts[4]] = bytes(starts[4] - starts[3])
    assert read("j", bytes(bad)).records == records[:3]
    bad = bytearray(data)
    bad[starts[2] : starts[3]] = bytes(starts[3] - starts[2])
    with pytest.raises(JournalError):
        read("j", bytes(bad))
