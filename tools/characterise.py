"""Characterise emulated chips of every kind through their pins, on many dies, and compare with the truth.

Each measurement of each die is compared with what it would be without errors, by the die's ground truth (`truth.py`). A tolerance
of 5 standard errors is exceeded by chance on less than 1 of 2,000 dies: a row fails if more dies exceed it than chance gives once
in 1,000 runs, which is any of up to two dies, and two of 20. The same measurements are compared with wrong values, those of a
chip on which an effect is missing, doubled or another: each has to be refused on at least half of the dies, for a die may happen
to have little of the effect.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from identical import effects_are_independent, polling_is_invisible
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import tsu_driver as tsu
from tsu_apps.characterise import PROCEDURES, Characterisation, Measurement, characterise, dynamics, sampling
from tsu_apps.characterise.slow import PROCEDURES as SLOW
from tsu_apps.characterise.spatial import VARIOGRAM, pool
from tsu_apps.ending import ended
from tsu_apps.job import make_way
from tsu_apps.report import Row, format_rows, write_json
from tsu_driver.instruments import Instruments

CONFIGS = ("digits-typical", "smtj-64", "langevin-16", "spu-64", "spu-8", "potts-36", "x0-pmog", "monitor-32")
"""Typical chips, one for each kind of cell, and both kinds of Gaussian cells; and a test chip for process and heat."""
SHOWS = {"monitor-32": ("thermal", "temperature", "spatial")}
"""Chips that are made for some procedures alone."""
POOLED = 16
"""Dies from which their variograms tell a correlation length."""
DIES, EFFORT, WORKERS = 20, 1.0, 2
CHANCE, RARE = 5e-4, 1e-3
"""Share of dies that exceed a tolerance by chance, at most; how often a run may fail by chance."""
INJECTED = {"up": 1, "floating": 2, "down": 3}
"""Cells that are made to fail, each in its way, before faults are looked for."""
FAULTS = "stuck-cells"
EVERYTHING = CONFIGS[:1]
"""Whose converters and surroundings are measured too; the others have the same."""
CELLS = {p.name for p in (*sampling.PROCEDURES, *dynamics.PROCEDURES)}


@dataclass(frozen=True)
class Result:
    """One measurement of one die.

    measured, truth : of the element that is farthest off; truth None: not known, and measured is the largest magnitude
    agrees : whether all elements lie within the tolerance; refused : whether each of the wrong values is told from it
    """

    config: str
    die: int
    procedure: str
    key: str
    quantity: str
    unit: str
    measured: float
    truth: float | None
    deviation: float | None
    tolerance: float
    agrees: bool | None
    refused: dict[str, bool] = field(default_factory=dict)
    curve: Measurement | None = None


@dataclass(frozen=True)
class Job:
    """What a worker does: one die of a configuration, or a chip at a URL."""

    config: str
    die: int
    url: str
    effort: float
    only: tuple[str, ...]
    everything: bool
    instruments: str | None = None
    html: str | None = None


def compare(job: Job, procedure: str, m: Measurement, truth: Any) -> Result:
    """A measurement beside its truth; elements whose truth is NaN, such as cells at a stuck coupler, are left out."""
    true = None if truth is None else truth.of(m)
    if true is None:
        curve = m if m.key == VARIOGRAM else None
        unknown = m.number, None, None, m.tolerance, None
        return Result(job.config, job.die, procedure, m.key, m.quantity, m.unit, *unknown, curve=curve)
    beside = _known(m, true)
    at = int(np.argmax(np.abs(m.value - beside))) if m.value.size else 0
    shown = [float(array.ravel()[at]) if m.value.size else 0.0 for array in (m.value, beside)]
    wrong = {name: not m.agrees(_known(m, value)) for name, value in truth.wrong(m).items()}
    verdict = m.deviation(beside), m.tolerance, m.agrees(beside), wrong
    return Result(job.config, job.die, procedure, m.key, m.quantity, m.unit, *shown, *verdict)


def _known(m: Measurement, value: Any) -> Any:
    return np.where(np.isnan(value), m.value, value)


def work(job: Job) -> list[Result]:
    """All measurements of one chip."""
    with tsu.open(job.url) as chip:
        url = job.instruments or chip.instruments_url
        instruments = Instruments(url) if url else None
        try:
            return list(_results(job, chip, instruments))
        finally:
            if instruments is not None:
                instruments.close()


def _results(job: Job, chip: tsu.Chip, instruments: Instruments | None) -> Iterator[Result]:
    """In three parts, each compared before the next begins: what is fast, faults that are made for it, and what takes hours."""
    slow = {p.name for p in SLOW}
    names = [p.name for p in PROCEDURES if (p.name in job.only if job.only else job.everything or p.name in CELLS)]
    parts = [
        [n for n in names if n not in slow and n != FAULTS],
        [n for n in names if n == FAULTS],
        [n for n in names if n in slow],
    ]
    if chip.oracle_url is None:
        whole = characterise(chip, instruments, only=names, effort=job.effort)
        yield from (compare(job, name, m, None) for name, outcome in whole.outcomes.items() for m in outcome.measurements)
        _datasheet(job, whole, {})
        return
    from truth import Truth

    from tsu_emu.bench.client import Oracle
    from tsu_emu.config import load

    whole, told = Characterisation(chip.name, chip.kind), dict[str, list[float]]()
    with Oracle(chip.oracle_url) as oracle:
        for part in parts:
            if not part:
                continue
            if part == [FAULTS]:
                for where, cell in INJECTED.items():
                    oracle.inject("stuck-cell", cell=cell, at=where)
            found = characterise(chip, instruments, only=part, effort=job.effort)
            truth = Truth(chip, oracle.truth, load(job.config))
            for name, outcome in found.outcomes.items():
                for m in outcome.measurements:
                    yield compare(job, name, m, truth)
                    if (true := truth.of(m)) is not None:
                        told[m.key] = _known(m, true).tolist()
            oracle.clear()
            whole.outcomes |= found.outcomes
            whole.skipped |= found.skipped
            whole.seconds += found.seconds
    _datasheet(job, whole, told)


def _datasheet(job: Job, whole: Characterisation, truth: dict[str, list[float]]) -> None:
    """Write it if it is wanted."""
    if job.html is None:
        return
    from tsu_apps.characterise.datasheet import page

    path = Path(job.html) / f"{whole.name}-die-{job.die}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(whole, {"die seed": str(job.die), "effort": f"{job.effort:g}"}, truth), encoding="utf-8")


# Reckoning


def allowed(dies: int) -> int:
    """Dies that may exceed a tolerance: the least k with P(more than k of `dies`) < RARE when each does so with CHANCE."""
    for k in range(dies + 1):
        if 1 - sum(comb(dies, j) * CHANCE**j * (1 - CHANCE) ** (dies - j) for j in range(k + 1)) < RARE:
            return k
    return dies


def rows_of(results: list[Result], broken: dict[str, str]) -> tuple[list[Row], list[str]]:
    """Rows for the report, and lines of the table, one for each quantity of a configuration."""
    rows, lines = [], [f"  {'':<56}{'measured':>12}{'truth':>12}{'off by':>11}{'tolerance':>11}  dies    wrong values refused"]
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for r in results:
        groups.setdefault((r.config, r.procedure, r.key), []).append(r)
    for (config, procedure, key), group in groups.items():
        first, known, name = group[0], [r for r in group if r.agrees is not None], f"{config} {procedure} {key}"
        if not known:
            rows.append(Row(name, first.measured, first.unit))
            lines.append(f"  {name:<56}{first.measured:>12.4g}{'':>12}{'':>11}{first.tolerance:>11.2g}  no truth")
            continue
        good, least = sum(bool(r.agrees) for r in known), len(known) - allowed(len(known))
        rows.append(Row(f"{name}: dies within tolerance of {len(known)}", good, "", None, f">= {least}", good >= least))
        refused = {w: sum(r.refused[w] for r in known) for w in first.refused}
        half = (len(known) + 1) // 2
        rows += [Row(f"{name}: refused {w}", count, "", None, f">= {half}", count >= half) for w, count in refused.items()]
        worst = max(known, key=lambda r: (r.deviation or 0.0) / max(r.tolerance, 1e-300))
        mark = " " if good >= least and all(c >= half for c in refused.values()) else "!"
        shown = ", ".join(f"{w} {count}" for w, count in refused.items())
        lines.append(
            f"{mark} {name:<56}{worst.measured:>12.4g}{worst.truth:>12.4g}{worst.deviation:>11.2g}{worst.tolerance:>11.2g}"
            f"  {good}/{len(known):<4} {shown}"
        )
    for name, error in broken.items():
        rows.append(Row(f"{name}: error", 1, "", None, "<= 0", False))
        lines.append(f"! {name}: {error}")
    return rows, lines


def pooled(results: list[Result]) -> list[Row]:
    """Correlation length of the process of each configuration whose variograms were measured on POOLED dies or more."""
    from tsu_emu.config import Grid, load

    rows = []
    for name in sorted({r.config for r in results if r.curve is not None}):
        curves, config = [r.curve for r in results if r.config == name and r.curve is not None], load(name)
        if len(curves) < POOLED or not isinstance(config.fabric.topology, Grid):
            continue
        found = pool(curves, max(config.fabric.topology.width, config.fabric.topology.height))[1]
        true, title = config.process.length, f"{name} spatial {found.key}, {len(curves)} dies"
        rows.append(
            Row(title, found.number, found.unit, found.number_error, f"{true:g} within {found.tolerance:.2g}", found.agrees(true))
        )
        rows += [
            Row.at_least(f"{title}: refused {w}", float(not found.agrees(k * true)), 1)
            for w, k in (("halved", 0.5), ("doubled", 2))
        ]
    return rows


def main() -> int:
    """0 if every row is as it should be, else 1."""
    arguments, begun = parse(), time.perf_counter()
    jobs = jobs_of(arguments)
    results, broken = run(jobs)
    rows, lines = rows_of(results, broken)
    if arguments.url is None and not arguments.only:
        for name, check in (
            ("polling changes spins", polling_is_invisible),
            ("effects changed by others", effects_are_independent),
        ):
            rows.append(Row.at_most(name, check(), 0))
            lines.append(f"{' ' if rows[-1].ok else '!'} {name}: {rows[-1].value:g}")
    print("\n".join(lines))
    rows += (lengths := pooled(results))
    print(format_rows(lengths))
    dies = len({job.die for job in jobs})
    seconds, misses = time.perf_counter() - begun, allowed(dies)
    print(f"{len(jobs)} chips in {seconds:.0f} s; a row may miss its tolerance on {misses} of {dies} dies")
    failed = [row.name for row in rows if row.ok is False]
    print(f"{len(failed)} of {len(rows)} rows failed" + "".join(f"\n  {name}" for name in failed))
    if arguments.json:
        settings = {"configs": sorted({job.config for job in jobs}), "dies": dies, "effort": arguments.effort}
        write_json(arguments.json, rows, config=settings, seeds={"first die": jobs[0].die, "dies": dies}, packages=("numba",))
    return 1 if failed else 0


def run(jobs: list[Job]) -> tuple[list[Result], dict[str, str]]:
    """Results of all jobs in the order of the jobs, WORKERS at a time, and what went wrong by job; a bar shows how far it is."""
    found: dict[int, list[Result]] = {}
    broken: dict[str, str] = {}
    columns = TextColumn("characterising"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, context) as pool, Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(jobs))
        futures = {pool.submit(work, job): k for k, job in enumerate(jobs)}
        for future in as_completed(futures):
            job = jobs[futures[future]]
            try:
                found[futures[future]] = future.result()
            except Exception as error:
                broken[f"{job.config} die {job.die}"] = f"{type(error).__name__}: {error}"
                traceback.print_exception(error, file=sys.stderr)
            progress.advance(task)
    return [r for k in sorted(found) for r in found[k]], broken


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """The chips to be characterised: dies of configurations in turn, so that all kinds come early; or one at a URL."""
    only = tuple(arguments.only.split(",")) if arguments.only else ()
    common = arguments.effort, only
    if arguments.url:
        name = arguments.url.removeprefix("emu:").partition("?")[0]
        return [Job(name, 1, arguments.url, *common, True, arguments.instruments, arguments.html)]
    return [
        Job(
            name,
            die,
            f"emu:{name}?bench=1&die_seed={die}&run_seed={die}&threads=1",
            arguments.effort,
            only or SHOWS.get(name, ()),
            name in EVERYTHING,
            None,
            arguments.html,
        )
        for die in range(1, arguments.dies + 1)
        for name in arguments.configs.split(",")
    ]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tools/run characterise", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configs", default=",".join(CONFIGS), help="configurations, by name or path; default %(default)s")
    parser.add_argument("--dies", type=int, default=DIES, help="die seeds 1 .. N of each; default %(default)s")
    parser.add_argument("--url", help="one chip instead of these; its truth is known if it is emu:NAME?bench=1")
    parser.add_argument("--instruments", metavar="URL", help="door of the instruments round the chip of --url")
    parser.add_argument("--only", metavar="A,B", help="procedures to run; default all that suit")
    parser.add_argument("--effort", type=float, default=EFFORT, help="share of the full sample sizes; default %(default)s")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--html", metavar="DIR", help="write a datasheet of each die here")
    given = parser.parse_args()
    if given.dies < 1 or not 0.1 <= given.effort <= 1:
        parser.error(f"--dies {given.dies}, --effort {given.effort:g}: one die or more, and .1 to 1, expected")
    known = {procedure.name for procedure in PROCEDURES}
    unknown = sorted(set((given.only or "").split(",")) - known - {""})
    if unknown:
        parser.error(f"--only {given.only}: no procedure {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    make_way(given.json)
    return given


if __name__ == "__main__":
    sys.exit(ended("tools/run characterise", main))
