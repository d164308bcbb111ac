"""How long a program takes at most, and how many sweeps it does, from the chip's timing."""

from __future__ import annotations

from collections.abc import Sequence

from tsu_contract.capabilities import Capabilities
from tsu_contract.operations import TIME_MAX
from tsu_contract.program import Instruction, Opcode
from tsu_driver.errors import HostError

SLACK_CYCLES = 1024
"""Added to a bound: what passes on the bus between START and the first look."""


def measure(program: Sequence[Instruction], capabilities: Capabilities) -> tuple[int, int]:
    """(most cycles, sweeps) of a program up to the first HALT that it reaches.

    Cycles are counted as if all planes were enabled, every sweep correlated and every WAIT_SETTLE waited in full.
    """
    open_loops: list[tuple[int, int, int]] = []
    cycles = capabilities.instruction_cycles
    sweeps = 0
    for opcode, operand in program:
        if opcode is Opcode.HALT:
            break
        spent, swept = _cost(opcode, operand, capabilities)
        cycles, sweeps = cycles + spent, sweeps + swept
        if opcode is Opcode.LOOP:
            open_loops.append((operand, cycles, sweeps))
        elif opcode is Opcode.END and open_loops:
            times, cycles_before, sweeps_before = open_loops.pop()
            cycles += (times - 1) * (cycles - cycles_before)
            sweeps += (times - 1) * (sweeps - sweeps_before)
    if cycles > TIME_MAX // 2:
        raise HostError(f"the program may take {cycles} cycles; at most 2^61 can be waited for")
    return cycles + SLACK_CYCLES, sweeps


def _cost(opcode: Opcode, operand: int, capabilities: Capabilities) -> tuple[int, int]:
    """(cycles, sweeps) of one execution of an instruction."""
    own = capabilities.instruction_cycles
    if opcode is Opcode.RUN:
        return own + operand * capabilities.sweep_time(capabilities.planes, correlate=True), operand
    if opcode is Opcode.STROBE:
        return own + capabilities.strobe_cycles, 0
    if opcode is Opcode.WAIT_SETTLE:
        return own + capabilities.settle_cycles, 0
    return own + (operand if opcode is Opcode.DELAY else 0), 0
