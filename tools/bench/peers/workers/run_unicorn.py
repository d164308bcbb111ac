"""Unicorn: an RV32 machine that runs blocks of code from given registers and RAM."""

from __future__ import annotations

import time

import numpy as np
from loop import Arrays, Sampler, serve
from unicorn import UC_ARCH_RISCV, UC_MODE_RISCV32, Uc
from unicorn.riscv_const import UC_RISCV_REG_PC, UC_RISCV_REG_X1


def prepare(problem: Arrays, options: dict) -> Sampler:
    """Arrays x (blocks, 32), ram (blocks, words) and ends (blocks,), uint32; options base.

    The sampler runs each block until pc is where it ends, or for so many instructions if that is not 0; it answers with rows of
    registers, pc and RAM.
    """
    x, ram, ends, base = problem["x"], problem["ram"], problem["ends"], options["base"]

    def sampler(limit: int) -> tuple[float, np.ndarray]:
        rows, seconds = [], 0.0
        for registers, words, end in zip(x, ram, ends, strict=True):
            machine = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
            machine.mem_map(base, words.nbytes)
            machine.mem_write(base, words.tobytes())
            for k in range(1, 32):
                machine.reg_write(UC_RISCV_REG_X1 + k - 1, int(registers[k]))
            begin = time.perf_counter()
            machine.emu_start(base, int(end), count=limit)
            seconds += time.perf_counter() - begin
            state = [0] + [machine.reg_read(UC_RISCV_REG_X1 + k) for k in range(31)] + [machine.reg_read(UC_RISCV_REG_PC)]
            after = np.frombuffer(bytes(machine.mem_read(base, words.nbytes)), np.uint32)
            rows.append(np.concatenate([np.array(state, np.uint32), after]))
        return seconds, np.array(rows)

    return sampler


serve("unicorn", prepare)
