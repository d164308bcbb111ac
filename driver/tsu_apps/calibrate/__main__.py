"""The program `tsu calibrate`, or `python -m tsu_apps.calibrate`: calibrate a chip, keep what was found."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tsu_apps.calibrate.graph import CalibrationFailed, Calibrator, Event, standard
from tsu_apps.calibrate.history import append, prepare
from tsu_apps.calibrate.work import Work
from tsu_apps.ending import ended
from tsu_apps.job import Progress, add_list, add_url, leased, make_way
from tsu_driver import Chip

INTERRUPTED = "interrupted; what procedures found until then is in force, and kept nowhere"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tsu calibrate",
        description="Find the trims that a chip needs, and the errors that codes can make up for, through its pins.",
        epilog="example: tsu calibrate emu:digits-typical --output FILE; tsu_driver.open(url, calibration=FILE) applies it",
    )
    add_url(parser)
    parser.add_argument("--only", default="", metavar="A,B", help="procedures, by name, and what they need; all without it")
    parser.add_argument("--from", dest="begin", metavar="FILE", help='begin with this calibration; "nvm": the one in the chip')
    parser.add_argument("--check", action="store_true", help="look first, and redo only what is off")
    parser.add_argument("--no-self-test", action="store_true", help="take all cells and DACs for good")
    parser.add_argument("--effort", type=float, default=1.0, metavar="X", help="share of the full sample sizes, .05 to 10 (1)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the calibration")
    parser.add_argument("--history", type=Path, metavar="DIR", help="add the calibration to the chip's file there (netCDF)")
    parser.add_argument("--nvm", action="store_true", help="keep the calibration in the chip's own memory")
    parser.add_argument("--limit", type=float, metavar="S", help="chip time after which the calibration counts as stale")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was done as JSON")
    add_list(parser, _listing, "list the procedures and end")
    return parser


def _listing() -> str:
    return "\n".join(f"{p.name:<14}{p.title}; to {p.limit:g} {p.unit}".rstrip() for p in standard())


def _prepare(given: argparse.Namespace, chip: Chip, work: Work) -> None:
    """See that what will be found can be kept, before the minutes that it takes."""
    make_way(given.output, given.json)
    if given.history:
        prepare(given.history, chip.capabilities.serial)
    if given.nvm:
        chip.calibration_words(work.calibration)


def _keep(given: argparse.Namespace, calibrator: Calibrator) -> None:
    """Where it was asked to be, and stamped if the trims of cells were looked at or set."""
    chip, calibration = calibrator.work.chip, calibrator.work.calibration
    if given.output:
        calibration.save(given.output)
    if given.nvm:
        chip.store_calibration(calibration)
    if given.history:
        append(given.history, calibrator)
    if calibrator.age_s("offsets") is not None:
        chip.stamp_calibration(given.limit)


def _calibrate(given: argparse.Namespace) -> Calibrator:
    """Do what was asked for."""
    with leased(given.url, given.begin) as chip, Progress() as progress:
        work = Work.of(chip, given.effort)
        _prepare(given, chip, work)
        calibrator = Calibrator.of(work, [name for name in given.only.split(",") if name] or None)
        units = {name: p.unit for name, p in calibrator.procedures.items()}

        def told(event: Event) -> None:
            print(event.line(units[event.name]), flush=True)

        calibrator.told = told
        if not given.no_self_test:
            work.step = lambda share: progress("self-test", share)
            lines = calibrator.run_self_test().lines()
            print("\n".join(lines) if lines else "self-test: everything works")
        work.step = lambda share: progress("calibration", share / (len(calibrator.procedures) + 1))
        if given.check:
            calibrator.maintain()
        else:
            calibrator.calibrate_all()
        _keep(given, calibrator)
        return calibrator


def _report(calibrator: Calibrator) -> dict[str, Any]:
    """What was done, of JSON values."""
    events = [asdict(e) | {"verdict": e.verdict.name if e.verdict else None} for e in calibrator.events]
    faults = calibrator.test.lines() if calibrator.test else None
    return {"events": events, "faults": faults, "serial": f"{calibrator.work.calibration.serial:016x}"}


def _run(given: argparse.Namespace) -> int:
    """Calibrate and report; 1 if a procedure failed or left more than its limit."""
    try:
        calibrator = _calibrate(given)
    except CalibrationFailed as error:
        print(f"tsu calibrate: {error}", file=sys.stderr)
        return 1
    if given.json:
        given.json.write_text(json.dumps(_report(calibrator), indent=1), encoding="utf-8")
    if not (given.output or given.nvm or given.history):
        print("tsu calibrate: in force until the chip is switched off; --output, --nvm or --history keeps it", file=sys.stderr)
    beyond = [name for name, result in calibrator.results.items() if result.left > calibrator.procedures[name].limit]
    for name in beyond:
        print(f"{name}: more is left than its limit", file=sys.stderr)
    return 1 if beyond else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if a procedure failed or left more than its limit; 2 if something is wrong with the request or the chip."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not 0.05 <= given.effort <= 10:
        parser.error(f"--effort {given.effort:g}; .05 to 10 expected")
    if given.limit is not None and not 0 < given.limit < math.inf:
        parser.error(f"--limit {given.limit:g}; seconds, more than 0, expected")
    return ended("tsu calibrate", lambda: _run(given), (ValueError, ModuleNotFoundError), INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
