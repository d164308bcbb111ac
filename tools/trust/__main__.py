"""Figures of trust, measured: what docs/trust.md promises, each with its goal.

    tools/run trust                                  all of them in a small size, a few minutes
    tools/run trust --figures F1,F13 --long          some, in the size that is promised
    tools/run trust --figures F3 --seed 7            the same again as what failed with seed 7

A figure whose module is not there counts as missed. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import time
import traceback
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "tests")]

from trust.effort import Effort  # noqa: E402

from tsu_apps.report import Row, format_rows, write_json  # noqa: E402

FIGURES = {
    "F1": ("fuzz", "hostile frames: no crash, hang or untyped error"),
    "F2": ("attacks", "raw-socket attacks: the engine lives, the gateway is back"),
    "F3": ("kill", "kill -9 at random instants: nothing acknowledged is lost"),
    "F4": ("durable", "what a reply promises of the journal"),
    "F5": ("soak", "a long life: memory and descriptors"),
    "F6": ("simulate", "daemon, clients and faults, simulated from a seed"),
    "F7": ("clients", "a thousand clients"),
    "F8": ("subscribers", "subscribers that do not read"),
    "F9": ("disk", "a disk that is full or broken"),
    "F10": ("clocks", "clocks that jump"),
    "F11": ("flips", "flipped bits in what is kept"),
    "F12": ("skew", "other versions"),
    "F13": ("keys", "wrong keys, and roles"),
    "F14": ("names", "names of snapshots that want out"),
    "F15": ("status", "STATUS in the midst of work"),
    "F16": ("drain", "SIGTERM"),
    "RTL": ("rtl", "the register file beside one made by another generator"),
}
"""Figure: module of this directory that measures it, and what it is about."""


def measured(figure: str, effort: Effort) -> list[Row]:
    """Rows of a figure; a module that is not there, or breaks down, is a row that is missed."""
    name, _ = FIGURES[figure]
    if importlib.util.find_spec(f"trust.{name}") is None:
        return [Row(f"tools/trust/{name}.py is not there", 1.0, "", None, "<= 0", False)]
    try:
        rows: list[Row] = importlib.import_module(f"trust.{name}").measure(effort)
    except Exception as error:
        traceback.print_exc()
        return [Row(f"broke down: {type(error).__name__}; {effort.again(figure)}", 1.0, "", None, "<= 0", False)]
    return rows


def parsed() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="tools/run trust", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    listed = "\n".join(f"{figure:<4} {about}" for figure, (_, about) in FIGURES.items())
    parser.add_argument("--figures", metavar="F1,F3,...", help=f"which; all by default\n{listed}")
    parser.add_argument("--long", action="store_true", help="the full size that is promised; hours in all")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (0)")
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE")
    given = parser.parse_args()
    given.figures = given.figures.split(",") if given.figures else list(FIGURES)
    if unknown := [figure for figure in given.figures if figure not in FIGURES]:
        parser.error(f"no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    return given


def main() -> int:
    """0 if every goal is met."""
    given = parsed()
    console = Console(stderr=True)
    rows: list[Row] = []
    for figure in given.figures:
        print(f"{figure}  {FIGURES[figure][1]}", flush=True)
        begun = time.monotonic()
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task(figure, total=1.0)
            effort = Effort(given.long, given.seed, lambda share, bar=bar, task=task: bar.update(task, completed=share))
            found = measured(figure, effort)
        print(f"{format_rows(found)}\n  in {time.monotonic() - begun:.1f} s", flush=True)
        rows += [Row(f"{figure} {r.name}", r.value, r.unit, r.spread, r.goal, r.ok) for r in found]
    if given.json:
        config = {"figures": given.figures, "long": given.long}
        write_json(given.json, rows, config=config, seeds={"trust": given.seed}, packages=("pyzmq", "msgpack"))
    missed = [row for row in rows if row.ok is False]
    print(f"{len(rows)} rows, {len(missed)} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    from tsu_apps.ending import ended

    sys.exit(ended("tools/run trust", main))
