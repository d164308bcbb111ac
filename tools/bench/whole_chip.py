"""The firmware core in a chip: instructions and accesses a second as the chip goes on, and what a timeline costs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import Effort, median_row
from rv32 import BASE, bus_loop, timed_loop

from tsu_apps.report import Row
from tsu_contract.operations import RECORD, Op
from tsu_contract.registers import WINDOWS, register
from tsu_emu.chip import Chip
from tsu_emu.config import load
from tsu_emu.server.trace import Recorder

IMAGE = Path(__file__).resolve().parents[2] / "firmware_models/c/prebuilt/firmware.elf"
BUS = 0x4000_0000
PASS_CYCLES, QUICK_PASS_CYCLES = 100_000_000, 1_000_000
ACCESS_CYCLES, QUICK_ACCESS_CYCLES = 400_000, 20_000
WINDOW, REGISTER = WINDOWS["PLANE_TEMP"].address, register("SYS.SCRATCH").at()
"""Places whose word is counted up; the window's low element is 4096 at power-on, and holds 16 bits."""
BOOT_CYCLES = 100_000
LOOK_CYCLES, QUICK_LOOK_CYCLES = 1_600_000, 100_000
"""A whole `look`, and its beginning."""
LOOK = 2


def advance(chip: Chip, op: Op, cycles: int) -> None:
    """Chip time goes on by a DELAY, or by a WAIT for what does not come."""
    record = np.zeros(1, RECORD)
    record["op"], record["arg"] = op, cycles
    if op is Op.WAIT:
        record["addr"], record["value"], record["mask"] = register("SYS.SCRATCH").at(), 1, 1
    chip.execute(record)


def chip_with(program: list[int], pointer: int) -> Chip:
    """ideal-16 whose core has a program instead of its image's, about to begin, and x5."""
    chip = Chip(load("ideal-16", {"cpu.image": str(IMAGE)}))
    assert chip.core is not None
    chip.core.rom[: len(program)] = program
    chip.state.hart["pc"], chip.state.hart["x"][0, 5] = 0, pointer
    return chip


def seconds(work: Callable[[], None]) -> float:
    """Processor time of this process."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def instructions(cycles: int) -> float:
    """Of the timed loop, millions a second."""
    chip = chip_with(timed_loop(), BASE)
    advance(chip, Op.DELAY, 1000)
    begun = int(chip.state.hart["retired"][0])
    took = seconds(lambda: advance(chip, Op.DELAY, cycles))
    return (int(chip.state.hart["retired"][0]) - begun) / took / 1e6


def accesses(op: Op, place: int, cycles: int) -> tuple[float, int]:
    """Accesses to a place, millions a second, and whether increments were lost."""
    chip = chip_with(bus_loop(), BUS + place)
    bus = chip.firmware_bus()
    advance(chip, op, 1000)
    begun, before = int(chip.state.hart["retired"][0]), bus.read(place)
    took = seconds(lambda: advance(chip, op, cycles))
    passes, added = (int(chip.state.hart["retired"][0]) - begun) / 4, bus.read(place) - before
    return 2 * passes / took / 1e6, int(abs(passes - added) > 1)


def look(folder: Path | None, cycles: int) -> float:
    """Seconds in which the firmware carries out so much of a `look`, with a timeline if it has a folder to go to."""
    chip = Chip(load("ideal-16", {"cpu.image": str(IMAGE)}))
    advance(chip, Op.DELAY, BOOT_CYCLES)
    record = np.zeros(1, RECORD)
    record["op"], record["addr"], record["value"] = Op.WRITE, register("MAILBOX.TO_CORE").at(), LOOK
    chip.execute(record)
    recorder = Recorder(chip, folder / "trace.json", IMAGE) if folder else None
    took = seconds(lambda: advance(chip, Op.DELAY, cycles))
    if recorder:
        recorder.close()
    return took


def bench_whole_chip(effort: Effort) -> list[Row]:
    """Rates of the core in a chip that is otherwise at rest, and the price of `--trace`."""
    cycles = QUICK_PASS_CYCLES if effort.quick else PASS_CYCLES
    some = QUICK_ACCESS_CYCLES if effort.quick else ACCESS_CYCLES
    looked = QUICK_LOOK_CYCLES if effort.quick else LOOK_CYCLES
    rates: list[float] = []
    kinds = {
        "register": (Op.DELAY, REGISTER), "window": (Op.DELAY, WINDOW), "window, the host in a WAIT": (Op.WAIT, WINDOW),
    }  # fmt: skip
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    ratios, lost = [], 0
    instructions(1000)
    for op, place in kinds.values():
        accesses(op, place, 100)
    with tempfile.TemporaryDirectory() as folder:
        look(Path(folder), 1000)
        for _ in range(effort.repeats):
            rates.append(instructions(cycles))
            for kind, (op, place) in kinds.items():
                rate, wrong = accesses(op, place, some)
                found[kind].append(rate)
                lost += wrong
            ratios.append(look(Path(folder), looked) / look(None, looked))
            effort.step()
    return [
        median_row("instructions of sums and a hash in a whole chip", rates, "M/s", effort.goal(100)),
        *(
            median_row(f"accesses of the core in a whole chip to a {kind}", rate, "M/s", effort.goal(0.5))
            for kind, rate in found.items()
        ),
        Row.at_most("repetitions in which an increment was lost", lost, 0),
        median_row("a `look` of the firmware in C with --trace over one without, processor time", ratios, "times"),
    ]
