"""A test programme on a fleet: yield, capability, the tester's own errors, guard bands, time and cost.

Every die is tested in three stations of different temperature, twice in each: a crossed gauge study. A quick sort of single cells
by their offsets, whose true values at that time the oracle tells, shows whether escapes and overkill are as guard-band arithmetic
predicts them from what the pins alone tell. The gauge of the sort is what repeats differ by: between stations the cells differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from six_cells import fields_of

from tsu_apps.calibrate.work import Work, field_of
from tsu_apps.production import STANDARD, Gauge, Part, Programme, bench_of, crossed, judged, lot_rows, rates
from tsu_apps.production.capability import alike
from tsu_apps.production.guard import counted
from tsu_apps.production.programme import serial
from tsu_apps.production.values import STEPS
from tsu_apps.report import Row
from tsu_apps.study import Axis, Point, Quantity, Study
from tsu_emu.config import shipped
from tsu_testing.in_process import InProcessChip, open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

CONFIG, CELLS = "digits-typical", 48
CHANGES = {"fabric.topology.visible": 24, "fabric.topology.hidden": 24}
STATIONS = (295.0, 300.0, 305.0)
SOAK_S = 30.0
"""Six times the slowest time constant of the package."""
REPEATS, EFFORT = 2, 0.2
SORT_LOOKS, SORT_LIMIT = 8, 0.35
"""Looks at all planes in the sort of cells, and what a cell's offset may be, kT."""
GUARDS = (0.0, 1.0, 2.0)
"""Guard bands of the sort, in standard deviations of its gauge."""
TESTED = tuple(limit.name for limit in STANDARD)
REPEATED = tuple(name for name in TESTED if name not in STEPS[0].gives)


def sorted_cells(work: Work) -> NDArray[np.float64]:
    """(cells,) offsets of cells by a few looks, kT; NaN of cells that do not work."""
    work.quiet()
    work.loosen()
    offsets = field_of(work.means(SORT_LOOKS).mean(axis=0))
    return np.where(work.calibration.good, offsets, np.nan)


def measure(point: Point, die_seed: int) -> dict[str, Any]:
    """One die in one station, in a life of its own there."""
    station = float(point["station"])
    out: dict[str, Any] = {"value": np.full((REPEATS, len(TESTED)), np.nan), "chip_time": np.zeros(len(STEPS))}
    with open_in_process(CONFIG, die_seed=die_seed, run_seed=die_seed + round(station), changes=CHANGES) as chip:
        chip.instruments.ambient(station)
        chip.instruments.skip(SOAK_S)
        programme, bench = Programme(STANDARD, EFFORT), bench_of(chip, EFFORT, chip.instruments)
        for repeat in range(REPEATS):
            part = programme.repeat(bench, programme.steps[repeat > 0 :])
            out["value"][repeat] = [part.values.get(name, np.nan) for name in TESTED]
            if not repeat:
                out["chip_time"] = np.array([part.seconds[step.name] for step in STEPS])
        out["sort"] = np.stack([sorted_cells(bench.work) for _ in range(REPEATS)])
        out["sort_truth"], out["serial_high"], out["serial_low"] = fields_of(chip)[1], *halves(chip)
    return out


def halves(chip: InProcessChip) -> tuple[float, float]:
    """The serial number as two numbers of 32 bits, which a dataset can hold."""
    number = int(serial(chip), 16)
    return float(number >> 32), float(number & 0xFFFFFFFF)


def parts_of(data: xr.Dataset) -> list[Part]:
    """The fleet as it was first tested, in the middle station."""
    first = data.isel(repeat=0).sel(station=STATIONS[1])
    parts = []
    for die in range(data.sizes["die"]):
        values = dict(zip(TESTED, first["value"][die].to_numpy().tolist(), strict=True))
        seconds = dict(zip((step.name for step in STEPS), first["chip_time"][die].to_numpy().tolist(), strict=True))
        name = f"{int(first['serial_high'][die]):08x}{int(first['serial_low'][die]):08x}"
        parts.append(judged(name, STANDARD, values, seconds))
    return parts


def gauges(data: xr.Dataset) -> dict[str, Gauge]:
    """The tester's errors in each test that was repeated and whose values differ; of dies that could be measured each time."""
    every = data["value"].transpose("test", "die", "station", "repeat").to_numpy()
    repeated = {name: every[TESTED.index(name)] for name in REPEATED}
    measured = {name: values[np.isfinite(values).all(axis=(1, 2))] for name, values in repeated.items()}
    return {name: crossed(values) for name, values in measured.items() if not alike(values)}


def sort_of(data: xr.Dataset) -> tuple[Gauge, NDArray[np.float64], NDArray[np.float64]]:
    """(gauge of the sort, true, measured offsets): of cells that work, in the middle station, as it was first done."""
    values = data["sort"].transpose("die", "cell", "station", "repeat").to_numpy()
    values = values.reshape(-1, *values.shape[2:])
    works = np.isfinite(values).all(axis=(1, 2))
    true = data["sort_truth"].sel(station=STATIONS[1]).transpose("die", "cell").to_numpy().ravel()
    return crossed(values[works]), true[works], values[works, 1, 0]


def wandering(data: xr.Dataset) -> float:
    """Standard deviation, over stations, of what cells truly are."""
    return float(np.sqrt(data["sort_truth"].var("station", ddof=1).mean()))


def predicted(gauge: Gauge, measured: NDArray[np.float64], guard: float) -> Any:
    """Rates of the sort by what the pins tell: mean and spread of measured cells, the variance of repeats taken off."""
    sigma = float(np.sqrt(measured.var(ddof=1) - gauge.repeatability**2))
    return rates(-SORT_LIMIT, SORT_LIMIT, float(measured.mean()), sigma, gauge.repeatability, guard)


def judge(data: xr.Dataset) -> list[Row]:
    """The lot, the gauge of each test, and whether guard bands do what they promise."""
    rows = lot_rows(STANDARD, parts_of(data))
    for name, gauge in gauges(data).items():
        rows.append(Row(f"{name}: %GRR, {100 * gauge.low:.2g} to {100 * gauge.high:.2g}", 100 * gauge.share, "%"))
        rows.append(Row(f"{name}: repeatability", gauge.repeatability))
        rows.append(Row(f"{name}: reproducibility", gauge.reproducibility))
        rows.append(Row(f"{name}: categories that can be told apart", gauge.categories))
    return rows + sort_rows(data)


def sort_rows(data: xr.Dataset) -> list[Row]:
    """Escapes and overkill of the sort, as predicted and as counted; goal: within 5 standard errors of the counts."""
    gauge, true, measured = sort_of(data)
    rows = [
        Row("sort of cells: parts", len(true)),
        Row("sort of cells: repeatability", gauge.repeatability, "kT"),
        Row("sort of cells: the same by the truth", float((measured - true).std(ddof=1)), "kT"),
        Row("sort of cells: reproducibility", gauge.reproducibility, "kT"),
        Row("sort of cells: the same in the cells themselves, by the truth", wandering(data), "kT"),
        Row("sort of cells: %GRR", 100 * gauge.share, "%"),
    ]
    for k in GUARDS:
        wanted = predicted(gauge, measured, k * gauge.repeatability)
        found = counted(true, measured, -SORT_LIMIT, SORT_LIMIT, k * gauge.repeatability)
        for name in ("escapes", "overkill"):
            share, seen = getattr(wanted, name), getattr(found, name)
            error = 5 * float(np.sqrt(share / len(true)))
            near = f"{share:.3g} within {error:.2g}"
            rows.append(
                Row(f"sort of cells, guard {k:g} sigma: {name} counted", seen, "", None, near, abs(seen - share) <= error)
            )
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """%GRR of each test; escapes and overkill over the guard band; the sort's cells."""
    from tsu_apps.characterise.figures import COLOURS, INK, label, panels

    figure, (left, middle, right) = panels(1, 3, 3.4)
    shown = gauges(data)
    for k, gauge in enumerate(shown.values()):
        left.plot([100 * gauge.low, 100 * gauge.high], [k, k], color=COLOURS[0], linewidth=1.2)
        left.plot(100 * gauge.share, k, "o", color=COLOURS[0], markersize=4)
    for share in (10, 30):
        left.axvline(share, color=INK, linewidth=0.8, linestyle=":")
    left.set_yticks(range(len(shown)), shown)
    left.invert_yaxis()
    left.set_xscale("log")
    left.set_xlim(0.3, 130.0)
    label(left, "errors of the tester", "%GRR, 95 % interval", "")
    gauge, true, measured = sort_of(data)
    bands = np.linspace(0.0, 3.0, 31)
    for colour, name in zip(COLOURS, ("escapes", "overkill"), strict=False):
        middle.plot(
            bands,
            [100 * getattr(predicted(gauge, measured, k * gauge.repeatability), name) for k in bands],
            color=colour,
            label=name,
        )
        for k in np.arange(0.0, 3.1, 0.5):
            share = getattr(counted(true, measured, -SORT_LIMIT, SORT_LIMIT, k * gauge.repeatability), name)
            error = 100 * float(np.sqrt(share / len(true)))
            middle.errorbar(k, 100 * share, yerr=error, fmt="o", color=colour, markersize=3.5, capsize=2)
    middle.legend(frameon=False, fontsize=8)
    label(middle, "sort of cells", "guard band  (sigma of repeats)", "share of parts  (%)")
    right.plot(true, measured, ".", color=COLOURS[0], markersize=1.5)
    for edge in (-SORT_LIMIT, SORT_LIMIT):
        right.axvline(edge, color=INK, linewidth=0.8, linestyle=":")
        right.axhline(edge, color=INK, linewidth=0.8, linestyle=":")
    label(right, "offsets of cells", "true  (kT)", "measured in the sort  (kT)")
    return {"programme": figure}


STUDY = Study(
    "programme",
    "A test programme: yield, capability, gauge, guard bands, cost",
    measure,
    [
        Quantity("value", "", "values of tests", {"repeat": REPEATS, "test": len(TESTED)}),
        Quantity("chip_time", "s", "chip time of steps", {"step": len(STEPS)}),
        Quantity("sort", "kT", "offsets in the sort", {"repeat": REPEATS, "cell": CELLS}),
        Quantity("sort_truth", "kT", "true offsets", {"cell": CELLS}),
        Quantity("serial_high"),
        Quantity("serial_low"),
    ],
    [Axis("station", STATIONS, "K", "ambient temperature")],
    dies=20,
    files=[shipped()[CONFIG], Path(__file__).resolve().parents[1] / "six_cells.py"],
    judge=judge,
    draw=draw,
)
