"""Injected bus errors strike the core as they strike the host: by address, as often as they were injected for."""

from __future__ import annotations

from pathlib import Path

import pytest

from chip.pins import Desk
from chip.test_core import BUS, FOREVER, HANDLER, MRET, desk, digest, hart, li, lw, to
from cpu.pair import addi, csrw, imm, stw
from tsu_contract.errors import Code
from tsu_contract.operations import Op
from tsu_contract.registers import WINDOWS, register
from tsu_testing.in_process import InProcessOracle

COUNTING = [addi(9, 9, 1), MRET]
"""A handler that counts in x9 and lets the instruction be tried again."""
SCRATCH = register("SYS.SCRATCH").at()
PLACES = {"register": SCRATCH, "window": WINDOWS["BIAS"].address + 4, "sensor": register("TEMP.SENSOR").at()}


def trying(folder: Path, access: int, offset: int) -> Desk:
    """A core that makes an access after 200 cycles of nothing, x7 holding 6, again whenever it traps."""
    start = [*li(5, HANDLER), csrw(0x305, 5), *li(6, BUS + offset), *li(7, 6)]
    return desk(folder, [*start, *[addi(0, 0, 0)] * 40, access, *FOREVER], COUNTING)


def counted(d: Desk) -> int:
    return int(d.chip.state.hart["x"][0, 9])


@pytest.mark.parametrize("times", [0, 1, 3])
@pytest.mark.parametrize("place", PLACES)
def test_a_load_traps_as_often_as_injected(tmp_path: Path, place: str, times: int) -> None:
    d = trying(tmp_path, lw(8, 6, 0), PLACES[place])
    oracle = InProcessOracle(d.chip)
    if times:
        oracle.inject("bus-error", address=PLACES[place], accesses=times)
    to(d, 500)
    assert counted(d) == times
    assert not len(oracle.faults())
    if times:
        assert (hart(d, "mcause"), hart(d, "mtval")) == (5, BUS + PLACES[place])
    assert d.chip.state.hart["asleep"][0]


def test_a_store_that_fails_is_not_done(tmp_path: Path) -> None:
    d = trying(tmp_path, stw(7, 6, 0), SCRATCH)
    InProcessOracle(d.chip).inject("bus-error", address=SCRATCH, accesses=1 << 20)
    to(d, 500)
    assert hart(d, "mcause") == 7
    assert counted(d) > 10
    assert d.chip.state.registers[d.chip.map.access.word("SYS.SCRATCH")] == 0
    InProcessOracle(d.chip).ask("clear")
    to(d, 600)
    assert d.read("SYS.SCRATCH") == 6


def test_another_address_and_another_size_are_not_struck(tmp_path: Path) -> None:
    d = trying(tmp_path, lw(8, 6, 0), SCRATCH)
    oracle = InProcessOracle(d.chip)
    oracle.inject("bus-error", address=SCRATCH - 4, accesses=1)
    to(d, 500)
    assert (counted(d), len(oracle.faults())) == (0, 1)
    d = trying(tmp_path, imm(0x03, 8, 0, 6, 0), SCRATCH)
    oracle = InProcessOracle(d.chip)
    oracle.inject("bus-error", address=SCRATCH, accesses=1)
    to(d, 300)
    assert hart(d, "mcause") == 5, "a byte of a register"
    assert len(oracle.faults()) == 1


def test_host_and_core_share_a_fault(tmp_path: Path) -> None:
    """The first of three strikes the host, the other two the core."""
    d = trying(tmp_path, lw(8, 6, 0), SCRATCH)
    InProcessOracle(d.chip).inject("bus-error", address=SCRATCH, accesses=3)
    failure = d.pins.operate([(Op.READ, SCRATCH, 0, 0, 0)]).failure
    assert failure is not None
    assert failure.code is Code.BUS_ERROR
    to(d, 500)
    assert counted(d) == 2
    assert d.read("SYS.SCRATCH") == 0


def test_how_the_host_waits_makes_no_difference(tmp_path: Path) -> None:
    ends = set()
    for step in (1, 7, 500):
        d = trying(tmp_path, stw(7, 6, 0), PLACES["window"])
        InProcessOracle(d.chip).inject("bus-error", address=PLACES["window"], accesses=20)
        for cycle in (*range(0, 500, step), 500):
            to(d, cycle)
        assert counted(d) == 20
        ends.add(digest(d))
    assert len(ends) == 1
