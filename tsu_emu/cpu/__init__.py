"""The chip's firmware core: one RV32IMC_Zicsr hart in machine mode, compiled. docs/core.md says what it does and when."""

from tsu_emu.cpu.elf import ElfError, load_elf
from tsu_emu.cpu.hart import ASLEEP, BREAK, BUS, UNTIL, bus_fault, finish_load, finish_store, run
from tsu_emu.cpu.state import BUS_LOAD, BUS_NONE, BUS_STORE, HART, MODEL, Costs, MemoryMap, make_model, new_hart, reset

__all__ = [
    "ASLEEP",
    "BREAK",
    "BUS",
    "BUS_LOAD",
    "BUS_NONE",
    "BUS_STORE",
    "HART",
    "MODEL",
    "UNTIL",
    "Costs",
    "ElfError",
    "MemoryMap",
    "bus_fault",
    "finish_load",
    "finish_store",
    "load_elf",
    "make_model",
    "new_hart",
    "reset",
    "run",
]
