"""How long a program takes at most, and how many sweeps it does, from the chip's timing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tsu_contract.capabilities import Capabilities
from tsu_contract.operations import TIME_MAX
from tsu_contract.program import Instruction, Opcode
from tsu_driver.errors import HostError

SLACK_CYCLES = 1024
"""Added to a bound: what passes on the bus between START and the first look."""


class Pace(NamedTuple):
    """What instructions take besides what CAP tells.

    period : ADC.PERIOD, cycles
    burst, beat : a burst of a window, once and for each 32-bit word, cycles
    """

    period: int = 0
    burst: int = 0
    beat: int = 0


class Extent(NamedTuple):
    """A program's length: cycles at most, None if it never halts by itself, and sweeps, of an endless loop one round."""

    cycles: int | None
    sweeps: int


NO_PACE = Pace()


def measure(program: Sequence[Instruction], capabilities: Capabilities, pace: Pace = NO_PACE) -> Extent:
    """Extent of a program up to the first HALT that it reaches.

    Cycles are counted as if all planes were enabled, every sweep correlated, every WAIT_SETTLE waited in full and no
    CLAMP_NEXT ever stalled. HostError if a program that ends takes longer than can be waited for.
    """
    open_loops: list[tuple[int, int, int]] = []
    cycles = capabilities.instruction_cycles
    sweeps = 0
    for opcode, operand in program:
        if opcode is Opcode.HALT:
            break
        spent, swept = cost(opcode, operand, capabilities, pace)
        cycles, sweeps = cycles + spent, sweeps + swept
        if opcode is Opcode.LOOP:
            open_loops.append((operand, cycles, sweeps))
        elif opcode is Opcode.END and open_loops:
            times, cycles_before, sweeps_before = open_loops.pop()
            if times == 0:
                return Extent(None, sweeps)
            cycles += (times - 1) * (cycles - cycles_before)
            sweeps += (times - 1) * (sweeps - sweeps_before)
    if cycles > TIME_MAX // 2:
        raise HostError(f"the program may take {cycles} cycles; at most 2^61 can be waited for")
    return Extent(cycles + SLACK_CYCLES, sweeps)


def longest_step(program: Sequence[Instruction], capabilities: Capabilities, pace: Pace = NO_PACE) -> int:
    """Cycles after which a program that is asked to stop has stopped: its longest instruction, or a sweep."""
    single = (Instruction(opcode, min(operand, 1) if opcode is Opcode.RUN else operand) for opcode, operand in program)
    return max(cost(*step, capabilities, pace)[0] for step in single) + SLACK_CYCLES


def scan_time(capabilities: Capabilities, planes: int) -> int:
    """Cycles in which ADC_SCAN converts all cells of so many planes; 0 without converters."""
    count = capabilities.adc_count
    return planes * -(-capabilities.cells // count) * capabilities.adc_cycles if count else 0


def cost(opcode: Opcode, operand: int, capabilities: Capabilities, pace: Pace) -> tuple[int, int]:
    """(cycles at most, sweeps) of one execution of an instruction."""
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
            own += operand * max(pace.period, capabilities.adc_cycles)
        case Opcode.CLAMP_NEXT:
            own += pace.burst + operand * capabilities.dimension("cell_words") * pace.beat
        case Opcode.LEARN:
            own += capabilities.learn_cycles
        case Opcode.SWAP:
            own += capabilities.planes * capabilities.swap_cycles
    return own, sweeps
