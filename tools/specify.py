"""The cheapest chip on which an app loses no more than is tolerated, over many dies.

    tools/run specify --app six --loss .03 [--json FILE] [--figure FILE] [--toml FILE]

Options are bits of the converters, mismatch, bits of trims and how often a chip is calibrated anew; each die is calibrated
through its pins, then drifts until the next calibration, and is judged by the truth: of `six`, the total variation distance from
the law asked for; of `digits`, nats that weights trained on a chip without errors lose. Costs are assumed: docs/specification.md.

What was measured is kept in --store and found again, so a search that was broken off goes on when it is started anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from specified import APPS, App

from tsu_apps.ending import ended
from tsu_apps.job import make_way
from tsu_apps.report import Row, format_rows, write_json
from tsu_apps.specify import Lattice, Specification, Unreachable, Verdict, find
from tsu_apps.specify.lattice import Point
from tsu_apps.study import Asking, EngineLost, Fleet, MeasureFailed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rows_of(app: App, found: Specification, tolerated: float) -> list[Row]:
    """The specification, what was measured, and the neighbours that fail."""
    rows = [Row(name, float(value)) for name, value in found.point.items()]
    rows += [
        Row("cost", found.cost),
        Row.at_most(
            "mean loss, in the search", found.passed.mean, tolerated, app.unit, float(np.std(found.passed.losses, ddof=1))
        ),
        Row.at_most("its bound, on fresh dies", found.confirmed.bound, tolerated, app.unit),
        Row("points of the lattice", float(found.points)),
        Row("points measured", float(len(found.tests))),
        Row("chips measured", float(found.chips)),
    ]
    for n in found.neighbours:
        label = f"cheaper {n.option}: mean loss of {'it' if n.by == n.point else 'a point no worse'}"
        sure = "shown not to do" if n.verdict.sure else "not shown to do"
        rows.append(Row(label, n.verdict.mean, app.unit, float(np.std(n.verdict.losses, ddof=1)), sure, not n.verdict.passes))
    return rows


def toml_of(app: App, found: Specification) -> str:
    """Changes of the configuration, by key path."""
    lines = [f"# of {app.config}; calibrated each {found.point['interval_s']:g} s"]
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in app.changes(found.point).items())]) + "\n"


def draw(app: App, found: Specification, tolerated: float) -> Figure:
    """Mean losses of the points that were measured over their costs."""
    from tsu_apps.characterise.figures import COLOURS, label, panels

    figure, (axis,) = panels(1, 1, 3.4)
    kinds = ("does", lambda v: v.passes), ("does not", lambda v: not v.passes and v.sure), ("undecided", lambda v: not v.sure)
    for k, (name, is_one) in enumerate(kinds):
        some = [(cost, v) for _, cost, v in found.tests if is_one(v)]
        if some:
            costs, verdicts = zip(*some, strict=True)
            error = [np.std(v.losses, ddof=1) / np.sqrt(len(v.losses)) for v in verdicts]
            axis.errorbar(
                costs, [v.mean for v in verdicts], yerr=error, color=COLOURS[k], marker="osD"[k], linestyle="", label=name
            )
    axis.plot(found.cost, found.confirmed.mean, "*", color="#000000", markersize=12, label="chosen, on fresh dies")
    axis.axhline(tolerated, color="#888888", linewidth=0.8)
    axis.set_yscale("log")
    axis.legend(frameon=False, fontsize=9)
    unit = f"  ({app.unit})" if app.unit else ""
    label(axis, "Points that the search measured", "cost  (bits of a coupler)", f"mean loss over dies{unit}")
    return figure


def where(point: Point) -> str:
    """A point in words."""
    return ", ".join(f"{name} {value:g}" for name, value in point.items())


def told(point: Point, cost: float, verdict: Verdict) -> None:
    """A line for each point."""
    word = "does" if verdict.passes else "does not" if verdict.sure else "undecided"
    print(f"{where(point)}: cost {cost:.2f}, loss {verdict.mean:.4g} of {len(verdict.losses)} dies, {word}", flush=True)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "tools/run specify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--app", choices=tuple(APPS), default="six", help="default %(default)s")
    parser.add_argument("--loss", type=float, required=True, metavar="X", help="tolerated mean loss: six, distance; digits, nats")
    parser.add_argument("--seed", type=int, default=1, help="of the dies")
    parser.add_argument("--workers", type=int, metavar="N", help="processes, 0 for none but this; default one for each processor")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler whose workers are used instead, tcp://host:port")
    parser.add_argument("--store", type=Path, default=Path("report/studies/store"), help="finished dies; default %(default)s")
    parser.add_argument("--fresh", action="store_true", help="measure what the store has, too")
    outputs = {"json": "write rows here", "figure": "draw what was measured", "toml": "write what is to be configured"}
    for name, what in outputs.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=what)
    given = parser.parse_args(arguments)
    if not 0 < given.loss < np.inf or given.seed < 0:
        parser.error(f"--loss {given.loss:g}, --seed {given.seed}: a loss above 0 and a seed of 0 or more expected")
    if given.workers is not None and given.workers < 0:
        parser.error(f"--workers {given.workers}: 0 or more expected")
    return given


def search(app: App, given: argparse.Namespace) -> Specification:
    """What `find` finds by dies that a fleet measures."""
    with Asking(app.study(given.seed), Fleet(given.workers, given.scheduler), given.store, fresh=given.fresh) as asking:

        def losses(point: Point, dies: Sequence[int]) -> list[float]:
            return [float(values["loss"]) for values in asking.values(point, dies, where(point))]

        return find(Lattice(app.options(), app.cost), losses, given.loss, told=told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if no point does; else those of `ended`."""
    given = parsed(arguments)
    app = APPS[given.app]
    make_way(given.json, given.figure, given.toml)
    try:
        found = search(app, given)
    except Unreachable as error:
        print(f"specify: {error}", file=sys.stderr)
        return 1
    rows = rows_of(app, found, given.loss)
    print(format_rows(rows))
    print(toml_of(app, found), end="")
    if given.json:
        write_json(given.json, rows, config={"app": given.app, "loss": given.loss}, seeds={"dies": given.seed})
    if given.toml:
        given.toml.write_text(toml_of(app, found), encoding="utf-8")
    if given.figure:
        draw(app, found, given.loss).savefig(given.figure)
    return 0


if __name__ == "__main__":
    kept = "interrupted; what was finished is in the store"
    sys.exit(ended("tools/run specify", main, (EngineLost, MeasureFailed, ImportError), kept))
