"""A chip in process, driven by the names of its registers and windows; whatever it refuses fails the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serving import Pins, Row
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register
from tsu_contract.wire import Reply
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig

HALTED = 2
Step = tuple[Opcode, int]


def program(*steps: Step | Opcode) -> NDArray[np.uint64]:
    """Words of a program; an opcode alone has no operand."""
    return assemble(Instruction(*(step if isinstance(step, tuple) else (step,))) for step in steps)


class Desk:
    """A chip and everything a test does to it."""

    def __init__(self, config: ChipConfig, threads: int = 1) -> None:
        self.chip = Chip(config, threads=threads)
        self.cap = self.chip.capabilities
        self.pins = Pins(self.chip)

    def operate(self, rows: Sequence[Row], *payloads: bytes) -> Reply:
        reply = self.pins.operate(rows, *payloads)
        assert reply.failure is None, reply.failure
        return reply

    def write(self, name: str, value: int, index: int = 0) -> None:
        self.operate([(Op.WRITE, register(name).at(index), value & 0xFFFFFFFF, 0, 0)])

    def set(self, **registers: int) -> None:
        """Registers by name, with __ for the dot."""
        for name, value in registers.items():
            self.write(name.replace("__", "."), value)

    def planes(self, name: str, planes: Sequence[int]) -> None:
        """A set of planes."""
        for word in range((self.cap.planes + 31) // 32):
            self.write(name, sum(1 << p - 32 * word for p in planes if p // 32 == word), word)

    def read(self, name: str, index: int = 0) -> int:
        """A register; of a 64-bit one both halves."""
        at = register(name).at(index)
        words = self.operate([(Op.READ, at + 4 * half, 0, 0, 0) for half in range(register(name).words)]).values
        return sum(int(word) << 32 * half for half, word in enumerate(words))

    def fill(self, window: str, values: ArrayLike, first: int = 0) -> None:
        """Elements of a window from element `first` on, which begins a word."""
        data = np.ascontiguousarray(values).astype(WINDOWS[window].dtype).tobytes()
        data += bytes(-len(data) % 4)
        address = WINDOWS[window].address + first * WINDOWS[window].dtype.itemsize
        self.operate([(Op.BLKWR, address, 0, 0, len(data) // 4)], data)

    def write_word(self, window: str, word: int, value: int) -> None:
        """One word of a window, not as a burst."""
        self.operate([(Op.WRITE, WINDOWS[window].address + 4 * word, value, 0, 0)])

    def dump(self, window: str) -> NDArray[Any]:
        """A whole window in its shape."""
        description = WINDOWS[window]
        words = self.cap.words(description)
        (data,) = self.operate([(Op.BLKRD, description.address, 0, 0, words)]).data
        shape = self.cap.shape(description)
        return np.frombuffer(bytes(data), description.dtype)[: int(np.prod(shape))].reshape(shape).copy()

    def load(self, *steps: Step | Opcode) -> None:
        """A program, and PC at its start."""
        self.fill("PROGRAM", program(*steps))
        self.write("SEQ.PC", 0)

    def start(self) -> None:
        self.write("SEQ.CTRL", 1)

    def wait(self, state: int = HALTED, cycles: int = 1 << 40) -> None:
        """Until the sequencer is in a state."""
        self.operate([(Op.WAIT, register("SEQ.STATUS").at(), state, 0xFF, cycles)])

    def run(self, *steps: Step | Opcode) -> None:
        """A program from its start to its HALT."""
        self.load(*steps, Opcode.HALT)
        self.start()
        self.wait()

    def delay(self, cycles: int) -> None:
        self.operate([(Op.DELAY, 0, 0, 0, cycles)])

    def spins(self) -> NDArray[np.int8]:
        """SPIN as -1 and +1, (planes, cells)."""
        bits = np.unpackbits(self.dump("SPIN").view(np.uint8), axis=1, bitorder="little")[:, : self.cap.cells]
        return (2 * bits.astype(np.int8) - 1).astype(np.int8)
