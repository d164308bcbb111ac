"""Is the landscape sparse under weathering: the distribution of the couplings, and what is left when the small ones are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import digits
import numpy as np
from experiment import Case, Experiment, Results

import tsu_driver as tsu
from tsu_apps.learning.modes import sparsity
from tsu_apps.report import Row
from tsu_contract.capabilities import LSB_SCALE

SEEDS, TICKS = 2, 2000
WEATHERINGS = (0.0, 1e-3, 1e-2, 5e-2, 0.2)
EDGES = np.linspace(-5, 5, 81)
"""Bins of couplings over their root-mean-square."""
CUT = 0.5
"""Fraction of the couplings, the smallest, that are set to 0."""
GAUSS, LAPLACE = 1 / 3, 1 / 6
"""Participation ratios of normal and of Laplace laws."""


def train(seed: int, ticks: int, weathering: float) -> dict[str, Any]:
    """Train on digits: accuracy, the law of the couplings, and accuracy with the smallest ones, or as many at random, cut."""
    data = digits.load()
    with tsu.open(digits.url_of("digits-ideal", seed)) as chip:
        machine = digits.estimator("ctd", chip, seed, ticks=ticks, weathering=weathering)
        w = machine.fit(data.train, data.train_y, progress=False).weights_
        rms = float(np.sqrt(np.mean(w**2)))
        out = {
            "accuracy": machine.score(data.test, data.test_y),
            "rms": rms,
            "histogram": np.histogram(w / rms, EDGES)[0] / len(w),
        }
        out |= asdict(sparsity(w, chip.capabilities.coupling_lsb * LSB_SCALE))
        orders = {"smallest": np.argsort(np.abs(w)), "random": np.random.default_rng(seed).permutation(len(w))}
        for name, order in orders.items():
            machine.weights_ = w.copy()
            machine.weights_[order[: int(CUT * len(w))]] = 0.0
            out[f"cut_{name}"] = machine.score(data.test, data.test_y)
    return out


def _name(weathering: float) -> str:
    return f"weathering {weathering:g}"


def _cases(quick: bool) -> Sequence[Case]:
    ticks = 200 if quick else TICKS
    chosen = WEATHERINGS[1:2] if quick else WEATHERINGS
    return [Case(_name(w), train, {"ticks": ticks, "weathering": w}, SEEDS) for w in chosen]


ROWS = {
    "accuracy": "accuracy", "cut_smallest": "accuracy without the smaller half", "cut_random": "accuracy without a random half",
    "rms": "rms coupling", "zeros": "couplings within one LSB of 0", "kurtosis": "excess kurtosis",
    "participation": "participation ratio",
}  # fmt: skip


def _judge(results: Results, quick: bool) -> list[Row]:
    rows = [
        results.row(case, name, f"{label}, {case}", "kT" if name == "rms" else "")
        for name, label in ROWS.items()
        for case in results.runs
    ]
    if quick:
        return rows
    ratios = [results.mean(case, "participation") for case in results.runs]
    return [
        results.at_least(_name(1e-3), "accuracy", 0.9, f"accuracy, {_name(1e-3)}"),
        Row("participation ratio of the sparsest over that without weathering", min(ratios) / ratios[0]),
        *(row for row in rows if row.name != f"accuracy, {_name(1e-3)}"),
    ]


def _draw(results: Results, folder: Path) -> None:
    import matplotlib
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    centres, width = (EDGES[1:] + EDGES[:-1]) / 2, EDGES[1] - EDGES[0]
    colours = matplotlib.colormaps["viridis"](Normalize(-0.5, len(WEATHERINGS))(np.arange(len(WEATHERINGS))))
    for weathering, colour in zip(WEATHERINGS, colours, strict=True):
        density = results.values(_name(weathering), "histogram").mean(axis=0) / width
        left.plot(centres, np.where(density > 0, density, np.nan), color=colour, label=f"{weathering:g}")
    left.plot(centres, np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi), color="#222222", linestyle=":", label="normal law")
    left.plot(centres, np.exp(-np.sqrt(2) * np.abs(centres)) / np.sqrt(2), color="#222222", linestyle="--", label="Laplace law")
    left.set_yscale("log")
    left.set_ylim(1e-4, 1)
    left.set_xlabel("coupling over its rms")
    left.set_ylabel("density")
    left.legend(frameon=False, fontsize=8, title="$\\lambda/\\eta_+$", title_fontsize=8)
    places = np.arange(len(WEATHERINGS))
    for name, colour, label in (
        ("accuracy", "#1f5f8b", "all couplings"),
        ("cut_smallest", "#b5541c", "smaller half cut"),
        ("cut_random", "#999999", "random half cut"),
    ):
        means = [results.mean(_name(w), name) for w in WEATHERINGS]
        errors = [results.spread(_name(w), name) or 0.0 for w in WEATHERINGS]
        middle.errorbar(places, means, errors, color=colour, marker="o", markersize=4, capsize=3, label=label)
    middle.set_ylabel("accuracy on held-out digits")
    middle.set_ylim(0, 1)
    middle.legend(frameon=False, fontsize=8, loc="lower left")
    means = [results.mean(_name(w), "participation") for w in WEATHERINGS]
    errors = [results.spread(_name(w), "participation") or 0.0 for w in WEATHERINGS]
    right.errorbar(places, means, errors, color="#1f5f8b", marker="o", markersize=4, capsize=3)
    for value, text in ((GAUSS, "normal law"), (LAPLACE, "Laplace law")):
        right.axhline(value, color="#999999", linewidth=0.8, linestyle=":")
        right.text(0, value + 0.005, text, fontsize=8, color="#555555")
    right.set_ylim(0, 0.4)
    right.set_ylabel("participation ratio of the couplings")
    for axis in (middle, right):
        axis.set_xticks(places, [f"{w:g}" for w in WEATHERINGS])
        axis.set_xlabel("weathering over learning rate  (1/kT)")
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "experiments-sparsity.png", dpi=120)


EXPERIMENTS = (Experiment("sparsity", "is the landscape sparse under weathering", _cases, _judge, _draw),)
