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

IDEAL, DEPLOYED = "unlimited", "deployed"
KINDS = ("static", "dynamic")
HARD = {"static": "static 0.1", "dynamic": "dynamic 0.1", "range": "range 0.5", "bits": "bits 4", "topology": "grid 16"}
"""A hard but plausible limit of each kind: noise of 5 % of the range, a quarter of the range, 4 bits, degree 16."""
EQUAL = {"full": "full 16", "missing": "missing 1200", "grid": "grid 16"}
"""Machines of about 1,200 couplers."""
LOOKS = 200
"""Of 64 planes: samples by which a log-likelihood is estimated."""


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


def train(seed: int, ticks: int, changes: Changes, looks: int = LOOKS) -> dict[str, Any]:
    """Train on a limited chip, and judge there."""
    return _trained(seed, ticks, changes, np.arange(digits.PIXELS), np.arange(digits.PIXELS, VISIBLE), looks)


def train_missing(seed: int, ticks: int, couplers: int, looks: int = LOOKS) -> dict[str, Any]:
    """As `train`, with couplers missing, other ones with each seed."""
    return train(seed, ticks, missing(couplers, seed), looks)


def train_grid(seed: int, ticks: int, degree: int, looks: int = LOOKS) -> dict[str, Any]:
    """As `train`, on a grid."""
    return _trained(seed, ticks, grid(degree), *places(), looks)


def _trained(seed: int, ticks: int, changes: Changes, visible: Ints, labels: Ints, looks: int) -> dict[str, Any]:
    with tsu.open(url_of(seed, changes)) as chip:
        data = digits.load()
        machine = Ctd(chip, visible, labels, ticks=ticks, seed=seed).fit(data.train, data.train_y, progress=False)
        couplers, last = chip.capabilities.pairs, machine.history_[-1]
        return digits.judged(machine, looks=looks) | {"couplers": couplers, "saturation": last.saturation, "flips": last.flips}


def deploy(seed: int, ticks: int, noises: Sequence[float], looks: int = LOOKS) -> dict[str, Any]:
    """Train once on a chip without noise, then judge its weights on chips with noise; keys are "sampled static 0.1" and so on."""
    found: dict[str, Any] = {}
    data = digits.load()
    with tsu.open(url_of(seed, CODES)) as ideal:
        machine = digits.estimator("ctd", ideal, seed, ticks=ticks).fit(data.train, data.train_y, progress=False)
        for kind in KINDS:
            for sigma in noises:
                with tsu.open(url_of(seed, noise(kind, sigma))) as noisy:
                    other = digits.estimator("ctd", noisy, seed, ticks=ticks).deploy(machine)
                    found |= {f"{name} {kind} {sigma}": value for name, value in digits.judged(other, looks=looks).items()}
    return found


def _cases(quick: bool) -> Sequence[Case]:
    sizes = {"ticks": 200, "looks": 10} if quick else {"ticks": TICKS}

    def some(sizes: Sequence[Any]) -> Sequence[Any]:
        return sizes[-1:] if quick else sizes

    def case(name: str, measure: Callable[..., dict[str, Any]], **parameters: Any) -> Case:
        return Case(name, measure, {**sizes, **parameters}, SEEDS)

    cases = [case(IDEAL, train, changes={}), case(DEPLOYED, deploy, noises=some(NOISES))]
    for kind in KINDS:
        cases += [case(f"{kind} {sigma}", train, changes=noise(kind, sigma)) for sigma in some(NOISES)]
    cases += [case(f"range {kt}", train, changes={"coupling.dac.full_scale": str(kt)}) for kt in some(RANGES)]
    cases += [case(f"bits {bits}", train, changes={"coupling.dac.bits": str(bits)}) for bits in some(BITS)]
    cases += [case(f"full {hidden}", train, changes=full(hidden)) for hidden in some(WIDTHS)]
    cases += [case(f"missing {couplers}", train_missing, couplers=couplers) for couplers in some(KEPT)]
    return [*cases, *(case(f"grid {degree}", train_grid, degree=degree) for degree in some(list(RULES)))]


def quantity(case: str) -> str:
    """By what a case is judged: annealing where couplings are symmetric, samples of the chip where noise makes them differ."""
    return "sampled" if case.split()[0] in (*KINDS, DEPLOYED) else "nats"


def lost(results: Results, case: str, key: str = "") -> float:
    """Mean nats lost against the chip without limits; key : of a chip that weights were deployed on, " static 0.1"."""
    name = quantity(case)
    return results.mean(IDEAL, name) - results.mean(case, name + key)


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
    cases = [case for case in results.runs if case != DEPLOYED]
    rows = [results.row(case, quantity(case), f"{quantity(case)}, {case}", "nat") for case in cases]
    rows += [results.row(case, "accuracy", f"accuracy, {case}") for case in cases]
    if quick:
        return rows
    loop = {kind: lost(results, f"{kind} 0.1") for kind in KINDS}
    deployed = {kind: lost(results, DEPLOYED, f" {kind} 0.1") for kind in KINDS}
    hard = {limit: lost(results, case) for limit, case in HARD.items()}
    ranges = [lost(results, f"range {kt}") for kt in reversed(RANGES)]
    equal = {kind: lost(results, case) for kind, case in EQUAL.items()}
    return [
        Row.at_most("nats lost to static noise of .1 kT, trained in the loop", loop["static"], 0.5, "nat"),
        Row.at_least("nats lost to it if deployed", deployed["static"], 3.0, "nat"),
        Row.at_least("nats that dynamic noise of .1 kT costs beyond static, in the loop",
                     loop["dynamic"] - loop["static"], 0.5, "nat"),
        Row.at_most("share of the loss to dynamic noise that the loop wins back", 1 - loop["dynamic"] / deployed["dynamic"], 0.5),
        Row.at_most("nats lost to a range of 1 kT", lost(results, "range 1.0"), 0.2, "nat"),
        Row.at_least("nats lost to a range of .125 kT", ranges[0], 0.5, "nat"),
        Row("range below which half a nat is lost", threshold(RANGES[::-1], ranges, 0.5), "kT"),
        Row.at_most("nats lost to 5 bits", lost(results, "bits 5"), 0.5, "nat"),
        Row.at_least("nats that degree 16 costs beyond the worst other hard limit",
                     hard.pop("topology") - max(hard.values()), 0.0, "nat"),
        Row.at_least("nats that 1,200 couplers in a grid cost beyond as many of 16 full hidden cells",
                     equal["grid"] - equal["full"], 0.5, "nat"),
        Row.at_least("nats that 1,200 couplers at random cost beyond as many of 16 full hidden cells",
                     equal["missing"] - equal["full"], 0.5, "nat"),
        Row("nats by which samples of the unlimited chip understate annealing",
            results.mean(IDEAL, "nats") - results.mean(IDEAL, "sampled"), "nat"),
        Row("nats by which averaged couplings understate a chip trained with static noise of .1 kT",
            results.mean("static 0.1", "sampled") - results.mean("static 0.1", "nats"), "nat"),
        *rows,
        *(results.row(DEPLOYED, f"{name} {kind} {sigma}", f"{name}, deployed, {kind} {sigma}", unit)
          for name, unit in (("sampled", "nat"), ("accuracy", "")) for kind in KINDS for sigma in NOISES),
    ]  # fmt: skip


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
            (f"{kind}, deployed", colour, "--", NOISES, [(DEPLOYED, f" {kind} {sigma}") for sigma in NOISES]),
        ]
    sizes = [VISIBLE * hidden for hidden in (HIDDEN, *WIDTHS)]
    left = [VISIBLE * HIDDEN, *KEPT]
    return {
        "noise of each parameter  (kT)": noise_curves,
        "range of couplings  (± kT)": [one(2.0, "range", RANGES)],
        "bits of couplings": [one(8, "bits", BITS)],
        "couplers": [
            ("fewer hidden cells", "#777777", "-", sizes, [(IDEAL, ""), *((f"full {h}", "") for h in WIDTHS)]),
            ("local, in a grid", "#b5541c", "-", KEPT[1:], [(f"grid {degree}", "") for degree in reversed(RULES)]),
            ("missing at random", "#1f5f8b", "-", left, [(IDEAL, ""), *((f"missing {k}", "") for k in KEPT)]),
        ],
    }  # fmt: skip


def _draw(results: Results, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5.6), layout="constrained")
    axes = figure.subplots(2, 4, sharex="col")
    for axis in (axes[0, 2], axes[0, 3]):
        axis.sharey(axes[0, 1])
    for axis in axes[1, 1:]:
        axis.sharey(axes[1, 0])
    for column, (text, curves) in zip(axes.T, _curves().items(), strict=True):
        likelihood = quantity(curves[0][4][-1][0])
        for axis, name in zip(column, (likelihood, "accuracy"), strict=True):
            axis.axhline(results.mean(IDEAL, name), color="#bbbbbb", linewidth=0.8)
            for label, colour, style, sizes, cases in curves:
                means = [results.mean(case, name + key) for case, key in cases]
                errors = [results.spread(case, name + key) or 0.0 for case, key in cases]
                axis.errorbar(
                    sizes, means, errors, color=colour, linestyle=style, marker="o", markersize=4, capsize=3, label=label
                )
            axis.grid(color="#eeeeee", linewidth=0.6)
            axis.spines[["top", "right"]].set_visible(False)
        column[0].set_title("by the chip's samples" if likelihood == "sampled" else "by annealing", loc="left", fontsize=9)
        column[1].set_xscale("linear" if text.startswith("bits") else "log")
        column[1].set_xticks(ticks := curves[-1][3], [f"{t:,g}" for t in ticks])
        column[1].minorticks_off()
        column[1].set_xlabel(text)
        if len(curves) > 1:
            column[1].legend(frameon=False, fontsize=8)
    axes[0, 0].set_ylabel("log-likelihood  (nat)")
    axes[1, 0].set_ylabel("accuracy")
    figure.savefig(folder / "experiments-dumoulin.png", dpi=120)


EXPERIMENTS = (Experiment("dumoulin", "limits of a physical machine: noise, range, precision, topology", _cases, _judge, _draw),)
