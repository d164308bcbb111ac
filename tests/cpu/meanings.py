"""What instructions of RV32IM compute, in plain Python, written from the RISC-V manual."""

from __future__ import annotations

from collections.abc import Callable

M32 = 0xFFFFFFFF
LOAD_NAMES = {0: "lb", 1: "lh", 2: "lw", 4: "lbu", 5: "lhu"}
BRANCHES: dict[str, Callable[[int, int], bool]] = {
    "beq": lambda a, b: a == b,
    "bne": lambda a, b: a != b,
    "blt": lambda a, b: signed(a) < signed(b),
    "bge": lambda a, b: signed(a) >= signed(b),
    "bltu": lambda a, b: a < b,
    "bgeu": lambda a, b: a >= b,
}
BRANCH_NAMES = dict(zip((0, 1, 4, 5, 6, 7), BRANCHES, strict=True))


def signed(value: int, bits: int = 32) -> int:
    """A two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def divide(a: int, b: int) -> int:
    """Towards zero, as the M extension wants it."""
    return -1 if b == 0 else (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a: int, b: int) -> int:
    """Of the sign of a, as the M extension wants it."""
    return a if b == 0 else (abs(a) % abs(b)) * (1 if a >= 0 else -1)


COMPUTE: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "sll": lambda a, b: a << (b % 32),
    "slt": lambda a, b: int(signed(a) < signed(b)),
    "sltu": lambda a, b: int(a < b),
    "xor": lambda a, b: a ^ b,
    "srl": lambda a, b: a >> (b % 32),
    "sra": lambda a, b: signed(a) >> (b % 32),
    "or": lambda a, b: a | b,
    "and": lambda a, b: a & b,
    "mul": lambda a, b: a * b,
    "mulh": lambda a, b: signed(a) * signed(b) >> 32,
    "mulhsu": lambda a, b: signed(a) * b >> 32,
    "mulhu": lambda a, b: a * b >> 32,
    "div": lambda a, b: divide(signed(a), signed(b)),
    "divu": lambda a, b: divide(a, b),
    "rem": lambda a, b: remainder(signed(a), signed(b)),
    "remu": lambda a, b: remainder(a, b),
}
PLAIN = ("add", "sll", "slt", "sltu", "xor", "srl", "or", "and")
TIMES = ("mul", "mulh", "mulhsu", "mulhu", "div", "divu", "rem", "remu")
