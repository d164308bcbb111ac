"""Samplers of one problem in turn: their rates, and the energies that they reach."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from measuring import Effort, median_row, zero_row
from numba import njit
from numpy.typing import NDArray
from peers.process import PeerError, PeerProcess

from tsu_apps.report import Row

PEER_SEED = 1
LEAST = 32
"""Energies from which a standard error is taken: that of 32 is itself known to an eighth."""


class Contender(Protocol):
    """A sampler with its chains; `run` makes them go on, `states` tells where they are, (chains, cells)."""

    def run(self) -> float:
        """Million updates a second of a repetition."""

    def states(self) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Rival:
    """A peer as it takes part: its distribution, the worker that runs it, threads of each process, processes."""

    peer: str
    worker: str
    threads: int = 1
    processes: int = 1
    note: str = ""

    @property
    def name(self) -> str:
        """As rows call it."""
        count = [f"{n} {what}" for n, what in ((self.threads, "threads"), (self.processes, "processes")) if n > 1]
        return ", ".join([self.peer, *([self.note] if self.note else count)])


class PeerContender:
    """A rival with its processes, which share the chains.

    PeerError if one of them cannot be prepared.
    """

    def __init__(
        self, rival: Rival, problem: dict[str, NDArray[Any]], chains: int, sweeps: int, options: dict[str, Any], stack: ExitStack
    ) -> None:
        self._sweeps, self._updates = sweeps, chains * sweeps * len(next(iter(problem.values()))) / 1e6
        self._states: NDArray[Any] = np.empty((0, 0))
        self._processes = []
        shares = [len(part) for part in np.array_split(np.arange(chains), rival.processes)]
        for k, share in enumerate(shares):
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            process = stack.enter_context(PeerProcess(rival.worker, scratch))
            own = {"chains": share, "sweeps": sweeps, "threads": rival.threads, "seed": PEER_SEED + 1000 * k}
            process.prepare(problem, own | options)
            self._processes.append(process)

    @property
    def setup_s(self) -> float:
        """Seconds until it was ready; the slowest of its processes, which could have been prepared side by side."""
        return max(p.setup_s for p in self._processes)

    @property
    def version(self) -> str:
        """Of the peer."""
        return self._processes[0].version

    def run(self) -> float:
        """All processes at once; the slowest counts."""
        for process in self._processes:
            process.start(self._sweeps)
        done = [process.finish() for process in self._processes]
        self._states = np.concatenate([states for _, states in done])
        return self._updates / max(seconds for seconds, _ in done)

    def states(self) -> NDArray[Any]:
        """(chains, cells) after the last repetition."""
        return self._states


@dataclass
class Record:
    """What a contender did: rates of its repetitions, M updates/s, and energies per cell of all chains after each."""

    rates: list[float] = field(default_factory=list)
    energies: list[NDArray[np.float64]] = field(default_factory=list)

    def count(self) -> int:
        """Energies so far."""
        return sum(map(len, self.energies))

    def energy(self) -> tuple[float, float]:
        """Mean and its standard error; chains after different repetitions count as independent."""
        values = np.concatenate(self.energies)
        return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


Energy = Callable[[NDArray[Any]], NDArray[np.float64]]
"""(chains,) energy per cell, kT at T = 1, of (chains, cells) states."""


def contest(contenders: dict[str, Contender], energy: Energy, effort: Effort) -> tuple[dict[str, Record], dict[str, str]]:
    """All contenders, repetition by repetition in turn; records of those that came through, and why the others did not.

    Few chains go on after the last repetition, in no rate, until there are LEAST energies for a standard error.
    """
    records, failed, repetition = {name: Record() for name in contenders}, {}, 0
    while going := [name for name, r in records.items() if repetition < effort.repeats or r.count() < LEAST]:
        for name in going:
            try:
                rate = contenders[name].run()
            except PeerError as error:
                failed[name] = str(error)
                del records[name]
                continue
            records[name].energies.append(energy(contenders[name].states()))
            if repetition < effort.repeats:
                records[name].rates.append(rate)
        repetition += 1
        if repetition <= effort.repeats:
            effort.step()
    return records, failed


def missing_row(workload: str, rival: str, reason: str) -> Row:
    """A peer that was not measured says why."""
    return Row(f"{workload}: {rival} was not measured: {reason}", float("nan"))


def agreement_row(name: str, first: tuple[float, float], second: tuple[float, float]) -> Row:
    """Difference of two mean energies with their standard errors; good if 0 within five of its own."""
    return zero_row(name, first[0] - second[0], float(np.hypot(first[1], second[1])), "kT")


def record_rows(workload: str, records: dict[str, Record], ours: Sequence[str]) -> list[Row]:
    """Rate and energy of everybody, and how each energy differs from that of the last of `ours`."""
    rows = []
    for name, record in records.items():
        mean, error = record.energy()
        rows.append(median_row(f"{workload}: {name}", record.rates, "M/s"))
        rows.append(Row(f"{workload}: {name}, energy of a cell", mean, "kT", error))
        if name not in ours:
            title = f"{workload}: energy of a cell, {name} less tsu-emu"
            rows.append(agreement_row(title, (mean, error), records[ours[-1]].energy()))
    return rows


def ratio_row(workload: str, records: dict[str, Record], ours: Sequence[str], goal: float | None) -> Row:
    """The last of `ours` over the peer with the highest median, repetition by repetition; NaN without peers."""
    rivals = {name: record for name, record in records.items() if name not in ours}
    if not rivals:
        name = f"{workload}: {ours[-1]} over the best peer; none was measured"
        return Row(name, float("nan")) if goal is None else Row.at_least(name, float("nan"), goal)
    best = max(rivals, key=lambda name: statistics.median(rivals[name].rates))
    ratios = [a / b for a, b in zip(records[ours[-1]].rates, rivals[best].rates, strict=True)]
    return median_row(f"{workload}: {ours[-1]} over {best}", ratios, "", goal)


@njit(nogil=True)
def ising_energy(states, i, j, w, b, out):  # type: ignore[no-untyped-def]
    """out (chains,) = E / cells of (chains, cells) int8 states; pairs i, j with w (pairs,), b (cells,), kT."""
    for c in range(states.shape[0]):
        s, total = states[c], 0.0
        for e in range(w.size):
            total -= w[e] * (s[i[e]] * s[j[e]])
        for k in range(b.size):
            total -= b[k] * s[k]
        out[c] = total / b.size
