"""What changes under a trained machine: the chip, over days of drift, and the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import digits
import numpy as np
from effective import effective_model
from experiment import Case, Experiment, Results
from sampled import sampled_log_likelihood

import tsu_driver as tsu
from tsu_apps.learning import ChipEstimator, OnChipCtd
from tsu_apps.models import log_likelihood
from tsu_apps.report import Row
from tsu_driver.instruments import Instruments

DAYS = (0.0, 0.1, 1.0, 10.0, 30.0)
DAY_S = 86_400.0
SEEDS = 3
"""Repetitions that are enough of a month."""
REFRESH = {"ticks": 400, "eta_start": 0.002, "eta_end": 0.0005, "average_from": 0.5}
"""How a machine in the loop keeps up, at every look."""
LOOKS = 100
"""Of 64 planes: samples by which a log-likelihood is estimated; it lies low."""
MEASURES = {"sampled": ("nats by samples", "nat"), "annealed": ("nats by annealing", "nat"), "accuracy": ("accuracy", "")}
CHUNKS, CHUNK = 15, 200
"""Looks at a machine whose data change, and ticks between two."""


def _machine(chip: tsu.Chip, seed: int, **parameters: Any) -> OnChipCtd:
    return OnChipCtd(chip, range(digits.PIXELS), range(digits.PIXELS, digits.PIXELS + digits.CLASSES), seed=seed, **parameters)


def _worth(machine: ChipEstimator, looks: int) -> dict[str, float]:
    """On the held-out digits: accuracy, the log-likelihood by the chip's samples, and by annealing with what the couplings are at
    this moment, averaged over both directions."""
    data, layout = digits.load(), machine.layout
    accuracy = machine.score(data.test, data.test_y)
    model, _ = effective_model(machine.chip)
    examples = layout.examples(data.test, data.test_y)
    annealed = log_likelihood(model, layout.clamped, examples).mean
    return {
        "accuracy": accuracy,
        "sampled": sampled_log_likelihood(machine.chip, layout.clamped, examples, looks),
        "annealed": annealed,
    }


def drift(seed: int, chip: str, in_loop: bool, looks: int, **parameters: Any) -> dict[str, Any]:
    """Train, then let days pass; in the loop a few hundred ticks go on at each look."""
    data = digits.load()
    with tsu.open(digits.url_of(chip, seed)) as opened, Instruments(str(opened.instruments_url)) as lab:
        machine = _machine(opened, seed, **parameters).fit(data.train, data.train_y, progress=False)
        found, passed = [], 0.0
        for day in DAYS:
            if day > passed:
                lab.skip((day - passed) * DAY_S)
                passed = day
                if in_loop:
                    machine.set_params(warm_start=True, **REFRESH).fit(data.train, data.train_y, progress=False)
            found.append(_worth(machine, looks))
    return {name: [worth[name] for worth in found] for name in found[0]}


def tracking(seed: int, chunks: int = CHUNKS) -> dict[str, Any]:
    """Digits 0 to 4 for a while, then 5 to 9, at a constant rate: accuracy on each half after every chunk of ticks."""
    data = digits.load()
    early, early_test = data.train_y < 5, data.test_y < 5
    old, new = [], []
    with tsu.open(digits.url_of("digits-ideal", seed)) as chip:
        machine = _machine(chip, seed, ticks=CHUNK, eta_start=0.01, eta_end=0.01, warm_start=True)
        for chunk in range(2 * chunks):
            part = early if chunk < chunks else ~early
            machine.set_params(seed=seed + 1000 * chunk).fit(data.train[part], data.train_y[part], progress=False)
            right = machine.predict(data.test) == data.test_y
            old.append(float(right[early_test].mean()))
            new.append(float(right[~early_test].mean()))
    return {"old": old, "new": new, "learnt": old[chunks - 1], "kept": old[-1], "relearnt": new[-1], "first": new[chunks + 1]}


def _drift(quick: bool) -> Sequence[Case]:
    more = {"ticks": 300, "looks": 5} if quick else {"looks": LOOKS}
    return [
        Case(
            f"{'in the loop' if loop else 'left alone'} on {chip}",
            drift,
            {"chip": f"digits-{chip}", "in_loop": loop, **more},
            SEEDS,
        )
        for chip in ("typical", "corner")
        for loop in (False, True)
    ]


def _judge_drift(results: Results, quick: bool) -> list[Row]:
    rows = []
    for case in results.runs:
        for name, (label, unit) in MEASURES.items():
            values = results.values(case, name).mean(axis=0)
            rows.append(Row(f"{label} lost in {DAYS[-1]:g} days, {case}", float(values[0] - values[-1]), unit))
    if quick:
        return rows
    alone, loop = (results.values(f"{how} on corner", "sampled").mean(axis=0)[-1] for how in ("left alone", "in the loop"))
    return [
        Row.at_least("nats by samples that staying in the loop saves on a corner chip", float(loop - alone), 0.3, "nat"),
        *rows,
    ]


def _draw_drift(results: Results, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    labels = {"sampled": "log-likelihood by samples  (nat)", "accuracy": "accuracy"}
    for axis, (name, label) in zip(figure.subplots(1, 2), labels.items(), strict=True):
        for case in results.runs:
            values = results.values(case, name)
            colour = "#1f5f8b" if "typical" in case else "#b5541c"
            style = "o-" if "loop" in case else "s--"
            spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(DAYS))
            axis.errorbar(range(len(DAYS)), values.mean(axis=0), spread, fmt=style, color=colour, capsize=3, label=case)
        axis.set_xticks(range(len(DAYS)), [f"{d:g}" for d in DAYS])
        axis.set_xlabel("days since training")
        axis.set_ylabel(label)
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(folder / "experiments-drift.png", dpi=120)


def _tracking(quick: bool) -> Sequence[Case]:
    return (Case("digits 0-4, then 5-9", tracking, {"chunks": 3} if quick else {}),)


def _judge_tracking(results: Results, quick: bool) -> list[Row]:
    case = next(iter(results.runs))
    rows = [results.row(case, name, label) for name, label in (("kept", "accuracy on what it no longer sees, at the end"),)]
    if quick:
        return rows
    return [
        results.at_least(case, "learnt", 0.9, "accuracy on the first half before the change"),
        results.at_least(case, "first", 0.6, f"accuracy on the second half {2 * CHUNK} ticks after it"),
        results.at_least(case, "relearnt", 0.85, f"accuracy on the second half {CHUNKS * CHUNK} ticks after it"),
        *rows,
    ]


def _draw_tracking(results: Results, folder: Path) -> None:
    from matplotlib.figure import Figure

    case = next(iter(results.runs))
    figure = Figure(figsize=(6.5, 3.4), layout="constrained")
    axis = figure.subplots()
    for name, colour, label in (("old", "#1f5f8b", "digits 0 to 4"), ("new", "#b5541c", "digits 5 to 9")):
        values = results.values(case, name)
        ticks, mean = CHUNK * (1 + np.arange(values.shape[1])), values.mean(axis=0)
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros_like(mean)
        axis.fill_between(ticks, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
        axis.plot(ticks, mean, color=colour, label=label)
    axis.axvline(CHUNK * CHUNKS, color="#222222", linewidth=0.8, linestyle=":")
    axis.text(CHUNK * CHUNKS, 0.02, " the data change", fontsize=9)
    axis.set_xlabel("ticks")
    axis.set_ylabel("accuracy on held-out digits")
    axis.set_ylim(0, 1)
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "experiments-tracking.png", dpi=120)


EXPERIMENTS = (
    Experiment("drift", "thirty days of drift: weights left alone, or kept in the loop", _drift, _judge_drift, _draw_drift),
    Experiment("tracking", "data that change", _tracking, _judge_tracking, _draw_tracking),
)
