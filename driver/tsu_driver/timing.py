"""How long a program takes at most, and how many sweeps it does, from the chip's timing."""

from __future__ import annotations

from collections.abc import Sequence

from tsu_contract.capabilities import Capabilities
from tsu_contract.operations import TIME_MAX
from tsu_contract.program import Instruction, Opcode
from tsu_driver.errors import HostError

SLACK_CYCLES = 1024
"""Added to a bound: what passes on the bus between START and the first look."""


def measure(program: Sequence[Instruction], capabilities: Capabilities, period: int = 0) -> tuple[int, int]:
    """(most cycles, sweeps) of a program up to the first HALT that it reaches.

    period : ADC.PERIOD, cycles
    Cycles are counted as if all planes were enabled, every sweep correlated and every WAIT_SETTLE waited in full.
    """
    open_loops: list[tuple[int, int, int]] = []
    cycles = capabilities.instruction_cycles
    sweeps = 0
    for opcode, operand in program:
        if opcode is Opcode.HALT:
            break
        spent, swept = _cost(opcode, operand, capabilities, period)
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


def scan_time(capabilities: Capabilities, planes: int) -> int:
    """Cycles in which ADC_SCAN converts all cells of so many planes; 0 without converters."""
    count = capabilities.adc_count
    return planes * -(-capabilities.cells // count) * capabilities.adc_cycles if count else 0


def _cost(opcode: Opcode, operand: int, capabilities: Capabilities, period: int) -> tuple[int, int]:
    """(cycles, sweeps) of one execution of an instruction."""
    own, sweeps = capabilities.instruction_cycles, 0
    match opcode:
        case Opcode.RUN:
            own, sweeps = own + operand * capabilities.sweep_time(capabilities.planes, correlate=True), operand
        case Opcode.STROBE:
            own += capabilities.strobe_cycles
        case Opcode.WAIT_SETTLE:
            own += capabilities.settle_cycles
        case Opcode.DELAY:
            own += operand
        case Opcode.ADC_SCAN:
            own += scan_time(capabilities, capabilities.planes)
        case Opcode.ADC_CAPTURE:
            own += operand * max(period, capabilities.adc_cycles)
    return own, sweeps
