"""What a physical machine's limits cost: noise on its parameters, their range and precision, and the topology of its couplers.

The question of Dumoulin, Goodfellow, Courville and Bengio, "On the Challenges of Physical Implementations of RBMs" (AAAI-14,
arXiv 1312.5258), asked of 8x8 digits on a chip that has one limit at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import digits
import numpy as np
from experiment import Case, Experiment, Results
from scipy.optimize import linear_sum_assignment

import tsu_driver as tsu
from tsu_apps.learning import Ctd
from tsu_apps.report import Row

Ints = np.ndarray[Any, np.dtype[np.int64]]
Changes = dict[str, str]
"""Values of the configuration set anew, by key path, as TOML writes them."""

VISIBLE, HIDDEN, SEEDS, TICKS = digits.PIXELS + digits.CLASSES, 100, 3, 2000
LSB, CODES = 1 / 16, {"coupling.dac.bits": "6", "bias.dac.bits": "7"}
"""kT; with these bits it is the step of couplings and of biases, so that a noise in LSB is the same in kT on both."""
FRESH = {"storage.refresh_s": "1e-4", "slow.epoch_cycles": "16384"}
"""Levels are written anew, each time with another error, more often than the weights move (a tick is .34 ms)."""

NOISES, RANGES, BITS = (0.025, 0.05, 0.1, 0.2), (1.0, 0.5, 0.25, 0.125), (6, 5, 4)
RULES: Mapping[int, tuple[tuple[int, int], ...]] = {
    16: ((1, 0), (2, 1), (2, 3), (4, 1)),
    32: ((1, 0), (2, 1), (2, 3), (4, 1), (3, 0), (1, 2), (3, 2), (1, 4)),
}
"""Grids by their degree, the first as on Z1; every rule leads from one colour of the checkerboard to the other."""
SIDE = 14
KEPT, WIDTHS = (3700, 2344, 1200), (50, 32, 16)
"""Couplers left of 7,400, and hidden cells of full machines of about as many; the grids have 2,344 and 1,200."""

IDEAL = "unlimited"
HARD = {"static noise": "static 0.1", "range": "range 0.5", "precision": "bits 4", "topology": "grid 16"}
"""A hard limit of each kind that chips of today have: noise of 5 % of the range, a quarter of the range, 4 bits, degree 16."""


def noise(kind: str, sigma: float) -> Changes:
    """A chip with noise of `sigma` kT on each parameter, each direction of a coupler by itself: "static" or "dynamic"."""
    lsb = str(sigma / LSB)
    if kind == "static":
        return {**CODES, "coupling.dac.offset_sigma_lsb": lsb, "bias.dac.offset_sigma_lsb": lsb}
    return {**CODES, "storage.refresh_noise_lsb": lsb, **FRESH}


def url_of(seed: int, changes: Changes) -> str:
    """A chip of digits without errors but for the changes."""
    return digits.url_of("digits-ideal", seed) + "".join(f"&{key}={value}" for key, value in changes.items())


def full(hidden: int) -> Changes:
    """Every visible cell coupled to each of so many hidden ones."""
    return {"fabric.topology": f'{{kind="bipartite",visible={VISIBLE},hidden={hidden}}}'}


def missing(couplers: int, seed: int) -> Changes:
    """So many couplers left of those of all hidden cells, at random."""
    left = np.sort(np.random.default_rng(seed).choice(VISIBLE * HIDDEN, couplers, replace=False))
    pairs = np.stack([left // HIDDEN, VISIBLE + left % HIDDEN], axis=1).tolist()
    return {"fabric.topology": f'{{kind="edges",cells={VISIBLE + HIDDEN},pairs={pairs}}}'}


def grid(degree: int) -> Changes:
    """A square of cells with local couplers."""
    rules = [list(rule) for rule in RULES[degree]]
    return {"fabric.topology": f'{{kind="grid",width={SIDE},height={SIDE},rules={rules}}}'}


def places() -> tuple[Ints, Ints]:
    """Cells of the grid that hold pixels and labels, all of one colour, the others being hidden.

    The image is stretched over the grid, each pixel in the cell that the least total of squared distances gives it; labels
    are spread over the cells of that colour that are left.
    """
    y, x = np.divmod(np.arange(SIDE * SIDE), SIDE)
    even = np.flatnonzero((x + y) % 2 == 0)
    edge = round(digits.PIXELS**0.5)
    row, column = ((np.stack(np.divmod(np.arange(digits.PIXELS), edge)) + 0.5) * SIDE / edge) - 0.5
    pixels = even[linear_sum_assignment((row[:, None] - y[even]) ** 2 + (column[:, None] - x[even]) ** 2)[1]]
    left = np.setdiff1d(even, pixels)
    return pixels, left[np.linspace(0, len(left) - 1, digits.CLASSES).astype(np.int64)]


def train(seed: int, ticks: int, changes: Changes) -> dict[str, Any]:
    """Train on a limited chip, and judge there."""
    return _trained(seed, ticks, changes, np.arange(digits.PIXELS), np.arange(digits.PIXELS, VISIBLE))


def train_missing(seed: int, ticks: int, couplers: int) -> dict[str, Any]:
    """As `train`, with couplers missing, other ones with each seed."""
    return train(seed, ticks, missing(couplers, seed))


def train_grid(seed: int, ticks: int, degree: int) -> dict[str, Any]:
    """As `train`, on a grid."""
    return _trained(seed, ticks, grid(degree), *places())


def _trained(seed: int, ticks: int, changes: Changes, visible: Ints, labels: Ints) -> dict[str, Any]:
    with tsu.open(url_of(seed, changes)) as chip:
        data = digits.load()
        machine = Ctd(chip, visible, labels, ticks=ticks, seed=seed).fit(data.train, data.train_y, progress=False)
        couplers, last = chip.capabilities.pairs, machine.history_[-1]
        return digits.judged(machine) | {"couplers": couplers, "saturation": last.saturation, "flips": last.flips}


def deploy(seed: int, ticks: int, noises: Sequence[float]) -> dict[str, Any]:
    """Train once on a chip without noise, then judge its weights on chips with noise; keys are "nats static 0.1" and so on."""
    data, found = digits.load(), {}
    with tsu.open(url_of(seed, CODES)) as ideal:
        machine = digits.estimator("ctd", ideal, seed, ticks=ticks).fit(data.train, data.train_y, progress=False)
        for kind in ("static", "dynamic"):
            for sigma in noises:
                with tsu.open(url_of(seed, noise(kind, sigma))) as noisy:
                    judged = digits.judged(digits.estimator("ctd", noisy, seed, ticks=ticks).deploy(machine))
                found |= {f"{name} {kind} {sigma}": value for name, value in judged.items()}
    return found


def _cases(quick: bool) -> Sequence[Case]:
    first = slice(2, 3) if quick else slice(None)
    ticks = 200 if quick else TICKS

    def case(name: str, measure: Callable[..., dict[str, Any]], **parameters: Any) -> Case:
        return Case(name, measure, {"ticks": ticks, **parameters}, SEEDS)

    cases = [case(IDEAL, train, changes={}), case("deployed", deploy, noises=NOISES[first])]
    for kind in ("static", "dynamic"):
        cases += [case(f"{kind} {sigma}", train, changes=noise(kind, sigma)) for sigma in NOISES[first]]
    cases += [case(f"range {kt}", train, changes={"coupling.dac.full_scale": str(kt)}) for kt in RANGES[first]]
    cases += [case(f"bits {bits}", train, changes={"coupling.dac.bits": str(bits)}) for bits in BITS[first]]
    cases += [case(f"full {hidden}", train, changes=full(hidden)) for hidden in WIDTHS[first]]
    cases += [case(f"missing {couplers}", train_missing, couplers=couplers) for couplers in KEPT[first]]
    return [*cases, *(case(f"grid {degree}", train_grid, degree=degree) for degree in list(RULES)[: 1 if quick else None])]


def lost(results: Results, case: str, key: str = "") -> float:
    """Mean nats lost against the chip without limits; key : of a chip that weights were deployed on, " static 0.1"."""
    return results.mean(IDEAL, "nats") - results.mean(case, f"nats{key}")


def threshold(sizes: Sequence[float], losses: Sequence[float], allowed: float) -> float:
    """The size at which the loss reaches `allowed`, between two measured ones, on a logarithmic scale; NaN if it never does.

    sizes : ascending; losses : falling with size
    """
    over = [k for k, loss in enumerate(losses) if loss > allowed]
    if not over or over[-1] == len(sizes) - 1:
        return np.nan
    k = over[-1]
    share = (losses[k] - allowed) / (losses[k] - losses[k + 1])
    return float(np.exp((1 - share) * np.log(sizes[k]) + share * np.log(sizes[k + 1])))


def _judge(results: Results, quick: bool) -> list[Row]:
    rows = [results.row(case, name, f"{name}, {case}", unit) for name, unit in (("nats", "nat"), ("accuracy", ""))
            for case in results.runs if case != "deployed"]  # fmt: skip
    if quick:
        return rows
    deployed = {kind: lost(results, "deployed", f" {kind} 0.1") for kind in ("static", "dynamic")}
    hard = {limit: lost(results, case) for limit, case in HARD.items()}
    ranges = [lost(results, f"range {kt}") for kt in reversed(RANGES)]
    verdicts = [
        Row.at_most("nats lost to static noise of .1 kT, trained in the loop", hard["static noise"], 1.0, "nat"),
        Row.at_least("nats lost to static noise of .1 kT, deployed", deployed["static"], 3.0, "nat"),
        Row.at_least("nats that dynamic noise of .1 kT costs beyond static, in the loop",
                     lost(results, "dynamic 0.1") - hard["static noise"], 0.5, "nat"),
        Row.at_least("nats that training in the loop wins back, dynamic noise of .1 kT",
                     deployed["dynamic"] - lost(results, "dynamic 0.1"), 0.5, "nat"),
        Row.at_most("nats lost to a range of 1 kT", lost(results, "range 1.0"), 0.2, "nat"),
        Row.at_least("nats lost to a range of .125 kT", ranges[0], 1.0, "nat"),
        Row("range below which half a nat is lost", threshold(RANGES[::-1], ranges, 0.5), "kT"),
        Row.at_most("nats lost to 4 bits", hard["precision"], 0.5, "nat"),
        Row.at_least("nats lost to degree 16 over the most lost to another hard limit",
                     hard["topology"] - max(v for k, v in hard.items() if k != "topology"), 0.0, "nat"),
        Row.at_least("nats that 1,200 couplers in a grid cost beyond as many of 16 full hidden cells",
                     hard["topology"] - lost(results, "full 16"), 0.0, "nat"),
        Row("nats that 1,200 couplers at random cost beyond as many of 16 full hidden cells",
            lost(results, "missing 1200") - lost(results, "full 16"), "nat"),
        Row.at_least("smallest share of trusted likelihoods", min(results.mean(c, "trusted") for c in results.runs
                                                                 if c != "deployed"), 1.0),
    ]  # fmt: skip
    return verdicts + rows


Curve = tuple[str, str, str, Sequence[float], Sequence[tuple[str, str]]]
"""Label, colour, line style, sizes, and for each of them the case and what follows its keys."""


def _curves() -> dict[str, list[Curve]]:
    """Curves of the panels, by the label of the x axis."""

    def one(most: float, kind: str, sizes: Sequence[float]) -> Curve:
        return "", "#1f5f8b", "-", (most, *sizes), [(IDEAL, ""), *((f"{kind} {size}", "") for size in sizes)]

    noise_curves: list[Curve] = []
    for kind, colour in (("static", "#1f5f8b"), ("dynamic", "#b5541c")):
        trained = [(f"{kind} {sigma}", "") for sigma in NOISES]
        noise_curves += [
            (f"{kind}, trained in the loop", colour, "-", NOISES, trained),
            (f"{kind}, deployed", colour, "--", NOISES, [("deployed", f" {kind} {sigma}") for sigma in NOISES]),
        ]
    sizes = [VISIBLE * hidden for hidden in (*WIDTHS, HIDDEN)]
    left = [*KEPT, VISIBLE * HIDDEN]
    return {
        "noise of each parameter  (kT)": noise_curves,
        "range of couplings  (± kT)": [one(2.0, "range", RANGES)],
        "bits of couplings": [one(8, "bits", BITS)],
        "couplers": [
            ("fewer hidden cells", "#777777", "-", sizes, [*((f"full {h}", "") for h in WIDTHS), (IDEAL, "")]),
            ("missing at random", "#1f5f8b", "-", left, [*((f"missing {k}", "") for k in KEPT), (IDEAL, "")]),
            ("local, in a grid", "#b5541c", "-", KEPT[1:], [(f"grid {degree}", "") for degree in reversed(RULES)]),
        ],
    }  # fmt: skip


def _draw(results: Results, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5.6), layout="constrained")
    axes = figure.subplots(2, 4, sharex="col", sharey="row")
    for column, (text, curves) in zip(axes.T, _curves().items(), strict=True):
        for axis, name in zip(column, ("nats", "accuracy"), strict=True):
            reference = results.mean(IDEAL, name)
            axis.axhline(reference, color="#bbbbbb", linewidth=0.8)
            for label, colour, style, sizes, cases in curves:
                means = [results.mean(case, name + key) for case, key in cases]
                errors = [results.spread(case, name + key) or 0.0 for case, key in cases]
                axis.errorbar(
                    sizes, means, errors, color=colour, linestyle=style, marker="o", markersize=4, capsize=3, label=label
                )
            axis.grid(color="#eeeeee", linewidth=0.6)
            axis.spines[["top", "right"]].set_visible(False)
        column[0].set_xscale("linear" if text.startswith("bits") else "log")
        ticks = sorted({float(size) for curve in curves for size in curve[3]})
        column[1].set_xticks(ticks, [f"{t:,g}" for t in ticks], minor=False)
        column[1].minorticks_off()
        column[1].set_xlabel(text)
        if len(curves) > 1:
            column[1].legend(frameon=False, fontsize=8)
    axes[0, 0].set_ylabel("log-likelihood  (nat)")
    axes[1, 0].set_ylabel("accuracy")
    figure.savefig(folder / "experiments-dumoulin.png", dpi=120)


EXPERIMENTS = (Experiment("dumoulin", "limits of a physical machine: noise, range, precision, topology", _cases, _judge, _draw),)
