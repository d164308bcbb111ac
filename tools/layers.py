"""Stochastic layers: neural networks whose units are drawn by loose cells of a chip, trained on a twin and run on the chip.

    tools/run layers [--only A,B] [--json FILE] [--figures DIR]

Each study of `tsu_apps.layers.studies` opens the chips it needs by name: presets, and chips made here for one purpose, without
errors or wider than the presets. Accuracies are those of held-out examples.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

import tsu_driver as tsu
from tsu_apps.ending import ended
from tsu_apps.layers import figures
from tsu_apps.layers.studies import Step, Study, agreement, digits, generation, processes, sequences, times
from tsu_apps.report import Row, format_rows, write_json

STUDIES = {
    "agreement": (agreement.run, figures.transfer),
    "digits": (digits.run, figures.digits),
    "sequences": (sequences.run, figures.sequences),
    "processes": (processes.run, figures.processes),
    "generation": (generation.run, figures.generation),
    "times": (times.run, figures.times),
}
GOAL_SECONDS = 300.0

CHIP = """
name = "{name}"
[fabric]
planes = {planes}
topology = {{ kind = "{topology}", cells = {cells}{pairs} }}
[coupling.dac]
bits = 8
full_scale = 1.0
[bias.dac]
bits = 8
full_scale = 4.0
{dac}
[cell]
{cell}
[timing]
colour = {colour}
slot = {slot}
[adc]
count = {converters}
bits = 10
"""
PBIT = 'kind = "pbit"'
CELLS = {
    "pbit": ('kind = "async-pbit"\ntau_s = 1e-7', 10),
    "pdit": ('kind = "pdit"\nstates = 4', 1),
    "pdit-8": ('kind = "pdit"\nstates = 8', 1),
    "pmode": ('kind = "gaussian"\ntau_s = 1e-6\nrange = 8.0', 50),
    "fast-pmode": ('kind = "gaussian"\ntau_s = 1e-7\nrange = 8.0', 5),
    "pmog": ('kind = "mixture"\nmodes = 4\ntau_s = 1e-6\nmode_tau_s = 1e-5\nstiffness = 4.0\nrange = 8.0', 100),
    "langevin": ('kind = "langevin"\ntau_s = 1e-6\nrail = 8.0\nrange = 4.0\nsubsteps = 32', 50),
}
"""Cells and ticks as those of the X0 presets and of langevin-16, without errors; fast-pmode with tau0 = 100 ns."""
ERRORS = "slope_sigma = 0.05\noffset_sigma_kt = 0.2"
DAC_ERRORS = "element_sigma = 0.02\ngain_sigma = 0.02\noffset_sigma_lsb = 0.5"
"""As the presets have them."""


def chip_text(name: str) -> str | None:
    """A chip of ours in TOML, None if a preset has the name."""
    values: dict[str, Any] = {
        "name": name, "planes": 64, "topology": "edges", "pairs": ", pairs = []", "cells": 16, "dac": "",
        "slot": 0, "converters": 4,
    }  # fmt: skip
    wide = {"cells": 1024, "planes": 16, "cell": PBIT, "colour": 1, "slot": 1}
    if name == "ideal-1024":
        values |= wide
    elif name == "typical-1024":
        values |= wide | {"cell": f"{PBIT}\n{ERRORS}", "dac": DAC_ERRORS}
    elif name == "ideal-spu-64":
        cell, colour = CELLS["pmode"]
        values |= {"topology": "dense", "pairs": "", "cells": 64, "cell": cell, "colour": colour, "converters": 8}
    elif found := re.fullmatch(r"ideal-(.+)", name):
        cell, colour = CELLS[found[1]]
        values |= {"cell": cell, "colour": colour, "slot": int("pdit" in name)}
    elif found := re.fullmatch(r"width-(pbit|pmode|pmode-adc)-(\d+)", name):
        cell, colour = CELLS["pbit" if found[1] == "pbit" else "fast-pmode"]
        converters = int(found[2]) // 4 if found[1] == "pmode-adc" else 4
        values |= {"planes": 16, "cells": int(found[2]), "cell": cell, "colour": colour, "converters": converters}
    else:
        return None
    return CHIP.format(**values)


@contextmanager
def chips() -> Iterator[Any]:
    """A function that opens a chip by its name; one thread each, so that times are comparable."""
    with tempfile.TemporaryDirectory() as folder:

        def opened(name: str) -> AbstractContextManager[tsu.Chip]:
            text, path = chip_text(name), Path(folder) / f"{name}.toml"
            if text is not None:
                path.write_text(text, encoding="utf-8")
            return tsu.open(f"emu:{name if text is None else path}?threads=1")

        yield opened


@contextmanager
def progress() -> Iterator[Step]:
    """What is done now, and since when: a line that lives on a terminal, plain lines anywhere else."""
    if not sys.stderr.isatty():
        begun = time.monotonic()
        yield lambda text: print(f"layers: {time.monotonic() - begun:.0f} s, {text}", file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as live:
        task = live.add_task("")
        yield lambda text: live.update(task, description=text)


def main() -> int:
    """0 if every row meets its goal, else 1."""
    arguments, begun, rows = parse(), time.perf_counter(), list[Row]()
    with chips() as opened, progress() as step, threadpool_limits(1):
        for name in arguments.only:
            study, draw = STUDIES[name]
            found: Study = study(opened, step)
            rows += found.rows
            if arguments.figures:
                arguments.figures.mkdir(parents=True, exist_ok=True)
                draw(found.data).savefig(arguments.figures / f"layers-{name}.png")
    rows.append(Row.at_most("wall time of all studies", time.perf_counter() - begun, GOAL_SECONDS, "s"))
    print(format_rows(rows))
    if arguments.json:
        seeds = {"die": 1, "run": 1, "host": 0}
        write_json(arguments.json, rows, config={"studies": arguments.only}, seeds=seeds, packages=("scikit-learn", "scipy"))
    return 0 if all(row.ok is not False for row in rows) else 1


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tools/run layers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        metavar="A,B",
        type=_studies,
        default=list(STUDIES),
        help=f"studies to run, of {', '.join(STUDIES)}; default all",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="write layers-*.png here")
    return parser.parse_args()


def _studies(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in STUDIES:
            raise argparse.ArgumentTypeError(f"there is no study {name!r}; there are {', '.join(STUDIES)}")
    return names


if __name__ == "__main__":
    sys.exit(ended("tools/run layers", main))
