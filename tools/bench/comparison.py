"""Clocked p-bits beside the samplers of others, on the couplings that our chip makes of its codes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from contest import Contender, PeerContender, Rival, contest, ising_energy, missing_row, ratio_row, record_rows
from measuring import Effort, median_row, zero_row
from numpy.typing import NDArray
from peers.process import PeerError
from roofline import roof_row
from running import Running, Subject

from tsu_apps.report import Row

LARGEST_CODE = 4
"""Of couplings and biases: fields of about half a kT, in which 50 sweeps from random spins reach equilibrium."""
TWO_THREADS = 0.8
THRML = Rival("thrml", "thrml", note="its own threads")
FERROTHERM = Rival("ferrotherm", "ferrotherm"), Rival("ferrotherm", "ferrotherm", threads=2)
DWAVE, DWAVES = Rival("dwave-samplers", "dwave"), Rival("dwave-samplers", "dwave", processes=2)


@dataclass(frozen=True)
class Workload:
    """A problem and who samples it.

    config : of an ideal chip, so that couplings are alike both ways; planes : of ours, chains of others
    sweeps : of one repetition
    ratio, rate : least ratio of ours on two threads to the best peer, least rate on two threads, M/s; None: no goal
    scales : whether two threads are to be worth TWO_THREADS of twice one
    """

    name: str
    config: Any
    planes: int
    sweeps: int
    rivals: tuple[Rival, ...]
    ratio: float | None = None
    rate: float | None = None
    scales: bool = False


def workloads(quick: bool) -> list[Workload]:
    """What is compared; `quick` shrinks the chips."""
    from tsu_emu.config import load, parse

    z1 = load("z1-128", {"fabric.topology.width": "16", "fabric.topology.height": "16"} if quick else {})

    def grid(planes: int) -> Any:
        kept = z1.model_dump(by_alias=True, include={"clock", "timing"})
        fabric = z1.fabric.model_dump(by_alias=True) | {"planes": planes}
        errorless = {"dac": {"bits": 8, "full_scale": 6.0}}
        return parse({**kept, "name": "grid", "fabric": fabric, "coupling": errorless, "bias": errorless})

    def dense(cells: int, planes: int, full_scale: float) -> Any:
        fabric = {"planes": planes, "topology": {"kind": "dense", "cells": cells // 16 if quick else cells}}
        return parse({"name": "dense", "fabric": fabric, "coupling": {"dac": {"full_scale": full_scale}}})

    everybody = (THRML, *FERROTHERM, DWAVES)
    return [
        Workload("grid, 64 chains", grid(64), 64, 50, everybody, ratio=36, scales=True),
        Workload("grid, 128 chains", grid(128), 128, 50, everybody, ratio=42, scales=True),
        Workload("grid, 1 chain", grid(64), 1, 400, (THRML, *FERROTHERM, DWAVE), ratio=14),
        Workload("dense 512, 64 chains", dense(512, 64, 1.0), 64, 50, (DWAVES,), ratio=20),
        Workload("dense 2048, 128 chains", dense(2048, 128, 0.5), 128, 50, (), rate=80),
    ]


class Ours:
    """Our chip as a contender."""

    def __init__(self, workload: Workload, threads: int) -> None:
        w = workload
        subject = Subject(f"{w.name}: tsu-emu, {threads} thread{'s' * (threads > 1)}", w.config, w.planes, threads, w.sweeps)
        self.running = Running(subject, LARGEST_CODE)

    def run(self) -> float:
        """Million updates a second."""
        return self.running.rate()

    def states(self) -> NDArray[np.int8]:
        """(planes, cells)."""
        return self.running.spins()


def problem_of(running: Running) -> dict[str, NDArray[Any]]:
    """b (cells,), i, j, w (pairs,), colour (cells,): what the chip makes of its codes, kT. ValueError if ways differ."""
    from tsu_emu.topology import pair_couplers

    plant = running.chip.plant
    up, down = pair_couplers(plant.topology)
    if not np.array_equal(plant.doubled[up], plant.doubled[down]):
        raise ValueError("the chip's couplings differ by direction; they have no energy")
    t, scale = plant.topology, plant.die.scale
    w, b = plant.doubled[up] / (2 * scale), plant.bias / scale
    return {"b": b, "i": t.pair_i.astype(np.int64), "j": t.pair_j.astype(np.int64), "w": w, "colour": t.colour.astype(np.int64)}


def energy_of(problem: dict[str, NDArray[Any]]) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Energy per cell of states of a problem."""

    def energy(states: NDArray[Any]) -> NDArray[np.float64]:
        out = np.empty(len(states))
        ising_energy(states.astype(np.int8), *(problem[k] for k in "ijwb"), out)
        return out

    return energy


def compare(workload: Workload, unavailable: dict[str, str], effort: Effort, report: Callable[[str], None]) -> list[Row]:
    """One workload; unavailable : peers that cannot be had, and why; report : told what is under way."""
    w, rows = workload, []
    chips = {f"tsu-emu, {n} thread{'s' * (n > 1)}": Ours(w, n) for n in (1, 2)}
    problem = problem_of(chips["tsu-emu, 1 thread"].running)
    contenders: dict[str, Contender] = dict(chips)
    with ExitStack() as stack:
        for rival in w.rivals:
            report(f"{w.name}: preparing {rival.name}")
            try:
                if rival.peer in unavailable:
                    raise PeerError(unavailable[rival.peer])
                peer = PeerContender(rival, problem, w.planes, w.sweeps, {}, stack)
            except PeerError as error:
                rows.append(missing_row(w.name, rival.name, str(error)))
                continue
            contenders[rival.name] = peer
            rows.append(Row(f"{w.name}: {rival.name}, set-up of {peer.version}", peer.setup_s, "s"))
        report(f"{w.name}: measuring")
        records, failed = contest(contenders, energy_of(problem), effort)
    rows += [missing_row(w.name, name, reason) for name, reason in failed.items()]
    rows += record_rows(w.name, records, list(chips))
    for name, chip in chips.items():
        cap, subject = chip.running.chip.capabilities, chip.running.subject
        rows.append(zero_row(f"{w.name}: {name}: <s I> - <I tanh I>", *chip.running.moment(), "kT"))
        rows.append(roof_row(subject, cap.cells, cap.couplers, records[name].rates))
    one, two = (records[name].rates for name in chips)
    if w.rivals:
        rows.append(ratio_row(w.name, records, list(chips), effort.goal(w.ratio)))
    goal = effort.goal(TWO_THREADS if w.scales else None)
    rows.append(
        median_row(f"{w.name}: two threads over twice one", [b / (2 * a) for a, b in zip(one, two, strict=True)], "", goal)
    )
    if w.rate is not None:
        rows.append(median_row(f"{w.name}: rate on two threads", two, "M/s", effort.goal(w.rate)))
    return rows
