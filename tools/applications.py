"""Computing by sampling, through the chip's pins: feed-forward networks on p-bits, linear algebra on Gaussian cells.

    tools/run applications [--seeds N] [--json FILE] [--figures DIR]

Seed k takes die k + 1 of a typical chip and run k + 1 of an ideal one. Goals stand beside power checks: the same measurement with
the effect taken away.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits

import tsu_driver as tsu
from tsu_apps.ending import ended
from tsu_apps.feedforward import FeedForward, accuracy, twin
from tsu_apps.feedforward.figures import accuracies
from tsu_apps.linear import Looks, NaturalGradient, Rule, Softmax, inverse, relaxation, relaxed, solve, train
from tsu_apps.linear.figures import cosine, descents, refinement_and_relaxation
from tsu_apps.linear.ranges import Ranges, prepare
from tsu_apps.report import Row, format_rows, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Real = NDArray[np.float64]
Found = tuple[list[Row], "Figure"]
Step = Callable[[], None]

CONFIGS = Path(__file__).parents[1] / "configs"
BIPARTITE, DENSE = '{ kind = "bipartite", visible = 74, hidden = 64 }', '{ kind = "dense", cells = 138 }'
DIGITS = {"ideal": ("digits-ideal", BIPARTITE), "typical": ("digits-typical", BIPARTITE), "all to all": ("digits-ideal", DENSE)}
LOOKS = (1, 3, 10, 30, 100, 300, 1000)
VARIANTS: dict[str, tuple[str, float, float | None]] = {
    "symmetric, eps .2": ("as trained", 0.2, None),
    "directed, eps .2": ("as trained", 0.2, 0.0),
    "trained by its twin": ("tuned", 1.0, 0.0),
    "power check, weights shuffled": ("shuffled", 0.2, None),
}
"""Which weights, eps, back."""
SHOWN = list(VARIANTS)[:3]
HELD_OUT, TUNED_FOR = 360, 10
GOALS = {(SHOWN[0], 1000): 0.92, (SHOWN[1], 1000): 0.92, (SHOWN[2], 10): 0.90}
CHANCE_AT_MOST = 0.6

GAUSSIAN = """
name = "gaussian-64"
[clock]
hz = 100000000
[fabric]
topology = {{ kind = "dense", cells = 64 }}
[coupling.dac]
bits = {bits}
full_scale = 1.0
[bias.dac]
bits = {bits}
full_scale = 4.0
[cell]
kind = "gaussian"
[adc]
count = 8
bits = 10
[timing]
sweep = 0
colour = 50
slot = 0
"""
"""As spu-64, without errors but for the steps of the converters."""
TYPICAL = "spu-64"
ROUNDS, TIME, FROM, KT = 7, 200.0, 40.0, 0.01
"""Refinements; length of a trajectory, from when it is averaged, its temperature in the problem's units."""
NOISE_ALONE = 0.012
"""Error of such an average by noise alone, .0087 by the exact law, .0013 its spread; beyond it by 2.5 spreads."""

CLASSES, DAMPING, STEPS, BATCH = (3, 5, 8, 9), 0.03, 50, 128
RATES = (0.5, 1.0, 2.0, 3.0, 4.0)
DESCENT, NATURAL = "gradient descent, exact", "natural gradient, exact"
TIMES = {
    "chip, t = 3": (3.0, False), "chip, t = 10": (10.0, False), "chip, t = 30": (30.0, False), "chip, t = 100": (100.0, False),
    "chip, t = 10, kept": (10.0, True),
}  # fmt: skip
"""Analog time, and whether the state is kept between batches."""
LONG = "chip, t = 100"


def put(folder: Path, name: str, text: str) -> str:
    """URL of a chip of this configuration."""
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return f"emu:{path}"


def shaped(folder: Path, name: str, topology: str) -> str:
    """URL of a shipped chip with another graph."""
    text = (CONFIGS / f"{name}.toml").read_text(encoding="utf-8").split("[provenance]")[0]
    lines = [f"topology = {topology}" if line.startswith("topology") else line for line in text.splitlines()]
    return put(folder, f"{name}-{len(topology)}", "\n".join(lines))


def measured(name: str, values: Any, unit: str = "", least: float | None = None, most: float | None = None) -> Row:
    """A row of the mean over repetitions, with its spread if there are several."""
    value, spread = float(np.mean(values)), float(np.std(values)) if np.size(values) > 1 else None
    if least is not None:
        return Row.at_least(name, value, least, unit, spread)
    return Row(name, value, unit, spread) if most is None else Row.at_most(name, value, most, unit, spread)


# Feed-forward networks


def network(seed: int) -> tuple[dict[str, Any], Any, Any, float]:
    """(weights and biases by name, held-out X, y, accuracy of the network) of 64-64-10 units, digits made black and white."""
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    bundled = load_digits()
    spins = np.where(bundled.data >= 8, 1, -1).astype(np.int8)
    X, held, y, held_y = train_test_split(spins, bundled.target, test_size=HELD_OUT, random_state=0, stratify=bundled.target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp = MLPClassifier((64,), activation="tanh", alpha=0.01, max_iter=200, random_state=seed).fit(X, y)
    first, second = mlp.coefs_
    weights = {
        "as trained": (mlp.coefs_, mlp.intercepts_),
        "tuned": twin.train(mlp.coefs_, mlp.intercepts_, X, y, eps=1.0, looks=TUNED_FOR, seed=seed),
        "shuffled": ([first, np.random.default_rng(seed).permutation(second)], mlp.intercepts_),
    }
    return weights, held, held_y, float(mlp.score(held, held_y))


def feedforward(folder: Path, seeds: int, step: Step) -> Found:
    """Accuracies over sweeps of all variants on three chips; what they use and cost."""
    networks = []
    for seed in range(seeds):
        networks.append(network(seed))
        step()
    reference = [n[3] for n in networks]
    rows, shown = [measured("digits: the network 64-64-10, computed digitally", reference)], {}
    for chip_name, (config, topology) in DIGITS.items():
        chosen = networks if topology == BIPARTITE else networks[:1]
        url, scores = shaped(folder, config, topology), {name: np.zeros((len(chosen), len(LOOKS))) for name in VARIANTS}
        for seed, (weights, held, y, _) in enumerate(chosen):
            with tsu.open(f"{url}?die_seed={seed + 1}&run_seed={seed + 1}") as chip:
                for name, (which, eps, back) in VARIANTS.items():
                    net = FeedForward(chip, weights[which][0], weights[which][1], eps, back)
                    before = chip.energy().total_j, chip.physical_time()
                    means = net.running_means(held, LOOKS)
                    after = chip.energy().total_j, chip.physical_time()
                    scores[name][seed] = [accuracy(m, y) for m in means]
                    if seed == 0 and name in SHOWN[:2]:
                        rows += costs(f"{chip_name}, {name}", net, after[0] - before[0], after[1] - before[1])
            step()
        for name, seen in scores.items():
            told = (1, 10, 100, 1000) if name in SHOWN else (1000,)
            rows += [verdict(chip_name, name, looks, seen[:, LOOKS.index(looks)]) for looks in told]
        shown[chip_name] = {name: scores[name] for name in SHOWN}
    del shown["all to all"]
    return rows, accuracies(shown, LOOKS, float(np.mean(reference)))


def verdict(chip: str, name: str, looks: int, seen: Real) -> Row:
    """An accuracy with its goal."""
    what, most = f"digits, {chip}, {name}: accuracy, {looks:,} sweeps", None if name in SHOWN else CHANCE_AT_MOST
    return measured(what, seen, least=GOALS.get((name, looks)), most=most)


def costs(name: str, net: FeedForward, joules: float, seconds: float) -> list[Row]:
    """What a network uses of a chip, and what an example of 1,000 sweeps costs."""
    e, work, planes = net.embedding, net.work(LOOKS[-1]), net.chip.capabilities.planes
    examples = -(-HELD_OUT // planes) * planes
    rows = [
        Row(f"{name}: cells used of {e.cells_total}", e.cells),
        Row(f"{name}: couplers used of {e.couplers_total:,}", e.couplers),
        Row(f"{name}: share of multiply-adds that the host does", work.host_share),
        Row(f"{name}: host's additions, 1,000 sweeps, over the digital network's", work.host / work.digital),
        Row(f"{name}: array time of an example, 1,000 sweeps", 1e6 * seconds / examples, "us"),
    ]
    return rows + ([Row(f"{name}: energy of an example, 1,000 sweeps", 1e6 * joules / examples, "uJ")] if joules else [])


# Linear algebra


def problem() -> tuple[Real, Real]:
    """64 unknowns: the covariance of 128 normal samples, plus .1, which has the condition 14; a normal right-hand side."""
    rng = np.random.default_rng(0)
    M = rng.normal(size=(64, 128))
    return M @ M.T / 128 + 0.1 * np.eye(64), rng.normal(size=64)


def off(a: Any, b: Any) -> float:
    """|a - b| / |b|."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def trajectory(chip: tsu.Chip, A: Real, b: Real, tick: float) -> tuple[Real, Real]:
    """(times, x) of one plane from x = 0, each tick, at KT in the problem's units.

    x' = beta / alpha x at the temperature T has the noise of x at T alpha / beta^2; the plane's multiplier takes T below the
    least code. tick : ticks of a relaxation
    """
    ranges = Ranges(chip)
    alpha, beta = ranges.alpha(A), ranges.beta(b)
    chip.plane_temperatures(KT * beta**2 / alpha / prepare(chip, 1 / 64))
    ranges.program(chip, alpha * A, np.zeros(len(b)))
    offset = chip.sample(50, every=4, burn=60).mean(axis=(0, 1))
    ranges.program(chip, alpha * A, beta * b)
    chip.clamp(np.arange(len(b)), np.zeros(len(b)))
    chip.run(1)
    chip.unclamp()
    chip.enable_planes(1)
    x = chip.sample(round(TIME * tick / alpha))[:, 0]
    chip.enable_planes(chip.capabilities.planes)
    return np.arange(1.0, len(x) + 1) * (alpha / tick), np.asarray((x - offset) * alpha / beta)


def linear(folder: Path, seeds: int, step: Step) -> Found:
    """A solution, its refinement, an inverse and a trajectory on three chips; an inverse on eight resonators."""
    A, b = problem()
    chips = {f"ideal, {n} bits": put(folder, f"g{n}", GAUSSIAN.format(bits=n)) for n in (8, 12)} | {TYPICAL: f"emu:{TYPICAL}"}
    rows, residuals, path = [], {}, (np.empty(0), np.empty((0, 0)))
    for name, url in chips.items():
        found: dict[str, list[float]] = {}
        for seed in range(seeds):
            with tsu.open(f"{url}?die_seed={seed + 1}&run_seed={seed + 1}") as chip:
                values, rounds, walked = answers(chip, A, b)
            for key, value in values.items():
                found.setdefault(key, []).append(value)
            if seed == 0:
                residuals[name], path = rounds, walked
            step()
        rows += judged(name, found)
    rows += resonators()
    step()
    return rows, refinement_and_relaxation(residuals, A, b, *path, TYPICAL)


def answers(chip: tsu.Chip, A: Real, b: Real) -> tuple[dict[str, float], tuple[float, ...], tuple[Real, Real]]:
    """(figures by what they are, residuals over rounds, (times, x) of a trajectory) of one chip."""
    x: Real = np.linalg.solve(A, b).astype(np.float64)
    truth, tick = np.linalg.inv(A), relaxation(chip)
    once, refined, covariance = solve(chip, A, b), solve(chip, A, b, refinements=ROUNDS, looks=Looks(20)), inverse(chip, A)
    times, path = trajectory(chip, A, b, tick)
    in_bars = ((covariance.matrix - truth) / covariance.error)[np.triu_indices(len(b))]
    values = {
        "error of x": off(once.x, x),
        "its error bar by noise": float(np.linalg.norm(once.error) / np.linalg.norm(x)),
        "residual that the host sees": once.residual,
        f"error of x after {ROUNDS} refinements": off(refined.x, x),
        "error of the inverse": off(covariance.matrix, truth),
        "its bar by noise": float(np.linalg.norm(covariance.error) / np.linalg.norm(truth)),
        "deviations of the inverse over their bars, rms": float(np.sqrt(np.mean(in_bars**2))),
        f"one plane, kT {KT:g}: cosine of x(10) and the solution": cosine(path[int(np.argmin(np.abs(times - 10)))], x),
        f"one plane, kT {KT:g}: error of the mean from t = {FROM:g} to {TIME:g}": off(path[times >= FROM].mean(axis=0), x),
    }
    return values, refined.residuals, (times, path)


def judged(chip: str, found: dict[str, list[float]]) -> list[Row]:
    """Rows of `answers`, in their order, with the goals of that chip."""
    ideal, fine = chip != TYPICAL, "12" in chip
    most = [0.02 if ideal else 0.2, None, None, 1e-4, 0.06 if ideal else 0.2, None, 1.3 if fine else None, None]
    most.append(NOISE_ALONE if fine else 0.02 if ideal else 0.2)
    least = {7: 0.997 if ideal else 0.98}
    return [measured(f"{chip}: {key}", values, least=least.get(k), most=most[k]) for k, (key, values) in enumerate(found.items())]


def resonators() -> list[Row]:
    """The inverse of a matrix on spu-8."""
    A = 1.5 * np.eye(8) + 0.1
    with tsu.open("emu:spu-8") as chip:
        found = inverse(chip, A, looks=Looks(400, 40, 200))
    truth, wrong = np.linalg.inv(A), np.linalg.inv(1.5 * np.eye(8) - 0.1)
    return [
        Row.at_most("spu-8: error of the inverse", off(found.matrix, truth), 0.1),
        Row("spu-8: its bar by noise", float(np.linalg.norm(found.error) / np.linalg.norm(truth))),
        Row.at_least("spu-8, power check: the same beside couplings of the other sign", off(found.matrix, wrong), 0.1),
    ]


# Natural gradient


def some_digits() -> tuple[Real, NDArray[np.int64]]:
    """(X, y) of four classes of digits in 4 x 4 pixels and a constant."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    chosen = np.isin(bundled.target, CLASSES)
    pixels = bundled.images[chosen].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16) / 16
    return np.c_[pixels, np.ones(len(pixels))], np.searchsorted(CLASSES, bundled.target[chosen])


class Exact:
    """x(t) without noise or errors; a rule like that of the chip."""

    def __init__(self, time: float, keep: bool) -> None:
        self._time, self._keep = time, keep
        self._x: Real | None = None

    def __call__(self, F: Real, g: Real) -> Real:
        start = self._x if self._keep and self._x is not None else np.zeros_like(g)
        self._x = relaxed(F + DAMPING * np.eye(len(g)), g, start, self._time)
        return self._x


def descent(rule: Rule, rate: float, seed: int) -> Real:
    """(steps + 1,) losses."""
    X, y = some_digits()
    return train(Softmax(X.shape[1], len(CLASSES)), X, y, rule, rate=rate, steps=STEPS, batch=BATCH, seed=seed)[1]


def natural(folder: Path, seeds: int, step: Step) -> Found:
    """Losses over steps by gradient descent, natural gradient and chips; each rule at the rate of least mean loss on the host."""
    make: dict[str, Callable[[], Rule]] = {DESCENT: lambda: lambda F, g: g, NATURAL: lambda: Exact(np.inf, False)}
    make |= {name: lambda time=time, keep=keep: Exact(time, keep) for name, (time, keep) in TIMES.items()}  # type: ignore[misc]

    def losses_of(name: str, rate: float) -> Real:
        return np.array([descent(make[name](), rate, seed) for seed in range(seeds)])

    rates = {}
    for name in make:
        rates[name] = min(RATES, key=lambda rate, name=name: losses_of(name, rate).mean())  # type: ignore[misc]
        step()
    host = {name: losses_of(name, rates[name]) for name in (DESCENT, NATURAL)}
    best, behind = host[NATURAL].mean(axis=0), float(host[DESCENT][:, -1].mean())
    rows = [measured(f"{name}: loss after {STEPS} steps", v[:, -1], "nats") for name, v in host.items()]
    rows.append(Row.at_most(f"{NATURAL}: steps to where descent is after {STEPS}", int(np.argmax(best <= behind)), STEPS / 2))
    shown = {}
    for chip_name, url in (("ideal, 8 bits", put(folder, "n8", GAUSSIAN.format(bits=8))), (TYPICAL, f"emu:{TYPICAL}")):
        losses = dict(host) | {name: np.zeros((seeds, STEPS + 1)) for name in TIMES}
        for seed in range(seeds):
            with tsu.open(f"{url}?die_seed={seed + 1}&run_seed={seed + 1}") as chip:
                tick = relaxation(chip)
                for name, (time, keep) in TIMES.items():
                    rule = NaturalGradient(chip, time, DAMPING, tick, keep=keep).direction
                    losses[name][seed] = descent(rule, rates[name], seed)
                    step()
        shown[chip_name] = losses
        goals = {LONG: (1.05 if chip_name != TYPICAL else 1.15) * float(best[-1])}
        for name in TIMES:
            what = f"{chip_name}, {name.removeprefix('chip, ')}: loss after {STEPS} steps"
            rows.append(measured(what, losses[name][:, -1], "nats", most=goals.get(name)))
    rows += [Row(f"rate: {name}", rate) for name, rate in rates.items()]
    return rows, descents(shown, (DESCENT, NATURAL), "51 parameters")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tools/run applications", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="dies and networks that are averaged over; default %(default)s")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the rows to FILE")
    parser.add_argument("--figures", metavar="DIR", type=Path, help="write applications-*.png to DIR")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error(f"--seeds {arguments.seeds}: at least 1 is expected")
    return arguments


def main() -> int:
    """0 if all goals are met, else 1."""
    arguments = parse()
    seeds = arguments.seeds
    total = seeds * 3 + 1 + seeds * 3 + 1 + len(TIMES) + 2 + 2 * len(TIMES) * seeds
    columns = TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn()
    with tempfile.TemporaryDirectory() as name, Progress(*columns, console=Console(stderr=True)) as bar:
        folder, task = Path(name), bar.add_task("measuring", total=total)

        def step() -> None:
            bar.advance(task)

        parts = {"feedforward": feedforward, "linear": linear, "natural-gradient": natural}
        with threadpool_limits(1):  # matrices this small are slower in threads
            found = {part: measure(folder, seeds, step) for part, measure in parts.items()}
    rows = [row for part, _ in found.values() for row in part]
    print(format_rows(rows))
    if arguments.figures:
        arguments.figures.mkdir(parents=True, exist_ok=True)
        for part, (_, figure) in found.items():
            figure.savefig(arguments.figures / f"applications-{part}.png", dpi=120)
    if arguments.json:
        settings = {"looks": LOOKS, "steps": STEPS, "damping": DAMPING, "refinements": ROUNDS}
        write_json(arguments.json, rows, config=settings, seeds={"first": 0, "count": seeds}, packages=("scikit-learn", "scipy"))
    return 0 if all(row.ok is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(ended("tools/run applications", main))
