"""The firmware core's benchmark: its results are seen to be right or wrong, and Unicorn, if installed, agrees."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsu_contract.operations import Op

FOLDER = Path(__file__).resolve().parents[2] / "tools" / "bench"


def module(name: str) -> Any:
    """A module of tools/bench."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)


firmware, rv32, beside, riscv_tests, environment = map(
    module, ("firmware", "rv32", "beside_unicorn", "riscv_tests", "peers.environment")
)
whole_chip, loops = map(module, ("whole_chip", "loops"))
C_ADD, SUB = 0x9002, 0x40000033


def test_the_timed_loop_computes_what_python_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a hash with another factor is noticed, in all three results."""
    assert firmware.right_sums() == 0
    wrong = rv32.timed_loop()
    wrong[0] ^= 1 << 20
    monkeypatch.setattr(firmware, "timed_loop", lambda: wrong)
    assert firmware.right_sums() == 3


def test_random_blocks_end_where_they_say() -> None:
    """All blocks reach their end without a trap, having executed most of their instructions in every turn."""
    blocks = rv32.random_blocks(np.random.default_rng(3), 8, 400, 5)
    retired, states = beside.ours(beside.model(), blocks, 0)
    assert (states[:, 32] == blocks.ends).all()
    assert 8 * 400 * 5 * 0.5 < retired < 8 * (420 * 1.2 * 5)
    assert (states[:, 33:] != blocks.ram).any(1).all()


def spoilt_core() -> Any:
    """Its c.add x10 subtracts."""
    core = beside.model()
    for other in range(1, 32):
        core["expanded"][0, C_ADD | 10 << 7 | other << 2] = SUB | 10 << 7 | 10 << 15 | other << 20
    return core


def test_the_first_difference_is_found() -> None:
    """Of a spoilt core against a right one: the instruction is the spoilt one, and the state before it agrees."""
    right, wrong = beside.model(), spoilt_core()
    for seed in range(100):
        blocks = rv32.random_blocks(np.random.default_rng(seed), 1, 500, 3)
        theirs = beside.ours(right, blocks, 0)[1]
        if (theirs != beside.ours(wrong, blocks, 0)[1]).any():
            count, address = beside.first_difference(wrong, blocks, lambda b, limit: beside.ours(right, b, limit)[1])
            half = int(blocks.ram[0].view(np.uint16)[(address - rv32.BASE) // 2])
            assert half & ~0x7C == C_ADD | 10 << 7
            assert count < 1500
            return
    raise AssertionError("no block has the instruction")


def test_unicorn_agrees(tmp_path: Path) -> None:
    """On 20 blocks, and not if a register began with another bit."""
    if not environment.installed("unicorn"):
        pytest.skip("unicorn is not installed")
    blocks = rv32.random_blocks(np.random.default_rng(5), 20, 500, 10)
    unicorn = beside.Unicorn(tmp_path)
    try:
        theirs = unicorn.run(blocks, 0)
    finally:
        unicorn.close()
    assert (beside.ours(beside.model(), blocks, 0)[1] == theirs).all()
    blocks.x[:, 10] ^= 1
    assert (beside.ours(beside.model(), blocks, 0)[1] != theirs).any()


def test_riscv_tests_are_listed_from_their_makefrags(tmp_path: Path) -> None:
    for suite in riscv_tests.SUITES:
        (tmp_path / "isa" / suite).mkdir(parents=True)
        (tmp_path / "isa" / suite / "Makefrag").write_text(
            f"{suite}_sc_tests = \\\n\tone \\\n\ttwo three \\\n\n{suite}_p_tests = x\n"
        )
    names = riscv_tests.names(tmp_path)
    assert names[:3] == ["rv32ui-one", "rv32ui-two", "rv32ui-three"]
    assert len(names) == 12
    (tmp_path / "isa" / "rv32mi" / "Makefrag").write_text("")
    with pytest.raises(ValueError, match="lists no tests"):
        riscv_tests.names(tmp_path)


@pytest.mark.parametrize("op", [Op.DELAY, Op.WAIT])
@pytest.mark.parametrize("place", [whole_chip.WINDOW, whole_chip.REGISTER])
def test_no_increment_is_lost(op: Op, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a loop that adds two is noticed."""
    assert whole_chip.accesses(op, place, 5000)[1] == 0
    twice = rv32.bus_loop()
    twice[1] += 1 << 20
    monkeypatch.setattr(whole_chip, "bus_loop", lambda: twice)
    assert whole_chip.accesses(op, place, 5000)[1] == 1


def verdicts(rows: list[Any]) -> list[bool]:
    """Of the rows that have a goal."""
    return [row.ok for row in rows if row.ok is not None]


def test_the_servo_rows_need_a_servo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look in its place leaves offsets as they are."""
    assert verdicts(loops.servo_rows([3])) == [True, True]
    monkeypatch.setattr(loops, "SERVO", 2)
    monkeypatch.setattr(loops, "ENOUGH_DIES", 1)
    assert verdicts(loops.servo_rows([3])) == [False] * 3


def test_the_heat_rows_need_the_right_coefficient(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 % too small leaves a tenth of the 20 % by which T moves between 35 and 85 C."""
    assert verdicts(loops.heat_rows((35.0, 85.0))) == [True, True]
    monkeypatch.setattr(loops, "COEFFICIENT", 0.9 * loops.COEFFICIENT)
    assert verdicts(loops.heat_rows((35.0, 85.0))) == [False, False]


def test_every_fault_has_an_outcome() -> None:
    *outcomes, took = loops.fault_rows(1)
    assert sum(row.value for row in outcomes) == len(loops.KINDS)
    assert took.value > 0
