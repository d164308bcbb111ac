"""What calibration through the pins makes of imperfect chips, stage by stage, and what it costs.

Two chips: `six`, six p-bits, all coupled, with offsets of .2 kT, slopes of 10 % and couplers of 5 %, whose law is counted out;
and `digits-typical`, on which the weights of digits, trained on a chip without errors, are deployed. Errors of distributions
are by the truth, which no procedure sees; what is left of each error is by a fresh measurement through the pins, whose own
noise is taken off.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from digits_weights import deployed, ideal
from six_cells import SIX, distance

from tsu_apps.calibrate import Calibrator, Work
from tsu_apps.calibrate.cells import Offsets, Slopes
from tsu_apps.calibrate.couplers import Couplers
from tsu_apps.calibrate.procedure import Procedure, rms_less
from tsu_apps.report import Row
from tsu_apps.study import Axis, Point, Quantity, Study, mean_error
from tsu_testing.in_process import InProcessChip, open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

STAGES = ("none", "offsets", "slopes", "couplers")
LEFT = ("offsets", "slopes", "couplers")
LIMITS = {"offsets": 0.01, "slopes": 0.005, "couplers": 0.015}
EFFORT = {"six": 0.5, "digits-typical": 1.0}
FRESH = 4.0
"""Effort of the fresh measurement, in quick looks."""
TOOLS = Path(__file__).resolve().parents[1]


def fresh(work: Work, procedure: Procedure) -> float:
    """Root mean square of what is left, by a measurement that no calibration has seen."""
    return rms_less(*procedure.look(Work(work.chip, work.calibration, FRESH)))


def stages(calibrator: Calibrator) -> dict[str, tuple[Procedure, ...]]:
    """What is done in each stage."""
    p = calibrator.procedures
    first = tuple(p[name] for name in ("adc", "offsets") if name in p)
    return {"offsets": first, "slopes": (p["slopes"], p["temperature"], p["offsets"]), "couplers": (p["couplers"],)}


def measure(point: Point, die_seed: int) -> dict[str, Any]:
    """One die, from nothing to all stages."""
    digits = point["chip"] == "digits-typical"
    changes = {} if digits else SIX
    out: dict[str, Any] = {name: np.full(len(STAGES), np.nan) for name in ("distance", "nats", "accuracy")}
    out |= {"seconds_of_chip": np.zeros(len(STAGES)), "joules": np.zeros(len(STAGES))}
    config = "digits-typical" if digits else "ideal-16"
    with open_in_process(config, die_seed=die_seed, run_seed=die_seed, changes=changes) as chip:
        work = Work.of(chip, EFFORT[str(point["chip"])])
        calibrator = Calibrator.of(work)
        out["before"] = np.array([fresh(work, p()) for p in (Offsets, Slopes, Couplers)])
        _judge_stage(out, 0, chip, digits)
        if digits:
            calibrator.run_self_test()
        for k, procedures in enumerate(stages(calibrator).values(), start=1):
            for procedure in procedures:
                result = procedure.calibrate(work)
                procedure.apply(work, result)
                out["seconds_of_chip"][k] += result.cycles / chip.capabilities.clock_hz
                out["joules"][k] += result.energy_j
            _judge_stage(out, k, chip, digits)
        out["left"] = np.array([fresh(work, p()) for p in (Offsets, Slopes, Couplers)])
    return out


def _judge_stage(out: dict[str, Any], stage: int, chip: InProcessChip, digits: bool) -> None:
    """Distribution error after a stage; of digits before the first and after the last."""
    if not digits:
        out["distance"][stage] = distance(chip)
    elif stage in (0, len(STAGES) - 1):
        out["nats"][stage], out["accuracy"][stage] = deployed(chip)


def judge(data: xr.Dataset) -> list[Row]:
    """Errors before and after, with their goals; means over dies."""
    rows: list[Row] = []
    chips = [str(name) for name in data["chip"].to_numpy()]
    if "six" in chips:
        mean, spread = mean_error(data["distance"].sel(chip="six"))[0], data["distance"].sel(chip="six").std("die", ddof=1)
        for k, (stage, goal) in enumerate(zip(STAGES, (None, 0.046, 0.029, 0.009), strict=True)):
            label, value, width = f"six: distance after {stage}", float(mean[k]), float(spread[k])
            rows.append(Row(label, value, "", width) if goal is None else Row.at_most(label, value, goal, "", width))
    for chip in chips:
        for k, name in enumerate(LEFT):
            before, after = data["before"].sel(chip=chip), data["left"].sel(chip=chip)
            unit = "kT" if name == "offsets" else ""
            rows.append(Row(f"{chip}: {name} before", float(before.mean("die")[k]), unit, float(before.std("die", ddof=1)[k])))
            left, width = float(after.mean("die")[k]), float(after.std("die", ddof=1)[k])
            rows.append(Row.at_most(f"{chip}: {name} left, by fresh measurement", left, LIMITS[name], unit, width))
        for k, stage in enumerate(STAGES[1:], start=1):
            time, energy = (data[name].sel(chip=chip).mean("die") for name in ("seconds_of_chip", "joules"))
            rows.append(Row(f"{chip}: chip time of {stage}", float(time[k]), "s"))
            rows.append(Row(f"{chip}: energy of {stage}", float(energy[k]), "J"))
    if "digits-typical" in chips:
        rows += _digits_rows(data.sel(chip="digits-typical"))
    return rows


def _digits_rows(data: xr.Dataset) -> list[Row]:
    """What ideal weights lose on a typical chip, uncalibrated and calibrated."""
    nats, accuracy = ideal()
    lost, error = mean_error(nats - data["nats"])
    missed, _ = mean_error(accuracy - data["accuracy"])
    return [
        Row("digits on a chip without errors", nats, "nat"),
        Row("accuracy on a chip without errors", accuracy),
        Row.at_least("nats lost uncalibrated", float(lost[0]), 3.0, "nat", float(error[0])),
        Row.at_most("nats lost calibrated", float(lost[-1]), 0.5, "nat", float(error[-1])),
        Row("accuracy lost uncalibrated", float(missed[0])),
        Row.at_most("accuracy lost calibrated", float(missed[-1]), 0.01),
    ]


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """Distance of the six cells' law by stage, a line a die; and what is left of each error."""
    from tsu_apps.characterise.figures import COLOURS, label, panels

    figure, (left, right) = panels(1, 2)
    if "six" in data["chip"]:
        distances = data["distance"].sel(chip="six").to_numpy()
        left.plot(range(len(STAGES)), distances.T, color="#bbbbbb", linewidth=0.6)
        mean, error = distances.mean(axis=0), distances.std(axis=0, ddof=1) / np.sqrt(len(distances))
        left.errorbar(range(len(STAGES)), mean, yerr=error, color=COLOURS[0], marker="o", capsize=3)
    left.set_xticks(range(len(STAGES)), STAGES)
    left.set_yscale("log")
    label(left, "six cells", "trimmed so far", "distance from the law asked for")
    places = np.arange(len(LEFT))
    for k, chip in enumerate(data["chip"].to_numpy()):
        for name, mark in (("before", "o"), ("left", "s")):
            values = data[name].sel(chip=chip).to_numpy() / np.array([LIMITS[x] for x in LEFT])
            right.errorbar(
                places + 0.12 * k, values.mean(axis=0), yerr=values.std(axis=0, ddof=1), color=COLOURS[k], marker=mark,
                linestyle="", capsize=3, label=f"{chip}, {name}",
            )  # fmt: skip
    right.axhline(1.0, color="#888888", linewidth=0.8)
    right.set_xticks(places, LEFT)
    right.set_yscale("log")
    right.set_ylim(top=300)
    right.legend(frameon=False, fontsize=8, loc="upper center", ncols=2)
    label(right, "errors", "", "rms over its limit")
    return {"stages": figure}


_STAGED = {"stage": len(STAGES)}
STUDY = Study(
    name="calibration",
    title="calibration through the pins, stage by stage",
    measure=measure,
    axes=[Axis("chip", ("six", "digits-typical"))],
    quantities=[
        Quantity("distance", "", "total variation distance", _STAGED),
        Quantity("nats", "nat", "log-likelihood of held-out digits", _STAGED),
        Quantity("accuracy", "", "accuracy on held-out digits", _STAGED),
        Quantity("before", "", "rms error before", {"error": len(LEFT)}),
        Quantity("left", "", "rms error left", {"error": len(LEFT)}),
        Quantity("seconds_of_chip", "s", "chip time", _STAGED),
        Quantity("joules", "J", "energy", _STAGED),
    ],
    dies=100,
    files=[TOOLS / "six_cells.py", TOOLS / "digits_weights.py"],
    judge=judge,
    draw=draw,
)
