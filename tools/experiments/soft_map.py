"""The map of the three rates where everything can be enumerated: divergence from a soft teacher over erosion and weathering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import small
from experiment import Case, Experiment, Results

import tsu_driver as tsu
from tsu_apps.learning.masters import exponential_rates
from tsu_apps.models import exact, state_spins
from tsu_apps.report import Row

RATIOS = (1.0, 0.95, 0.9, 0.8, 0.5)
WEATHERINGS = (1e-4, 1e-3, 1e-2, 5e-2, 0.2, 0.5)
SEEDS, TICKS = 3, 1000
RATES, STEADY, LONG = (0.1, 0.001), (0.05, 0.05), 20_000
"""First and last learning rates of the chip, and of a run of so many ticks with exact averages that all but settles."""
MEAN_MAX = 0.98
"""Means of the teacher are limited to this for the biases to begin with."""
TINY = 1e-300
"""Least probability of a state, so that its logarithm is finite."""
CHIP, EXACT, SETTLED = "chip", "exact averages", "exact averages, long"


def key(weathering: float) -> str:
    """Of a divergence in what `distil` measured."""
    return f"kl {weathering:g}"


def distil(seed: int, ticks: int, ratio: float, centred: bool, weatherings: Sequence[float]) -> dict[str, Any]:
    """KL(teacher || student) for each weathering; the student is taught the teacher's moments on the chip."""
    out = {}
    with tsu.open(f"{small.TEACHER}&run_seed={seed + 1}") as chip:
        law = exact(small.taught(seed, chip.topology.pairs))
        for weathering in weatherings:
            parameters: dict[str, Any] = {"ticks": ticks, "ratio": ratio, "weathering": weathering, "centred": centred}
            parameters |= {"eta_start": RATES[0], "eta_end": RATES[1], "free_planes": 64}
            out[key(weathering)] = small.divergence(law, small.distil(chip, seed, **parameters))
    return out


def flow(
    seed: int, ticks: int, ratio: float, centred: bool, weatherings: Sequence[float], rates: tuple[float, float]
) -> dict[str, Any]:
    """As `distil`, with exact averages in the place of the chip's, float64 weights, and no rails; rates : the first and the last.

    The rule is that of `UpdateRule.ctd`, for all weatherings side by side: arrays are (weatherings, pairs or cells).
    """
    pairs = np.stack(np.triu_indices(small.CELLS, 1), axis=1)
    i, j = pairs.T
    law = exact(small.taught(seed, pairs))
    states = state_spins(np.arange(1 << small.CELLS), small.CELLS).astype(np.float64)
    features = np.concatenate([states[:, i] * states[:, j], states], axis=1)
    data, decay, n = law.probabilities @ features, np.array(weatherings)[:, None], len(pairs)
    means = data[n:]
    weights = np.zeros((len(weatherings), features.shape[1]))
    weights[:, n:] = np.arctanh(np.clip(means, -MEAN_MAX, MEAN_MAX))
    for rate in exponential_rates(*rates, ticks):
        free = _probabilities(weights, features) @ features
        change = data - ratio * free - decay * weights
        if centred:
            change[:, :n] -= (1 + ratio) * means[i] * means[j] - ratio * (means[i] * free[:, n + j] + free[:, n + i] * means[j])
        weights += rate * change
    lost = law.probabilities @ (np.log(law.probabilities) - np.log(_probabilities(weights, features))).T
    return {key(weathering): float(kl) for weathering, kl in zip(weatherings, lost, strict=True)}


def _probabilities(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """(machines, states) of (machines, features) weights; never quite 0."""
    logits = weights @ features.T
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(np.maximum(found / found.sum(axis=1, keepdims=True), TINY))


def _name(ratio: float, centred: bool, how: str = CHIP) -> str:
    return f"{how}, r {ratio}{', centred' if centred else ''}"


def _cases(quick: bool) -> Sequence[Case]:
    weatherings = list(WEATHERINGS[1:4:2] if quick else WEATHERINGS)
    ticks = {"ticks": 100 if quick else TICKS}
    kinds: list[tuple[str, Callable[..., dict[str, Any]], dict[str, Any]]] = [
        (CHIP, distil, ticks),
        (EXACT, flow, {"rates": RATES, **ticks}),
        (SETTLED, flow, {"rates": STEADY, "ticks": 100 if quick else LONG}),
    ]
    return [
        Case(_name(ratio, centred, how), measure, {"ratio": ratio, "centred": centred, "weatherings": weatherings, **more}, SEEDS)
        for how, measure, more in kinds
        for centred in ((True,) if quick else (False, True))
        for ratio in (RATIOS[3:4] if quick else RATIOS)
    ]


def _grid(results: Results, how: str, centred: bool) -> np.ndarray:
    """(ratios, weatherings, seeds) divergences."""
    cases = [_name(ratio, centred, how) for ratio in RATIOS]
    return np.array([[results.values(case, key(weathering)) for weathering in WEATHERINGS] for case in cases])


def _judge(results: Results, quick: bool) -> list[Row]:
    rows = {
        (case, name): results.row(case, name, f"KL, {case}, weathering {name.removeprefix('kl ')}", "nat")
        for case, runs in results.runs.items()
        for name in runs[0]
    }
    if quick:
        return list(rows.values())
    equal = rows.pop((_name(1.0, False), key(WEATHERINGS[0])))
    chip, same = _grid(results, CHIP, False), _grid(results, EXACT, False)
    calm = same < 1
    long = _grid(results, SETTLED, False).mean(axis=-1)
    found = [
        Row.at_most(equal.name, equal.value, 0.03, "nat", equal.spread),
        Row.at_most("KL on the chip over that with exact averages, median where that is below 1 nat",
                    float(np.median(chip[calm] / same[calm])), 1.3),
        Row.at_least("KL in a long run with r = .8, weathering .001 over that with .2", float(long[3, 1] / long[3, 4]), 10.0),
    ]  # fmt: skip
    for ratio, losses in zip(RATIOS, long, strict=True):
        found.append(Row(f"weathering that does best in a long run, r {ratio}", WEATHERINGS[int(losses.argmin())], "1/kT"))
        found.append(Row(f"KL with it, r {ratio}", float(losses.min()), "nat"))
    return [*found, *rows.values()]


TITLES = {CHIP: "on the chip", EXACT: "exact averages, as many ticks, no rails", SETTLED: "exact averages, long"}


def _short(value: float, digits: int = 2) -> str:
    """So many digits, or all of those before the point."""
    return f"{value:.0f}" if value >= 10 else f"{value:.{digits}g}"


def _draw(results: Results, folder: Path) -> None:
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8.4), layout="constrained")
    axes = figure.subplots(len(TITLES), 2, sharex=True, sharey=True)
    for row, (how, title) in zip(axes, TITLES.items(), strict=True):
        for axis, centred in zip(row, (False, True), strict=True):
            values = _grid(results, how, centred)
            means, spread = values.mean(axis=-1), values.std(axis=-1, ddof=1) if values.shape[-1] > 1 else 0 * values[..., 0]
            image = axis.imshow(means, norm=LogNorm(1e-3, 100), cmap="viridis_r", aspect="auto")
            for (k, j), value in np.ndenumerate(means):
                colour = "white" if value > 0.8 else "black"
                axis.text(
                    j, k, f"{_short(value)}\n±{_short(spread[k, j], 1)}", ha="center", va="center", color=colour, fontsize=7.5
                )
            axis.set_xticks(range(len(WEATHERINGS)), [f"{w:g}" for w in WEATHERINGS])
            axis.set_yticks(range(len(RATIOS)), [f"{r:g}" for r in RATIOS])
            axis.set_title(f"{title}; {'centred' if centred else 'plain'} couplings", loc="left", fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("weathering over deposition, $\\lambda/\\eta_+$  (1/kT)")
    for axis in axes[:, 0]:
        axis.set_ylabel("erosion over deposition, $r$")
    figure.colorbar(image, ax=axes, label="KL(teacher || student)  (nat)")
    figure.savefig(folder / "experiments-map.png", dpi=110)


EXPERIMENTS = (Experiment("map", "divergence from a soft teacher over erosion, weathering and centring", _cases, _judge, _draw),)
