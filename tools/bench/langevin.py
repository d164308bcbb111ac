"""Analog cells on the grid: cell-steps per second, with the law that they keep, and thermox where its exact steps apply."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
from contest import Contender, PeerContender, Rival, contest, missing_row, ratio_row, record_rows
from measuring import Effort, median_row, zero_row
from numpy.typing import NDArray
from peers.process import PeerError
from running import Running, Subject, halves

from tsu_apps.report import Row

THERMOX = Rival("thermox", "thermox", note="its own threads")
SUBSTEPS, STEP = 8, 1 / 32
"""Integration steps of a tick, and how long one is in units of tau."""
CODES_PER_KT = 32
COUPLING_LIMIT = 4
QUARTIC = 8
"""Code of the quartic term: b = 1/4."""


def config(side: int) -> Any:
    """Quartic cells without errors on a grid of degree 16; a tick of 10 ns is SUBSTEPS * STEP tau."""
    from tsu_emu.config import parse

    topology = {"kind": "grid", "width": side, "height": side, "rules": [[1, 0], [2, 1], [2, 3], [4, 1]]}
    cell = {"kind": "langevin", "tau_s": 1e-8 / (SUBSTEPS * STEP), "substeps": SUBSTEPS}
    coupling, bias = {"dac": {"full_scale": 3.0}}, {"dac": {"full_scale": 128 / CODES_PER_KT}}
    fabric = {"planes": 64, "topology": topology}
    timing = {"clock": {"hz": 1e8}, "timing": {"colour": 1, "slot": 0}, "adc": {"count": 1}}
    return parse({"name": "langevin", **timing, "fabric": fabric, "cell": cell, "coupling": coupling, "bias": bias})


class Cells(Running):
    """A chip of Langevin cells with a = 1, and a quartic term or none, started from rest."""

    def __init__(self, subject: Subject, quartic: int) -> None:
        self._quartic = quartic
        super().__init__(subject, COUPLING_LIMIT)

    def _biases(self, rng: np.random.Generator, limit: int) -> bytes:
        """Terms h, a, c, b of each cell."""
        return halves(np.tile([0, CODES_PER_KT, 0, self._quartic], self.chip.capabilities.cells))

    def run(self) -> float:
        """Million cell-steps a second."""
        return SUBSTEPS * self.rate()

    def states(self) -> NDArray[np.float64]:
        """(planes, cells)."""
        return self.chip.state.value[:, : self.chip.capabilities.cells].copy()

    def matrix(self) -> NDArray[np.float64]:
        """(cells, cells), A of the linear force -A x."""
        t, array = self.chip.plant.topology, self.chip.array
        a = np.diag(array._law.a)  # type: ignore[attr-defined]
        a[np.repeat(np.arange(len(a)), np.diff(t.row)), t.source] -= array._J  # type: ignore[attr-defined]
        return a

    def virial(self) -> tuple[float, float]:
        """<x V'(x)> - T over all cells, kT, and its standard error over planes: 0 in equilibrium, where T = 1."""
        t, array, x = self.chip.plant.topology, self.chip.array, self.states()
        law, J = array._law, array._J  # type: ignore[attr-defined]
        heard = np.add.reduceat(J * x[:, t.source], t.row[:-1], axis=1)
        values = (x * (x * (law.a + law.b * x**2) - heard)).mean(axis=1) - 1.0
        return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def bench_langevin(unavailable: dict[str, str], effort: Effort, report: Callable[[str], None]) -> list[Row]:
    """Quartic cells on the large grid by themselves; linear ones on a small one beside thermox."""
    side, ticks = (16, 8) if effort.quick else (128, 20)
    report("langevin: measuring")
    chips = [
        Cells(Subject(f"quartic cells, 64 planes, {n} thread{'s' * (n > 1)}", config(side), 64, n, ticks), QUARTIC)
        for n in (1, 2)
    ]
    rates: list[list[float]] = [[] for _ in chips]
    for _ in range(effort.repeats):
        for k, chip in enumerate(chips):
            rates[k].append(chip.run())
        effort.step()
    rows = []
    for chip, values, goal in zip(chips, rates, (None, 1000.0), strict=True):
        rows.append(median_row(chip.subject.name, values, "M/s", effort.goal(goal)))
        rows.append(zero_row(f"{chip.subject.name}: <x V'(x)> - T", *chip.virial(), "kT"))
    return rows + _linear(unavailable, effort, report)


def _linear(unavailable: dict[str, str], effort: Effort, report: Callable[[str], None]) -> list[Row]:
    """A step of thermox is exact and may be of any length; here it is as long as one of ours."""
    workload, side, ticks = "linear cells, 64 chains", 8 if effort.quick else 16, 40
    name = "tsu-emu, 1 thread"
    chip = Cells(Subject(f"{workload}: {name}", config(side), 64, 1, ticks), 0)
    a, rows = chip.matrix(), []
    contenders: dict[str, Contender] = {name: chip}
    with ExitStack() as stack:
        report(f"{workload}: preparing {THERMOX.name}")
        try:
            if THERMOX.peer in unavailable:
                raise PeerError(unavailable[THERMOX.peer])
            peer = PeerContender(THERMOX, {"A": a}, 64, SUBSTEPS * ticks, {"step": STEP}, stack)
            contenders[THERMOX.name] = peer
            rows.append(Row(f"{workload}: {THERMOX.name}, set-up of {peer.version}", peer.setup_s, "s"))
        except PeerError as error:
            rows.append(missing_row(workload, THERMOX.name, str(error)))
        records, failed = contest(contenders, lambda x: np.einsum("ci,ij,cj->c", x, a, x) / (2 * len(a)), effort)
    rows += [missing_row(workload, rival, reason) for rival, reason in failed.items()]
    rows += record_rows(workload, records, [name])
    for who, record in records.items():
        mean, error = record.energy()
        rows.append(zero_row(f"{workload}: {who}, energy of a cell less T / 2", mean - 0.5, error, "kT"))
    rows.append(ratio_row(workload, records, [name], None))
    return rows
