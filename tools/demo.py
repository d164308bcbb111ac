"""Train a Boltzmann machine on handwritten digits through the chip's registers; write report/.

Data: the 1,797 digits of scikit-learn, 8x8 pixels, made black and white. 1,437 are for training, 237 of them kept aside to
watch the accuracy on the way; the other 360 are used once, at the end.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import tsu_driver as tsu
from tsu_apps.ending import ended
from tsu_apps.report import Row, format_rows, write_json

if TYPE_CHECKING:
    from tsu_apps.learning import Ctd

PIXELS, CLASSES = 64, 10
SHAPE = (8, 8)
THRESHOLD = 8
"""Grey level, of 16, from which a pixel is +1."""
HELD_OUT, VALIDATION = 360, 237
GENERATED, TICKS = 12, 6000
GOAL_ACCURACY, GOAL_SECONDS = 0.91, 60.0


@dataclass(frozen=True)
class Part:
    """Examples: (n, 64) int8 of -1 and +1, and (n,) classes."""

    X: NDArray[np.int8]
    y: NDArray[np.int64]


def load_digits() -> tuple[Part, Part, Part]:
    """Training, validation and held-out part, stratified by class."""
    from sklearn.datasets import load_digits as bundled
    from sklearn.model_selection import train_test_split

    digits = bundled()
    spins = np.where(digits.data >= THRESHOLD, 1, -1).astype(np.int8)
    rest, test, rest_y, test_y = train_test_split(
        spins, digits.target, test_size=HELD_OUT, stratify=digits.target, random_state=0
    )
    train, watch, train_y, watch_y = train_test_split(rest, rest_y, test_size=VALIDATION, stratify=rest_y, random_state=0)
    return Part(train, train_y), Part(watch, watch_y), Part(test, test_y)


def main() -> int:
    """0 if the accuracy meets its goal, else 1."""
    arguments = parse()
    Path(arguments.out).mkdir(parents=True, exist_ok=True)
    from tsu_apps.learning import Ctd  # when the command line is read, as scikit-learn takes a second

    train, watch, held_out = load_digits()
    print(f"opening {arguments.url}", file=sys.stderr)
    begun = time.perf_counter()
    with tsu.open(arguments.url) as chip:
        opened = time.perf_counter()
        print(f"{chip!r}; {len(train.X)} digits to train on", file=sys.stderr)
        if chip.kind != "pbit" or chip.capabilities.cells <= PIXELS + CLASSES:
            raise tsu.HostError(
                f"{chip.name} cannot learn digits: a chip of more than {PIXELS + CLASSES} clocked p-bits is needed"
            )
        machine = Ctd(chip, range(PIXELS), range(PIXELS, PIXELS + CLASSES), ticks=arguments.ticks, seed=arguments.seed)
        machine.fit(train.X, train.y, validation=(watch.X, watch.y))
        predicted = machine.predict(held_out.X)
        dreams = np.stack([machine.sample(GENERATED, label) for label in range(CLASSES)])
        accuracy = float(np.mean(predicted == held_out.y))
        draw(Path(arguments.out), machine, train, held_out, predicted, dreams)
        rows = report(machine, accuracy, opened - begun, opened)
        settings = {k: v for k, v in machine.get_params().items() if isinstance(v, int | float)}
    print(format_rows(rows))
    print(f"figures in {arguments.out}/")
    for path in (Path(arguments.out) / "result.json", arguments.json):
        if path is not None:
            config = {"url": arguments.url, **settings}
            write_json(path, rows, config=config, seeds={"host": arguments.seed}, packages=("scikit-learn", "matplotlib"))
    return 0 if rows[0].ok else 1


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tools/run demo", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default="emu:digits-typical", help="chip to train on; default %(default)s")
    parser.add_argument("--ticks", type=positive, default=TICKS, help="weight updates; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="host's seed: first couplings, order of examples; default 0")
    parser.add_argument("--out", default="report", help="directory for figures and result.json; default %(default)s")
    parser.add_argument("--json", type=Path, help="write result.json here as well")
    return parser.parse_args()


def report(machine: Ctd, accuracy: float, opening: float, opened: float) -> list[Row]:
    """What the demo came to; counts are those of the whole session. opening : seconds that it took; opened : when."""
    chip, counters = machine.chip, machine.counters_
    return [
        Row.at_least("accuracy", accuracy, GOAL_ACCURACY),
        Row("chip time", chip.seconds, "s"),
        Row("opening the chip, with compiling it the first time", opening, "s"),
        Row.at_most("wall time from then on", time.perf_counter() - opened, GOAL_SECONDS, "s"),
        Row("training wall time", counters.wall_seconds, "s"),
        Row("ticks", counters.ticks),
        Row("sweeps", chip.read_register("FABRIC.SWEEP")),
        Row("bus operations", chip.stats.operations),
        Row("messages", chip.stats.messages),
    ]


def draw(
    out: Path,
    machine: Ctd,
    train: Part,
    held_out: Part,
    predicted: NDArray[np.int64],
    dreams: NDArray[np.int8],
) -> None:
    """Write the four figures."""
    from tsu_apps.learning import figures

    name, accuracy = machine.chip.name, float(np.mean(predicted == held_out.y))
    examples = np.stack([train.X[train.y == label][:2] for label in range(CLASSES)])
    pairs = machine.chip.topology.pairs
    hidden = np.arange(PIXELS + CLASSES, machine.chip.capabilities.cells)
    weights = figures.hidden_weights(machine.weights_, pairs, np.arange(PIXELS), hidden)
    for file, figure in {
        "learning": figures.learning_curves(machine.history_, f"Learning on {name}: {machine.ticks:,} ticks"),
        "generated": figures.dreams(dreams, examples, SHAPE, "Digits that the chip draws"),
        "weights": figures.receptive_fields(weights, SHAPE, f"What {len(weights)} hidden cells look for"),
        "confusion": figures.confusion(held_out.y, predicted, CLASSES, f"{accuracy:.1%} of {len(predicted)} held-out digits"),
    }.items():
        figure.savefig(out / f"{file}.png")


if __name__ == "__main__":
    sys.exit(ended("tools/run demo", main))
