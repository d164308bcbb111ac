"""What the chip does with all of its data at once costs the same per element on a small and on a large chip."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from measuring import Effort, median_row, most_row
from tick import Parts

from tsu_apps.report import Row
from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import WINDOWS

SIDES, QUICK_SIDES = (128, 256), (16, 32)
"""Of the grid of z1-128: 255 thousand couplings, and a million."""
GROWTH = 1.3
"""Of the cost of an element from the small chip to the large one, at most."""
LATER = 1 << 22
"""32 epochs of slow effects. Without it a larger chip, which takes longer to program, would have more of them to make up for."""
WRITES = 4096
"""Single writes of bias words in a message."""


class Whole:
    """A chip of `side` x `side` cells with all errors of z1-128, driven in process on one thread."""

    def __init__(self, side: int) -> None:
        from tsu_emu.config import load

        self.parts = Parts(load("z1-128", {"fabric.topology.width": str(side), "fabric.topology.height": str(side)}))
        self.cap, self._turn = self.parts.chip.capabilities, 0
        self._codes = [np.random.default_rng(k).integers(-20, 21, self.cap.couplers).astype("<i2").tobytes() for k in (0, 1)]
        self.parts.seconds([Instruction(Opcode.STROBE)], 1)
        spins = WINDOWS["SPIN"]
        self._spins = _record(Op.BLKRD, spins.address, self.cap.words(spins))
        self._single = np.zeros(min(WRITES, self.cap.cells // 2), RECORD)
        self._single["op"], self._single["addr"] = Op.WRITE, WINDOWS["BIAS"].address + 4 * np.arange(len(self._single))

    def program(self) -> float:
        """us a coupling of writing all, other codes than before."""
        self._turn ^= 1
        codes = [("COUPLING", self._codes[self._turn])]
        return _timed(lambda: self.parts.write(codes, [])) / self.cap.couplers

    def first_sweep(self) -> float:
        """us a coupling of a sweep after a write of one word: whatever is derived from the codes is made anew."""
        self.parts.seconds([Instruction(Opcode.RUN, 10)], 1)
        self.parts.execute(self._single[:1])
        return 1e6 * self.parts.seconds([Instruction(Opcode.RUN, 1)], 1) / self.cap.couplers

    def first_sweep_later(self) -> float:
        """us a coupling of a sweep `LATER` cycles after `program`, when slow effects have moved on."""
        self.program()
        self.parts.execute(_record(Op.DELAY, 0, LATER))
        return 1e6 * self.parts.seconds([Instruction(Opcode.RUN, 1)], 1) / self.cap.couplers

    def read_spins(self) -> float:
        """us a spin of reading those of all planes."""
        return _timed(lambda: self.parts.execute(self._spins)) / (self.cap.planes * self.cap.cells)

    def correlate(self) -> float:
        """us a pair of a sweep's update of the correlations, 32 planes in each role."""
        sweeps = [Instruction(Opcode.RUN, 20)]
        self.parts.seconds(sweeps, 1)
        bare = self.parts.seconds(sweeps, 1)
        return 1e6 * (self.parts.seconds(sweeps, 1, correlate=True) - bare) / 20 / self.cap.pairs

    def learn(self) -> float:
        """us a pair of LEARN, and waiting until all has settled."""
        return 1e6 * self.parts.seconds([Instruction(Opcode.LEARN), Instruction(Opcode.WAIT_SETTLE)], 10) / self.cap.pairs

    def single_writes(self) -> float:
        """us a word of single writes of biases, word after word in one message."""
        return _timed(lambda: self.parts.execute(self._single)) / len(self._single)


KINDS: dict[str, Callable[[Whole], float]] = {
    "programming a coupling": Whole.program,
    "first sweep after a write, a coupling": Whole.first_sweep,
    "first sweep 32 epochs after programming, a coupling": Whole.first_sweep_later,
    "reading a spin of 64 planes": Whole.read_spins,
    "correlating a pair in 64 planes": Whole.correlate,
    "LEARN, a pair": Whole.learn,
    "single write of a bias word": Whole.single_writes,
}


def _record(op: Op, address: int, arg: int) -> np.ndarray:
    record = np.zeros(1, RECORD)
    record[0] = (op, 0, 0, address, 0, 0, arg)
    return record


def _timed(work: Callable[[], None]) -> float:
    """Microseconds of the processor."""
    begin = time.thread_time()
    work()
    return 1e6 * (time.thread_time() - begin)


def bench_linear(effort: Effort) -> list[Row]:
    """Nanoseconds of the processor an element on the large chip, and how they grew from the small one."""
    small, large = (Whole(side) for side in (QUICK_SIDES if effort.quick else SIDES))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in KINDS}
    for _ in range(effort.repeats + 1):
        for name, measure in KINDS.items():
            found[name].append((measure(small), measure(large)))
        effort.step()
    rows = []
    for name, pairs in found.items():
        kept = pairs[1:]
        rows.append(median_row(name, [1e3 * b for _, b in kept], "ns"))
        rows.append(most_row(f"{name}: growth", [b / a for a, b in kept], "", effort.goal(GROWTH)))
    return rows
