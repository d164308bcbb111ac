"""Measures a tick of training on digits: through a daemon, its parts in process, and the same algorithm in plain numpy.

    python tools/bench_tick.py [--json FILE]

Medians over alternating repetitions; spread is one standard deviation over them. Ticks go by the clock on the wall, parts by
processor time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tsu_driver as tsu
from tsu_apps.learning import Ctd, OnChipCtd
from tsu_apps.report import Row, format_rows, write_json
from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register

REPEATS = 3
TICKS = 3000
"""Of a training that is timed."""
VISIBLE, HIDDEN, LABELS = 74, 100, 10
CHIPS = ("digits-ideal", "digits-typical")


def data() -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """(1797, 64) pixels of -1 and +1, classes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.where(digits.data >= 8, 1, -1).astype(np.int8), digits.target


def training(algorithm: type[Ctd], chip: str) -> Callable[[], float]:
    """What gives the ticks a second of a training, looks and warm-up included."""
    X, y = data()

    def once() -> float:
        with tsu.open(f"emu:{chip}?die_seed=1&run_seed=1&threads=1") as opened:
            machine = algorithm(opened, range(64), range(64, VISIBLE), ticks=TICKS).fit(X, y, progress=False)
            return TICKS / machine.counters_.wall_seconds

    return once


class Parts:
    """A chip in process, whose programs are timed."""

    def __init__(self, name: str) -> None:
        from tsu_emu.chip import Chip
        from tsu_emu.config import load

        self.chip = Chip(load(name))
        size = self.chip.capabilities.couplers
        codes = np.random.default_rng(0).integers(-20, 21, size).astype("<i2").tobytes()
        enable, first = register("FABRIC.PLANE_ENABLE"), 0xFFFFFFFF
        self._write([("COUPLING", codes)], [(enable.at(word), first) for word in (0, 1)])
        roles = [(register("CORR.DATA_PLANES").at(0), first), (register("CORR.FREE_PLANES").at(1), first)]
        averages = [(register(f"CORR.{role}").at(), 1 << 15) for role in ("ALPHA_DATA", "ALPHA_FREE")]
        rate = [(register("LEARN.PAIR_TERM").at(k), 1 + k) for k in (0, 1)]
        rate += [(register("LEARN.PAIR_RATE").at(k), 3000) for k in (0, 1)]
        rate += [(register("LEARN.NORM_DATA").at(), 2048), (register("LEARN.NORM_FREE").at(), 2048)]
        rate += [(register("LEARN.GAIN").at(), 1 << 31), (register("LEARN.CTRL").at(), 1)]
        self._write([], [*roles, *averages, *rate])

    def _write(self, windows: Sequence[tuple[str, bytes]], words: Sequence[tuple[int, int]]) -> None:
        records = np.zeros(len(windows) + len(words), RECORD)
        for k, (name, payload) in enumerate(windows):
            records[k] = (Op.BLKWR, 0, 0, WINDOWS[name].address, 0, 0, len(payload) // 4)
        for k, (address, word) in enumerate(words, start=len(windows)):
            records[k] = (Op.WRITE, 0, 0, address, word, 0, 0)
        self._execute(records, [payload for _, payload in windows])

    def _execute(self, records: NDArray[np.void], payloads: Sequence[bytes] = ()) -> None:
        failure = self.chip.execute(records, payloads).failure
        if failure is not None:
            raise RuntimeError(failure.message)

    def seconds(self, body: Sequence[Instruction], count: int, correlate: bool = False) -> float:
        """Processor time of one pass through `body`, which is looped."""
        loop = [Instruction(Opcode.LOOP, count), *body, Instruction(Opcode.END), Instruction(Opcode.HALT)]
        address = register("CORR.CTRL").at(), register("SEQ.PC").at()
        self._write([("PROGRAM", assemble(loop).tobytes())], [(address[0], int(correlate)), (address[1], 0)])
        records = np.zeros(2, RECORD)
        records[0] = (Op.WRITE, 0, 0, register("SEQ.CTRL").at(), 1, 0, 0)
        records[1] = (Op.WAIT, 0, 0, register("SEQ.STATUS").at(), 2, 0xFF, 1 << 40)
        begin = time.thread_time()
        self._execute(records)
        return (time.thread_time() - begin) / count


def part_rows(name: str, step: Callable[[], None]) -> list[Row]:
    """Microseconds of the processor for the parts of a tick."""
    from tsu_emu.analog.die import place_couplings

    parts, sweeps = Parts(name), Instruction(Opcode.RUN, 50)
    plant, codes = parts.chip.plant, parts.chip.state.coupling_code
    learn = [Instruction(Opcode.LEARN), Instruction(Opcode.WAIT_SETTLE)]
    found: dict[str, list[float]] = {part: [] for part in ("sweep", "correlations", "LEARN with placing", "placing")}
    for _ in range(REPEATS + 1):
        bare = parts.seconds([sweeps], 20) / 50
        found["sweep"].append(bare)
        found["correlations"].append(parts.seconds([sweeps], 20, correlate=True) / 50 - bare)
        found["LEARN with placing"].append(parts.seconds(learn, 500))
        begin = time.thread_time()
        for _ in range(200):
            place_couplings(plant.die, plant.topology.row, codes, 0, plant.doubled, plant.base)
        found["placing"].append((time.thread_time() - begin) / 200)
        step()
    return [median_row(f"{name}: {part}", [1e6 * t for t in times[1:]], "us") for part, times in found.items()]


def numpy_ticks(count: int) -> float:
    """Ticks a second of the same algorithm in float32 numpy: 32 pinned and 32 free chains, four sweeps, averages after each."""
    X, y = data()
    rng = np.random.default_rng(0)
    examples = np.concatenate([X, np.where(y[:, None] == np.arange(LABELS), 1, -1)], axis=1).astype(np.float32)
    w = rng.normal(0, 0.02, (VISIBLE, HIDDEN)).astype(np.float32)
    b, c = np.zeros(VISIBLE, np.float32), np.zeros(HIDDEN, np.float32)
    v, averages = np.ones((64, VISIBLE), np.float32), [np.zeros((VISIBLE, HIDDEN), np.float32) for _ in range(2)]
    means = [np.zeros(VISIBLE + HIDDEN, np.float32) for _ in range(2)]

    def drawn(fields: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where(np.tanh(fields) > 2 * rng.random(fields.shape, dtype=np.float32) - 1, np.float32(1), np.float32(-1))

    begin = time.perf_counter()
    for _ in range(count):
        v[:32] = examples[rng.integers(len(examples), size=32)]
        for _ in range(4):
            h = drawn(v @ w + c)
            v[32:] = drawn(h[32:] @ w.T + b)
            for role, part in enumerate((slice(0, 32), slice(32, 64))):
                averages[role] += 0.4 * (v[part].T @ h[part] / 32 - averages[role])
                means[role] += 0.4 * (np.concatenate([v[part].mean(axis=0), h[part].mean(axis=0)]) - means[role])
        w += 0.01 * (averages[0] - averages[1] - 1e-3 * w)
        change = 0.01 * (means[0] - means[1])
        b += change[:VISIBLE]
        c += change[VISIBLE:]
    return count / (time.perf_counter() - begin)


def median_row(name: str, values: Sequence[float], unit: str) -> Row:
    """The median of repetitions, with their spread."""
    return Row(name, statistics.median(values), unit, statistics.stdev(values))


def measure(step: Callable[[], None]) -> list[Row]:
    """All rows; `step` is called now and then."""
    subjects = {f"{name}: {cls.__name__}": training(cls, name) for name in CHIPS for cls in (OnChipCtd, Ctd)}
    subjects["the same in numpy"] = lambda: numpy_ticks(TICKS)
    rates: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(REPEATS):
        for name, once in subjects.items():
            rates[name].append(once())
            step()
    rows = [median_row(name, values, "ticks/s") for name, values in rates.items()]
    return rows + [row for name in CHIPS for row in part_rows(name, step)]


def main() -> int:
    """Prints and writes what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write rows here")
    arguments = parser.parse_args()
    rows = measure(lambda: print(".", end="", file=sys.stderr, flush=True))
    print(file=sys.stderr)
    print(format_rows(rows))
    if arguments.json:
        config = {"repeats": REPEATS, "ticks": TICKS}
        write_json(arguments.json, rows, config=config, seeds={"die": 1, "run": 1}, packages=("numba", "numpy"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
