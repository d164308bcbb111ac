"""Cooling while a machine learns (Eq. 8): whether it helps, and whether it makes training learn coarse before fine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import digits
import numpy as np
from experiment import Case, Experiment, Results

import tsu_driver as tsu
from tsu_apps.learning import Ctd
from tsu_apps.learning.history import Snapshot
from tsu_apps.learning.modes import modes
from tsu_apps.report import Row
from tsu_driver import Linear, Logarithmic

SEEDS, TICKS = 3, 1500
SETTINGS = (
    (0.03, 0.0005, 1e-3), (0.06, 0.0005, 1e-3), (0.06, 0.0005, 1e-2),
    (0.06, 0.001, 1e-3), (0.12, 0.001, 1e-3), (0.12, 0.001, 1e-2),
)  # fmt: skip
"""First and last learning rate in kT per tick, and weathering, among which each schedule is judged at its best. Rates too, for in
units of T weights at T = .5 move twice as fast."""
TAU = 100.0
"""Sweeps, of Eq. 8."""
SLOW = {"eta_start": 0.003, "eta_end": 0.003}
"""A constant rate so small that modes are learnt one by one, kT per tick."""
FOLLOWED = 4
"""Modes of which independent cells show less than half."""
WARM = "T = 1"
SCHEDULES: Mapping[str, tuple[str, float, float] | None] = {
    WARM: None,
    "Eq. 8, 2 to 1": ("logarithmic", 2.0, 1.0),
    "Eq. 8, 1 to .5": ("logarithmic", 1.0, 0.5),
    "linear, 1 to .5": ("linear", 1.0, 0.5),
}
"""Kind, T of the first sweep, T of the last."""


def schedule(kind: str, start: float, end: float, sweeps: int) -> Linear | Logarithmic:
    """A schedule that falls from `start` to `end` in so many sweeps."""
    if kind == "linear":
        return Linear(start, end, sweeps)
    return Logarithmic(start, (start / end - 1) / float(np.log1p((sweeps - 1) / TAU)), TAU, sweeps)


def train(seed: int, ticks: int, cooling: Sequence[Any] | None, likelihood: bool, **parameters: Any) -> dict[str, Any]:
    """Train on digits, and judge; shares of the data's principal modes in the free planes, and when each was half learnt."""
    data = digits.load()
    found, looks, shares = modes(data.train, FOLLOWED), [], []

    def watch(snapshot: Snapshot) -> None:
        assert snapshot.seen.free_spins is not None
        looks.append(snapshot.moment.tick)
        shares.append(found.shares(snapshot.seen.free_spins[:, : digits.PIXELS]))

    with tsu.open(digits.url_of("digits-ideal", seed)) as chip:
        cooled = None if cooling is None else schedule(*cooling, sweeps=ticks * Ctd.sweeps_per_tick)
        machine = digits.estimator("ctd", chip, seed, ticks=ticks, cooling=cooled, **parameters)
        machine.fit(data.train, data.train_y, progress=False, watch=[watch])
        out = {"half_times": found.half_times(looks, shares), "ticks": looks, "shares": shares, "variances": found.variances}
        last = machine.history_[-1]
        return out | digits.judged(machine, likelihood) | {"saturation": last.saturation, "flips": last.flips}


def _tuned(name: str, start: float, end: float, weathering: float) -> str:
    return f"{name}, rate {start:g} to {end:g}, weathering {weathering:g}"


def _slow(name: str) -> str:
    return f"{name}, slow"


def settings(name: str) -> Sequence[tuple[float, float, float]]:
    """Of SETTINGS, those at which a schedule is tried."""
    return SETTINGS[:3] if name.startswith("linear") else SETTINGS


def _cases(quick: bool) -> Sequence[Case]:
    names, ticks = (list(SCHEDULES)[:2], 200) if quick else (list(SCHEDULES), TICKS)
    cases = []
    for name in names:
        common = {"cooling": SCHEDULES[name], "ticks": ticks}
        cases.append(Case(_slow(name), train, {"likelihood": False, **SLOW, **common}, SEEDS))
        for start, end, weathering in settings(name)[: 1 if quick else None]:
            parameters = {"likelihood": True, "eta_start": start, "eta_end": end, "weathering": weathering, **common}
            cases.append(Case(_tuned(name, start, end, weathering), train, parameters, SEEDS))
    return cases


def best(results: Results, name: str) -> str:
    """The case of a schedule whose rates and weathering give the best likelihood."""
    return max((c for c in results.runs if c.startswith(f"{name}, rate")), key=lambda case: results.mean(case, "nats"))


def in_order(results: Results, case: str) -> float:
    """Fraction of pairs of modes, over all runs, of which the coarser one is learnt first; one that never is comes last."""
    times = np.nan_to_num(results.values(case, "half_times"), nan=np.inf)
    i, j = np.triu_indices(times.shape[1], 1)
    return float(np.mean(times[:, i] < times[:, j]))


def _judge(results: Results, quick: bool) -> list[Row]:
    names = [name for name in SCHEDULES if _slow(name) in results.runs]
    rows = []
    for name in names:
        case = best(results, name)
        rows += [results.row(case, "nats", f"nats, {case} (its best)", "nat"), results.row(case, "accuracy", f"accuracy, {case}")]
    for name in names:
        times = results.values(_slow(name), "half_times")
        for k in range(times.shape[1]):
            spread = float(times[:, k].std(ddof=1)) if len(times) > 1 else None
            rows.append(Row(f"ticks to half of mode {k + 1}, {name}", float(times[:, k].mean()), "tick", spread))
        rows.append(Row(f"pairs of modes learnt coarse before fine, {name}", in_order(results, _slow(name))))
    if quick:
        return rows
    cooled = {name: results.mean(best(results, name), "nats") for name in names if name != WARM}
    gain = max(cooled.values()) - results.mean(best(results, WARM), "nats")
    return [
        Row("nats that the best cooling gains over T = 1, both at their best", gain, "nat"),
        Row.at_least("pairs of modes learnt coarse before fine without cooling", in_order(results, _slow(WARM)), 0.8),
        *rows,
    ]


COLOURS = ("#1f3b57", "#1f5f8b", "#b5541c", "#c9a227")


def _draw(results: Results, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 3.8), layout="constrained")
    axes = figure.subplots(1, 1 + 3, width_ratios=(1, 1, 1, 1.7))
    for axis, name in zip(axes[:3], (WARM, "Eq. 8, 2 to 1", "Eq. 8, 1 to .5"), strict=True):
        shares = results.values(_slow(name), "shares").mean(axis=0)
        ticks = results.values(_slow(name), "ticks")[0]
        smooth = np.lib.stride_tricks.sliding_window_view(shares, 5, axis=0).mean(axis=-1)
        for k, colour in enumerate(COLOURS):
            axis.plot(ticks[2:-2], smooth[:, k], color=colour, label=f"mode {k + 1}")
            half = results.values(_slow(name), "half_times")[:, k].mean()
            axis.plot(half, 0, marker="|", color=colour, markersize=14, markeredgewidth=2, clip_on=False)
        axis.axhline(1, color="#bbbbbb", linewidth=0.8)
        axis.set_title(name, loc="left", fontsize=10)
        axis.set_xlabel("ticks at a constant rate")
        axis.set_ylim(0, 1.4)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("variance of the free planes along a mode,\nover that of the data")
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    for k, (name, colour) in enumerate(zip(SCHEDULES, ("#222222", *COLOURS[1:]), strict=True)):
        cases = [_tuned(name, *setting) for setting in settings(name)]
        means, errors = [results.mean(c, "nats") for c in cases], [results.spread(c, "nats") or 0.0 for c in cases]
        places = np.arange(len(cases)) + 0.12 * (k - 1.5)
        axes[3].errorbar(places, means, errors, color=colour, marker="o", linestyle="", markersize=4, capsize=3, label=name)
    axes[3].set_xticks(range(len(SETTINGS)), ["\n".join(f"{value:g}" for value in setting) for setting in SETTINGS], fontsize=8)
    axes[3].set_xlabel("rates from, to  (kT); weathering  (1/kT)")
    axes[3].set_ylabel("log-likelihood  (nat)")
    axes[3].legend(frameon=False, fontsize=8)
    axes[3].spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "experiments-cooling.png", dpi=120)


EXPERIMENTS = (Experiment("cooling", "cooling while learning: does it help; coarse before fine", _cases, _judge, _draw),)
