"""docs/own-registers.md: a map whose blocks and windows are at addresses of a user's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from own.moving import SOC, outputs
from tools.replay import place_name, replay
from tsu_contract.extension import BASE, RegisterMap, load_map, map_of
from tsu_contract.places import NOWHERE
from tsu_contract.registers import REGISTERS, WINDOWS, MapError
from tsu_contract.wire import Kind, Request

SEQ, TUNER, BIAS = 0x4000, 0x00400000, 0x00300000


def table_of(soc: Path) -> Path:
    return soc / "map/tsu.json"


@pytest.fixture(scope="module")
def moved(soc: Path) -> RegisterMap:
    return load_map(table_of(soc))


def test_names_have_their_places(soc: Path, moved: RegisterMap) -> None:
    assert "### 0x4000 SEQ.CTRL" in (soc / "registers.md").read_text()
    assert r"odd \| even" in (soc / "registers.md").read_text()
    assert moved.register("SEQ.STATUS").address == SEQ + 4
    assert moved.register("TEMP.TDAC").address == REGISTERS["TEMP.TDAC"].address
    assert moved.windows["BIAS"].address == BIAS
    assert (moved.windows["BIAS"].size, WINDOWS["BIAS"].size) == (0x400, 1 << 26)
    assert moved.register("TUNER.STATUS").address == TUNER + 0x100
    assert [r.name for r in moved.own] == ["TUNER.CONTROL", "TUNER.STATUS"]
    assert (moved.access.address[: len(BASE.access.address)] == BASE.access.address).all()


def test_every_address_comes_back(moved: RegisterMap) -> None:
    """All words of all registers and the ends of all windows; and what lies in no place is nowhere, as misaligned as it was."""
    outer = [(r.address + 4 * k, REGISTERS[r.name].address + 4 * k) for r in moved.registers.values() if r.name in REGISTERS
             for k in range(r.count * r.words)]  # fmt: skip
    for w in moved.windows.values():
        outer += [(w.address, WINDOWS[w.name].address), (w.address + w.size - 4, WINDOWS[w.name].address + w.size - 4)]
    given, inside = np.array(outer).T
    assert np.array_equal(moved.places.inward(given), inside)
    assert [moved.places.outward_one(int(a)) for a in inside] == given.tolist()
    for name, r in moved.registers.items():
        assert moved.name_at(r.address) == name
    for address in (0, SEQ + 0x10, BIAS + 0x400, TUNER + 4, 0x7FFFFFFC, 0xFFFFFFFF):
        assert moved.places.inward_one(address) == NOWHERE | address & 3
        with pytest.raises(KeyError):
            moved.name_at(address)


def test_a_replay_names_places_by_the_map_of_the_record(moved: RegisterMap) -> None:
    places = {SEQ + 4: "SEQ.STATUS", BIAS + 8: "BIAS word 2", TUNER + 0x100: "TUNER.STATUS", SEQ + 0x10: "address 0x4010"}
    assert {address: place_name(address, moved) for address in places} == places
    record = [(Request(Kind.HELLO, 0, 0, body={"map_hash": moved.hash}), None)]
    with pytest.raises(ValueError, match="another register map; --map FILE"):
        replay(record, "ipc:///nobody/there")


Table = dict[str, Any]
Change = Callable[[Table], Any]


def row(name: str, **values: Any) -> Change:
    """Other values in one row."""
    return lambda table: next(r for r in table["registers"] + table["windows"] if r["name"] == name).update(values)


def block(name: str, address: int) -> Change:
    """A block begins elsewhere."""

    def change(table: Table) -> None:
        rows = [r for r in table["registers"] if r["name"].startswith(name + ".")]
        first = min(r["address"] for r in rows)
        for r in rows:
            r["address"] += address - first

    return change


WRONG: dict[str, tuple[str, Change]] = {
    "block on block": ("FABRIC at 0x500: TEMP is there", block("TEMP", 0x4FC)),
    "block in window": ("CORR at 0x200010: PROGRAM is there", block("CORR", 0x200010)),
    "window on window": ("NVM at 0x8000004: SPIN is there", row("NVM", address=0x8000004)),
    "register in block": ("TUNER.STATUS at 0x4004: SEQ is there", row("TUNER.STATUS", address=SEQ + 4)),
    "torn": ("SEQ.PC at 0x5000: SEQ is at 0x4000, and moves as a whole", row("SEQ.PC", address=0x5000)),
    "crooked": ("DMA at 5242882: words", block("DMA", 0x500002)),
    "beyond": ("NVM at .* words below 0x80000000", row("NVM", address=0x7FFFFFFC)),
    "negative": ("TIMER at -16: words", block("TIMER", -16)),
    "no number": ("NVM at 0.5: words", row("NVM", address=0.5)),
    "too large": ("BIAS: 134217728 bytes; .* at most 67108864 bytes", row("BIAS", size=1 << 27)),
    "half words": ("BIAS: 6 bytes; words", row("BIAS", size=6)),
    "another row": ("another version", row("BIAS", access="")),
    "no address": ("no folded table", lambda table: table["windows"][2].pop("address")),
}
"""What is wrong, and how a table becomes so."""


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_named(soc: Path, case: str) -> None:
    message, change = WRONG[case]
    table = json.loads(table_of(soc).read_text())
    change(table)
    with pytest.raises(MapError, match=message):
        map_of(table)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("SEQ @0x4000", "SEQ @0x0400", "TEMP at 0x400: SEQ is there"),
        ("bias_window #(.ENTRIES(0x100)) BIAS", "mem { mementries = 16; memwidth = 32; sw = rw; } MINE", "MINE"),
        ("seq_block SEQ", "irq_block SEQ", "the block SEQ is the contract's"),
        ("external spin_window SPIN", "external bias_window SPIN", "SPIN: only its address"),
    ],
)
def test_the_tool_says_what_is_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(MapError, match=message):
        outputs(tmp_path, SOC.replace(old, new))
