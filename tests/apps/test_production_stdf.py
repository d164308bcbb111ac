"""STDF files, read back by a decoder that shares nothing with the encoder."""

from __future__ import annotations

import dataclasses
import math
import struct
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("scipy")

from tsu_apps.production import Limit, Part, judged, stdf

LIMITS = (
    Limit(20, "slope-mean", "", 0.9, 1.1, bin=3),
    Limit(10, "offset-rms", "kT", upper=0.3, bin=2),
    Limit(30, "adc-enob", "bit", lower=8.0, bin=4),
)
NAMES = {
    (0, 10): "FAR", (1, 10): "MIR", (1, 20): "MRR", (1, 30): "PCR", (1, 40): "HBR", (1, 50): "SBR", (2, 10): "WIR",
    (2, 20): "WRR", (5, 10): "PIR", (5, 20): "PRR", (10, 30): "TSR", (15, 10): "PTR",
}  # fmt: skip


def part(name: str, rms: float, mean: float, enob: float | None = 9.0) -> Part:
    """A part that was tested in a second and a half."""
    values = {"offset-rms": rms, "slope-mean": mean} | ({} if enob is None else {"adc-enob": enob})
    return judged(name, LIMITS, values, {"self-test": 1.0, "offsets": 0.5})


PARTS = (part("a1", 0.2, 1.0), part("b2", 0.31, 1.2), part("c3", float("nan"), 1.0), part("d4", 0.1, 1.1, None))
LOT = stdf.Lot("L7", "digits-typical", "standard", 1_700_000_000, 1_700_000_100, "W1", [(0, 0), (1, 0), (0, 1), (1, -1)])


def records(data: bytes) -> list[tuple[str, bytes]]:
    """(name, body) of each record; the file ends where a record does."""
    found, at = [], 0
    while at < len(data):
        size, kind, subtype = data[at] + 256 * data[at + 1], data[at + 2], data[at + 3]
        assert at + 4 + size <= len(data)
        found.append((NAMES[kind, subtype], data[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


class Cursor:
    """Reads one field after the other from a record."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def take(self, form: str) -> Any:
        """A number."""
        (value,) = struct.unpack_from("<" + form, self._body, self._at)
        self._at += struct.calcsize(form)
        return value

    def text(self) -> str:
        """A text after its length."""
        size = self.take("B")
        self._at += size
        return self._body[self._at - size : self._at].decode("ascii")

    @property
    def left(self) -> int:
        """Bytes that nobody has read."""
        return len(self._body) - self._at


def test_records_come_in_the_order_of_the_format() -> None:
    names = [name for name, _ in records(stdf.encode(LOT, LIMITS, PARTS))]
    per_part = ["PIR", "PTR", "PTR", "PTR", "PRR"]
    wanted = ["FAR", "MIR", "WIR", *per_part * 3, "PIR", "PTR", "PTR", "PRR", "WRR"]
    assert names == wanted + ["TSR"] * 3 + ["HBR"] * 4 + ["SBR"] * 4 + ["PCR", "MRR"]
    plain = stdf.encode(stdf.Lot("L7", "x", "j", 1, 2), LIMITS, PARTS)
    assert {"WIR", "WRR"}.isdisjoint(name for name, _ in records(plain))


def test_heads_and_results_say_what_was_measured() -> None:
    found = records(stdf.encode(LOT, LIMITS, PARTS))
    assert found[0] == ("FAR", bytes([2, 4]))
    mir = Cursor(found[1][1])
    assert [mir.take(form) for form in ("I", "I", "B", "c", "c", "c", "H", "c")][:2] == [1_700_000_000] * 2
    assert [mir.text() for _ in range(5)] == ["L7", "digits-typical", "tsu-test", "tsu-test", "standard"]
    assert mir.left == 0
    tests = [Cursor(body) for name, body in found if name == "PTR"]
    read = []
    for ptr in tests:
        number, head, site, flags, parametric, value = (ptr.take(form) for form in ("I", "B", "B", "B", "B", "f"))
        name, alarm, options = ptr.text(), ptr.text(), ptr.take("B")
        scales, low, high, unit = [ptr.take("b") for _ in range(3)], ptr.take("f"), ptr.take("f"), ptr.text()
        assert (head, site, parametric, alarm, scales, ptr.left) == (1, 1, 0b11000000, "", [0, 0, 0], 0)
        read.append((number, flags, value, name, options, low, high, unit))
    single = struct.unpack("<f", struct.pack("<f", 0.2))[0], struct.unpack("<f", struct.pack("<f", 0.3))[0]
    assert read[0] == (10, 0, single[0], "offset-rms", 0b01001110, 0.0, single[1], "kT")
    assert [r[1] for r in read] == [0, 0, 0, 0x80, 0x80, 0, 0x82, 0, 0, 0, 0]
    assert [r[4] & 0xC0 for r in read[:3]] == [0x40, 0x00, 0x80]


def test_parts_go_to_the_bin_of_the_first_test_that_fails() -> None:
    found = records(stdf.encode(LOT, LIMITS, PARTS))
    ends = []
    for cursor in (Cursor(body) for name, body in found if name == "PRR"):
        fields = [cursor.take(form) for form in ("B", "B", "B", "H", "H", "H", "h", "h", "I")]
        ends.append((*fields[2:], cursor.text()))
    assert ends == [
        (0, 3, 1, 1, 0, 0, 1500, "a1"), (8, 3, 2, 10, 1, 0, 1500, "b2"), (8, 3, 2, 10, 0, 1, 1500, "c3"),
        (0, 2, 1, 1, 1, -1, 1500, "d4"),
    ]  # fmt: skip


def test_summaries_count() -> None:
    found = records(stdf.encode(LOT, LIMITS, PARTS))
    tests = []
    for cursor in (Cursor(body) for name, body in found if name == "TSR"):
        head = [cursor.take(form) for form in ("B", "B", "c", "I", "I", "I", "I")]
        name, _, _, flags = cursor.text(), cursor.text(), cursor.text(), cursor.take("B")
        tests.append((head[3], head[4], head[5], name, flags, *(round(cursor.take("f"), 4) for _ in range(5))))
    assert tests == [
        (10, 4, 2, "offset-rms", 0xCC, 0.0, 0.1, 0.31, 0.61, 0.1461),
        (20, 4, 1, "slope-mean", 0xCC, 0.0, 1.0, 1.2, 4.3, 4.65),
        (30, 3, 0, "adc-enob", 0xCC, 0.0, 9.0, 9.0, 27.0, 243.0),
    ]
    bins = {}
    for kind in ("HBR", "SBR"):
        for cursor in (Cursor(body) for name, body in found if name == kind):
            _, _, number, count, good = (cursor.take(form) for form in ("B", "B", "H", "I", "c"))
            bins[kind, number] = (count, good, cursor.text())
    assert bins["HBR", 1] == bins["SBR", 1] == (2, b"P", "pass")
    assert bins["HBR", 2] == bins["SBR", 10] == (2, b"F", "offset-rms")
    assert bins["HBR", 3] == (0, b"F", "slope-mean")
    unknown = [judged("a", LIMITS, {"offset-rms": math.nan}, {})]
    summary = next(
        body for name, body in records(stdf.encode(dataclasses.replace(LOT, places=()), LIMITS, unknown)) if name == "TSR"
    )
    assert summary[-21] == 0xFF, "no figure is valid"
    whole = Cursor(next(body for name, body in found if name == "PCR"))
    assert [whole.take(form) for form in ("B", "B", "I", "I", "I", "I")] == [255, 1, 4, 0, 0, 2]


def test_texts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="255"):
        stdf.encode(stdf.Lot("x" * 256, "y", "j", 1, 2), LIMITS, PARTS)
    for places in ([(0, 0)], [(0, 40_000)] * len(PARTS)):
        with pytest.raises(ValueError, match=f"{len(places)} places, {len(PARTS)} parts"):
            stdf.encode(dataclasses.replace(LOT, places=places), LIMITS, PARTS)
    stdf.write(tmp_path / "a.stdf", LOT, LIMITS, PARTS)
    assert (tmp_path / "a.stdf").read_bytes() == stdf.encode(LOT, LIMITS, PARTS)
