"""The program `tsu characterise`, or `python -m tsu_apps.characterise`: measure a chip, print it, write a datasheet."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tsu_apps.characterise import datasheet
from tsu_apps.characterise.run import PROCEDURES, Characterisation, characterise
from tsu_apps.ending import ended
from tsu_apps.job import add_list, add_url, chip_and_bench, make_way
from tsu_apps.report import format_rows, write_json


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tsu characterise",
        description="Measure what a chip is, through its pins, as a laboratory would.",
        epilog='example: tsu characterise "emu:x0-pbit?bench=1" --effort .2 --html x0.html',
    )
    add_url(parser)
    parser.add_argument("--instruments", metavar="URL", help="door of the lab's instruments; emu:NAME?bench=1 has them by itself")
    parser.add_argument("--only", default="", metavar="A,B", help="procedures to run, by name; all that suit the chip without it")
    parser.add_argument("--effort", type=float, default=1.0, metavar="X", help="share of the full sample sizes, .1 to 1 (1)")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="JSON of configured figures by key, to compare with")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a datasheet")
    add_list(parser, _listing, "list the procedures and end")
    return parser


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
    with chip_and_bench(given) as (chip, bench, progress):
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


def _run(given: argparse.Namespace) -> int:
    """Measure, print, write; 1 if a measured figure differs from a configured one."""
    truth = _truth(given.truth)
    make_way(given.json, given.html)
    result, facts = _measure(given)
    shown = datasheet.rows(result, truth, lambda m: m.quantity)
    print(format_rows(shown))
    for name, why in result.skipped.items():
        print(f"  {name} not measured: {why}")
    if given.json is not None:
        config = {"url": given.url, "chip": facts, "curves": _curves(result), "skipped": result.skipped}
        write_json(given.json, datasheet.rows(result, truth), config=config, seeds={})
    if given.html is not None:
        given.html.write_text(datasheet.page(result, facts, truth), encoding="utf-8")
    return 1 if any(row.ok is False for row in shown) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if a measured figure differs from a configured one; 2 if something is wrong with the request or the chip."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not 0.1 <= given.effort <= 1:
        parser.error(f"--effort {given.effort:g}; .1 to 1 expected")
    return ended("tsu characterise", lambda: _run(given), (ValueError,))


if __name__ == "__main__":
    sys.exit(main())
