"""Coverage of C: counts of lines and of both sides of branches are those that the source has by arithmetic."""

from __future__ import annotations

import re

import pytest

from tsu_emu.chip import Chip
from tsu_testing.guarded import BIASES, IMAGE, Guarded
from tsu_testing.host import Host
from tsu_testing.tracing import Tracer

pytest.importorskip("elftools")

from tsu_testing.coverage import Coverage, is_branch
from tsu_testing.image import Image

SOURCE = IMAGE.with_name("guarded.c").read_text().splitlines()
SAMPLES = 2 + len(BIASES)
"""The self-test's two, and one for each command."""


def line_of(text: str) -> int:
    """Number of the only line that has this text."""
    (number,) = [k for k, line in enumerate(SOURCE, 1) if text in line]
    return number


@pytest.fixture(scope="module")
def covered() -> Coverage:
    chip, scenario = Chip(Guarded().config), Guarded()
    with Tracer(chip) as tracer:
        scenario.play(Host(chip))
    assert chip.core is not None
    coverage = Coverage(IMAGE)
    coverage.add(tracer, chip.core)
    return coverage


def test_lines_and_branches_are_counted(covered: Coverage) -> None:
    """4 reads of 64 planes of 16 cells in each sample; a loop's branch goes back once less than its body is executed."""
    (file,) = [name for name in covered.files() if name.endswith("guarded.c")]
    lines = covered.files()[file]
    assert lines.counts[line_of("counts[cell] += spins >> cell & 1;")] == SAMPLES * 4 * 64 * 16
    assert lines.counts[line_of("uint32_t spins = WORD(SPIN, plane);")] == SAMPLES * 4 * 64
    assert lines.counts[line_of("AT(SYS.BOOT) = FAILED | step << 8;")] == 0
    assert lines.counts[line_of("reply(GIVEN_UP, counts, 0);")] == 0
    loop = line_of("for (uint32_t bit = 0; bit < 32; bit++)")
    assert (31, 1) in [tuple(sorted(sides, reverse=True)) for (line, _), sides in lines.branches.items() if line == loop]
    refused = line_of("if (word >> 24 != COMMAND")
    assert {len([n for n in sides if n]) for (line, _), sides in lines.branches.items() if line == refused} == {1}
    assert {name: times for _, name, times in lines.functions}["sample"] == SAMPLES


def test_the_tracefile_says_the_same(covered: Coverage) -> None:
    text = covered.lcov()
    record = text[text.index("guarded.c") : text.index("end_of_record")]
    counts = dict(map(int, found) for found in re.findall(r"^DA:(\d+),(\d+)$", record, re.M))  # type: ignore[arg-type]
    assert counts[line_of("counts[cell] += spins >> cell & 1;")] == SAMPLES * 4 * 64 * 16
    assert f"LF:{len(counts)}\n" in record
    assert f"LH:{sum(n > 0 for n in counts.values())}\n" in record
    sides = re.findall(r"^BRDA:\d+,\d+,[01],(\d+|-)$", record, re.M)
    assert f"BRF:{len(sides)}\n" in record
    assert f"BRH:{sum(n not in ('0', '-') for n in sides)}\n" in record
    assert f"  not executed: {min(k for k, n in counts.items() if not n)}" in covered.summary()


def test_branches_are_recognised() -> None:
    """beq, bgeu; c.beqz, c.bnez; not jal, c.j, addi, c.addi, c.lw, c.swsp."""
    assert all(is_branch(low) for low in (0x0063, 0xFE63, 0xC001, 0xE001))
    assert not any(is_branch(low) for low in (0x006F, 0xA001, 0x0013, 0x0001, 0x4000, 0xC002, 0xE002))


def test_names_of_an_image() -> None:
    image = Image(IMAGE)
    at = image.address("reply")
    assert image.place(at).startswith("reply+0x0 guarded.c:")
    assert image.place(0x2000_0000) == ""
    with pytest.raises(KeyError, match="has no symbol 'nothing'"):
        image.address("nothing")
