"""F3: a daemon killed with -9 at random instants while Continuous Thermodynamic Descent trains on digits.

The same training is run twice: once left alone, once on a daemon that is killed and started anew again and again. Weights and the
chip's whole state must be the same, and no request may fail.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from sklearn.datasets import load_digits
from trust.effort import Effort

import tsu_driver as tsu
from server.process import Process, short_directory
from tsu_apps.learning import Ctd
from tsu_apps.report import Row
from tsu_emu.bench.client import Oracle

CHIP = Path("digits-ideal")
PIXELS, CLASSES = 64, 10
TICKS_A_KILL, FIRST_TICKS = 100, 100
TIMEOUT_S = 120.0
RESUMED_SECONDS = 2.0
"""Goal for a start, from the process's beginning until it answers: processor time, since others may be at work."""
PAUSE_SECONDS = 0.05
"""Longest time after a message was counted at which the daemon is killed."""


@dataclass(frozen=True)
class Run:
    """Of a training: SHA-256 of its weights, and messages it took."""

    weights: str
    messages: int


def trained(endpoint: str, ticks: int, counted: list[tsu.Chip]) -> Run:
    """A training by a daemon. counted : gets the chip as soon as it is open"""
    X, y = load_digits(return_X_y=True)
    spins = np.where(X > 8, 1, -1).astype(np.int8)
    with tsu.open(endpoint, timeout_s=TIMEOUT_S) as chip:
        counted.append(chip)
        model = Ctd(chip, range(PIXELS), labels=range(PIXELS, PIXELS + CLASSES), ticks=ticks, seed=5)
        model.fit(spins[:500], y[:500], progress=False)
        weights = hashlib.sha256(model.weights_.tobytes() + model.biases_.tobytes()).hexdigest()
        return Run(weights, chip.stats.messages)


def processor_seconds(pid: int) -> float:
    """Processor time of a process so far, s, in its own and the system's code."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Killed:
    """A daemon that is killed and started anew.

    plain, resumed : seconds and processor time, s, of the first and of each later start until it answered
    again : requests that each had to carry out again
    """

    def __init__(self, folder: Path, arguments: Sequence[str]) -> None:
        self._endpoint, self._arguments = f"ipc://{folder}/chip.sock", ("--bench", *arguments)
        self.resumed: list[tuple[float, float]] = []
        self.again: list[int] = []
        self.process, self.plain = self._started()
        self.endpoint = self.process.endpoint

    def _started(self) -> tuple[Process, tuple[float, float]]:
        begun = time.monotonic()
        process = Process(CHIP, self._endpoint, *self._arguments)
        return process, (time.monotonic() - begun, processor_seconds(process.ready["pid"]))

    def kill(self) -> None:
        """With -9, and started anew."""
        self.process.signal(signal.SIGKILL)
        self.process.end()
        self.process.close()
        self.process, seconds = self._started()
        self.resumed.append(seconds)
        self.again += [line["requests"] for line in self.process.lines if line["event"] == "recovered"]

    def digest(self) -> str:
        """Of the chip's state."""
        with Oracle(f"{self.endpoint}.oracle") as oracle:
            return oracle.digest()


@contextmanager
def served(*arguments: str) -> Iterator[Killed]:
    """A daemon of its own."""
    with short_directory() as folder:
        daemon = Killed(folder, [a.replace("DIR", str(folder / "state")) for a in arguments])
        try:
            yield daemon
        finally:
            daemon.process.close()


def survived(
    kills: int, arguments: Sequence[str], seed: int, messages: int, ticks: int, progress: Callable[[float], None]
) -> tuple[tuple[str, str], Killed]:
    """The training on a daemon that is killed at random instants: its weights or how it failed, and the digest at its end."""
    rng = random.Random(seed)
    moments = sorted(rng.randrange(1, messages * 2 // 3) for _ in range(kills))  # the rest is for whoever looks late
    chips: list[tsu.Chip] = []
    outcome: list[str] = []

    def train(endpoint: str) -> None:
        try:
            outcome.append(trained(endpoint, ticks, chips).weights)
        except (tsu.TsuError, OSError) as error:
            outcome.append(f"{type(error).__name__}: {error}")

    with served(*arguments) as daemon:
        trainer = threading.Thread(target=train, args=(daemon.endpoint,))
        trainer.start()
        for number, moment in enumerate(moments):
            while trainer.is_alive() and not (chips and chips[0].stats.messages >= moment):
                time.sleep(0.001)
            if not trainer.is_alive():
                break
            time.sleep(rng.random() * PAUSE_SECONDS)
            daemon.kill()
            progress((number + 1) / kills)
        trainer.join()
        return (outcome[0], daemon.digest()), daemon


def measure(effort: Effort) -> list[Row]:
    """Rows of F3: half of the kills in each mode."""
    kills = effort.size(20, 200) // 2
    ticks = FIRST_TICKS + TICKS_A_KILL * kills
    with served() as daemon:
        alone = trained(daemon.endpoint, ticks, [])
        expected = alone.weights, daemon.digest()
    rows = []
    for place, keep in enumerate(("fast", "durable")):
        arguments = ("--state", "DIR", "--keep", keep)
        found, daemon = survived(kills, arguments, effort.seed + place, alone.messages, ticks, effort.progress)
        same, (seconds, used) = found == expected, zip(*daemon.resumed, strict=True)
        said = "" if same else f" ({found} and not {expected}; {effort.again('F3', keep=keep)})"
        rows += [
            Row.at_least(f"{keep}: kills", len(daemon.resumed), kills),
            Row.at_most(f"{keep}: runs that end otherwise{said}", float(not same), 0),
            Row.at_most(f"{keep}: start after a kill, processor time, longest", max(used), RESUMED_SECONDS, "s"),
            Row(f"{keep}: start after a kill, median", median(seconds), "s"),
            Row(f"{keep}: first start", daemon.plain[0], "s"),
            Row(f"{keep}: requests carried out again in a start, median", median(daemon.again)),
        ]
    return rows
