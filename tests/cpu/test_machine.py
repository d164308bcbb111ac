"""Traps, interrupts, WFI, counters and breakpoints, each at its exact instruction and cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cpu.pair import NOP, PLAIN, RAM_BASE, ROM_BASE, VARIED, Pair, addi, csrr, csrw, imm, op, stw
from tsu_emu.cpu.hart import ASLEEP, BREAK, UNTIL
from tsu_emu.cpu.state import Costs, MemoryMap, make_model
from tsu_emu.cpu.state import reset as reset_hart

WFI, MRET, ECALL, EBREAK = 0x10500073, 0x30200073, 0x73, 0x00100073
SOFTWARE, TIMER, EXTERNAL = 1 << 3, 1 << 7, 1 << 11
HANDLER = ROM_BASE + 0x80


def pair_of(words: list[int], costs: Costs = PLAIN, handler: list[int] | None = None, vectored: bool = False) -> Pair:
    """Words at ROM_BASE; the handler at HANDLER just returns; interrupts are on, as are all their lines in mie."""
    rom = [NOP] * 128
    rom[: len(words)] = words
    rom[32 : 32 + len(handler or [MRET])] = handler or [MRET]
    pair = Pair(rom, [0] * 64, ROM_BASE, costs)
    for name, number, value in (("mtvec", 0x305, HANDLER | vectored), ("mie", 0x304, 0x888), ("mstatus", 0x300, 8)):
        pair.hart[name], pair.oracle.csr[number] = value, value
    return pair


def csr_of(pair: Pair, *names: str) -> tuple[int, ...]:
    return tuple(int(pair.hart[name][0]) for name in names)


JUMP_AWAY = [op(0x37, 5) | 0x5000_0000, imm(0x67, 0, 0, 5, 0)]
EXCEPTIONS: dict[str, tuple[list[int], int, int, int]] = {
    "ecall": ([NOP, ECALL], 11, 4, 0),
    "ebreak": ([NOP, EBREAK], 3, 4, ROM_BASE + 4),
    "compressed ebreak": ([NOP, 0x9002], 3, 4, ROM_BASE + 4),
    "no such csr": ([csrr(5, 0x7C0)], 2, 0, csrr(5, 0x7C0)),
    "a csr is read-only": ([csrw(0xF14, 0)], 2, 0, csrw(0xF14, 0)),
    "zero": ([0], 2, 0, 0),
    "no memory to fetch": (JUMP_AWAY, 1, 0x5000_0000 - ROM_BASE, 0x5000_0000),
    "store to ROM": ([op(0x37, 5) | ROM_BASE, stw(0, 5, 4)], 7, 4, ROM_BASE + 4),
    "load from nowhere": ([op(0x37, 5) | 0x7000_0000, imm(0x03, 6, 2, 5, 8)], 5, 4, 0x7000_0008),
    "misaligned bus access": ([op(0x37, 5) | 0x4000_0000, imm(0x03, 6, 2, 5, 2)], 4, 4, 0x4000_0002),
}


@pytest.mark.parametrize("what", EXCEPTIONS)
def test_exception(what: str) -> None:
    """mcause, mepc, mtval, mstatus; the instruction does not retire, and takes the cycles of a trap."""
    words, cause, where, value = EXCEPTIONS[what]
    pair = pair_of(words, VARIED)
    for _ in words if cause != 1 else range(3):
        pair.step()
        if pair.hart["mcause"][0]:
            break
    assert csr_of(pair, "mcause", "mepc", "mtval", "mstatus", "pc") == (cause, ROM_BASE + where, value, 0x80, HANDLER)
    assert pair.differences() == []


def test_an_instruction_across_the_end_of_memory() -> None:
    """Its first half is there; mtval names the other. A compressed one at the same place is fine."""
    pair = pair_of([])
    pair.put(ROM_BASE + 4 * 127, 0x0013_0001)
    pair.go(ROM_BASE + 4 * 127)
    pair.step()
    pair.step()
    assert csr_of(pair, "mcause", "mepc", "mtval") == (1, ROM_BASE + 510, ROM_BASE + 512)
    assert pair.differences() == []
    assert pair.hart["retired"] == 1


def test_an_interrupt_comes_before_the_first_instruction_of_its_cycle() -> None:
    """A line that rises at any cycle is taken before the first instruction that has not begun by then."""
    words = [addi(5, 5, 1), op(0x33, 6, 4, 5, 5, 1), NOP, imm(0x03, 7, 2, 0, 0), op(0x33, 6, 0, 5, 5, 1), NOP]
    lengths = [1, 17, 1, 2, 3, 1]
    begins = np.concatenate([[0], np.cumsum(lengths)])
    for cycle in range(int(begins[-1]) + 1):
        pair = pair_of(words, VARIED)
        pair.run(cycle)
        pair.follow()
        pair.set_lines(EXTERNAL)
        pair.step()
        k = int(np.searchsorted(begins, cycle))
        assert csr_of(pair, "mepc", "mcause") == (ROM_BASE + 4 * k, 1 << 31 | 11)
        assert csr_of(pair, "cycle", "retired") == (begins[k] + VARIED.trap, k)
        assert pair.differences() == []


def test_interrupts_rank_external_software_timer() -> None:
    """Each goes to its own vector, with interrupts off; the others wait until MRET."""
    pair = pair_of([NOP] * 8, vectored=True, handler=[MRET] * 12)
    for lines, number in ((EXTERNAL | SOFTWARE | TIMER, 11), (SOFTWARE | TIMER, 3), (TIMER, 7)):
        pair.set_lines(lines)
        pair.step()
        assert csr_of(pair, "mcause", "pc", "mstatus", "mepc") == (1 << 31 | number, HANDLER + 4 * number, 0x80, ROM_BASE)
        pair.step()
        assert csr_of(pair, "pc", "mstatus") == (ROM_BASE, 0x88)
    pair.set_lines(0)
    pair.step()
    assert csr_of(pair, "pc") == (ROM_BASE + 4,)
    assert pair.differences() == []


def test_an_exception_goes_to_the_base_also_if_vectored() -> None:
    pair = pair_of([ECALL], vectored=True)
    pair.step()
    assert csr_of(pair, "pc", "mcause") == (HANDLER, 11)


def test_enabling_takes_effect_with_the_next_instruction() -> None:
    """A line that is up is taken right after mstatus.MIE, mie or MRET lets it in."""
    for words, name in (([imm(0x73, 0, 6, 8, 0x300)], "mstatus"), ([csrw(0x304, 7)], "mie"), ([MRET], "mret")):
        pair = pair_of([*words, NOP])
        pair.set_registers([0] * 7 + [0x888] + [0] * 24)
        pair.set_lines(TIMER)
        if name == "mie":
            pair.hart["mie"], pair.oracle.csr[0x304] = 0, 0
        else:
            pair.hart["mstatus"], pair.oracle.csr[0x300] = (0x80,) * 2 if name == "mret" else (0, 0)
            pair.hart["mepc"], pair.oracle.csr[0x341] = ROM_BASE + 4, ROM_BASE + 4
        pair.step()
        assert csr_of(pair, "pc", "mcause") == (ROM_BASE + 4, 0)
        pair.step()
        assert csr_of(pair, "mepc", "mcause") == (ROM_BASE + 4, 1 << 31 | 7)
        assert pair.differences() == []


@pytest.mark.parametrize("on", [False, True])
def test_wfi(on: bool) -> None:
    """Sleeps until an enabled line rises, whether interrupts are on or not; time passes, and mcycle with it."""
    pair = pair_of([WFI, csrr(5, 0xB00), NOP])
    pair.hart["mstatus"] = 8 * on
    assert pair.run(100) == (ASLEEP, 1)
    assert pair.run(100) == (ASLEEP, 0)
    pair.hart["lines"], pair.hart["mie"] = TIMER, EXTERNAL
    assert pair.run(100) == (ASLEEP, 0)
    pair.hart["mie"], pair.hart["cycle"] = TIMER, 5000
    assert pair.run(1) == (UNTIL, 0 if on else 1)
    assert csr_of(pair, "mepc", "mcause") == ((ROM_BASE + 4, 1 << 31 | 7) if on else (0, 0))
    assert on or pair.hart["x"][0, 5] == 5000


def test_wfi_goes_on_with_a_line_up() -> None:
    pair = pair_of([WFI, NOP])
    pair.hart["mstatus"], pair.hart["lines"] = 0, SOFTWARE
    assert pair.run(2) == (UNTIL, 2)


def counters(words: list[int], costs: Costs = PLAIN) -> Any:
    """Registers after the words, checked against the oracle at every step."""
    pair = pair_of(words, costs)
    for _ in words:
        pair.step()
        assert pair.differences() == []
    return pair.hart["x"][0]


def test_counters() -> None:
    """mcycle is chip time; a written value is what the next instruction reads; halves carry; inhibited ones stand."""
    x = counters([NOP, csrr(5, 0xB00), csrr(6, 0xB02), op(0x33, 7, 4, 0, 0, 1), csrr(7, 0xB00), csrr(8, 0xB02)], VARIED)
    assert x[5:9].tolist() == [1, 2, 1 + 6 + 6 + 17, 5]
    x = counters([addi(4, 0, -1), csrw(0xB02, 4), csrr(5, 0xB02), csrr(6, 0xB82), csrw(0xB80, 4), csrr(7, 0xB80)])
    assert x[5:8].tolist() == [0xFFFFFFFF, 1, 0xFFFFFFFF]
    x = counters(
        [addi(4, 0, 5), csrw(0x320, 4), csrr(5, 0xB00), NOP, csrr(6, 0xB02), csrw(0x320, 0), csrr(7, 0xB00), csrr(8, 0xB02)]
    )
    assert x[5:9].tolist() == [2, 2, 2, 3]


def test_what_the_core_is() -> None:
    """misa says RV32IMC; mstatus.MPP is machine mode whatever is written; mip cannot be written."""
    x = counters([addi(4, 0, -1), csrr(5, 0x301), csrw(0x300, 0), csrr(6, 0x300), csrw(0x344, 4), csrr(7, 0x344), csrr(8, 0xF14)])
    assert x[5:9].tolist() == [1 << 30 | 1 << 12 | 1 << 8 | 1 << 2, 0x1800, 0, 0]


def test_code_that_writes_itself() -> None:
    """A store changes the very next instruction, fence.i or not."""
    pair = Pair([NOP], [stw(5, 0, 8), NOP, addi(6, 0, 1), NOP], RAM_BASE)
    pair.set_registers([0] * 5 + [addi(6, 0, 2)] + [0] * 26)
    for _ in range(3):
        pair.step()
    assert pair.hart["x"][0, 6] == 2
    assert pair.differences() == []


def test_a_breakpoint_stops_once_before_its_instruction() -> None:
    """Each time it comes by, whatever the slices; an interrupt that is due goes first."""
    pair = pair_of([addi(5, 5, 1), addi(6, 6, 1), imm(0x67, 0, 0, 7, 0)])
    pair.set_registers([0] * 7 + [ROM_BASE] + [0] * 24)
    pair.hart["breakpoints"][0, 2] = ROM_BASE + 4
    for turn in range(1, 4):
        assert pair.run(1000)[0] == BREAK
        assert (pair.hart["x"][0, 5:7] == (turn, turn - 1)).all()
        assert pair.hart["pc"] == ROM_BASE + 4
    assert pair.run(1) == (UNTIL, 1)
    assert pair.hart["x"][0, 6] == 3
    pair.run(1), pair.run(1)
    pair.hart["lines"] = TIMER
    assert pair.run(1) == (UNTIL, 0)
    assert pair.hart["mepc"] == ROM_BASE + 4
    pair.hart["lines"] = 0
    assert pair.run(1000)[0] == BREAK


def test_reset_keeps_lines_and_breakpoints() -> None:
    pair = pair_of([csrw(0x340, 5), WFI])
    pair.hart["lines"], pair.hart["breakpoints"] = TIMER, 64
    pair.run(10)
    reset_hart(pair.hart, ROM_BASE + 8, 1000)
    assert csr_of(pair, "pc", "cycle", "retired", "mie", "mstatus", "lines", "asleep") == (ROM_BASE + 8, 1000, 0, 0, 0, TIMER, 0)
    assert (pair.hart["breakpoints"] == 64).all()
    assert pair.hart["counted"][0, 0] == -1000


def test_a_model_is_checked() -> None:
    with pytest.raises(ValueError, match="at least one cycle"):
        make_model(costs=Costs(load=0))
    with pytest.raises(ValueError, match="words"):
        make_model(MemoryMap(ram_base=2))
