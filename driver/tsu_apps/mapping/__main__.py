"""The program `python -m tsu_apps.mapping`: how the error of an embedded model depends on its chain strength."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tsu_driver
from tsu_apps.ending import ended
from tsu_apps.mapping.embedding import Embedding, Overhead, chain_strength
from tsu_apps.mapping.quality import Quality, exact_quality, sampled_quality
from tsu_apps.mapping.search import embed
from tsu_apps.models import Boltzmann
from tsu_apps.report import Row, format_rows, write_json
from tsu_apps.terminal import Bars

STRENGTHS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
"""kT at T = 1; the default is measured beside them."""
RUNS = (1_000, 10_000)
"""Sweeps of a run in each plane, after a tenth as many that are not looked at."""
EVERY, REPEATS = 2, 4

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Of one chip.

    default : the default chain strength; strengths : (k,), the default among them
    enumerated, rounded : (k, 4) fields of `Quality` at equilibrium, with the model's values and with those of the DACs
    sampled : {sweeps: (k, REPEATS, 4)}
    """

    name: str
    overhead: Overhead
    default: float
    strengths: Floats
    enumerated: Floats
    rounded: Floats
    sampled: dict[int, Floats]


def complete_model(variables: int, seed: int) -> Boltzmann:
    """Every pair coupled: weights N(0, 1 / variables), biases N(0, .3^2), in kT."""
    rng = np.random.default_rng(seed)
    pairs = np.array(list(combinations(range(variables), 2)))
    return Boltzmann(pairs, rng.normal(0, variables**-0.5, len(pairs)), rng.normal(0, 0.3, variables))


def measure(url: str, model: Boltzmann, seed: int, progress: Callable[[str], None]) -> Curves:
    """Embed a model on a chip, and sample it at all STRENGTHS and the default; `progress` hears of each."""
    with tsu_driver.open(url) as chip:
        embedding = embed(model.pairs, chip.topology, variables=model.cells, seed=seed)
        default = chain_strength(model)
        strengths = np.sort([*STRENGTHS, default])
        enumerated, rounded, sampled = [], [], []
        for strength in strengths:
            progress(f"{chip.name}, chains of {strength:.2f} kT")
            enumerated.append(exact_quality(embedding, model, strength))
            rounded.append(exact_quality(embedding, model, strength, chip))
            sampled.append([_runs(chip, embedding, model, strength, sweeps) for sweeps in RUNS])
        by_run = {sweeps: np.array([row[k] for row in sampled]) for k, sweeps in enumerate(RUNS)}
        return Curves(chip.name, embedding.overhead, default, strengths, np.array(enumerated), np.array(rounded), by_run)


def _runs(chip: tsu_driver.Chip, embedding: Embedding, model: Boltzmann, strength: float, sweeps: int) -> list[Quality]:
    burn, looks = sweeps // 10, sweeps // EVERY
    return [sampled_quality(chip, embedding, model, strength, looks=looks, every=EVERY, burn=burn) for _ in range(REPEATS)]


def rows(curves: Curves) -> list[Row]:
    """The chain lengths, and the errors at the default strength."""
    at, o = int(np.argmin(np.abs(curves.strengths - curves.default))), curves.overhead
    out = [
        Row(f"{curves.name}: cells for {o.variables} variables", o.cells),
        Row(f"{curves.name}: longest chain", o.chain_max, "cells"),
        Row(f"{curves.name}: default chain strength", curves.default, "kT"),
        Row(f"{curves.name}: equilibrium, majority", float(curves.enumerated[at, 0])),
        Row(f"{curves.name}: equilibrium, DACs' values, majority", float(curves.rounded[at, 0])),
        Row(f"{curves.name}: equilibrium, DACs' values, whole chains", float(curves.rounded[at, 1])),
        Row(f"{curves.name}: equilibrium, broken chains", float(curves.enumerated[at, 2])),
    ]
    for sweeps, runs in curves.sampled.items():
        for column, what in ((0, "majority"), (1, "whole chains"), (2, "broken chains")):
            values = runs[at, :, column]
            out.append(Row(f"{curves.name}: {sweeps:,} sweeps, {what}", float(values.mean()), spread=float(values.std(ddof=1))))
    return out


class _Progress(Bars):
    """A bar on a terminal, else a line each."""

    def __init__(self, total: int) -> None:
        super().__init__(lambda p: p.Progress.get_default_columns())
        self._task = None if self.rich is None else self.rich.add_task("", total=total)

    def __call__(self, what: str) -> None:
        if self.rich is None:
            print(what, file=sys.stderr, flush=True)
        else:
            self.rich.update(self._task, advance=1, description=what)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tsu_apps.mapping",
        description="Embed a complete model and compare what the chip samples with its exact law, against chain strength.",
    )
    parser.add_argument("urls", nargs="*", default=["emu:digits-ideal", "emu:small-world-256"], metavar="URL", help="chips")
    parser.add_argument("--variables", type=int, default=6, metavar="N", help="of the model, at most 12 (6)")
    parser.add_argument("--seed", type=int, default=1, help="of the model and of the embedding (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the curves")
    return parser


def _run(given: argparse.Namespace) -> int:
    """Measure, print, write."""
    model = complete_model(given.variables, given.seed)
    with _Progress(len(given.urls) * (len(STRENGTHS) + 1)) as progress:
        found = [measure(url, model, given.seed, progress) for url in given.urls]
    shown = [row for curves in found for row in rows(curves)]
    print(format_rows(shown))
    if given.json is not None:
        config = {"urls": given.urls, "variables": given.variables, "runs": RUNS, "every": EVERY, "repeats": REPEATS}
        write_json(given.json, shown, config=config, seeds={"seed": given.seed}, packages=("minorminer",))
    if given.figure is not None:
        from tsu_apps.mapping.figures import chart

        given.figure.parent.mkdir(parents=True, exist_ok=True)
        chart(found).savefig(given.figure, dpi=130)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 if something is wrong with the request or a chip."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not 2 <= given.variables <= 12:
        parser.error(f"--variables {given.variables}; 2 to 12 expected")
    return ended("mapping", lambda: _run(given), (ValueError, ImportError))


if __name__ == "__main__":
    sys.exit(main())
