"""The hart's whole state as one record, and what it is built like as another."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.cpu.expand import expansion_table

NO_ADDRESS = 0xFFFFFFFF
"""A breakpoint that is not set: instructions lie at even addresses."""
BREAKPOINTS = 4

BUS_NONE, BUS_LOAD, BUS_STORE = range(3)

HART = np.dtype(
    [
        ("cycle", "i8"),
        ("retired", "i8"),
        ("counted", "i8", (2,)),
        ("x", "u4", (32,)),
        ("pc", "u4"),
        ("mstatus", "u4"),
        ("mie", "u4"),
        ("mtvec", "u4"),
        ("mscratch", "u4"),
        ("mepc", "u4"),
        ("mcause", "u4"),
        ("mtval", "u4"),
        ("mcountinhibit", "u4"),
        ("lines", "u4"),
        ("asleep", "u4"),
        ("halted", "u4"),
        ("breakpoints", "u4", (BREAKPOINTS,)),
        ("bus_kind", "u4"),
        ("bus_address", "u4"),
        ("bus_size", "u4"),
        ("bus_value", "u4"),
        ("bus_rd", "u4"),
        ("bus_signed", "u4"),
        ("bus_length", "u4"),
        ("even", "u4"),
    ],
    align=True,
)
"""A hart. Its caller may write `cycle` while the hart waits, `lines` and `breakpoints`, and reads the rest.

cycle : chip cycle at which the next instruction begins; retired : instructions retired since reset
counted : offsets of mcycle and minstret: the counter is its offset plus `cycle` or `retired`, or just its offset if inhibited
x, pc and the CSRs : mstatus holds MIE and MPIE alone
lines : interrupt lines as they stand, bits of mip: 3 software, 7 timer, 11 external
asleep : 1 in WFI; halted : address of the breakpoint that the debugger was told of last, or NO_ADDRESS
bus_* : the access under way. kind, BUS_NONE .. BUS_STORE; address; size, 1, 2 or 4 bytes; value to store, zero-extended;
rd, signed : where a load goes, and whether it is sign-extended; length : bytes of the instruction
`even` fills the record up.
"""


class Costs(NamedTuple):
    """Cycles of instructions by class, each at least 1.

    alu : everything not named here; multiply, divide : of M, divide being remainder too
    load, store : of ROM and RAM; branch : not taken; taken : branches taken and jumps; csr : of Zicsr
    system : fences, mret, wfi; trap : an exception, in place of its instruction, or the entry into an interrupt
    """

    alu: int = 1
    multiply: int = 1
    divide: int = 1
    load: int = 1
    store: int = 1
    branch: int = 1
    taken: int = 1
    csr: int = 1
    system: int = 1
    trap: int = 1


class MemoryMap(NamedTuple):
    """Where things lie. ROM and RAM are as long as their arrays; the bus takes mmio_base .. mmio_base + mmio_bytes - 1."""

    rom_base: int = 0x0000_0000
    ram_base: int = 0x2000_0000
    mmio_base: int = 0x4000_0000
    mmio_bytes: int = 0x4000_0000


class Identity(NamedTuple):
    """What mvendorid, marchid, mimpid and mhartid say; 0 means not implemented."""

    mvendorid: int = 0
    marchid: int = 0
    mimpid: int = 0
    mhartid: int = 0


MODEL = np.dtype(
    [(name, "i8") for name in (*Costs._fields, *MemoryMap._fields)]
    + [(name, "u4") for name in Identity._fields]
    + [("expanded", "u4", (1 << 16,))],
    align=True,
)
"""What a hart is built like: rows of Costs, MemoryMap and Identity; `expanded`, the 32-bit instruction that a compressed one
stands for, or 0."""


DEFAULT_MAP, DEFAULT_COSTS, DEFAULT_IDENTITY = MemoryMap(), Costs(), Identity()


def make_model(
    memory: MemoryMap = DEFAULT_MAP, costs: Costs = DEFAULT_COSTS, identity: Identity = DEFAULT_IDENTITY
) -> NDArray[Any]:  # fmt: skip
    """(1,) MODEL. ValueError if a cost is below 1 or a base is not at a word."""
    if min(costs) < 1:
        raise ValueError("costs of instructions are at least one cycle")
    if any(base % 4 for base in memory):
        raise ValueError("memories begin and end at words")
    return np.array([(*costs, *memory, *identity, expansion_table())], MODEL)


def new_hart(pc: int) -> NDArray[Any]:
    """(1,) HART, in reset: all registers 0, interrupts off, about to execute the instruction at pc at cycle 0."""
    hart = np.zeros(1, HART)
    hart["breakpoints"] = NO_ADDRESS
    reset(hart, pc, 0)
    return hart


def reset(hart: NDArray[Any], pc: int, cycle: int) -> None:
    """Reset at a cycle: as new but for lines and breakpoints, which are not the hart's own; mcycle counts from 0."""
    kept = {name: hart[name].copy() for name in ("lines", "breakpoints")}
    hart[...] = np.zeros(1, HART)
    for name, value in kept.items():
        hart[name] = value
    hart["pc"], hart["cycle"], hart["halted"] = pc & ~1, cycle, NO_ADDRESS
    hart["counted"][0, 0] = -cycle
