"""Random sequencer programs."""

from __future__ import annotations

import random

from tsu_contract.capabilities import Capabilities
from tsu_contract.program import Opcode


def random_instruction(rng: random.Random, temp_bits: int) -> tuple[int, int]:
    kind = rng.choices(
        ("RUN", "SET_T", "STROBE", "CORR_LATCH", "LOOP", "END", "WAIT_SETTLE", "DELAY", "IRQ", "HALT"),
        (36, 10, 10, 8, 10, 6, 8, 6, 8, 2),
    )[0]
    operands = {
        "RUN": rng.choice((0, 1, 1, 2, 3, rng.randint(0, 12), rng.randint(5, 50))),
        "SET_T": rng.choice((1, 2**temp_bits - 1, rng.randint(1, 2**temp_bits - 1))),
        "LOOP": rng.choice((1, 2, 3, rng.randint(1, 9))),
        "DELAY": rng.choice((0, 1, rng.randint(0, 30))),
    }
    return Opcode[kind], operands.get(kind, 0)


def _illegal(rng: random.Random, temp_bits: int) -> int:
    return rng.choice(
        (
            rng.randint(12, 255) << 56,
            Opcode.ADC_SCAN << 56,
            Opcode.ADC_CAPTURE << 56 | rng.randint(0, 4),
            Opcode.STROBE << 56 | 1,
            Opcode.HALT << 56 | rng.randint(1, 2**32 - 1),
            Opcode.LOOP << 56,
            Opcode.SET_T << 56,
            Opcode.SET_T << 56 | 1 << temp_bits,
            Opcode.RUN << 56 | 1 << rng.randint(32, 55) | 1,
            Opcode.END << 56 | 1,
            Opcode.IRQ << 56 | 1 << 31,
        )
    )


def random_program(rng: random.Random, capabilities: Capabilities, most: int) -> list[int]:
    """Words of a program: nested loops that mostly close, a HALT mostly, something illegal sometimes."""
    length = rng.randint(1, most)
    program = [
        opcode << 56 | operand for opcode, operand in (random_instruction(rng, capabilities.temp_bits) for _ in range(length))
    ]
    if rng.random() < 0.75:
        frame = [Opcode.LOOP << 56 | rng.choice((1, 2, 6, 100)), Opcode.RUN << 56 | rng.randint(1, 5)]
        close = [Opcode.END << 56, Opcode.HALT << 56]
        program = [*frame, *program[: max(0, most - 4)], *close][:most]
    if rng.random() < 0.1:
        program[rng.randrange(len(program))] = _illegal(rng, capabilities.temp_bits)
    if rng.random() < 0.05:
        program = [Opcode.LOOP << 56 | 200, Opcode.IRQ << 56, Opcode.END << 56][:most]
    return program
