"""Machines small enough to be judged exactly: bars and stripes, and a teacher whose moments are known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from experiment import Case, Experiment, Results

import tsu_driver as tsu
from tsu_apps.learning import Cd, ChipEstimator, Ctd, OnChipCtd, Teacher
from tsu_apps.models import Boltzmann, Exact, exact, kl_to
from tsu_apps.report import Row
from tsu_contract.capabilities import LSB_SCALE

SIDE, HIDDEN = 4, 16
BARS = 'emu:digits-ideal?fabric.topology={kind="bipartite",visible=16,hidden=16}&coupling.dac.full_scale=3.0&threads=1'
CELLS = 10
TEACHER = f'emu:digits-ideal?fabric.topology={{kind="dense",cells={CELLS}}}&threads=1'
TEACHER_SIGMA = 0.35
"""Standard deviation of the teacher's couplings, kT."""
COMPARED = 3
"""Repetitions that are enough of what the tempered machine is compared with."""
PLANES = {"data_planes": 16, "free_planes": 16}
RATES = {"eta_start": 0.01, "eta_end": 0.0005, "sigma": 0.1}


def bars_and_stripes() -> np.ndarray:
    """(30, 16) spins: images whose rows, or whose columns, are each of one colour."""
    lines = np.array(list(itertools.product((-1, 1), repeat=SIDE)), np.int8)
    rows = np.repeat(lines, SIDE, axis=1)
    columns = np.tile(lines, SIDE)
    return np.unique(np.concatenate([rows, columns]), axis=0)


def _kl(machine: ChipEstimator, weights: np.ndarray, biases: np.ndarray, patterns: np.ndarray) -> float:
    """KL(data || machine) of the codes nearest to weights, nats."""
    c = machine.chip.capabilities
    codes = machine.chip.quantise_couplings(weights).codes, machine.chip.quantise_biases(biases).codes
    values = codes[0] * (c.coupling_lsb * LSB_SCALE), codes[1] * (c.bias_lsb * LSB_SCALE)
    return kl_to(Boltzmann(machine.pairs_, *values), np.arange(patterns.shape[1]), patterns)


def bars(seed: int, algorithm: str, **parameters: Any) -> dict[str, Any]:
    """Train on the 30 patterns; KL of averaged and of last weights."""
    patterns = bars_and_stripes()
    with tsu.open(f"{BARS}&run_seed={seed + 1}") as chip:
        cls: type[ChipEstimator] = {"ctd": Ctd, "onchip": OnChipCtd, "cd": Cd}[algorithm]
        machine = cls(chip, range(SIDE**2), seed=seed, **parameters).fit(patterns, progress=False)
        return {
            "kl": _kl(machine, machine.weights_, machine.biases_, patterns),
            "kl_last": _kl(machine, machine.last_weights_, machine.last_biases_, patterns),
            "wall_seconds": machine.counters_.wall_seconds,
        }


def taught(seed: int, pairs: np.ndarray) -> Boltzmann:
    """A random machine of CELLS cells, couplings and biases normal with TEACHER_SIGMA; pairs : (pairs, 2), all of them."""
    rng = np.random.default_rng(seed)
    return Boltzmann(pairs, rng.normal(0, TEACHER_SIGMA, len(pairs)), rng.normal(0, TEACHER_SIGMA, CELLS))


def divergence(law: Exact, student: Boltzmann) -> float:
    """KL(law || student), nats."""
    return float(law.probabilities @ (np.log(law.probabilities) - np.log(exact(student).probabilities)))


def distil(chip: tsu.Chip, seed: int, **parameters: Any) -> Boltzmann:
    """A machine that has learnt the moments of `taught(seed)` on a dense chip of CELLS cells."""
    pairs = chip.topology.pairs
    law = exact(taught(seed, pairs))
    moments = Teacher(law.correlations[pairs[:, 0], pairs[:, 1]], law.means)
    machine = Ctd(chip, range(CELLS), seed=seed, teacher=moments, **parameters).fit(None, progress=False)
    return Boltzmann(pairs, machine.weights_, machine.biases_)


def teacher(seed: int, **parameters: Any) -> dict[str, Any]:
    """Distil a random Boltzmann machine of CELLS cells from its exact moments; KL(teacher || student)."""
    with tsu.open(f"{TEACHER}&run_seed={seed + 1}") as chip:
        student = distil(chip, seed, **parameters)
    law = exact(taught(seed, student.pairs))
    untaught = Boltzmann(student.pairs, np.zeros(len(student.pairs)), np.zeros(CELLS))
    return {"kl": divergence(law, student), "kl_untaught": divergence(law, untaught)}


def _bars(quick: bool) -> Sequence[Case]:
    ticks = {"ticks": 1000 if quick else 60_000}
    common = {"algorithm": "onchip", "sweeps_per_tick": 1, "tau_data": 8.0, "tau_free": 8.0, **PLANES, **RATES, **ticks}
    return (
        Case("tempered", bars, {**common, "rungs": 4, "weathering": 1e-3}),
        Case("one temperature", bars, {**common, "weathering": 5e-3}, COMPARED),
        Case("cd-1", bars, {"algorithm": "cd", "planes": 16, **RATES, **ticks}, COMPARED),
    )


def _judge_bars(results: Results, quick: bool) -> list[Row]:
    names = {"kl": "KL of averaged weights", "kl_last": "KL of last weights"}
    rows = [results.row(case, name, f"{label}, {case}", "nat") for case in results.runs for name, label in names.items()]
    if quick:
        return rows
    kl = {case: results.mean(case, "kl") for case in results.runs}
    return [
        results.at_most("tempered", "kl", 0.05, "KL of averaged weights, tempered", "nat"),
        results.at_most("tempered", "kl_last", 0.4, "KL of last weights, tempered", "nat"),
        Row.at_least("KL without tempering over KL with", kl["one temperature"] / kl["tempered"], 3.0),
        Row.at_most("KL over that of CD-1", kl["tempered"] / kl["cd-1"], 0.2),
        *rows,
    ]


def _teacher(quick: bool) -> Sequence[Case]:
    parameters = {"free_planes": 64, "ticks": 300 if quick else 6000, "eta_start": 0.05, "eta_end": 0.001, "weathering": 1e-4}
    return (Case("r = 1", teacher, parameters),)


def _judge_teacher(results: Results, quick: bool) -> list[Row]:
    row = results.row("r = 1", "kl", "KL", "nat") if quick else results.at_most("r = 1", "kl", 0.03, "KL", "nat")
    return [row, results.row("r = 1", "kl_untaught", "KL of a machine that knows nothing", "nat")]


EXPERIMENTS = (
    Experiment("bars", "bars and stripes, 4x4: with and without tempering, and CD-1", _bars, _judge_bars),
    Experiment("teacher", "distillation from a teacher's moments", _teacher, _judge_teacher),
)
