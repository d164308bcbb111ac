"""Experiments in learning on the chip, through its register protocol, each with its bar.

    tools/run experiments NAME [NAME ...] [--seeds 5] [--json FILE]     `all` for every one
    tools/run experiments --list

Results are kept case by case in --store and found again by the next run, so a run that was broken off goes on; --fresh begins
anew.
Every case runs in a process of its own with a chip of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from catalogue import EXPERIMENTS
from experiment import Case, Experiment, Measured, Results
from store import Store

from tsu_apps.ending import ended
from tsu_apps.report import Row, format_rows, write_json

Job = tuple[Experiment, Case, int]


def jobs_of(experiments: Sequence[Experiment], seeds: int, quick: bool) -> list[Job]:
    """Every run that the experiments want; those of a seed before those of the next."""
    found = [(e, c, s) for e in experiments for c in e.cases(quick) for s in range(min(seeds, c.seeds or seeds))]
    return sorted(found, key=lambda job: job[2])


def run(jobs: Sequence[Job], store: Store, workers: int) -> list[str]:
    """Measure what the store lacks. Returns what went wrong, a line each; the other runs go on."""
    missing = [job for job in jobs if store.load(job[0].name, job[1], job[2]) is None]
    print(f"{len(jobs) - len(missing)} of {len(jobs)} runs are in the store, {len(missing)} to do", file=sys.stderr)
    begun, done, failed = time.monotonic(), 0, []
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: dict[Future[tuple[Measured, float]], Job] = {pool.submit(job[1].run, job[2]): job for job in missing}
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                experiment, case, seed = waiting.pop(future)
                done += 1
                name = f"{experiment.name} / {case.name} / seed {seed}"
                error = future.exception()
                if error is None:
                    measured, seconds = future.result()
                    store.save(experiment.name, case, seed, measured, seconds)
                    note = f"{seconds:.0f} s"
                else:
                    failed.append(f"{name}: {error}")
                    note = f"FAILED: {error}"
                elapsed = time.monotonic() - begun
                left = elapsed / done * (len(missing) - done)
                print(
                    f"[{done}/{len(missing)}, {elapsed:.0f} s, about {left:.0f} s left] {name}: {note}",
                    file=sys.stderr,
                    flush=True,
                )
    return failed


def results_of(experiment: Experiment, seeds: int, quick: bool, store: Store) -> Results | None:
    """What the store has of an experiment, or None if a run is missing."""
    runs: dict[str, list[Measured]] = {}
    for case in experiment.cases(quick):
        found = [store.load(experiment.name, case, seed) for seed in range(min(seeds, case.seeds or seeds))]
        runs[case.name] = [run for run in found if run is not None]
        if len(runs[case.name]) < len(found):
            return None
    return Results(runs)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tools/run experiments", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(EXPERIMENTS)}, or all")
    parser.add_argument("--list", action="store_true", help="names and titles, then stop")
    parser.add_argument("--seeds", type=int, default=5, help="repetitions; default %(default)s")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; default %(default)s")
    parser.add_argument("--quick", action="store_true", help="a small size of everything, for a look that it works")
    parser.add_argument("--store", type=Path, default=Path("report/experiments"), help="results; default %(default)s")
    parser.add_argument("--fresh", action="store_true", help="measure what the store has, too")
    parser.add_argument("--figures", type=Path, help="directory for figures; not with --quick")
    parser.add_argument("--json", type=Path, help="write rows here")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(EXPERIMENTS) - {"all"})
    if unknown or not (arguments.names or arguments.list):
        parser.error(f"no experiment {unknown[0]!r}; see --list" if unknown else "name an experiment, or all; see --list")
    if arguments.seeds < 1:
        parser.error(f"--seeds {arguments.seeds}; at least 1 is expected")
    return arguments


def main() -> int:
    """0 if every goal is met."""
    arguments = parse()
    if arguments.list:
        width = max(map(len, EXPERIMENTS))
        print("\n".join(f"{name:<{width}}  {e.title}" for name, e in EXPERIMENTS.items()))
        return 0
    names = list(EXPERIMENTS) if "all" in arguments.names else list(dict.fromkeys(arguments.names))
    experiments = [EXPERIMENTS[name] for name in names]
    store = Store(arguments.store / "quick" if arguments.quick else arguments.store)
    jobs = jobs_of(experiments, arguments.seeds, arguments.quick)
    if arguments.fresh:
        store.forget((e.name, c, s) for e, c, s in jobs)
    failed = run(jobs, store, arguments.workers)
    rows: list[Row] = []
    for experiment in experiments:
        results = results_of(experiment, arguments.seeds, arguments.quick, store)
        if results is None:
            continue
        found = experiment.judge(results, arguments.quick)
        print(f"{experiment.name}: {experiment.title}\n{format_rows(found)}")
        rows += [Row(f"{experiment.name}: {r.name}", r.value, r.unit, r.spread, r.goal, r.ok) for r in found]
        if arguments.figures and experiment.draw and not arguments.quick:
            arguments.figures.mkdir(parents=True, exist_ok=True)
            experiment.draw(results, arguments.figures)
    if arguments.json:
        config = {"experiments": names, "quick": arguments.quick, "failed": failed}
        write_json(arguments.json, rows, config=config, seeds={"repetitions": arguments.seeds}, packages=("scikit-learn",))
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 0 if not failed and all(row.ok is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(ended("tools/run experiments", main))
