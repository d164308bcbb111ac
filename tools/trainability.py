"""Reproduces what is known of the trainability of Boltzmann machines, exactly and on emulated chips, and says whether it holds.

    tools/run trainability [--json FILE] [--figures DIR]

Gaps and correlation times of planted machines, errors and signal to noise of K-window gradients, ladders of replica exchange on
a machine trained on bars and stripes. Comparisons stand beside power checks: the same with another law, which must be refused.
Explained in docs/trainability.md. Linear algebra runs in one thread, so that sums do not depend on the machine. Takes two
to three minutes on two busy cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits

import tsu_driver as tsu
from tsu_apps.ending import ended
from tsu_apps.report import Row, format_rows, write_json
from tsu_apps.trainability import bars, gaps, on_chip, rungs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLANTED_CHIP = "ideal-16"
BARS_CHIP = f"""
name = "bars-{rungs.SIDE**2 + rungs.HIDDEN}"
[fabric]
planes = 64
topology = {{ kind = "bipartite", visible = {rungs.SIDE**2}, hidden = {rungs.HIDDEN} }}
[coupling.dac]
full_scale = 4.0
"""
RUN_SEED = 1
PARTS = {
    "spectra": 14,
    "Monte Carlo": 3,
    "times on the chip": 40,
    "quality on the chip": 12,
    "training": 5,
    "ladders": 5,
    "pilots": 4,
}
"""Of the work, and about how many seconds each takes."""
PLAIN_S = 3.0
"""Seconds between plain lines."""

Advance = Callable[[str, float], None]


@contextmanager
def progress() -> Iterator[Advance]:
    """A function that is told how much of which part has been done: a bar on a terminal, a plain line now and then elsewhere."""
    total, done, begun = sum(PARTS.values()), 0.0, time.monotonic()
    if sys.stderr.isatty():
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda part, share: bar.update(task, advance=PARTS[part] * share, description=part)
        return
    shown = begun

    def plain(part: str, share: float) -> None:
        nonlocal done, shown
        done += PARTS[part] * share
        if (now := time.monotonic()) - shown >= PLAIN_S:
            shown = now
            print(f"trainability: {done / total:.0%}, {part}, {now - begun:.0f} s", file=sys.stderr, flush=True)

    yield plain


def study(folder: Path, advance: Advance) -> tuple[list[Row], dict[str, Callable[[], Figure]]]:
    """All rows, and what draws each figure; configurations of chips are written to the folder."""
    step = {part: partial(advance, part) for part in PARTS}
    spectra, check = gaps.gaps(step["spectra"]), gaps.check(step["Monte Carlo"])
    with tsu.open(f"emu:{PLANTED_CHIP}?run_seed={RUN_SEED}") as chip:
        times, quality = on_chip.times(chip, step["times on the chip"]), on_chip.quality(chip, step["quality on the chip"])
    weights = bars.train(rungs.SIDE, rungs.HIDDEN, progress=step["training"])
    ladders = rungs.ladders(weights, step["ladders"])
    (path := folder / "bars.toml").write_text(BARS_CHIP, encoding="utf-8")
    with tsu.open(f"emu:{path}?run_seed={RUN_SEED}") as chip:
        pilots = rungs.pilots(chip, weights, step["pilots"])
    rows = [
        *gaps.gap_rows(spectra),
        *gaps.check_rows(check),
        *on_chip.times_rows(times),
        *on_chip.quality_rows(quality),
        *rungs.ladder_rows(ladders),
        *rungs.pilot_rows(pilots),
    ]
    from tsu_apps.trainability import figures

    return rows, {
        "gaps": partial(figures.gap_figure, spectra),
        "windows": partial(figures.window_figure, check, quality),
        "times": partial(figures.time_figure, times),
        "ladder": partial(figures.ladder_figure, ladders, pilots),
    }


def main() -> int:
    """0 if every goal is met, else 1."""
    parser = argparse.ArgumentParser(
        prog="tools/run trainability", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="write trainability-*.png into DIR")
    arguments, begun = parser.parse_args(), time.perf_counter()
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder, progress() as advance:
        rows, draw = study(Path(folder), advance)
    print(format_rows(rows))
    print(f"  {time.perf_counter() - begun:.0f} s")
    if arguments.figures:
        arguments.figures.mkdir(parents=True, exist_ok=True)
        for name, figure in draw.items():
            figure().savefig(arguments.figures / f"trainability-{name}.png", dpi=110)
    if arguments.json:
        config = {"planted": PLANTED_CHIP, "bars": BARS_CHIP, "looks": on_chip.LOOKS, "sweeps of ladders": rungs.SWEEPS}
        seeds = {"run": RUN_SEED, "planted": on_chip.SEED, "planted machines": gaps.SEEDS, "training": 0, "ladders": rungs.SEED}
        write_json(arguments.json, rows, config=config, seeds=seeds, packages=("scipy", "numba"))
    return 1 if any(row.goal is not None and not row.ok for row in rows) else 0


if __name__ == "__main__":
    sys.exit(ended("tools/run trainability", main))
