"""The cheapest chip on which an app loses no more than is tolerated, over many dies.

    tools/run specify --app six --loss .03 [--json FILE] [--figure FILE] [--toml FILE] [--workers N]

Options are bits of the converters, mismatch, bits of trims and how often a chip is calibrated anew; each die is calibrated
through its pins, then drifts until the next calibration, and is judged by the truth: of `six`, the total variation distance from
the law asked for; of `digits`, nats that weights trained on a chip without errors lose. Costs are assumed: docs/specification.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from digits_weights import deployed, ideal
from six_cells import SIX, distance

from tsu_apps.calibrate import Calibrator, Work
from tsu_apps.report import Row, format_rows, write_json
from tsu_apps.specify import Lattice, Option, Specification, Unreachable, Verdict, find
from tsu_apps.specify.lattice import Point
from tsu_testing.in_process import InProcessChip, open_in_process

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRIFT: Mapping[str, object] = {
    "cell.offset_drift.ou_sigma": 0.02, "cell.offset_drift.ou_tau_s": 3600.0, "cell.offset_drift.walk_per_sqrt_hour": 0.005,
}  # fmt: skip
"""Of the six cells' chip: what digits-typical has."""
TRIM_RANGE = 4.0
"""Full scale of trims, in standard deviations of what they trim."""


@dataclass(frozen=True)
class App:
    """What is to be specified.

    config : of the chip; mismatches : of its cells' slopes, the dearest last; changes : configuration of a point
    loss : of a chip that is calibrated and drifted; unit : its unit
    couplers_a_cell : for the cost of trims, of which a cell has two; calibration_s : chip time of a calibration
    effort : of calibrations
    """

    config: str
    mismatches: Sequence[float]
    changes: Callable[[Point], dict[str, object]]
    loss: Callable[[InProcessChip], float]
    unit: str
    couplers_a_cell: float
    calibration_s: float
    effort: float

    def options(self) -> list[Option]:
        """Cheapest first."""
        return [
            Option("bits", (5, 6, 7, 8, 9, 10)),
            Option("mismatch", self.mismatches),
            Option("trim_bits", (0, 5, 6, 7, 8, 9)),
            Option("interval_s", (100_000, 10_000, 1_000, 100), "s"),
        ]

    def cost(self, point: Point) -> float:
        """Area for each coupler, in bits of its DAC, over the share of time in which the chip is not being calibrated.

        A bit of a DAC costs 1, of which each cell's two trims have a share; matching costs 1 at 10 % and goes as sigma^-2
        (Pelgrom et al., IEEE JSSC 24, 1989, 1433).
        """
        area = point["bits"] + (0.1 / point["mismatch"]) ** 2 + 2.0 * point["trim_bits"] / self.couplers_a_cell
        return area / (1.0 - self.calibration_s / point["interval_s"])

    def one(self, point: Point, die_seed: int) -> float:
        """Loss of a die at the end of an interval between calibrations."""
        with open_in_process(self.config, die_seed=die_seed, run_seed=die_seed, changes=self.changes(point)) as chip:
            Calibrator.of(Work.of(chip, self.effort)).calibrate_all()
            chip.instruments.skip(float(point["interval_s"]))
            chip.run(1)
            return self.loss(chip)


def changes_of(point: Point, slope: float, gain: float, offset: float) -> dict[str, object]:
    """Key paths that all apps have in common; slope, gain, offset : standard deviations."""
    bits, trim = int(point["bits"]), int(point["trim_bits"])
    return {
        "coupling.dac.bits": bits, "bias.dac.bits": bits, "learning.bits": 12, "cell.slope_sigma": slope,
        "coupling.gain_sigma": gain, "cell.offset_sigma_kt": offset, "trim.bits": trim,
        "trim.offset_full_scale_kt": min(TRIM_RANGE * offset, 4.0), "trim.slope_full_scale": min(TRIM_RANGE * slope, 0.5),
    }  # fmt: skip


def six(point: Point) -> dict[str, object]:
    """Six cells as in the study of calibration; couplers match twice as well as slopes, offsets are 2 kT times the mismatch."""
    s = float(point["mismatch"])
    return {**SIX, **DRIFT, **changes_of(point, s, 0.5 * s, 2.0 * s)}


def digits(point: Point) -> dict[str, object]:
    """digits-typical, whose mismatch is 5 %, with all spreads in proportion."""
    s = float(point["mismatch"])
    share = s / 0.05
    banks = {f"{bank}.dac.{what}": 0.02 * share for bank in ("coupling", "bias") for what in ("element_sigma", "gain_sigma")}
    return {**banks, "coupling.pair_gain_sigma": 0.01 * share, **changes_of(point, s, 0.02 * share, 0.2 * share)}


@cache
def ideal_nats() -> float:
    """Of the digits' weights on a chip without errors."""
    return ideal()[0]


APPS = {
    "six": App("ideal-16", (0.2, 0.1, 0.05, 0.025), six, distance, "", 5.0, 0.2, 0.1),
    "digits": App(
        "digits-typical", (0.2, 0.1, 0.05, 0.025), digits, lambda chip: ideal_nats() - deployed(chip)[0], "nat",
        85.0, 3.4, 0.5,
    ),
}  # fmt: skip


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


def one(app: str, point: Point, die_seed: int) -> float:
    """`App.one` by the app's name, for a process of its own."""
    return APPS[app].one(point, die_seed)


@contextmanager
def losses_by(app: str, workers: int) -> Iterator[Callable[[Point, Sequence[int]], list[float]]]:
    """Losses of dies, in the order of their seeds, measured by as many processes."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield lambda point, seeds: list(pool.map(one, [app] * len(seeds), [point] * len(seeds), seeds))


def told(point: Point, cost: float, verdict: Verdict) -> None:
    """A line for each point."""
    word = "does" if verdict.passes else "does not" if verdict.sure else "undecided"
    where = ", ".join(f"{name} {value:g}" for name, value in point.items())
    print(f"{where}: cost {cost:.2f}, loss {verdict.mean:.4g} of {len(verdict.losses)} dies, {word}", flush=True)


def main() -> int:
    """Exit code 0; 1 if no point does; 2 if the request is wrong."""
    parser = argparse.ArgumentParser("tools/run specify", description="The cheapest chip on which an app loses little enough.")
    parser.add_argument("--app", choices=tuple(APPS), default="six")
    parser.add_argument("--loss", type=float, required=True, metavar="X", help="tolerated mean loss: six, distance; digits, nats")
    parser.add_argument("--seed", type=int, default=1, help="of the dies")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), metavar="N", help="processes; as many as processors")
    for name in ("json", "figure", "toml"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE")
    given = parser.parse_args()
    if not 0 < given.loss < np.inf or given.seed < 0:
        parser.error(f"--loss {given.loss:g}, --seed {given.seed}: a loss above 0 and a seed of 0 or more expected")
    if given.workers < 1:
        parser.error(f"--workers {given.workers}: 1 or more expected")
    app = APPS[given.app]
    try:
        with losses_by(given.app, given.workers) as losses:
            found = find(Lattice(app.options(), app.cost), losses, given.loss, seed=given.seed, told=told)
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
    sys.exit(main())
