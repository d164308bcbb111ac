"""Random sequencer programs."""

from __future__ import annotations

import random

from tsu_contract.capabilities import Capabilities
from tsu_contract.program import Opcode

KINDS = {
    "RUN": 36, "SET_T": 10, "STROBE": 10, "CORR_LATCH": 8, "LOOP": 10, "END": 6, "WAIT_SETTLE": 8, "DELAY": 6, "IRQ": 8,
    "HALT": 2,
}  # fmt: skip
"""Weights of instructions."""

ENGINE_WEIGHT = 9


def random_instruction(rng: random.Random, capabilities: Capabilities, engines: tuple[Opcode, ...]) -> tuple[int, int]:
    """`engines` are opcodes of engines that come as well."""
    weights = KINDS | {opcode.name: ENGINE_WEIGHT for opcode in engines}
    kind = rng.choices(list(weights), list(weights.values()))[0]
    temp_bits = capabilities.temp_bits
    operands = {
        "RUN": rng.choice((0, 1, 1, 2, 3, rng.randint(0, 12), rng.randint(5, 50))),
        "SET_T": rng.choice((1, 2**temp_bits - 1, rng.randint(1, 2**temp_bits - 1))),
        "LOOP": rng.choice((0, 1, 2, 3, rng.randint(1, 9))),
        "CLAMP_NEXT": rng.choice((1, 1, 2, 3, capabilities.planes, rng.randint(1, 2 * capabilities.planes))),
        "DELAY": rng.choice((0, 1, rng.randint(0, 30))),
    }
    return Opcode[kind], operands.get(kind, 0)


def _illegal(rng: random.Random, temp_bits: int) -> int:
    return rng.choice(
        (
            rng.randint(15, 255) << 56,
            Opcode.ADC_SCAN << 56,
            Opcode.ADC_CAPTURE << 56 | rng.randint(0, 4),
            Opcode.STROBE << 56 | 1,
            Opcode.HALT << 56 | rng.randint(1, 2**32 - 1),
            Opcode.CLAMP_NEXT << 56,
            Opcode.LEARN << 56 | 1,
            Opcode.SWAP << 56 | rng.randint(1, 2**32 - 1),
            Opcode.CLAMP_NEXT << 56 | 1 << 55 | 1,
            Opcode.SET_T << 56,
            Opcode.SET_T << 56 | 1 << temp_bits,
            Opcode.RUN << 56 | 1 << rng.randint(32, 55) | 1,
            Opcode.END << 56 | 1,
            Opcode.IRQ << 56 | 1 << 31,
        )
    )


def random_program(rng: random.Random, capabilities: Capabilities, most: int, engines: tuple[Opcode, ...]) -> list[int]:
    """Words of a program: nested loops that mostly close, a HALT mostly, something illegal sometimes."""
    length = rng.randint(1, most)
    instructions = [random_instruction(rng, capabilities, engines) for _ in range(length)]
    program = [opcode << 56 | operand for opcode, operand in instructions]
    if rng.random() < 0.75:
        frame = [
            Opcode.LOOP << 56 | rng.choice((0, 1, 2, 6, 100)),
            Opcode.RUN << 56 | rng.randint(1, 5),
            *(opcode << 56 | (opcode == Opcode.CLAMP_NEXT) for opcode in engines),
        ]
        close = [Opcode.END << 56, Opcode.HALT << 56]
        program = [*frame, *program[: max(0, most - 4 - len(engines))], *close][:most]
    if rng.random() < 0.2:
        program[rng.randrange(len(program))] = _illegal(rng, capabilities.temp_bits)
    if rng.random() < 0.05:
        program = [Opcode.LOOP << 56 | rng.choice((0, 200)), Opcode.IRQ << 56, Opcode.END << 56][:most]
    return program
