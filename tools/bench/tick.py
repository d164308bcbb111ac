"""A tick of training on digits: through a daemon, its parts in process, and the same algorithm in plain numpy.

Ticks go by the clock on the wall, parts by processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from measuring import Effort, median_row
from numpy.typing import NDArray

import tsu_driver as tsu
from tsu_apps.learning import Ctd, OnChipCtd
from tsu_apps.report import Row
from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register

TICKS, QUICK_TICKS = 3000, 200
"""Of a training that is timed."""
SWEEPS = 4
"""Of a tick."""
VISIBLE, HIDDEN, LABELS = 74, 100, 10
CHIPS = ("digits-ideal", "digits-typical")


def data() -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """(1797, 64) pixels of -1 and +1, classes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.where(digits.data >= 8, 1, -1).astype(np.int8), digits.target


def training(algorithm: type[Ctd], chip: str, ticks: int) -> Callable[[], float]:
    """What gives the ticks a second of a training, looks and warm-up included."""
    X, y = data()

    def once() -> float:
        with tsu.open(f"emu:{chip}?die_seed=1&run_seed=1&threads=1") as opened:
            machine = algorithm(opened, range(64), range(64, VISIBLE), ticks=ticks).fit(X, y, progress=False)
            return ticks / machine.counters_.wall_seconds

    return once


class Parts:
    """A chip in process, whose programs are timed."""

    def __init__(self, name: str, changes: Mapping[str, str] | None = None) -> None:
        """changes : to the configuration `name`, as `tsu_emu.config.load` takes them."""
        from tsu_emu.chip import Chip
        from tsu_emu.config import load

        self.chip = Chip(load(name, changes))
        size = self.chip.capabilities.couplers
        codes = np.random.default_rng(0).integers(-20, 21, size).astype("<i2").tobytes()
        enable, first = register("FABRIC.PLANE_ENABLE"), 0xFFFFFFFF
        self.write([("COUPLING", codes)], [(enable.at(word), first) for word in (0, 1)])
        roles = [(register("CORR.DATA_PLANES").at(0), first), (register("CORR.FREE_PLANES").at(1), first)]
        averages = [(register(f"CORR.{role}").at(), 1 << 15) for role in ("ALPHA_DATA", "ALPHA_FREE")]
        rate = [(register("LEARN.PAIR_TERM").at(k), 1 + k) for k in (0, 1)]
        rate += [(register("LEARN.PAIR_RATE").at(k), 3000) for k in (0, 1)]
        rate += [(register("LEARN.NORM_DATA").at(), 2048), (register("LEARN.NORM_FREE").at(), 2048)]
        rate += [(register("LEARN.GAIN").at(), 1 << 31), (register("LEARN.CTRL").at(), 1)]
        self.write([], [*roles, *averages, *rate])

    def write(self, windows: Sequence[tuple[str, bytes]], words: Sequence[tuple[int, int]]) -> None:
        """Bursts, window and payload, then words, address and value."""
        records = np.zeros(len(windows) + len(words), RECORD)
        for k, (name, payload) in enumerate(windows):
            records[k] = (Op.BLKWR, 0, 0, WINDOWS[name].address, 0, 0, len(payload) // 4)
        for k, (address, word) in enumerate(words, start=len(windows)):
            records[k] = (Op.WRITE, 0, 0, address, word, 0, 0)
        self.execute(records, [payload for _, payload in windows])

    def execute(self, records: NDArray[np.void], payloads: Sequence[bytes] = ()) -> None:
        """RuntimeError if the list does not come through."""
        failure = self.chip.execute(records, payloads).failure
        if failure is not None:
            raise RuntimeError(failure.message)

    def seconds(self, body: Sequence[Instruction], count: int, correlate: bool = False) -> float:
        """Processor time of one pass through `body`, which is looped."""
        loop = [Instruction(Opcode.LOOP, count), *body, Instruction(Opcode.END), Instruction(Opcode.HALT)]
        address = register("CORR.CTRL").at(), register("SEQ.PC").at()
        self.write([("PROGRAM", assemble(loop).tobytes())], [(address[0], int(correlate)), (address[1], 0)])
        records = np.zeros(2, RECORD)
        records[0] = (Op.WRITE, 0, 0, register("SEQ.CTRL").at(), 1, 0, 0)
        records[1] = (Op.WAIT, 0, 0, register("SEQ.STATUS").at(), 2, 0xFF, 1 << 40)
        begin = time.thread_time()
        self.execute(records)
        return (time.thread_time() - begin) / count


def part_rows(name: str, effort: Effort) -> list[Row]:
    """Microseconds of the processor for the parts of a tick, and what all of it costs over its sweeps."""
    parts, sweeps = Parts(name), Instruction(Opcode.RUN, 50)
    count = 2 if effort.quick else 20
    learn = [Instruction(Opcode.LEARN), Instruction(Opcode.WAIT_SETTLE)]
    found: dict[str, list[float]] = {part: [] for part in ("sweep", "correlations", "LEARN with placing", "tick over its sweeps")}
    for _ in range(effort.repeats + 1):
        bare = parts.seconds([sweeps], count) / 50
        found["sweep"].append(1e6 * bare)
        found["correlations"].append(1e6 * (parts.seconds([sweeps], count, correlate=True) / 50 - bare))
        found["LEARN with placing"].append(1e6 * parts.seconds(learn, 25 * count))
        whole = parts.seconds([Instruction(Opcode.RUN, SWEEPS), *learn], 25 * count, correlate=True)
        found["tick over its sweeps"].append(whole / (SWEEPS * bare))
        effort.step()
    rows = [median_row(f"{name}: {part}", values[1:], "us" if "over" not in part else "") for part, values in found.items()]
    goal = effort.goal(2.0)
    return rows if goal is None else [*rows[:-1], Row.at_most(rows[-1].name, rows[-1].value, goal, "", rows[-1].spread)]


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
        for _ in range(SWEEPS):
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


def bench_tick(effort: Effort) -> list[Row]:
    """Ticks a second of both ways to train and of numpy, then the parts of a tick."""
    ticks = QUICK_TICKS if effort.quick else TICKS
    subjects = {f"{name}: {cls.__name__}": training(cls, name, ticks) for name in CHIPS for cls in (OnChipCtd, Ctd)}
    subjects["the same in numpy"] = lambda: numpy_ticks(ticks)
    rates: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(effort.repeats):
        for name, once in subjects.items():
            rates[name].append(once())
        effort.step()
    rows = [median_row(name, values, "ticks/s") for name, values in rates.items()]
    return rows + [row for name in CHIPS for row in part_rows(name, effort)]
