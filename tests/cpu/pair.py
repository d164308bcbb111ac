"""A compiled hart and the oracle side by side, and words of instructions for both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpu.oracle import Oracle
from tsu_emu.cpu.hart import run
from tsu_emu.cpu.state import Costs, MemoryMap, make_model, new_hart

RAM_BASE, ROM_BASE, MMIO_BASE = 0, 0x1000_0000, 0x4000_0000
PLAIN = Costs()
VARIED = Costs(alu=1, multiply=3, divide=17, load=2, store=4, branch=1, taken=5, csr=6, system=7, trap=9)
CSRS = {0x300: "mstatus", 0x304: "mie", 0x305: "mtvec", 0x320: "mcountinhibit", 0x340: "mscratch", 0x341: "mepc"}
CSRS |= {0x342: "mcause", 0x343: "mtval"}
NOP = 0x13


def op(opcode: int, rd: int = 0, f3: int = 0, rs1: int = 0, rs2: int = 0, f7: int = 0) -> int:
    """An instruction by its fields."""
    return f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | opcode


def imm(opcode: int, rd: int, f3: int, rs1: int, value: int) -> int:
    """An instruction with an immediate in bits 20 to 31: also CSRs, whose number it is."""
    return (value & 0xFFF) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | opcode


def addi(rd: int, rs1: int, value: int) -> int:
    return imm(0x13, rd, 0, rs1, value)


def csrw(number: int, rs1: int) -> int:
    return imm(0x73, 0, 1, rs1, number)


def csrr(rd: int, number: int) -> int:
    return imm(0x73, rd, 2, 0, number)


def stw(rs2: int, rs1: int, offset: int) -> int:
    """SW."""
    return op(0x23, offset & 31, 2, rs1, rs2, offset >> 5 & 127)


class Pair:
    """Both, with ROM and RAM of equal contents.

    rom, ram : words, which are copied; mutate : the oracle's; bus : bytes of the hart's bus, which the oracle does not have
    """

    def __init__(
        self, rom: list[int], ram: list[int], pc: int, costs: Costs = PLAIN, mutate: str = "", bus: int = 0x1000
    ) -> None:  # fmt: skip
        self.rom, self.ram = np.array(rom, np.uint32), np.array(ram, np.uint32)
        self.model = make_model(MemoryMap(ROM_BASE, RAM_BASE, MMIO_BASE, bus), costs)
        self.hart = new_hart(pc)
        memory = {base + k: int(byte) for base, words in ((ROM_BASE, self.rom), (RAM_BASE, self.ram))
                  for k, byte in enumerate(words.view(np.uint8))}  # fmt: skip
        self.oracle = Oracle(memory, range(ROM_BASE, ROM_BASE + 4 * len(rom)), pc, costs._asdict(), mutate)

    def set_registers(self, x: list[int]) -> None:
        self.hart["x"][0], self.oracle.x = x, [int(value) for value in x]

    def set_lines(self, lines: int) -> None:
        self.hart["lines"], self.oracle.lines = lines, lines

    def put(self, address: int, value: int) -> None:
        """A word of ROM."""
        self.rom[(address - ROM_BASE) // 4] = value
        for k in range(4):
            self.oracle.memory[address + k] = value >> 8 * k & 255

    def go(self, pc: int) -> None:
        self.hart["pc"], self.oracle.pc = pc, pc

    def run(self, cycles: int) -> tuple[int, int]:
        """The hart for so many cycles."""
        return run(self.hart, self.model, self.rom, self.ram, int(self.hart["cycle"][0]) + cycles)

    def follow(self) -> None:
        """The oracle up to the hart's cycle."""
        while self.oracle.cycle < int(self.hart["cycle"][0]) and self.oracle.step():
            pass

    def step(self) -> None:
        """One instruction or trap of both."""
        self.run(1)
        self.oracle.step()

    def differences(self) -> list[str]:
        """Where the two disagree, RAM apart."""
        h, o = self.hart[0], self.oracle
        ours: dict[str, int] = {f"x{k}": int(v) for k, v in enumerate(h["x"])}
        ours |= {name: int(h[name]) for name in (*CSRS.values(), "pc", "cycle", "retired", "asleep")}
        theirs: dict[str, int] = {f"x{k}": v for k, v in enumerate(o.x)}
        theirs |= {name: o.csr[number] for number, name in CSRS.items()}
        theirs |= {"pc": o.pc, "cycle": o.cycle, "retired": o.retired, "asleep": int(o.asleep)}
        for k, name in enumerate(("cycle", "retired")):
            inhibited = int(h["mcountinhibit"]) >> 2 * k & 1
            ours[f"counted {name}"] = (int(h["counted"][k]) + (0 if inhibited else int(h[name]))) % (1 << 64)
            theirs[f"counted {name}"] = (o.mcycle, o.minstret)[k]
        return [f"{name}: {value:#x}, oracle {theirs[name]:#x}" for name, value in ours.items() if value != theirs[name]]

    def same_memory(self) -> bool:
        return bool((self.ram.view(np.uint8) == self.oracle_ram()).all())

    def oracle_ram(self) -> NDArray[Any]:
        return np.array([self.oracle.memory[RAM_BASE + k] for k in range(4 * len(self.ram))], np.uint8)
