"""Twins of many dies: each is measured through its pins, and its twin says what it will do with a program that it has not run.

Two chips: `six`, of the study of calibration, uncalibrated; and `digits-typical`, whose coupling network, supply and drift a twin
does not have. A deviation z is that of a mean, of a spin or of a product of two coupled ones, in the standard error of sampling
and prediction together.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from six_cells import SIX

from tsu_apps.calibrate.couplers import matrix
from tsu_apps.report import Row
from tsu_apps.study import Axis, Point, Quantity, Study
from tsu_apps.twin import Fit, Prediction, measure, observed, predict, save_config
from tsu_contract.capabilities import LSB_SCALE
from tsu_testing.in_process import InProcessChip, open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from tsu_driver import Programmed

CHIPS: Mapping[str, tuple[str, Mapping[str, object], float, int]] = {
    "six": ("ideal-16", SIX, 1.0, 400),
    "digits-typical": ("digits-typical", {}, 0.25, 400),
}
"""Configuration, changes, effort of the measurement, looks at the program that was held out."""
FIELD, BIAS = 1.0, 0.5
"""Standard deviations of the field of all neighbours and of the bias of that program, kT."""
EVERY, BURN = 3, 50
WHO = ("twin", "run", "ideal", "other")
"""The twin's law, the emulator on the twin's configuration, the chip of the data sheet, the twin of another die."""


def held_out(chip: InProcessChip) -> Programmed:
    """Program a chip with what no measurement has used: normal couplings, alike in both directions, and biases."""
    rng, cap, topology = np.random.default_rng(2026), chip.capabilities, chip.topology
    degree = int(np.diff(topology.row.astype(np.int64)).max())
    pairs = FIELD / np.sqrt(degree) * rng.standard_normal(cap.pairs)
    h = np.clip(BIAS * rng.standard_normal(cap.cells), -1.9, 1.9)
    return chip.program_couplings(matrix(chip, np.clip(pairs[topology.pair_of], -1.9, 1.9)), h)


def seen(fit: Fit, chip: InProcessChip, looks: int) -> tuple[Programmed, NDArray[np.float64]]:
    """(codes of the program that was held out, means of each plane when the chip runs it)."""
    program = held_out(chip)
    return program, observed(fit, chip.sample(looks, EVERY, BURN))


def seen_of_twin(fit: Fit, running: InProcessChip, program: Programmed, looks: int) -> NDArray[np.float64]:
    """Means of each plane when the emulated twin runs a chip's program; codes are those that the chip's converters get, as the
    twin has no stuck bits."""
    cap = running.capabilities
    couplings, biases = fit.heard(program.coupling_codes, program.bias_codes)
    running.program_couplings(matrix(running, couplings * (cap.coupling_lsb * LSB_SCALE)), biases * (cap.bias_lsb * LSB_SCALE))
    return observed(fit, running.sample(looks, EVERY, BURN))


def deviations(planes: NDArray[np.float64], values: NDArray[np.float64], errors: NDArray[np.float64]) -> float:
    """Root mean square z of means over planes from predicted values."""
    sampling = planes.std(axis=0, ddof=1) / np.sqrt(len(planes))
    return float(np.sqrt(np.mean((planes.mean(axis=0) - values) ** 2 / (sampling**2 + errors**2))))


def chi_square(planes: NDArray[np.float64], told: Prediction) -> float:
    """Per degree of freedom, with all correlations, the covariance of planes being itself an estimate (Hotelling, Annals of
    Mathematical Statistics 2, 1931, 360); NaN where a prediction has none."""
    n, p = planes.shape
    if told.covariance is None:
        return float("nan")
    off = planes.mean(axis=0) - told.values
    both = np.cov(planes.T) / n + told.covariance
    return float(off @ np.linalg.solve(both, off) / p * (n - p) / (n - 1))


def measured(name: str, die_seed: int, step: float = 1.0) -> tuple[Fit, InProcessChip]:
    """(fit, chip) of a die, the chip as it was left."""
    config, changes, effort, _ = CHIPS[name]
    chip = open_in_process(config, die_seed=die_seed, run_seed=die_seed, changes=changes)
    return measure(chip, step * effort), chip


def measured_other(name: str, die_seed: int) -> Fit | None:
    """The fit of another die, of the small chip."""
    if name != "six":
        return None
    fit, chip = measured(name, die_seed, 0.2)
    chip.close()
    return fit


def measure_twin(point: Point, die_seed: int) -> dict[str, Any]:
    """One die, its twin, and the twin of the next one."""
    name = str(point["chip"])
    looks = CHIPS[name][3]
    fit, chip = measured(name, die_seed)
    with chip:
        seconds = chip.time_cycles / chip.capabilities.clock_hz
        program, planes = seen(fit, chip, looks)
        plain = Fit.ideal(chip)
    other = measured_other(name, die_seed + 1)
    told = predict(fit, program)
    with tempfile.TemporaryDirectory() as folder:
        save_config(fit, Path(folder) / "twin.toml")
        with open_in_process(str(Path(folder) / "twin.toml"), run_seed=die_seed + 1) as running:
            run = seen_of_twin(fit, running, program, looks)
    run_error = run.std(axis=0, ddof=1) / np.sqrt(len(run))
    ideal = predict(plain, program)
    return {
        "z": np.array([
            deviations(planes, told.values, told.errors),
            deviations(planes, run.mean(axis=0), np.hypot(run_error, told.errors)),
            deviations(planes, ideal.values, ideal.errors),
            np.nan if other is None else deviations(planes, *_of(predict(other, program))),
        ]),
        "chi_square": chi_square(planes, told),
        "error": float(np.sqrt(np.mean(told.errors**2))),
        "seconds_of_chip": seconds,
    }  # fmt: skip


def _of(told: Prediction) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return told.values, told.errors


def judge(data: xr.Dataset) -> list[Row]:
    """Deviations of all chips, with their goals for `six`: the root mean square over dies, and the least of the ideal chip."""
    rows = []
    for chip in (str(name) for name in data["chip"].to_numpy()):
        z, six = data["z"].sel(chip=chip).to_numpy(), chip == "six"
        z = z[np.isfinite(z[:, 0])]
        together, spread = np.sqrt(np.mean(z**2, axis=0)), z.std(axis=0, ddof=1)
        rows.append(Row(f"{chip}: dies that have a twin", float(len(z))))
        for k, who in enumerate(("by the twin's law", "by the emulated twin")):
            label = f"{chip}: rms z of what it did {who}"
            value, width = float(together[k]), float(spread[k])
            rows.append(Row.at_most(label, value, 1.2, "", width) if six else Row(label, value, "", width))
        for k, who in ((2, "the ideal chip"), (3, "another die's twin"))[: 2 if six else 1]:
            label = f"{chip}: least rms z of a die by {who}"
            rows.append(Row.at_least(label, float(z[:, k].min()), 5.0) if six else Row(label, float(z[:, k].min())))
        chi = data["chi_square"].sel(chip=chip)
        if six:
            rows.append(Row("six: chi square by degree of freedom", float(chi.mean("die")), "", float(chi.std("die", ddof=1))))
        rows.append(Row(f"{chip}: error of prediction", float(data["error"].sel(chip=chip).mean("die"))))
        rows.append(Row(f"{chip}: chip time of the measurement", float(data["seconds_of_chip"].sel(chip=chip).mean("die")), "s"))
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """rms z of each die by the twin, by the emulated twin, by the ideal chip and by another die's twin."""
    from tsu_apps.characterise.figures import COLOURS, label, panels

    names = [str(name) for name in data["chip"].to_numpy()]
    figure, axes = panels(1, len(names))
    for axis, chip in zip(np.atleast_1d(axes), names, strict=True):
        z = data["z"].sel(chip=chip).to_numpy()
        for k, who in enumerate(("its twin's law", "its twin, emulated", "ideal chip", "another die's twin")):
            axis.plot(np.arange(1, len(z) + 1), z[:, k], "osD^"[k], color=COLOURS[k], markersize=4, label=who)
        axis.axhline(1.0, color="#888888", linewidth=0.8)
        axis.set_yscale("log")
        if axis is np.atleast_1d(axes)[0]:
            axis.legend(frameon=False, fontsize=8)
        label(axis, f"{chip}: a program that was held out", "die", "rms deviation  (standard errors)")
    return {"twins": figure}


STUDY = Study(
    name="twin",
    title="what twins of dies predict of a program that was held out",
    measure=measure_twin,
    axes=[Axis("chip", tuple(CHIPS))],
    quantities=[
        Quantity("z", "", "rms deviation, standard errors", {"who": len(WHO)}),
        Quantity("chi_square", "", "chi square by degree of freedom, twin's law"),
        Quantity("error", "", "rms standard error of prediction"),
        Quantity("seconds_of_chip", "s", "chip time of the measurement"),
    ],
    dies=10,
    judge=judge,
    draw=draw,
)
