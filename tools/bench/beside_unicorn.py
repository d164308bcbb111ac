"""The firmware core beside Unicorn: random blocks, then registers, pc and memory compared, and the first difference found."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Effort
from numpy.typing import NDArray
from peers.process import PeerError, PeerProcess
from rv32 import BASE, Blocks, random_blocks

from tsu_apps.report import Row
from tsu_emu.cpu.hart import run
from tsu_emu.cpu.state import MemoryMap, make_model, new_hart

SEED = 1
BLOCKS, INSTRUCTIONS, TURNS = 25, 500, 80
"""Of a lot: blocks, instructions of each, and how often each is gone through."""
LEAST, QUICK_LEAST = 10_000_000, 100_000
"""Instructions that are compared."""
MOST = 10_000_000
"""Cycles after which a block has gone astray."""


def model() -> NDArray[Any]:
    """The core with RAM alone, where the blocks lie."""
    return make_model(MemoryMap(ram_base=BASE))


def ours(core: NDArray[Any], blocks: Blocks, limit: int) -> tuple[int, NDArray[np.uint32]]:
    """Instructions, and rows of registers, pc and RAM after each block, or after `limit` instructions of it if not 0."""
    rows, retired = [], 0
    for x, words, end in zip(*blocks, strict=True):
        hart, ram, rom = new_hart(BASE), words.copy(), np.zeros(0, np.uint32)
        hart["x"], hart["breakpoints"][0, 0] = x, end
        retired += run(hart, core, rom, ram, limit or MOST)[1]
        rows.append(np.concatenate([hart["x"][0], hart["pc"], ram]))
    return retired, np.array(rows)


class Unicorn:
    """A process of it."""

    def __init__(self, scratch: Path) -> None:
        self._process = PeerProcess("unicorn", scratch)

    def run(self, blocks: Blocks, limit: int) -> NDArray[np.uint32]:
        """As `ours`, without the number of instructions."""
        self._process.prepare(blocks._asdict(), {"base": BASE, "sweeps": 1})
        self._process.start(limit)
        return self._process.finish()[1]

    def close(self) -> None:
        """End the process."""
        self._process.close()


def first_difference(core: NDArray[Any], blocks: Blocks, theirs: Callable[[Blocks, int], NDArray[np.uint32]]) -> tuple[int, int]:
    """Of a block that ends differently: how many instructions it takes, by bisection, and the address of the last of them."""
    same, different = 0, ours(core, blocks, 0)[0]
    while different - same > 1:
        middle = (same + different) // 2
        if (ours(core, blocks, middle)[1] == theirs(blocks, middle)).all():
            same = middle
        else:
            different = middle
    before = ours(core, blocks, same)[1] if same else np.array([[BASE] * 33])
    return different, int(before[0, 32])


def bench_unicorn(unavailable: dict[str, str], effort: Effort, report: Callable[[str], None]) -> list[Row]:
    """Lots of blocks until enough instructions were compared; a row for the first that differs, if any."""
    if "unicorn" in unavailable:
        return [Row(f"Unicorn was not measured: {unavailable['unicorn']}", float("nan"))]
    rng, core, least = np.random.default_rng(SEED), model(), QUICK_LEAST if effort.quick else LEAST
    compared, differing, notes = 0, 0, []
    with tempfile.TemporaryDirectory() as scratch:
        unicorn = Unicorn(Path(scratch))
        try:
            while compared < least:
                blocks = random_blocks(rng, BLOCKS, INSTRUCTIONS, TURNS)
                retired, states = ours(core, blocks, 0)
                compared += retired
                wrong = np.flatnonzero((states != unicorn.run(blocks, 0)).any(1))
                differing += len(wrong)
                if len(wrong) and not notes:
                    one = Blocks(*(column[wrong[:1]] for column in blocks))
                    count, address = first_difference(core, one, unicorn.run)
                    notes.append(Row(f"first difference after so many instructions, the last at {address:#010x}", count))
        except PeerError as error:
            report(f"Unicorn: {error}")
            return [Row(f"Unicorn was not measured: {error}", float("nan"))]
        finally:
            unicorn.close()
    rows = [Row("instructions of random blocks compared with Unicorn", compared)]
    rows.append(Row.at_most("blocks after which registers, pc or memory differ", differing, 0))
    return rows + notes
