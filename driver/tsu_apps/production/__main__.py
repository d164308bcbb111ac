"""The program `tsu test`, or `python -m tsu_apps.production`: test a chip against limits, bin it, write what a tester writes."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tsu_apps.ending import ended
from tsu_apps.job import add_list, add_url, chip_and_bench, make_way
from tsu_apps.production import stdf
from tsu_apps.production.limits import STANDARD, Limit, as_toml, load
from tsu_apps.production.lot import COST_PER_S, part_rows
from tsu_apps.production.programme import Part, Programme
from tsu_apps.report import format_rows, write_json


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tsu test",
        description="Test a chip through its pins against limits, and say which bin it belongs to.",
        epilog="example: tsu test emu:digits-typical --effort .2 --stdf chip.stdf",
    )
    add_url(parser)
    parser.add_argument("--limits", type=Path, metavar="FILE", help="TOML of tests; those of --list without it")
    parser.add_argument("--instruments", metavar="URL", help="door of the instruments; emu:NAME?bench=1 has them by itself")
    parser.add_argument("--effort", type=float, default=1.0, metavar="X", help="share of the full sample sizes, .05 to 10 (1)")
    parser.add_argument("--cost", type=float, default=COST_PER_S, metavar="C", help="of a tester second (%(default)g, assumed)")
    parser.add_argument("--lot", default="lot", metavar="NAME", help="of the lot, for STDF")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--stdf", type=Path, metavar="FILE", help="write the result as STDF V4")
    add_list(parser, lambda: as_toml(STANDARD), "print the standard limits as a file of them, and end")
    return parser


def _run(given: argparse.Namespace) -> int:
    """Test, write, print; 1 if the part fails."""
    started = int(time.time())
    programme = Programme(load(given.limits) if given.limits else STANDARD, given.effort)
    make_way(given.json, given.stdf)
    with chip_and_bench(given) as (chip, bench, progress):
        kind, part = chip.name, programme.run(chip, bench, progress=progress)
    print(format_rows(part_rows(programme.limits, part, given.cost)))
    if part.skipped:
        print(f"  not tested, for want of instruments or of what they test: {', '.join(part.skipped)}")
    print(f"{part.name}: {'passed' if part.passed else 'FAILED'}, bin {part.bin}")
    _write(given, programme, kind, part, started)
    return 0 if part.passed else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if the part fails; 2 if something is wrong with the request or the chip."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not 0.05 <= given.effort <= 10 or not given.cost >= 0:
        parser.error(f"--effort {given.effort:g}, --cost {given.cost:g}; .05 to 10, and 0 or more, are expected")
    if not (given.lot.isascii() and len(given.lot) <= stdf.MOST_TEXT):
        parser.error(f"--lot {given.lot!r}; at most {stdf.MOST_TEXT} ASCII characters are expected")
    return ended("tsu test", lambda: _run(given), (ValueError,))


def _plain(limit: Limit) -> dict[str, Any]:
    """A limit of JSON values: null where there is none."""
    return {key: None if isinstance(x, float) and math.isinf(x) else x for key, x in asdict(limit).items()}


def _write(given: argparse.Namespace, programme: Programme, kind: str, part: Part, started: int) -> None:
    """The files that were asked for."""
    if given.json:
        config = {
            "url": given.url, "serial": part.name, "effort": given.effort, "bin": part.bin, "soft_bin": part.soft_bin,
            "failed": [limit.name for limit in part.failed], "skipped": list(part.skipped), "seconds": part.seconds,
            "limits": [_plain(limit) for limit in programme.limits],
        }  # fmt: skip
        write_json(given.json, part_rows(programme.limits, part, given.cost), config=config, seeds={})
    if given.stdf:
        lot = stdf.Lot(given.lot, kind, given.limits.name if given.limits else "standard", started, int(time.time()))
        stdf.write(given.stdf, lot, programme.limits, [part])


if __name__ == "__main__":
    sys.exit(main())
