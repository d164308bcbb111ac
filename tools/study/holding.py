"""Offsets of digits-typical over thirty days: held beside a workload, as often as the drift that is measured asks for, and not.

Each die is calibrated, and its drift measured, through its pins; it then has a problem all the time, which corrections set aside
and put back. Between them chip time passes at the bench, with the array gated. How far offsets are off is by the truth, which no
procedure sees, just before each correction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tsu_apps.calibrate import Calibrator, Policy, Tracker, Work, measure_drift
from tsu_apps.report import Row
from tsu_apps.study import Axis, Point, Quantity, Study
from tsu_contract.capabilities import LSB_SCALE
from tsu_emu.config import shipped
from tsu_testing.in_process import InProcessChip, open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

CONFIG, DAYS, MOMENTS_A_DAY = "digits-typical", 30, 4
HELD_KT = 0.02
PAUSE_S = 0.01
"""What an interruption costs the workload beside samples: a host that needs some milliseconds for ten messages."""


STUCK_KT = 0.1
"""A coupler that gives so much at code 0 has a stuck bit; what the cell that hears it does tells little of its offset."""


class Truth:
    """How far good cells are from 0 at zero bias and coupling, by the oracle, whatever the chip is programmed with.

    Cells that hear a stuck coupler are not among them.
    """

    def __init__(self, chip: InProcessChip, good: NDArray[np.bool_]) -> None:
        """The chip has no problem yet, and T = 1: what bias converters give at code 0 is made up for by trims."""
        ask = chip.oracle.truth
        gain, dac = ask("noise_temperature"), ask("temperature_dac")
        stuck = chip.topology.target[abs(ask("J")) > STUCK_KT].astype(np.int64)
        self._chip, self._good, self._at_rest = chip, good & ~np.isin(np.arange(len(good)), stuck), ask("h")
        self._temperature = gain[0] * dac[chip.read_register("TEMP.TDAC")] + gain[1]

    def rms(self) -> float:
        """Root mean square, kT. Drift is what it was at the last sweep: there is one more."""
        self._chip.run(1)
        slope, offset = (self._chip.oracle.truth(name) for name in ("slope", "offset"))
        felt = slope * (self._at_rest + offset) / self._temperature
        return float(np.sqrt(np.mean(felt[self._good] ** 2)))


def problem(chip: InProcessChip) -> None:
    """The workload: random couplings and biases."""
    rng, pairs = np.random.default_rng(1), chip.topology.pairs
    chip.program_couplings((pairs, 0.1 * rng.standard_normal(len(pairs))), 0.3 * rng.standard_normal(chip.capabilities.cells))


def codes(chip: InProcessChip) -> bytes:
    """All codes of couplers and biases, read from the chip."""
    batch = chip.batch()
    windows = [batch.read_window(name) for name in ("COUPLING", "BIAS")]
    batch.execute()
    return b"".join(ticket.value.tobytes() for ticket in windows)


def measure(point: Point, die_seed: int) -> dict[str, Any]:
    """One die, with corrections or without; offsets at `MOMENTS_A_DAY` moments of a day, and at the worst of all."""
    held, left = point["policy"] == "held", np.empty(DAYS * MOMENTS_A_DAY)
    with open_in_process(CONFIG, die_seed=die_seed, run_seed=die_seed) as chip:
        work, skip, cap = Work.of(chip), chip.instruments.skip, chip.capabilities
        calibrator = Calibrator.of(work, ["offsets"])
        calibrator.calibrate_all()
        work.adopt(good=calibrator.results["offsets"].ok)
        policy, changes = None, np.full(8, np.nan)
        if held:
            drift = measure_drift(work, skip)
            changes = drift.change_kt
            step = cap.trim_offset_lsb * LSB_SCALE
            policy = Policy.choose(drift, HELD_KT, int(work.calibration.good.sum()), step_kt=step, pause_s=PAUSE_S)
            calibrator.calibrate_all()
        work.quiet()
        work.loosen()
        truth = Truth(chip, work.calibration.good)
        problem(chip)
        given = codes(chip)
        tracker = Tracker(work, policy) if policy else None
        day, begun, squares = 86_400.0, now(chip), []
        for k in range(len(left)):
            until = begun + (k + 1) * day / MOMENTS_A_DAY
            while tracker is not None and policy is not None and now(chip) + policy.interval_s < until:
                skip(policy.interval_s)
                squares.append(truth.rms() ** 2)
                tracker.keep()
            skip(until - now(chip))
            left[k] = truth.rms()
            squares.append(left[k] ** 2)
            if tracker is not None:
                tracker.correct()
        done = tracker.corrections if tracker else []
        return {
            "left": left, "worst": np.sqrt(max(squares)), "mean": np.sqrt(np.mean(squares)), "changes": changes,
            "interval": policy.interval_s if policy else np.nan, "samples": policy.samples if policy else np.nan,
            "gain": policy.gain if policy else np.nan, "expected": policy.expected_kt if policy else np.nan,
            "corrections": float(len(done)), "share": sum(c.chip_s for c in done) / (now(chip) - begun),
            "restored": float(codes(chip) == given),
        }  # fmt: skip


def now(chip: InProcessChip) -> float:
    """Chip time, s."""
    return chip.instruments.read().cycle / chip.capabilities.clock_hz


def judge(data: xr.Dataset) -> list[Row]:
    """The worst moment of the worst die, held and not; what holding takes."""
    held, alone = (data.sel(policy=policy) for policy in ("held", "alone"))
    rows = [
        Row.at_most("held: rms offset at the worst moment of the worst die", float(held["worst"].max()), HELD_KT, "kT"),
        Row("held: offsets just before corrections, rms over all", float(np.sqrt((held["mean"] ** 2).mean())), "kT"),
        Row("held: offsets just before corrections, expected", float(held["expected"].mean()), "kT"),
        Row.at_least("left alone: rms offset at the worst moment of the best die", float(alone["worst"].min()), HELD_KT, "kT"),
        Row(
            "left alone: rms offset at the worst moment, mean over dies",
            float(alone["worst"].mean()),
            "kT",
            float(alone["worst"].std("die", ddof=1)),
        ),
        Row.at_least("dies whose problem is there as it was given", float(data["restored"].mean()), 1.0),
    ]
    for name, title, unit in (
        ("interval", "time between corrections", "s"), ("samples", "samples of a cell in a correction", ""),
        ("gain", "share of what is seen that is taken back", ""), ("corrections", f"corrections in {DAYS} days", ""),
        ("share", "share of chip time", ""),
    ):  # fmt: skip
        rows.append(Row(f"held: {title}", float(held[name].mean()), unit, float(held[name].std("die", ddof=1))))
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """Rms offsets against time, a line a die."""
    from tsu_apps.characterise.figures import COLOURS, INK, label, panels

    figure, (axis,) = panels()
    days = (1 + np.arange(DAYS * MOMENTS_A_DAY)) / MOMENTS_A_DAY
    for name, title, colour in (("alone", "left alone", COLOURS[1]), ("held", "held", COLOURS[0])):
        for k, line in enumerate(data["left"].sel(policy=name).to_numpy()):
            axis.plot(days, line, color=colour, linewidth=0.8, label=None if k else title)
    axis.axhline(HELD_KT, color=INK, linewidth=0.8, linestyle=":", label=f"{HELD_KT:g} kT")
    axis.set_yscale("log")
    axis.legend(frameon=False, fontsize=9)
    label(axis, f"Offsets of {len(data['die'])} dies, by the truth, {MOMENTS_A_DAY} times a day", "days", "rms over cells  (kT)")
    return {"holding": figure}


STUDY = Study(
    name="holding",
    title="Offsets over thirty days, held beside a workload and left alone",
    measure=measure,
    axes=[Axis("policy", ("held", "alone"))],
    quantities=[
        Quantity("left", "kT", "rms offset", {"moment": DAYS * MOMENTS_A_DAY}),
        Quantity("worst", "kT", "rms offset at the worst moment"),
        Quantity("mean", "kT", "rms offset over all moments"),
        Quantity("changes", "kT", "rms change of an offset over the lags that were measured", {"lag": 8}),
        Quantity("interval", "s", "time between corrections"),
        Quantity("samples", "", "samples of each cell in a correction"),
        Quantity("gain", "", "share of what is seen that is taken back"),
        Quantity("expected", "kT", "rms offset just before a correction, expected"),
        Quantity("corrections"),
        Quantity("share", "", "share of chip time"),
        Quantity("restored", "", "1 if the problem is as it was given"),
    ],
    dies=6,
    files=[shipped()[CONFIG]],
    judge=judge,
    draw=draw,
)
