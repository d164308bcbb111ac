"""The table of algorithms, measured: same digits, same chip, same number of sweeps; what each takes of chip, wire and host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import digits
from experiment import Case, Experiment, Results

from tsu_apps.learning import Sgd
from tsu_apps.report import Row

CHIP = "digits-typical"
ALGORITHMS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "CTD on the chip": ("onchip", {}),
    "CTD, host in the loop": ("ctd", {}),
    "CD-1": ("cd", {"ticks": 12_000, "planes": 64, "eta_start": 0.04}),
    "PCD": ("pcd", {"ticks": 24_000, "eta_start": 0.01}),
    "equilibrium propagation": ("eqprop", {"ticks": 1_500}),
}
"""Each with 24,000 sweeps of 64 planes, at the learning rate at which it does best (experiment `digits`)."""
COLUMNS = (
    ("nats", "nat"), ("accuracy", ""), ("chip_seconds", "s"), ("joules", "J"), ("bytes", "B"), ("host_operations", "MAC"),
)  # fmt: skip
"""Log-likelihood, accuracy, chip time, energy, bytes over the wire, multiply-adds of the host."""
SGD_UPDATES, SEEDS = 6000, 3


def backpropagation(seed: int, epochs: int) -> dict[str, Any]:
    """A perceptron with as many hidden units, on the host alone."""
    data = digits.load()
    machine = Sgd((100,), epochs=epochs, seed=seed).fit(data.train, data.train_y, progress=False)
    c = machine.counters_
    return {"accuracy": machine.score(data.test, data.test_y), "host_operations": c.host_operations}


def _cases(quick: bool) -> Sequence[Case]:
    more = {"ticks": 200} if quick else {}
    cases = [Case(name, digits.train, {"algorithm": a, "chip": CHIP, **p, **more}, SEEDS) for name, (a, p) in ALGORITHMS.items()]
    epochs = SGD_UPDATES * 32 // len(digits.load().train)
    return [*cases, Case("backpropagation", backpropagation, {"epochs": 3 if quick else epochs}, SEEDS)]


def _judge(results: Results, quick: bool) -> list[Row]:
    return [
        results.row(case, column, f"{column.replace('_', ' ')}, {case}", unit)
        for column, unit in COLUMNS
        for case in results.runs
        if column in results.runs[case][0]
    ]


EXPERIMENTS = (Experiment("table1", "the algorithms side by side on a typical chip: what each gives and takes", _cases, _judge),)
