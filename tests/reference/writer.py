"""Random values of windows and programs, and the list of operations into which they go."""

from __future__ import annotations

import random

import numpy as np

from tsu_contract.program import Opcode
from tsu_contract.registers import WINDOWS
from tsu_emu.config import ChipConfig

from .capabilities import capabilities_of
from .operations import OperationList
from .programs import random_instruction, random_program
from .topology import build_graph


class Writer:
    """Fills windows of a chip at random and keeps an upper bound of the chip time that the list takes.

    engines : opcodes of the engines that this list makes use of; of the others programs know nothing
    """

    def __init__(self, rng: random.Random, config: ChipConfig) -> None:
        self.rng = rng
        self.config = config
        self.capabilities = capabilities_of(config, build_graph(config))
        self.list = OperationList()
        self.cuts: list[int] = []
        self.pace = min(self.capabilities.sweep_time(self.capabilities.planes, False), 400)
        learns, clamps = self.capabilities.learn_bits > 0, self.capabilities.hostmem_words > 0
        chances = {Opcode.CLAMP_NEXT: 0.6 if clamps else 0.1, Opcode.LEARN: 0.7 if learns else 0.1, Opcode.SWAP: 0.5}
        self.engines = tuple(opcode for opcode, chance in chances.items() if rng.random() < chance)

    def cycles(self) -> int:
        """No run of this list takes longer."""
        t = self.config.timing
        each = t.issue + 2 * t.access + t.return_ + t.burst_setup
        worst = max(t.beat, t.dac_beat, t.scan_beat, 1)
        rows = self.list.rows
        return t.write_buffer + len(rows) * each + sum(row[6] * (worst if row[0] in (4, 5) else 1) + worst for row in rows)

    # Values.

    def existing_planes(self, index: int) -> int:
        return sum(1 << k for k in range(32) if 32 * index + k < self.capabilities.planes)

    def plane_word(self, index: int) -> int:
        """Random planes of word `index` of a plane set."""
        exist = self.existing_planes(index)
        return self.rng.choice((0, exist, exist, self.rng.getrandbits(32) & exist))

    def elements(self, window: str, count: int) -> list[int]:
        """Random legal elements of a window."""
        rng, limits = self.rng, self.capabilities.limits(WINDOWS[window])
        if window == "PLANE_TEMP":
            return [rng.choice((1, 4096, 4096, 65535, rng.randint(1, 65535), rng.randint(1000, 16000))) for _ in range(count)]
        if window == "CLAMP_MASK":
            return [rng.getrandbits(32) & rng.getrandbits(32) if rng.random() < 0.5 else 0 for _ in range(count)]
        if window.startswith("FREEZE"):
            return [rng.getrandbits(32) & rng.getrandbits(32) if rng.random() < 0.6 else 0 for _ in range(count)]
        if window == "LADDER":
            return rng.sample(range(count), count)
        if limits is None:
            return [rng.choice((rng.getrandbits(32), rng.getrandbits(32), 2**32 - 1)) for _ in range(count)]
        middle = max(0, limits[0])
        return [rng.choice((middle, limits[0], limits[1], rng.randint(*limits), rng.randint(*limits))) for _ in range(count)]

    def window_bytes(self, window: str, first: int, words: int) -> bytes:
        """Random content of words of a window; what pads it to whole words is 0."""
        dtype = WINDOWS[window].dtype
        per_word = max(1, 4 // dtype.itemsize)
        total = int(np.prod(self.capabilities.shape(WINDOWS[window])))
        count = min(words * per_word, total - first * per_word)
        packed = np.array(self.elements(window, count), dtype).tobytes()
        return packed + bytes(4 * words - len(packed))

    # Operations.

    def write_program(self) -> None:
        rng, size = self.rng, self.capabilities.program_words
        first = 0 if rng.random() < 0.9 else rng.randrange(size)
        program = random_program(rng, self.capabilities, size - first, self.engines)
        self.list.write_burst("PROGRAM", 2 * first, np.array(program, "<u8").tobytes())

    def write_program_word(self) -> None:
        word = self.rng.randrange(2 * self.capabilities.program_words)
        opcode, operand = random_instruction(self.rng, self.capabilities, self.engines)
        self.list.write_word("PROGRAM", word, int(opcode) << 24 if word % 2 else operand)

    def fill_window(self, window: str) -> None:
        words = self.capabilities.words(WINDOWS[window])
        if words:
            self.list.write_burst(window, 0, self.window_bytes(window, 0, words))

    def cut(self, probability: float) -> None:
        """End a message here: what follows a WAIT that times out in the same message is lost."""
        if self.rng.random() < probability:
            self.cuts.append(len(self.list.rows))
