"""The public riscv-tests on the firmware core: rv32ui, rv32um, rv32uc and rv32mi, built from a copy of their repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tsu_apps.report import Row
from tsu_emu.cpu.elf import load_elf
from tsu_emu.cpu.hart import run
from tsu_emu.cpu.state import MemoryMap, make_model, new_hart

SUITES = ("rv32ui", "rv32um", "rv32uc", "rv32mi")
OUTSIDE = {
    "rv32ui-ma_data": "accesses across boundaries trap",
    "rv32mi-breakpoint": "the core has no triggers",
    "rv32mi-pmpaddr": "the core has no memory protection",
    "rv32mi-zicntr": "the core has no Zicntr",
}
"""Tests of what the core says it does not have."""
PREFIX = "riscv64-unknown-elf-"
OPTIONS = ("-march=rv32imc_zicsr_zifencei", "-mabi=ilp32", "-static", "-mcmodel=medany", "-fvisibility=hidden", "-nostdlib",
           "-nostartfiles")  # fmt: skip
BASE, RAM_WORDS, CYCLES = 0x8000_0000, 1 << 18, 1_000_000
"""Where the environment's linker script puts programs; RAM; after so many cycles a test has failed."""


def names(folder: Path) -> list[str]:
    """Tests of the four suites, as their Makefrags list them."""
    found = []
    for suite in SUITES:
        text = (folder / "isa" / suite / "Makefrag").read_text().replace("\\\n", " ")
        match = re.search(rf"^{suite}_sc_tests\s*=(.*)$", text, re.M)
        if match is None:
            raise ValueError(f"{folder / 'isa' / suite / 'Makefrag'} lists no tests")
        found += [f"{suite}-{name}" for name in match[1].split()]
    return found


def build(folder: Path, name: str, target: Path) -> None:
    """Compile a test with the environment for bare machine mode (env/p)."""
    suite, _, test = name.partition("-")
    includes = [f"-I{folder / 'env' / 'p'}", f"-I{folder / 'isa' / 'macros' / 'scalar'}", f"-T{folder / 'env' / 'p' / 'link.ld'}"]
    source = folder / "isa" / suite / f"{test}.S"
    command = [f"{PREFIX}gcc", *OPTIONS, *includes, str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise ValueError(f"{name} cannot be built: {done.stderr.strip().splitlines()[0]}")


def outcome(program: Path) -> int:
    """What a test says: 1 passed, another odd number 2 n + 1 failed in case n, 0 did not end."""
    symbols = subprocess.run([f"{PREFIX}nm", str(program)], capture_output=True, text=True, check=True, timeout=60).stdout
    tohost = next(int(line.split()[0], 16) for line in symbols.splitlines() if line.split()[-1] == "tohost")
    memory = MemoryMap(ram_base=BASE)
    rom, ram = np.zeros(0, np.uint32), np.zeros(RAM_WORDS, np.uint32)
    hart, model = new_hart(load_elf(program.read_bytes(), memory, rom, ram)), make_model(memory)
    place = (tohost - BASE) // 4
    for until in range(1000, CYCLES, 1000):
        run(hart, model, rom, ram, until)
        if ram[place]:
            break
    return int(ram[place])


def bench_riscv_tests(folder: Path) -> list[Row]:
    """A row for each test, 1 if it passed; those of what the core does not have are in no goal, and say what that is."""
    if shutil.which(f"{PREFIX}gcc") is None:
        raise ValueError(f"{PREFIX}gcc is not installed (Debian: apt-get install gcc-riscv64-unknown-elf)")
    if not (folder / "env" / "p" / "riscv_test.h").exists():
        raise ValueError(f"{folder} lacks env/p: it is a submodule, riscv-test-env")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in names(folder):
            program = Path(scratch) / name
            build(folder, name, program)
            said = outcome(program)
            if name in OUTSIDE:
                rows.append(Row(f"riscv-tests {name}: {OUTSIDE[name]}", said == 1))
            else:
                where = "" if said == 1 else f" in case {said >> 1}" if said else ", which did not end"
                rows.append(Row.at_least(f"riscv-tests {name} passes{where}", said == 1, 1))
    return rows
