"""Random programs with traps, interrupts and stores into their own code, against the oracle, in slices of any length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cpu.pair import NOP, RAM_BASE, ROM_BASE, VARIED, Pair, addi, csrr, csrw, imm, op
from tsu_emu.cpu.hart import ASLEEP, BUS, UNTIL, bus_fault, finish_load, finish_store, run
from tsu_emu.cpu.state import BUS_LOAD

RAM_WORDS = 1024
SEEDS = range(6)
HANDLER = [
    imm(0x73, 31, 1, 31, 0x340),  # csrrw x31, mscratch, x31
    csrr(31, 0x341),
    addi(31, 31, 2),
    imm(0x13, 31, 1, 31, 20),  # slli, srli: back into the first 4 KiB
    imm(0x13, 31, 5, 31, 20),
    csrw(0x341, 31),
    imm(0x73, 31, 1, 31, 0x340),
    0x30200073,
]
VECTORS = [0x0000_006F | (64 - 4 * k) >> 1 << 21 for k in range(16)]
"""A vector table at ROM_BASE + 64, each entry a jump to the handler at ROM_BASE + 128."""
READABLE = [0x300, 0x301, 0x304, 0x320, 0x340, 0x341, 0x342, 0x343, 0x344, 0xB00, 0xB02, 0xB80, 0xB82, 0xB03, 0xF14, 0xC00]
WRITABLE = [0x300, 0x304, 0x320, 0x340, 0x342, 0x343, 0x344, 0xB00, 0xB02, 0xB80, 0xB82, 0xF11]


def one(rng: np.random.Generator) -> list[int]:
    """Halfwords of a random instruction; loads and stores mostly hit RAM, by registers x0 to x7."""
    kind, rd, rs1, rs2, f3 = (int(rng.integers(n)) for n in (12, 32, 32, 32, 8))
    value = int(rng.integers(1 << 12))
    word = {
        0: op(0x33, rd, f3, rs1, rs2, 0),
        1: op(0x33, rd, f3, rs1, rs2, 1),
        2: op(0x33, rd, 5 * (f3 & 1), rs1, rs2, 32),
        3: imm(0x13, rd, f3, rs1, value & 31 if f3 in (1, 5) else value),
        4: imm(0x03, 8 + rd % 24, (0, 1, 2, 4, 5, 2, 1, 3)[f3], rs1 % 8, value & 0x7FC),
        5: op(0x23, rd & 28, (0, 1, 2, 2, 1, 0, 0, 3)[f3], rs1 % 8, rs2, value & 63),
        6: op(0x63, rd & 30, f3, rs1, rs2, value & 3),
        7: imm(0x73, rd, f3, rs1 % 4 * (f3 % 4 != 1), READABLE[rs2 % 16]) if f3 % 4 else (0x73, 0x10500073)[value % 2],
        8: imm(0x73, rd, f3, rs1, WRITABLE[rs2 % 12]) if f3 % 4 else (0x30200073, 0x0FF0000F)[value % 2],
        9: int(rng.integers(1 << 32)) & ~127 | (0x37, 0x17, 0x0F, 0x33, 0x73, 0x13)[rs2 % 6],
        10: (value & 63) << 20 + 1 | rd << 7 | 0x6F,
    }
    if kind in word:
        return [word[kind] & 0xFFFF, word[kind] >> 16]
    return [int(rng.integers(1 << 16)) for _ in range(3)]


def program(seed: int, bus: int = 0) -> Pair:
    """4 KiB of RAM full of it, with registers x0 .. x7 pointing there and interrupts on."""
    rng = np.random.default_rng(seed)
    halves: list[int] = []
    while len(halves) < 2 * RAM_WORDS:
        halves += one(rng)
    ram = np.array(halves[: 2 * RAM_WORDS], np.uint16).view(np.uint32).tolist()
    rom = [NOP] * 16 + VECTORS + HANDLER
    pair = Pair(rom, ram, RAM_BASE, VARIED, bus=bus)
    pair.set_registers([0, *rng.integers(0, 4 * RAM_WORDS // 4, 7) * 4, *rng.integers(0, 1 << 32, 24)])
    for name, number, value in (("mtvec", 0x305, ROM_BASE + 65), ("mie", 0x304, 0x888), ("mstatus", 0x300, 8)):
        pair.hart[name], pair.oracle.csr[number] = value, value
    return pair


@pytest.mark.parametrize("seed", SEEDS)
def test_the_oracle_agrees(seed: int) -> None:
    """State every few instructions, memory at the end; lines come and go between slices."""
    pair, rng = program(seed), np.random.default_rng(100 + seed)
    causes: set[int] = set()
    for _ in range(600):
        pair.set_lines(int(rng.choice([0, 0, 0, 0x8, 0x80, 0x800, 0x888])))
        pair.run(int(rng.integers(1, 120)))
        pair.follow()
        assert pair.differences() == []
        causes.add(int(pair.hart["mcause"][0]))
    assert pair.same_memory()
    assert len(causes) >= 6
    assert int(pair.hart["retired"][0]) > 1500


def test_the_oracle_sees_a_wrong_program() -> None:
    """Power: an oracle whose `add` is one off parts from the hart within a slice."""
    pair = program(0)
    pair.oracle.mutate = "add"
    pair.run(500)
    pair.follow()
    assert pair.differences() != []


def attend(hart: NDArray[Any], model: NDArray[Any]) -> None:
    """A bus that refuses the upper half of every 8 bytes; what loads find depends on address and cycle."""
    address, cycle = int(hart["bus_address"][0]), int(hart["cycle"][0])
    if address % 8 >= 4:
        bus_fault(hart, model, 3)
    elif hart["bus_kind"] == BUS_LOAD:
        finish_load(hart, (address + cycle) * 2654435761 & 0xFFFFFFFF, 7)
    else:
        finish_store(hart, 4)


def sliced(seed: int, budget: int, cycles: int, snapshots: bool = False) -> tuple[bytes, bytes, int]:
    """Hart and RAM after `cycles`, run in slices; an interrupt line is up in every third span of 1000 cycles."""
    pair = program(seed, 1 << 30)
    hart, ram, total = pair.hart, pair.ram, 0
    for begin in range(0, cycles, 1000):
        hart["lines"] = 0x80 if begin // 1000 % 3 == 1 else 0
        while hart["cycle"][0] < begin + 1000:
            if snapshots:
                hart, ram = hart.copy(), ram.copy()
            reason, count = run(hart, pair.model, pair.rom, ram, min(int(hart["cycle"][0]) + budget, begin + 1000))
            total += count
            if reason == ASLEEP:
                hart["cycle"] = begin + 1000
            elif reason == BUS:
                attend(hart, pair.model)
                total += int(hart["bus_address"][0]) % 8 < 4
            else:
                assert reason == UNTIL
    assert total == hart["retired"][0]
    return hart.tobytes(), ram.tobytes(), total


@pytest.mark.parametrize("seed", SEEDS)
def test_slices_do_not_matter(seed: int) -> None:
    """Slices of 1, 7 and 777 cycles and none at all; the state copied between slices, in handlers and out of them."""
    whole = sliced(seed, 1 << 40, 12_000)
    assert whole[2] > 200
    for budget in (1, 7, 777):
        assert sliced(seed, budget, 12_000, snapshots=budget == 7) == whole
