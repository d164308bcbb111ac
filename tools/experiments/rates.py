"""The map of the three rates: erosion over deposition r, weathering lambda, with and without centring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import digits
import numpy as np
from experiment import Case, Experiment, Results

from tsu_apps.report import Row

RATIOS = (1.0, 0.95, 0.9, 0.8, 0.5)
WEATHERINGS = (1e-3, 1e-2, 5e-2, 0.2)
SEEDS = 3


def _name(ratio: float, weathering: float, centred: bool) -> str:
    return f"r {ratio} lambda {weathering}{' centred' if centred else ''}"


def _cases(quick: bool) -> Sequence[Case]:
    cases = []
    for centred in (False, True):
        for ratio in (1.0, 0.5) if quick else RATIOS:
            for weathering in (1e-3,) if quick else WEATHERINGS:
                parameters: dict[str, Any] = {"ratio": ratio, "weathering": weathering, "centred": centred, "likelihood": False}
                parameters |= {"algorithm": "ctd", "chip": "digits-ideal", "ticks": 300 if quick else 3000}
                cases.append(Case(_name(ratio, weathering, centred), digits.train, parameters, SEEDS))
    return cases


def _judge(results: Results, quick: bool) -> list[Row]:
    rows = [results.row(case, "accuracy", f"accuracy, {case}") for case in results.runs]
    if quick:
        return rows
    best = max(RATIOS[1:], key=lambda r: max(results.mean(_name(r, w, True), "accuracy") for w in WEATHERINGS))
    equal, erosion = results.mean(_name(1.0, 1e-3, False), "accuracy"), results.mean(_name(0.5, 1e-3, False), "accuracy")
    return [
        Row.at_least("accuracy with r = 1", equal, 0.9),
        Row.at_most("accuracy with r = .5, lambda 1e-3, uncentred", erosion, 0.2),
        Row("r below 1 that does best, centred", best),
        *rows,
    ]


def _draw(results: Results, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, centred in zip(axes, (False, True), strict=True):
        grid = np.array([[results.mean(_name(r, w, centred), "accuracy") for w in WEATHERINGS] for r in RATIOS])
        spread = np.array([[results.spread(_name(r, w, centred), "accuracy") or 0.0 for w in WEATHERINGS] for r in RATIOS])
        image = axis.imshow(grid, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        for (k, j), value in np.ndenumerate(grid):
            colour = "white" if value < 0.6 else "black"
            axis.text(j, k, f"{value:.2f}\n±{spread[k, j]:.2f}", ha="center", va="center", color=colour, fontsize=8)
        axis.set_xticks(range(len(WEATHERINGS)), [f"{w:g}" for w in WEATHERINGS])
        axis.set_yticks(range(len(RATIOS)), [f"{r:g}" for r in RATIOS])
        axis.set_xlabel("weathering over deposition, $\\lambda/\\eta_+$  (1/kT)")
        axis.set_title("centred couplings" if centred else "plain couplings", loc="left", fontsize=10)
    axes[0].set_ylabel("erosion over deposition, $r$")
    figure.colorbar(image, ax=axes, label="accuracy on held-out digits")
    figure.savefig(folder / "experiments-rates.png", dpi=120)


EXPERIMENTS = (Experiment("rates", "accuracy over erosion, weathering and centring", _cases, _judge, _draw),)
