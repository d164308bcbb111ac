"""The ways in which training fails, `tsu_apps.learning.failures`: each with its flag, and a healthy run that raises none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import digits
import numpy as np
from experiment import Case, Experiment, Results

from tsu_apps.learning import failures
from tsu_apps.learning.flags import CHECKS
from tsu_apps.report import Row

SEEDS = 3
HEALTHY = "healthy"


def train(seed: int, preset: str, ticks: int) -> dict[str, Any]:
    """A preset, or the healthy run: what `failures` measures of it, and which flags were up, by "flag NAME" 1 or 0."""
    changes = {} if preset == HEALTHY else failures.PRESETS[preset].changes
    url = digits.url_of("digits-ideal", seed)
    run = failures.train(url, {"ticks": ticks, **changes}, failures.load_digits(), seed=seed, folder=None, progress=False)
    return dict(run.values) | {f"flag {name}": float(name in run.flags) for name in CHECKS}


def _cases(quick: bool) -> Sequence[Case]:
    ticks = 60 if quick else failures.TICKS
    names = ["erosion"] if quick else [HEALTHY, *failures.PRESETS]
    return [Case(name, train, {"preset": name, "ticks": ticks}, SEEDS) for name in names]


def _goals(results: Results, case: str, limits: failures.Limits) -> list[Row]:
    """A run's quantities by the mean over seeds, those with a limit as goals."""
    rows = []
    for name in results.runs[case][0]:
        if name.startswith("flag "):
            continue
        side, limit = limits.get(name, ("", 0.0))
        label = f"{case}: {name}"
        if side == ">=":
            rows.append(results.at_least(case, name, limit, label))
        elif side == "<=":
            rows.append(results.at_most(case, name, limit, label))
        else:
            rows.append(results.row(case, name, label))
    return rows


def _judge(results: Results, quick: bool) -> list[Row]:
    if quick:
        return [row for case in results.runs for row in _goals(results, case, {})]
    rows, healthy = [], dict(failures.HEALTHY)
    for name, preset in failures.PRESETS.items():
        healthy |= preset.healthy
        rows.append(
            results.at_least(name, f"flag {preset.flag}", 1.0, f"{name}: share of runs in which flag '{preset.flag}' is up")
        )
        rows += _goals(results, name, preset.goals)
    raised = max(float(results.values(HEALTHY, f"flag {name}").max()) for name in CHECKS)
    return [Row.at_most("healthy: any flag up in any run", raised, 0.0), *_goals(results, HEALTHY, healthy), *rows]


def _draw(results: Results, folder: Path) -> None:
    from matplotlib.figure import Figure

    names = [HEALTHY, *failures.PRESETS]
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1.4))
    means, errors = [results.mean(n, "accuracy") for n in names], [results.spread(n, "accuracy") or 0.0 for n in names]
    left.bar(range(len(names)), means, yerr=errors, capsize=3, color=["#1f5f8b"] + ["#b5541c"] * len(failures.PRESETS))
    left.set_xticks(range(len(names)), [name.replace("-", "\n") for name in names], fontsize=9)
    left.set_ylabel("accuracy on held-out digits")
    left.set_ylim(0, 1)
    left.spines[["top", "right"]].set_visible(False)
    up = np.array([[results.mean(name, f"flag {flag}") for flag in CHECKS] for name in names])
    right.imshow(up, vmin=0, vmax=1, cmap="Oranges", aspect="auto")
    for (k, j), share in np.ndenumerate(up):
        right.text(j, k, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.6 else "black")
    right.set_xticks(range(len(CHECKS)), [name.replace(" ", "\n") for name in CHECKS])
    right.set_yticks(range(len(names)), names)
    right.set_title("runs in which a flag is up", loc="left", fontsize=10)
    figure.savefig(folder / "experiments-failures.png", dpi=120)


EXPERIMENTS = (Experiment("failures", "training that fails on purpose, and the flags that reveal it", _cases, _judge, _draw),)
