"""A tick of training: on digits through a daemon, in plain numpy and by THRML; its parts in process, also on a grid.

Ticks go by the clock on the wall, parts by processor time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from contest import PEER_SEED, missing_row
from measuring import Effort, median_row
from numpy.typing import NDArray
from peers.process import PeerError, PeerProcess

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
DATA_PLANES, EXAMPLES = 32, 64
"""Planes that take an example in a tick, and examples of the ring whose parts are timed."""
VISIBLE, HIDDEN, LABELS = 74, 100, 10
CHIPS = ("digits-ideal", "digits-typical")


def data() -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """(1797, 64) pixels of -1 and +1, classes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.where(digits.data >= 8, 1, -1).astype(np.int8), digits.target


def labelled() -> NDArray[np.int8]:
    """(1797, 74) pixels and labels of -1 and +1."""
    X, y = data()
    return np.concatenate([X, np.where(y[:, None] == np.arange(LABELS), 1, -1)], axis=1).astype(np.int8)


def training(algorithm: type[Ctd], chip: str, ticks: int) -> Callable[[], float]:
    """What gives the ticks a second of a training, looks and warm-up included."""
    X, y = data()

    def once() -> float:
        with tsu.open(f"emu:{chip}?die_seed=1&run_seed=1&threads=1") as opened:
            machine = algorithm(opened, range(64), range(64, VISIBLE), ticks=ticks).fit(X, y, progress=False)
            return ticks / machine.counters_.wall_seconds

    return once


def learning_chips(quick: bool) -> dict[str, Any]:
    """Configurations whose parts are timed, by name: digits, and the grid of 16,384 cells without errors and with all of them."""
    from tsu_emu.config import load, parse

    shrink = {"fabric.topology.width": "16", "fabric.topology.height": "16"} if quick else {}
    z1 = load("z1-128", shrink)
    kept = {"fabric", "clock", "timing", "learning"}
    ideal = parse({**z1.model_dump(by_alias=True, include=kept), "name": "z1-128-ideal"})
    return {name: load(name) for name in CHIPS} | {"z1-128 without errors": ideal, "z1-128": z1}


class Parts:
    """A chip in process, whose programs are timed."""

    def __init__(self, config: Any) -> None:
        from tsu_emu.chip import Chip

        self.chip = Chip(config)
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
        ring = [(register("DMA.ENTRIES").at(), EXAMPLES), (register("DMA.PLANES").at(), first), (register("DMA.CTRL").at(), 1)]
        ladders = [(register("TEMPERING.LADDERS").at(), 4), (register("TEMPERING.RUNGS").at(), 8)]
        self.write([], [*roles, *averages, *rate, *ring, *ladders])

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


def timed_parts() -> dict[str, tuple[list[Instruction], bool]]:
    """Programs, and whether correlations are on in them: sweeps alone, what else a tick has, and ticks as a whole."""
    sweeps, examples = Instruction(Opcode.RUN, SWEEPS), Instruction(Opcode.CLAMP_NEXT, DATA_PLANES)
    settle, learn = Instruction(Opcode.WAIT_SETTLE), Instruction(Opcode.LEARN)
    swap, strobe = Instruction(Opcode.SWAP), Instruction(Opcode.STROBE)
    return {
        "sweeps": ([sweeps], False),
        "sweeps with correlations": ([sweeps], True),
        "LEARN with placing": ([learn, settle], False),
        "examples": ([examples], False),
        "SWAP": ([swap], False),
        "tick": ([examples, settle, sweeps, learn], True),
        "tick with SWAP and STROBE": ([examples, settle, sweeps, swap, learn, strobe], True),
    }


def part_rows(name: str, config: Any, effort: Effort) -> list[Row]:
    """Microseconds of the processor for the parts of a tick, and what all of it costs over its sweeps, side by side."""
    parts, programs = Parts(config), timed_parts()
    count = 2 if effort.quick else max(5, 500 * 174 // parts.chip.capabilities.cells)
    found: dict[str, list[float]] = {part: [] for part in programs}
    for _ in range(effort.repeats + 1):
        for part, (body, correlate) in programs.items():
            found[part].append(1e6 * parts.seconds(body, count, correlate))
        effort.step()
    rows = [median_row(f"{name}: {part}", values[1:], "us") for part, values in found.items()]
    for part in ("tick", "tick with SWAP and STROBE"):
        ratios = [whole / bare for whole, bare in zip(found[part][1:], found["sweeps"][1:], strict=True)]
        value, spread, title = statistics.median(ratios), statistics.stdev(ratios), f"{name}: {part} over its sweeps"
        goal = effort.goal(2.0)
        rows.append(Row(title, value, "", spread) if goal is None else Row.at_most(title, value, goal, "", spread))
    return rows


def numpy_ticks(count: int) -> float:
    """Ticks a second of the same algorithm in float32 numpy: 32 pinned and 32 free chains, four sweeps, averages after each."""
    examples, rng = labelled().astype(np.float32), np.random.default_rng(0)
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
    for name, config in learning_chips(effort.quick).items():
        rows += part_rows(name, config, effort)
    return rows


def bench_thrml(unavailable: dict[str, str], effort: Effort, report: Callable[[str], None]) -> list[Row]:
    """Ticks a second of the same algorithm by THRML, and of training on the chip over that, in turn.

    unavailable : peers that cannot be had, and why; report : told what is under way
    """
    if "thrml" in unavailable:
        return [missing_row("tick", "thrml", unavailable["thrml"])]
    ticks = QUICK_TICKS if effort.quick else TICKS
    ours, theirs, once = [], [], training(OnChipCtd, "digits-ideal", ticks)
    options = {"hidden": HIDDEN, "chains": DATA_PLANES, "tick_sweeps": SWEEPS, "sweeps": ticks, "seed": PEER_SEED}
    with tempfile.TemporaryDirectory() as scratch, PeerProcess("thrml_tick", Path(scratch)) as peer:
        report("tick: preparing thrml")
        try:
            peer.prepare({"examples": labelled()}, options)
            for _ in range(effort.repeats):
                peer.start(ticks)
                theirs.append(ticks / peer.finish()[0])
                ours.append(once())
                effort.step()
        except PeerError as error:
            return [missing_row("tick", "thrml", str(error))]
        rows = [Row(f"the same by thrml, set-up of {peer.version}", peer.setup_s, "s")]
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    rows.append(median_row("the same by thrml", theirs, "ticks/s"))
    return [*rows, median_row("digits-ideal: OnChipCtd over thrml", ratios, "")]
