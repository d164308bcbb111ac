"""Accesses that the hart leaves to its caller."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cpu.pair import MMIO_BASE, NOP, ROM_BASE, VARIED, Pair, addi, imm, op
from tsu_emu.cpu.hart import BUS, UNTIL, bus_fault, finish_load, finish_store
from tsu_emu.cpu.state import BUS_LOAD, BUS_NONE, BUS_STORE

BASE = op(0x37, 5) | MMIO_BASE


def waiting(word: int, costs: Any = VARIED) -> Pair:
    """At an access by x5 = MMIO_BASE, x6 = 0x89ABCDEF."""
    pair = Pair([word, NOP, *[NOP] * 6], [0], ROM_BASE, costs)
    pair.set_registers([0] * 5 + [MMIO_BASE, 0x89ABCDEF] + [0] * 25)
    assert pair.run(100) == (BUS, 0)
    return pair


def access(pair: Pair) -> tuple[int, ...]:
    return tuple(int(pair.hart[f"bus_{name}"][0]) for name in ("kind", "address", "size", "value"))


LOADS = [(0, 1, 0xFFFFFF89), (1, 2, 0xFFFF8889), (2, 4, 0x88888889), (4, 1, 0x89), (5, 2, 0x8889)]


@pytest.mark.parametrize(("f3", "size", "expected"), LOADS)
def test_load(f3: int, size: int, expected: int) -> None:
    """The value's low bytes are extended; the instruction retires then, with the cycles that the caller says."""
    pair = waiting(imm(0x03, 7, f3, 5, 8))
    assert access(pair) == (BUS_LOAD, MMIO_BASE + 8, size, 0)
    assert pair.run(100) == (BUS, 0)
    finish_load(pair.hart, 0x88888889, 12)
    h = pair.hart[0]
    assert (h["x"][7], h["pc"], h["cycle"], h["retired"], h["bus_kind"]) == (expected, ROM_BASE + 4, 12, 1, BUS_NONE)
    assert pair.run(1) == (UNTIL, 1)


def test_load_into_x0() -> None:
    pair = waiting(imm(0x03, 0, 2, 5, 0))
    finish_load(pair.hart, 5, 1)
    assert pair.hart["x"][0, 0] == 0


@pytest.mark.parametrize(("f3", "value"), [(0, 0xEF), (1, 0xCDEF), (2, 0x89ABCDEF)])
def test_store(f3: int, value: int) -> None:
    pair = waiting(op(0x23, 12, f3, 5, 6))
    assert access(pair) == (BUS_STORE, MMIO_BASE + 12, 1 << f3, value)
    finish_store(pair.hart, 3)
    assert pair.hart["cycle"] == 3
    assert pair.hart["retired"] == 1
    assert pair.hart["pc"] == ROM_BASE + 4


def test_compressed_access() -> None:
    """c.lw x8, 4(x9): the next instruction is two bytes on."""
    pair = Pair([0x40C0, NOP], [0], ROM_BASE)
    pair.set_registers([0] * 9 + [MMIO_BASE] + [0] * 22)
    assert pair.run(10) == (BUS, 0)
    assert access(pair) == (BUS_LOAD, MMIO_BASE + 4, 4, 0)
    finish_load(pair.hart, 77, 1)
    assert pair.hart["x"][0, 8] == 77
    assert pair.hart["pc"] == ROM_BASE + 2


@pytest.mark.parametrize(("word", "cause"), [(imm(0x03, 7, 2, 5, 8), 5), (op(0x23, 8, 2, 5, 6), 7)])
def test_fault(word: int, cause: int) -> None:
    """A refused access traps at the instruction, with its address, after the bus's cycles and the trap's."""
    pair = waiting(word)
    pair.hart["mtvec"] = ROM_BASE + 16
    bus_fault(pair.hart, pair.model, 5)
    h = pair.hart[0]
    assert (h["mcause"], h["mepc"], h["mtval"], h["pc"]) == (cause, ROM_BASE, MMIO_BASE + 8, ROM_BASE + 16)
    assert (h["cycle"], h["retired"], h["bus_kind"], h["x"][7]) == (5 + VARIED.trap, 0, BUS_NONE, 0)


def test_the_bus_ends_where_it_says() -> None:
    """The word after the last is an access fault, and so is the one before the first."""
    for offset in (-4, 0x1000):
        pair = Pair(
            [BASE, op(0x37, 6) | 0x1000, op(0x33, 5, 0, 5, 6), imm(0x03, 7, 2, 5, offset - 0x1000 & 0xFFF), NOP], [0], ROM_BASE
        )
        if offset == -4:
            pair.put(ROM_BASE + 8, addi(5, 5, 0)), pair.put(ROM_BASE + 12, imm(0x03, 7, 2, 5, -4))
        for _ in range(4):
            pair.step()
        assert pair.hart["mcause"] == 5
        assert pair.hart["mtval"] == MMIO_BASE + offset
        assert pair.differences() == []


def test_a_snapshot_may_wait_for_the_bus() -> None:
    """A copy made during an access goes on as the original does."""
    pair = waiting(imm(0x03, 7, 2, 5, 8))
    copy = pair.hart.copy()
    for hart in (pair.hart, copy):
        finish_load(hart, 99, 4)
    assert pair.hart.tobytes() == copy.tobytes()
    assert np.uint32(99) == copy["x"][0, 7]
