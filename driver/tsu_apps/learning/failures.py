"""The program `python -m tsu_apps.learning.failures`: training that fails on purpose, a healthy run beside it, and the flag that
reveals it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import tsu_driver
from tsu_apps.learning.ctd import Ctd
from tsu_apps.learning.diagnostics import Diagnostics
from tsu_apps.learning.report import Report
from tsu_apps.models import Boltzmann, quench
from tsu_apps.models.blocks import one_thread
from tsu_apps.report import Row, format_rows, write_json
from tsu_driver import Logarithmic
from tsu_driver.errors import TsuError

PIXELS, CLASSES, SHAPE, THRESHOLD = 64, 10, (8, 8), 8
"""Digits of scikit-learn: grey levels of at least THRESHOLD of 16 are +1."""
HELD_OUT = 360
DISTANCE = 5
"""Pixels up to which an attractor belongs to a training example: nine of ten held-out digits are as near to one."""
TICKS = 2000
LOOKS, EVERY = 50, 4
"""Looks at a trained machine, and sweeps between them, in which its basins are counted."""

Limits = Mapping[str, tuple[str, float]]
"""Goals by the names of quantities: ("<=" or ">=", limit)."""


@dataclass(frozen=True)
class Preset:
    """A way to fail.

    title : in words
    changes : parameters of `Ctd` that differ from the healthy ones
    flag : that reveals it
    goals : what the failing run must show, and what the healthy one
    """

    title: str
    changes: Mapping[str, Any]
    flag: str
    goals: Limits
    healthy: Limits = field(default_factory=dict)


HEALTHY: Limits = {"accuracy": (">=", 0.88), "flags raised": ("<=", 0)}

PRESETS: Mapping[str, Preset] = {
    "erosion": Preset(
        "erosion of correct basins: eta- is half of eta+, and nothing but saturation ends what deposition builds",
        {"ratio": 0.5, "weathering": 1e-3, "centred": False},
        "saturated",
        {"accuracy": ("<=", 0.2), "couplings at an end of their range": (">=", 0.3), "targets kept": ("<=", 0.2)},
        {"targets kept": (">=", 0.7)},
    ),
    "deposition-noise": Preset(
        "deposition noise: averages of two planes and one sweep move the weights at a large rate that never falls",
        {"tau_data": 1.0, "tau_free": 1.0, "data_planes": 2, "free_planes": 2, "eta_start": 0.1, "eta_end": 0.1},
        "noisy",
        {"accuracy": ("<=", 0.2), "greatest noise field": (">=", 2.0)},
        {"greatest noise field": ("<=", 0.5)},
    ),
    "temperature-collapse": Preset(
        "temperature collapse: by Eq. 8 T falls to a sixty-fourth while the machine learns",
        {"cooling": Logarithmic(1.0, 10.0, 10.0, sweeps=TICKS * Ctd.sweeps_per_tick)},
        "frozen",
        {"accuracy": ("<=", 0.75), "mixing": ("<=", 0.15), "basins that a plane visits": ("<=", 10)},
        {"mixing": (">=", 0.4), "basins that a plane visits": (">=", 25)},
    ),
}


class Digits(NamedTuple):
    """Pixels (n, 64) of -1 and +1, and classes (n,)."""

    train: NDArray[np.int8]
    train_y: NDArray[np.int64]
    test: NDArray[np.int8]
    test_y: NDArray[np.int64]


class Run(NamedTuple):
    """What a run came to: quantities by name, and reasons by the names of the flags that were up."""

    values: dict[str, float]
    flags: dict[str, str]


def load_digits() -> Digits:
    """1,437 digits to train on and 360 held out, stratified."""
    from sklearn.datasets import load_digits as bundled
    from sklearn.model_selection import train_test_split

    digits = bundled()
    spins = np.where(digits.data >= THRESHOLD, 1, -1).astype(np.int8)
    train, test, train_y, test_y = train_test_split(
        spins, digits.target, test_size=HELD_OUT, stratify=digits.target, random_state=0
    )
    return Digits(train, train_y, test, test_y)


def train(url: str, changes: Mapping[str, Any], digits: Digits, *, seed: int, folder: Path | None, progress: bool) -> Run:
    """Train on a chip that has just been opened.

    changes : parameters of `Ctd`
    folder : of a report; None for none
    """
    with ExitStack() as stack:
        chip = stack.enter_context(tsu_driver.open(url))
        parameters: dict[str, Any] = {"ticks": TICKS, "seed": seed} | dict(changes)
        model = Ctd(chip, range(PIXELS), range(PIXELS, PIXELS + CLASSES), **parameters)
        diagnostics = Diagnostics(model.layout, digits.train, distance=DISTANCE)
        report = None
        if folder is not None:
            config = {"url": url} | {name: str(value) for name, value in changes.items()}
            report = Report(folder, diagnostics, title=folder.name, shape=SHAPE, config=config, seeds={"host": seed})
            stack.enter_context(report)
        model.fit(digits.train, digits.train_y, progress=progress, watch=[report or diagnostics])
        run = _measure(model, diagnostics, digits)
        if report is not None:
            report.rows += [Row(name, value) for name, value in run.values.items()]
        return run


def _measure(model: Ctd, diagnostics: Diagnostics, digits: Digits) -> Run:
    flags = {flag.name: f"tick {flag.first:,}: {flag.reason}" for flag in diagnostics.flags}
    likelihood = model.likelihood(digits.test, digits.test_y)
    if likelihood.doubts:
        flags["untrusted likelihood"] = f"at the end: {'; '.join(likelihood.doubts)}"
    last = diagnostics.readings[-1]
    noise = [reading.averages.noise_field for reading in diagnostics.readings]
    values = {
        "accuracy": model.score(digits.test, digits.test_y),
        "log-likelihood of held-out digits, nats": likelihood.mean,
        "couplings at an end of their range": last.moment.saturation,
        "biases at an end of their range": last.moment.bias_saturation,
        "greatest noise field": float(np.nanmax(noise)),
        "signal-to-noise of the averages": last.averages.signal_to_noise,
        "mixing": last.averages.mixing,
        "targets kept": last.basins.kept,
        "basins that a plane visits": visited(model),
        "flags raised": float(len(flags)),
    }
    return Run(values, flags)


def visited(model: Ctd) -> float:
    """Mean over planes of the number of basins that a plane of the trained chip is seen in, in LOOKS looks."""
    model.sample(1)
    spins = model.chip.sample(LOOKS, every=EVERY)
    looks, planes, cells = spins.shape
    machine = Boltzmann(model.pairs_.astype(np.int64), model.weights_, model.biases_)
    with one_thread():
        fallen = quench(machine, spins.reshape(-1, cells)).reshape(looks, planes, cells)
    return float(np.mean([len(np.unique(fallen[:, plane], axis=0)) for plane in range(planes)]))


def rows(preset: Preset, failing: Run, healthy: Run) -> list[Row]:
    """Both runs' quantities, those with a limit as goals; and whether the flag was up."""
    up = Row.at_least(f"failing: flag '{preset.flag}' is up", float(preset.flag in failing.flags), 1)
    out = [up]
    for name, run, limits in (("failing", failing, preset.goals), ("healthy", healthy, {**HEALTHY, **preset.healthy})):
        for what, value in run.values.items():
            side, limit = limits.get(what, ("", 0.0))
            make = {">=": Row.at_least, "<=": Row.at_most}.get(side)
            label = f"{name}: {what}"
            out.append(make(label, value, limit) if make else Row(label, value))
    return out


def demonstrate(
    name: str, url: str, *, seed: int = 0, report: Path | None = None, progress: bool = True
) -> tuple[list[Row], dict[str, str]]:
    """(rows, the failing run's flags) of a preset: it is trained to fail, and beside it to succeed, with one seed.

    name : of PRESETS; report : a directory in which each run gets a report; None for none
    """
    preset, digits = PRESETS[name], load_digits()
    runs = {}
    for kind, changes in (("failing", preset.changes), ("healthy", {})):
        if progress:
            print(f"{name}: {kind} run on {url}", file=sys.stderr, flush=True)
        folder = None if report is None else report / f"{name}-{kind}"
        runs[kind] = train(url, changes, digits, seed=seed, folder=folder, progress=progress)
    return rows(preset, runs["failing"], runs["healthy"]), runs["failing"].flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 if all goals are met, 1 if not, 2 if something is wrong with the request or the chip."""
    given = _parser().parse_args(arguments)
    try:
        found, flags = demonstrate(given.name, given.url, seed=given.seed, report=given.report)
    except (TsuError, ValueError) as error:
        print(f"failures: {error}", file=sys.stderr)
        return 2
    print(f"{given.name}: {PRESETS[given.name].title}")
    print(format_rows(found))
    for name, reason in flags.items():
        print(f"  flag '{name}', {reason}")
    if given.json is not None:
        config = {"preset": given.name, "url": given.url, "ticks": TICKS, "flags": flags}
        write_json(given.json, found, config=config, seeds={"host": given.seed}, packages=("scikit-learn",))
    return 0 if all(row.ok is not False for row in found) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tsu_apps.learning.failures",
        description="Train a machine on digits so that it fails in a known way, and beside it a healthy one.",
        epilog="; ".join(f"{name}: {preset.title}" for name, preset in PRESETS.items()),
    )
    parser.add_argument("name", choices=list(PRESETS))
    parser.add_argument("--url", default="emu:digits-ideal", help="chip of at least 75 cells; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the host; default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write a page about each run into this directory")
    return parser


if __name__ == "__main__":
    sys.exit(main())
