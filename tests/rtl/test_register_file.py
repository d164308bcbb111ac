"""The register file beside one that PeakRDL-regblock and Verilator make of the same map; see docs/trust.md for what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trust.trusting import module
from tsu_contract.registers import REGISTERS

rtl, rtl_build = module("rtl"), module("rtl_build")

pytestmark = [
    pytest.mark.rtl,
    pytest.mark.skipif(bool(rtl.lacking()), reason=f"{rtl.lacking()} not installed"),
]

MUTATIONS = {
    "SYS.SCRATCH": ('field { desc = "Any value."; }', "VALUE[31:0] = 0;", "VALUE[31:0] = 1;"),
    "IRQ.ENABLE": ('field { desc = "Events that raise the line."; }', "MASK[7:0] = 0;", "MASK[8:1] = 0;"),
    "IRQ.PENDING": ('name = "Pending interrupts";', "onwrite = woclr;", "onwrite = woset;"),
    "TEMP.ALPHA": ('name = "Cooling strength";', "default sw = rw;", "default sw = r;"),
}
"""A register, where it is in the map, what is changed there: a reset value, a place, what a write does, an access."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return rtl_build.build(tmp_path_factory.mktemp("rtl"))


@pytest.mark.parametrize("seed", [0, 1])
def test_no_word_differs_in_100_000_random_transactions(
    built: Any, seed: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rtl, "build", lambda folder: built)
    driver, different = rtl.compare(tmp_path, seed, rtl.TRANSACTIONS, lambda share: None)
    assert different == []
    assert driver.done == rtl.TRANSACTIONS
    assert driver.refused == rtl.TRANSACTIONS // rtl.A_MESSAGE
    seen = {what.split()[1] for what in driver.where}
    assert seen == {name for name, r in REGISTERS.items() if name not in rtl.NOT_READ and r.mask("r", "rw", "w1c")}


@pytest.fixture(scope="module")
def mutated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A register file of a map with mistakes."""
    folder = tmp_path_factory.mktemp("mutated")
    text = rtl_build.SOURCE.read_text()
    for where, before, after in MUTATIONS.values():
        start = text.index(where)
        place = text.index(before, start)
        text = text[:place] + after + text[place + len(before) :]
    (folder / "mutated.rdl").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rtl_build, "SOURCE", folder / "mutated.rdl")
        yield rtl_build.build(folder)


def test_mistakes_of_every_kind_are_found(mutated: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rtl, "build", lambda folder: mutated)
    _, different = rtl.compare(tmp_path, 0, 20_000, lambda share: None)
    assert {what.split()[1] for what in different} == set(MUTATIONS)
