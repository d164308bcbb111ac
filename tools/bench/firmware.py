"""The firmware core: instructions and accesses to the bus a second, beside results that a wrong core would miss.

Seconds are those of the processor, on one thread.
"""

from __future__ import annotations

import time
from typing import Any

import numba
import numpy as np
from measuring import Effort, median_row
from numpy.typing import NDArray
from rv32 import BASE, bus_loop, timed_loop, timed_result

from tsu_apps.report import Row
from tsu_emu.cpu.hart import BUS, finish_load, finish_store, run
from tsu_emu.cpu.state import BUS_LOAD, MemoryMap, make_model, new_hart

MMIO = 0x4000_0000
CYCLES, QUICK_CYCLES = 100_000_000, 1_000_000
ACCESSES, QUICK_ACCESSES = 1_000_000, 10_000
PASSES = 20
"""Of the timed loop that are checked."""


@numba.njit(error_model="numpy", nogil=True)
def attended(hart, model, rom, ram, register, accesses):  # type: ignore[no-untyped-def]
    """A compiled caller: one register on the bus, until so many accesses were made."""
    for _ in range(accesses):
        reason, _ = run(hart, model, rom, ram, hart[0].cycle + 1000)
        if reason != BUS:
            return False
        if hart[0].bus_kind == BUS_LOAD:
            finish_load(hart, register[0], 4)
        else:
            register[0] = hart[0].bus_value
            finish_store(hart, 2)
    return True


class Core:
    """A core with a program in ROM and a RAM of 4 KiB; x5 is the base of RAM, or of the bus."""

    def __init__(self, program: list[int], base: int) -> None:
        self.rom, self.ram = np.array(program, np.uint32), np.zeros(1024, np.uint32)
        self.hart, self.model = new_hart(0), make_model(MemoryMap(ram_base=BASE, mmio_base=MMIO))
        self.hart["x"][0, 5] = base
        self.register = np.zeros(1, np.uint32)

    def run(self, cycles: int) -> Any:
        """So many cycles more."""
        return run(self.hart, self.model, self.rom, self.ram, int(self.hart["cycle"][0]) + cycles)

    def rate(self, cycles: int) -> float:
        """Instructions a second, in millions."""
        begin = time.process_time()
        _, retired = self.run(cycles)
        return float(retired / (time.process_time() - begin) / 1e6)

    def accesses(self, count: int) -> float:
        """Accesses a second, in millions, by the compiled caller."""
        begin = time.process_time()
        done = attended(self.hart, self.model, self.rom, self.ram, self.register, count)
        if not done:
            raise AssertionError("the program left its loop")
        return float(count / (time.process_time() - begin) / 1e6)


def right_sums() -> int:
    """How many of the timed loop's three results differ from plain Python's after PASSES."""
    core = Core(timed_loop(), BASE)
    while core.hart["x"][0, 13] < PASSES:
        core.run(1)
    found: NDArray[np.uint32] = core.hart["x"][0, 10:13]
    return int(np.sum(found != np.array(timed_result(PASSES), np.uint32)))


def bench_firmware(effort: Effort) -> list[Row]:
    """Rates, and whether what was computed on the way is right."""
    loop, bus = Core(timed_loop(), BASE), Core(bus_loop(), MMIO)
    loop.rate(1000), bus.accesses(2)
    cycles, accesses = (QUICK_CYCLES, QUICK_ACCESSES) if effort.quick else (CYCLES, ACCESSES)
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(effort.repeats):
        rates[0].append(loop.rate(cycles))
        rates[1].append(bus.accesses(accesses))
        effort.step()
    wrong = abs(int(bus.register[0]) - (effort.repeats * accesses + 2) // 2)
    return [
        median_row("instructions of sums and a hash", rates[0], "M/s", effort.goal(100)),
        Row.at_most("results that differ from plain Python's", right_sums(), 0),
        median_row("accesses to the bus, compiled caller", rates[1], "M/s", effort.goal(0.5)),
        Row.at_most("increments of the bus's register that were lost", wrong, 0),
    ]
