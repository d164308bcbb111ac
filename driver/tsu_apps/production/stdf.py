"""Results as STDF V4, the file format of testers (Standard Test Data Format specification, version 4; little endian)."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tsu_apps.production.limits import MOST, PASS_BIN, Limit, checked
from tsu_apps.production.programme import Part

CPU, VERSION = 2, 4
SITE, ALL_SITES = 1, 255
INVALID, FAILED = 1 << 1, 1 << 7
"""TEST_FLG: the result is no number; the test failed."""
INCLUSIVE = 0b1100_0000
"""PARM_FLG: a result at a limit passes."""
NO_SPECS, NO_LOW, NO_HIGH = 0b0000_1110, 0b0100_0000, 0b1000_0000
"""OPT_FLAG of PTR: bit 1 is reserved and 1, no specification limits; no lower, no upper limit."""
TSR_ALL, NO_TIME, NO_FIGURES = 0b1100_1000, 0b0000_0100, 0b0011_0011
"""OPT_FLAG of TSR: every figure is valid, reserved bits are 1; no test time; no extremes and sums, since nothing was measured."""
PART_FAILED = 1 << 3
MOST_TEXT = 255
RECORDS = {
    "FAR": (0, 10, "BB"), "MIR": (1, 10, "IIBcccHcNNNNNNNNNNNN"), "MRR": (1, 20, "IcNN"), "PCR": (1, 30, "BBIIIII"),
    "HBR": (1, 40, "BBHIcN"), "SBR": (1, 50, "BBHIcN"), "WIR": (2, 10, "BBIN"), "WRR": (2, 20, "BBIIIIIIN"),
    "PIR": (5, 10, "BB"), "PRR": (5, 20, "BBBHHHhhINNN"), "TSR": (10, 30, "BBcIIIINNNBfffff"),
    "PTR": (15, 10, "IBBBBfNNBbbbffNNNNff"),
}  # fmt: skip
"""Type, subtype and fields of each record, as `struct` has them; N for text, or bytes, after their length."""


@dataclass(frozen=True)
class Lot:
    """What a file is about.

    lot, wafer, part_type, job : names; started, finished : seconds since 1970 (UTC)
    places : x and y of each part on the wafer, none for parts that are no dies of a wafer
    """

    lot: str
    part_type: str
    job: str
    started: int
    finished: int
    wafer: str = ""
    places: Sequence[tuple[int, int]] = ()


def write(path: str | Path, lot: Lot, limits: Sequence[Limit], parts: Sequence[Part]) -> None:
    """Write a file of parts that were tested by these limits; ValueError if a text is not ASCII or longer than 255, or
    places are not one for each part."""
    Path(path).write_bytes(encode(lot, limits, parts))


def encode(lot: Lot, limits: Sequence[Limit], parts: Sequence[Part]) -> bytes:
    """The file's content; as `write`."""
    if len(lot.places) not in (0, len(parts)) or not all(abs(n) <= MOST for place in lot.places for n in place):
        raise ValueError(f"{len(lot.places)} places, {len(parts)} parts; one place each within +-{MOST}, or none, are expected")
    return b"".join(_records(lot, checked(limits), parts))


def record(name: str, *fields: object) -> bytes:
    """One record; fields that are left out at its end are missing in the file, as the format allows."""
    kind, subtype, codes = RECORDS[name]
    body = b"".join(_field(code, value) for code, value in zip(codes, fields, strict=False))
    return struct.pack("<HBB", len(body), kind, subtype) + body


def _field(code: str, value: object) -> bytes:
    if code == "N":
        data = value if isinstance(value, bytes) else str(value).encode("ascii")
        if len(data) > MOST_TEXT:
            raise ValueError(f"{value!r}: at most {MOST_TEXT} characters are expected")
        return bytes([len(data)]) + data
    return struct.pack("<" + code, str(value).encode("ascii") if code == "c" else value)


def _records(lot: Lot, limits: Sequence[Limit], parts: Sequence[Part]) -> Iterator[bytes]:
    good = sum(part.passed for part in parts)
    yield record("FAR", CPU, VERSION)
    yield record(
        "MIR", lot.started, lot.started, 1, "P", " ", " ", 65535, " ", lot.lot, lot.part_type, "tsu-test", "tsu-test", lot.job
    )
    if lot.wafer:
        yield record("WIR", 1, ALL_SITES, lot.started, lot.wafer)
    for number, part in enumerate(parts):
        yield from _part(limits, part, lot.places[number] if lot.places else (-32768, -32768))
    if lot.wafer:
        yield record("WRR", 1, ALL_SITES, lot.finished, len(parts), 0, 0, good, 0xFFFFFFFF, lot.wafer)
    for limit in limits:
        yield _summary(limit, parts)
    yield from _bins(limits, parts)
    yield record("PCR", ALL_SITES, SITE, len(parts), 0, 0, good, 0xFFFFFFFF)
    yield record("MRR", lot.finished)


def _part(limits: Sequence[Limit], part: Part, place: tuple[int, int]) -> Iterator[bytes]:
    yield record("PIR", 1, SITE)
    for limit in limits:
        if limit.name in part.values:
            yield _result(limit, part.values[limit.name])
    flags, tests = (0 if part.passed else PART_FAILED), sum(limit.name in part.values for limit in limits)
    milliseconds = round(1000.0 * sum(part.seconds.values()))
    yield record("PRR", 1, SITE, flags, tests, part.bin, part.soft_bin, *place, milliseconds, part.name, "", b"")


def _result(limit: Limit, value: float) -> bytes:
    flags = (0 if limit.passes(value) else FAILED) | (0 if math.isfinite(value) else INVALID)
    bounds = [bound if math.isfinite(bound) else 0.0 for bound in (limit.lower, limit.upper)]
    missing = NO_LOW * math.isinf(limit.lower) | NO_HIGH * math.isinf(limit.upper)
    number = value if math.isfinite(value) else 0.0
    return record(
        "PTR", limit.number, 1, SITE, flags, INCLUSIVE, number, limit.name, "", NO_SPECS | missing, 0, 0, 0, *bounds, limit.unit
    )


def _summary(limit: Limit, parts: Sequence[Part]) -> bytes:
    seen = [part.values[limit.name] for part in parts if limit.name in part.values]
    known = [value for value in seen if math.isfinite(value)]
    flags = TSR_ALL | NO_TIME | (0 if known else NO_FIGURES)
    failed = sum(not limit.passes(value) for value in seen)
    figures = 0.0, min(known, default=0.0), max(known, default=0.0), sum(known), sum(value**2 for value in known)
    return record("TSR", ALL_SITES, SITE, "P", limit.number, len(seen), failed, 0, limit.name, "", "", flags, *figures)


def _bins(limits: Sequence[Limit], parts: Sequence[Part]) -> Iterator[bytes]:
    """Hard bins, named after all tests that lead to them, and soft bins, one a test."""
    hard, soft = Counter(part.bin for part in parts), Counter(part.soft_bin for part in parts)
    names = {
        number: "/".join(x.name for x in limits if x.bin == number)[:MOST_TEXT] for number in sorted({x.bin for x in limits})
    }
    for number, name in ({PASS_BIN: "pass"} | names).items():
        yield record("HBR", ALL_SITES, SITE, number, hard[number], "P" if number == PASS_BIN else "F", name)
    for number, name in ({PASS_BIN: "pass"} | {x.number: x.name for x in limits}).items():
        yield record("SBR", ALL_SITES, SITE, number, soft[number], "P" if number == PASS_BIN else "F", name)
