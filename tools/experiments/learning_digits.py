"""Digits on ideal and on real chips: algorithms side by side, training in the loop against deploying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import baselines
import digits
import numpy as np
from experiment import Case, Experiment, Results

from tsu_apps.report import Row

QUICK: dict[str, Any] = {"ticks": 300}
EQUAL: dict[str, dict[str, Any]] = {
    "ctd": {},
    "cd": {"ticks": 12_000, "planes": 64},
    "pcd": {"ticks": 24_000},
}
"""Parameters that make 24,000 sweeps of 64 planes of each algorithm."""
RATES: dict[str, tuple[float, ...]] = {"cd": (0.02, 0.04, 0.08), "pcd": (0.005, 0.01, 0.02)}
"""Learning rates to begin with, in kT per update; each algorithm is judged at its best one."""
COMPARED = 3
"""Repetitions that are enough of what CTD is compared with, and of the corner chip."""
SCIKIT_RATES, SCIKIT_EPOCHS = (0.003, 0.01, 0.03), 530
"""As many epochs as give every example as many sweeps as the chip's planes do."""


def _algorithms(quick: bool) -> Sequence[Case]:
    common: dict[str, Any] = {"chip": "digits-ideal"} | (QUICK if quick else {})
    cases = [Case("ctd", digits.train, {"algorithm": "ctd", **EQUAL["ctd"], **common})]
    for name, rates in RATES.items():
        for rate in rates[:1] if quick else rates:
            cases.append(
                Case(f"{name} {rate}", digits.train, {"algorithm": name, "eta_start": rate, **EQUAL[name], **common}, COMPARED)
            )
    for rate in SCIKIT_RATES[:1] if quick else SCIKIT_RATES:
        cases.append(
            Case(f"scikit {rate}", baselines.scikit_rbm, {"rate": rate, "epochs": 5 if quick else SCIKIT_EPOCHS}, COMPARED)
        )
    return cases


def _best(results: Results, algorithm: str) -> str:
    """The case of an algorithm whose mean log-likelihood is greatest."""
    return max((c for c in results.runs if c.startswith(f"{algorithm} ")), key=lambda case: results.mean(case, "nats"))


def _judge_algorithms(results: Results, quick: bool) -> list[Row]:
    best = {name: _best(results, name) for name in ("cd", "pcd", "scikit")}
    rows = [results.row(case, "nats", f"nats, {case} (its best rate)", "nat") for case in best.values()]
    rows += [results.row(case, "accuracy", f"accuracy, {case}") for case in best.values()]
    if quick:
        return [results.row("ctd", name, f"{name}, ctd") for name in ("nats", "accuracy", "inpainting")] + rows
    margin = results.mean("ctd", "nats") - results.mean(best["cd"], "nats")
    return [
        results.at_least("ctd", "nats", -16.9, "nats, ctd", "nat"),
        results.at_least("ctd", "accuracy", 0.93, "accuracy, ctd"),
        results.at_least("ctd", "inpainting", 0.83, "inpainting, ctd"),
        Row.at_least("ctd over cd-1 at equal sweeps", margin, 0.1, "nat"),
        *rows,
    ]


CHIPS: Mapping[str, str] = {
    "ideal": "digits-ideal",
    "typical": "digits-typical",
    "typical, offsets": "digits-typical?coupling.dac.offset_sigma_lsb=6.4",
    "corner": "digits-corner",
}
"""Configurations by name; the offsets have a standard deviation of .1 kT on every coupler, an LSB being 1/64 kT."""
LOOKS = 100
"""Of 64 planes: samples by which a log-likelihood is estimated. They lie low, the more so the worse the machine: a loss by
samples is too great."""
KINDS = {"nats": "annealing with averaged couplings", "sampled": "the chip's samples"}
"""The two log-likelihoods."""
JUDGED = {"typical": "nats", "typical, offsets": "sampled", "corner": "nats"}
"""The one by which deploying on a chip is judged: samples where couplings differ by direction so much that averages mislead."""


def _imperfect(quick: bool) -> Sequence[Case]:
    more = {"looks": 5, "ticks": 100} if quick else {"looks": LOOKS}
    names = ["typical, offsets"] if quick else list(CHIPS)
    cases = []
    for name in names:
        seeds = COMPARED if name == "corner" else None
        cases.append(Case(f"train {name}", digits.train, {"algorithm": "ctd", "chip": CHIPS[name], **more}, seeds))
        if name != "ideal":
            cases.append(Case(f"deploy {name}", digits.deploy, {"chip": CHIPS[name], **more}, seeds))
    return cases


def _loss(results: Results, case: str, quantity: str) -> float:
    """Nats lost against the ideal chip, judged in the same way."""
    return results.mean("train ideal", quantity) - results.mean(case, quantity)


def _judge_imperfect(results: Results, quick: bool) -> list[Row]:
    rows = [results.row(case, name, f"{name}, {case}", "nat") for name in KINDS for case in results.runs]
    rows += [results.row(case, "asymmetry", f"asymmetry, {case}") for case in results.runs]
    if quick:
        return rows
    rows.append(Row.at_most("nats lost by training on a typical chip", _loss(results, "train typical", "nats"), 0.3, "nat"))
    for name, judge in JUDGED.items():
        for quantity, text in KINDS.items():
            label, lost = f"nats lost by deploying on {name}, by {text}", _loss(results, f"deploy {name}", quantity)
            rows.append(Row.at_least(label, lost, 3.0, "nat") if quantity == judge else Row(label, lost, "nat"))
            rows.append(Row(f"nats lost by training on {name}, by {text}", _loss(results, f"train {name}", quantity), "nat"))
    for name in ("accuracy", "inpainting"):
        ideal, real = (results.values(f"train {chip}", name) for chip in ("ideal", "typical"))
        allowed = 2 * float(np.sqrt((ideal.var(ddof=1) + real.var(ddof=1)) / len(ideal))) if len(ideal) > 1 else 0.0
        rows.append(Row.at_most(f"{name} lost by training on a typical chip", float(ideal.mean() - real.mean()), allowed))
        rows += [results.row(case, name, f"{name}, {case}") for case in results.runs]
    return rows


def _draw_imperfect(results: Results, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure, names = Figure(figsize=(11, 3.6), layout="constrained"), list(CHIPS)
    labels = {
        "nats": "log-likelihood, averaged couplings  (nat)",
        "sampled": "log-likelihood, samples  (nat)",
        "accuracy": "accuracy",
    }
    for axis, (quantity, label) in zip(figure.subplots(1, 3), labels.items(), strict=True):
        for kind, colour, mark in (("train", "#1f5f8b", "o"), ("deploy", "#b5541c", "s")):
            cases = [f"{kind} {name}" for name in names if f"{kind} {name}" in results.runs]
            means = [results.mean(case, quantity) for case in cases]
            errors = [results.spread(case, quantity) or 0.0 for case in cases]
            places = [names.index(case.removeprefix(f"{kind} ")) for case in cases]
            text = "trained on this chip" if kind == "train" else "trained on an ideal chip, deployed here"
            axis.errorbar(places, means, errors, color=colour, marker=mark, linestyle="-", capsize=3, label=text)
        axis.set_xticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
        axis.set_ylabel(label)
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, loc="lower left", fontsize=8)
    figure.savefig(folder / "experiments-imperfect.png", dpi=120)


EXPERIMENTS = (
    Experiment("digits", "digits on an ideal chip: CTD, CD-1, PCD and scikit-learn", _algorithms, _judge_algorithms),
    Experiment("imperfect", "digits on chips with errors: train there, or deploy", _imperfect, _judge_imperfect, _draw_imperfect),
)
