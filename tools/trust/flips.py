"""F11: bits that turn over in what is kept: a snapshot is not taken, a journal is refused or loses only damaged records at its
end, which may never have arrived."""

from __future__ import annotations

import random

import numpy as np
from trust.effort import Effort

from tsu_apps.report import Row
from tsu_emu.chip import Chip
from tsu_emu.config import parse
from tsu_emu.keep.identity import identity_of
from tsu_emu.keep.records import JournalError, Record, What, encode, head, read
from tsu_emu.keep.snapshot import SnapshotError, decode, joined
from tsu_emu.keep.snapshot import encode as encode_snapshot

CONFIG = parse({"name": "flipped", "fabric": {"planes": 4, "topology": {"kind": "dense", "cells": 12}}})
RECORDS = 40


def snapshot() -> bytes:
    """Of a chip at power-on."""
    chip = Chip(CONFIG)
    return joined(encode_snapshot(identity_of(CONFIG), 0, 0, chip.state, {"sessions": [], "chain": 0}))


def journal(rng: random.Random) -> tuple[bytes, list[int]]:
    """A segment as durable mode writes it, and where its records begin."""
    data, chain, starts = head(0, 0), 0, []
    for k in range(RECORDS):
        last = len(data)
        starts.append(last)
        part, chain = encode(Record(What.REQUEST, k, 10 * k, rng.getrandbits(60), last, rng.randbytes(rng.randrange(400))), chain)
        data += part
    return data, starts


def flipped(data: bytes, rng: random.Random) -> bytes:
    """One bit in half of the cases, up to eight else."""
    bad = np.frombuffer(data, np.uint8).copy()
    for bit in {rng.randrange(8 * len(data)) for _ in range(rng.choice((1, rng.randrange(1, 9))))}:
        bad[bit // 8] ^= 1 << bit % 8
    return bad.tobytes()


def snapshot_taken(data: bytes) -> bool:
    """Whether damaged bytes are taken for a snapshot."""
    try:
        decode(data)
    except SnapshotError:
        return False
    return True


def journal_taken(data: bytes, whole: bytes, starts: list[int]) -> bool:
    """Whether damaged bytes are taken for a journal without a word, or for one that lacks a record which is not damaged."""
    try:
        found = read("journal", data)
    except JournalError:
        return False
    ends = [*starts[1:], len(whole)]
    lost = list(zip(starts, ends, strict=True))[len(found.records) :]
    return not found.cut or any(data[begin:end] == whole[begin:end] for begin, end in lost)


def measure(effort: Effort) -> list[Row]:
    """Rows of F11."""
    rng, count, taken = random.Random(effort.seed), effort.size(2000, 200_000), [0, 0]
    whole, (segment, starts) = snapshot(), journal(rng)
    for k in range(count):
        taken[0] += snapshot_taken(flipped(whole, rng))
        taken[1] += journal_taken(flipped(segment, rng), segment, starts)
        if k % 100 == 0:
            effort.progress(k / count)
    again = "" if not any(taken) else f" ({effort.again('F11')})"
    return [
        Row.at_most(f"damaged snapshots taken, of {count}{again}", taken[0], 0),
        Row.at_most(f"damaged journals taken, of {count}{again}", taken[1], 0),
    ]
