"""What `tools/run specify` specifies: apps, the options of their chips, what these cost, and what a die loses.

Each die is calibrated through its pins, then drifts until the next calibration, and is judged by the truth: of `six`, the total
variation distance from the law asked for; of `digits`, nats that weights trained on a chip without errors lose. Costs are
assumed: docs/specification.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from digits_weights import deployed, ideal
from six_cells import SIX, distance

from tsu_apps.calibrate import Calibrator, Work
from tsu_apps.specify import Option
from tsu_apps.specify.lattice import Point
from tsu_apps.study import Axis, Quantity, Study
from tsu_apps.study.definition import Measure
from tsu_emu.config import shipped
from tsu_testing.in_process import InProcessChip, open_in_process

HERE = Path(__file__).resolve().parent
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
    measure : {"loss"} of a die at a point; loss : of a chip that is calibrated and drifted; unit : its unit
    couplers_a_cell : for the cost of trims, of which a cell has two; calibration_s : chip time of a calibration
    effort : of calibrations; files : beside this one and the configuration that decide losses
    """

    config: str
    mismatches: Sequence[float]
    changes: Callable[[Point], dict[str, object]]
    measure: Measure
    loss: Callable[[InProcessChip], float]
    unit: str
    couplers_a_cell: float
    calibration_s: float
    effort: float
    files: Sequence[str]

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

    def study(self, seed: int) -> Study:
        """All points; a search measures some of them. seed : of the dies."""
        axes = [Axis(option.name, option.values, option.unit) for option in self.options()]
        files = [shipped()[self.config], *(HERE / name for name in self.files)]
        return Study("specify", "What a chip loses", self.measure, [Quantity("loss", self.unit)], axes, seed=seed, files=files)

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
    """digits-typical, whose mismatch is 5 %, with all spreads in proportion, and no defects: a die with any fails its test."""
    s = float(point["mismatch"])
    share = s / 0.05
    sound = {f"{bank}.dac.stuck_bit_probability": 0.0 for bank in ("coupling", "bias")}
    sound |= {f"cell.dead.{how}": 0.0 for how in ("down", "up", "floating")}
    banks = {f"{bank}.dac.{what}": 0.02 * share for bank in ("coupling", "bias") for what in ("element_sigma", "gain_sigma")}
    return {**banks, **sound, "coupling.pair_gain_sigma": 0.01 * share, **changes_of(point, s, 0.02 * share, 0.2 * share)}


@cache
def ideal_nats() -> float:
    """Of the digits' weights on a chip without errors."""
    return ideal()[0]


def measure_six(point: Point, die_seed: int) -> dict[str, float]:
    """As `App.one`."""
    return {"loss": APPS["six"].one(point, die_seed)}


def measure_digits(point: Point, die_seed: int) -> dict[str, float]:
    """As `App.one`."""
    return {"loss": APPS["digits"].one(point, die_seed)}


APPS = {
    "six": App("ideal-16", (0.2, 0.1, 0.05, 0.025), six, measure_six, distance, "", 5.0, 0.2, 0.1, ["six_cells.py"]),
    "digits": App(
        "digits-typical", (0.2, 0.1, 0.05, 0.025), digits, measure_digits, lambda chip: ideal_nats() - deployed(chip)[0], "nat",
        85.0, 3.4, 0.5, ["six_cells.py", "digits_weights.py"],
    ),
}  # fmt: skip
