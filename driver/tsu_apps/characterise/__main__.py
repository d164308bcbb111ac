"""The program `python -m tsu_apps.characterise`: measure a chip, print what was found, write a datasheet."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tsu_driver
from tsu_apps.characterise import datasheet
from tsu_apps.characterise.run import PROCEDURES, Characterisation, characterise
from tsu_apps.report import format_rows, write_json
from tsu_driver.errors import TsuError
from tsu_driver.instruments import Instruments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tsu_apps.characterise",
        description="Measure what a chip is, through its pins, as a laboratory would.",
        epilog='example: python -m tsu_apps.characterise "emu:x0-pbit?bench=1" --effort .2 --html x0.html',
    )
    parser.add_argument("url", nargs="?", help="the chip, as tsu_driver.open takes it: ipc://path, tcp://host:port or emu:NAME")
    parser.add_argument("--instruments", metavar="URL", help="door of the lab's instruments; emu:NAME?bench=1 has them by itself")
    parser.add_argument("--only", default="", metavar="A,B", help="procedures to run, by name; all that suit the chip without it")
    parser.add_argument("--effort", type=float, default=1.0, metavar="X", help="share of the full sample sizes, .1 to 1 (1)")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="JSON of configured figures by key, to compare with")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a datasheet")
    parser.add_argument("--list", action="store_true", help="list the procedures and end")
    return parser


class Progress:
    """Called with a procedure's name and a share of its work; a context manager. A bar on a terminal, else a line each."""

    def __init__(self) -> None:
        self._name = ""
        self._bar: Any = None
        self._task: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description:<18}"), BarColumn(32), TaskProgressColumn(), TimeElapsedColumn())
            self._bar = Bar(*columns, console=Console(stderr=True))

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, name: str, share: float) -> None:
        """Show it."""
        if name != self._name:
            self._name = name
            if self._bar is None:
                print(name, file=sys.stderr, flush=True)
            else:
                self._task = self._bar.add_task(name, total=1.0)
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, share)


def _listing() -> str:
    lines = []
    for p in PROCEDURES:
        needs = ["converters"] * p.adc + ["instruments"] * p.instruments + sorted(p.kinds or ())
        lines.append(f"{p.name:<20}{p.title}" + (f"  ({', '.join(needs)})" if needs else ""))
    return "\n".join(lines)


def _truth(path: Path | None) -> dict[str, Any]:
    """Configured figures by key; ValueError if the file holds anything else."""
    if path is None:
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ValueError(f"{path}: an object of numbers and lists by key expected")
    return data


def _measure(given: argparse.Namespace) -> tuple[Characterisation, dict[str, str]]:
    """The result, and facts about the chip."""
    with ExitStack() as stack:
        chip = stack.enter_context(tsu_driver.open(given.url))
        at = given.instruments or chip.instruments_url
        bench = stack.enter_context(Instruments(at)) if at else None
        progress = stack.enter_context(Progress())
        only = [name for name in given.only.split(",") if name]
        result = characterise(chip, bench, only=only, effort=given.effort, progress=progress)
        cap = chip.capabilities
        facts = {
            "cells": f"{cap.cells} {chip.kind}", "couplers": f"{cap.couplers}", "planes": f"{cap.planes}",
            "clock": f"{cap.clock_hz / 1e6:g} MHz", "effort": f"{given.effort:g}", "chip time": f"{result.seconds:.3g} s",
        }  # fmt: skip
        return result, facts


def _curves(result: Characterisation) -> dict[str, Any]:
    """Curves by key, of JSON values."""
    found = [m for outcome in result.outcomes.values() for m in outcome.measurements if m.value.ndim]
    return {
        m.key: {
            "x": None if m.x is None else m.x.tolist(), "x_label": m.x_label, "unit": m.unit, "tolerance": m.tolerance,
            "value": m.value.tolist(), "error": m.error.tolist(),
        }
        for m in found
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if a measured figure differs from a configured one; 2 if something is wrong with the request or the chip."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.list:
        print(_listing())
        return 0
    if given.url is None:
        parser.error("the following arguments are required: url")
    try:
        truth = _truth(given.truth)
        result, facts = _measure(given)
    except (TsuError, ValueError, OSError) as error:
        print(f"characterise: {error}", file=sys.stderr)
        return 2
    shown = datasheet.rows(result, truth, lambda m: m.quantity)
    print(format_rows(shown))
    for name, why in result.skipped.items():
        print(f"  {name} not measured: {why}")
    if given.json is not None:
        config = {"url": given.url, "chip": facts, "curves": _curves(result), "skipped": result.skipped}
        write_json(given.json, datasheet.rows(result, truth), config=config, seeds={})
    if given.html is not None:
        given.html.parent.mkdir(parents=True, exist_ok=True)
        given.html.write_text(datasheet.page(result, facts, truth), encoding="utf-8")
    return 1 if any(row.ok is False for row in shown) else 0


if __name__ == "__main__":
    sys.exit(main())
