"""Where the converters that cells are read by stop to be what limits an answer: linear equations on Gaussian cells.

Two chips of 32 cells solve one system: `converters`, which errs in its readout alone, and `typical`, spu-64 made smaller; each
with its converters as they come, and with offset and gain trimmed by their references. Answers are means of many readings, in
which the cells' own noise spreads rounding (dither).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from tsu_apps.calibrate import Work
from tsu_apps.calibrate.converters import Adc
from tsu_apps.linear import Looks, solve
from tsu_apps.report import Row
from tsu_apps.study import Axis, Point, Quantity, Study, mean_error
from tsu_emu.config import load, shipped
from tsu_testing.in_process import open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

CONFIG, CELLS, CONDITION = "spu-64", 32, 10.0
LOOKS = Looks(count=200, every=4, burn=80)
QUIET: dict[str, object] = {
    "coupling.gain_sigma": 0.0, "coupling.pair_gain_sigma": 0.0, "coupling.drift.ou_sigma": 0.0, "cell.offset_sigma_kt": 0.0,
    "cell.offset_tc_kt_per_k": 0.0, "cell.stiffness_sigma": 0.0, "temperature.tc_per_k": 0.0, "temperature.drift.ou_sigma": 0.0,
    "network.crosstalk": 0.0, "network.ir_drop": 0.0, "storage.leakage_tau_s": 0.0, "supply.noise_rms_v": 0.0,
    "supply.r_pdn_ohm": 0.0,
}  # fmt: skip
"""What is off in a chip whose readout alone errs, beside its converters' own errors and drift of offsets."""


def changes_of(chip: str, bits: int) -> dict[str, object]:
    """Values set anew; the DACs that program a chip with perfect ones have 12 bits, so that their steps do not matter."""
    changes: dict[str, object] = {"fabric.topology.cells": CELLS, "adc.bits": bits, "adc.acquisition_cycles": 12}
    if chip == "typical":
        return changes
    config = load(CONFIG).model_dump()
    dac = {
        f"{bank}.dac.{key}": 12 if key == "bits" else 0.0
        for bank in ("coupling", "bias", "temperature")
        for key in config[bank]["dac"]
        if key
        in ("bits", "element_sigma", "gain_sigma", "offset_sigma_lsb", "stuck_bit_probability", "gain_tc_per_k", "glitch_lsb")
    }
    drift = {f"cell.offset_drift.{key}": 0.0 for key in ("ou_sigma", "walk_per_sqrt_hour", "flicker_rms", "ageing")}
    dead = {f"cell.dead.{key}": 0.0 for key in ("down", "up", "floating")}
    return changes | QUIET | dac | drift | dead


@lru_cache
def system() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(A, b, x): eigenvalues from 1 to CONDITION, |b| = 1."""
    rng = np.random.default_rng(7)
    basis, _ = np.linalg.qr(rng.normal(size=(CELLS, CELLS)))
    A = basis @ np.diag(np.geomspace(1.0, CONDITION, CELLS)) @ basis.T
    b = rng.normal(size=CELLS)
    b /= np.linalg.norm(b)
    return 0.5 * (A + A.T), b, np.linalg.solve(A, b)


def measure(point: Point, die_seed: int) -> dict[str, Any]:
    """Relative error of the answer of one die, and what of it is noise by the answer's own error bar."""
    A, b, x = system()
    changes = changes_of(str(point["chip"]), int(point["bits"]))
    with open_in_process(CONFIG, die_seed=die_seed, run_seed=die_seed, changes=changes) as chip:
        if point["adc"] == "trimmed":
            Adc().find(Work.of(chip))
        found = solve(chip, A, b, temperature=float(point["temperature"]), looks=LOOKS)
    return {"error": np.linalg.norm(found.x - x) / np.linalg.norm(x), "noise": np.linalg.norm(found.error) / np.linalg.norm(x)}


def judge(data: xr.Dataset) -> list[Row]:
    """Errors, and where the readout ends to be the limit."""
    (mean, error), noise = mean_error(data["error"]), data["noise"].mean("die")
    names = ("chip", "adc", "temperature", "bits")
    rows = []
    for values in product(*(data[name].to_numpy().tolist() for name in names)):
        at = dict(zip(names, values, strict=True))
        what = "{chip}, {adc}, kT {temperature:g}, {bits} bits".format(**at)
        rows += [Row(f"{what}: error of x", float(mean.sel(at)), "", float(error.sel(at)))]
        rows += [Row(f"{what}: of that by noise", float(noise.sel(at)))]
    cold = mean.sel(temperature=float(data["temperature"].min()))
    trimmed = cold.sel(adc="trimmed")
    bettered = [float(x.isel(bits=0) / x.isel(bits=-1)) for x in (trimmed.sel(chip=chip) for chip in ("converters", "typical"))]
    raw = float(cold.sel(adc="raw", chip="converters").isel(bits=-1) / trimmed.sel(chip="converters").isel(bits=-1))
    return rows + [
        Row.at_least("converters alone, trimmed, cold: error with fewest bits in that with most", bettered[0], 1.5),
        Row.at_most("typical chip, trimmed, cold: the same", bettered[1], 1.3),
        Row.at_least("converters alone, most bits, cold: error without trims in that with", raw, 2.0),
    ]


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """Error over bits, a panel for each chip; dashed: by noise alone."""
    from tsu_apps.characterise.figures import COLOURS, label, panels, with_errors

    chips = data["chip"].to_numpy().tolist()
    figure, axes = panels(1, len(chips), 3.2)
    (mean, error), noise, bits = mean_error(data["error"]), data["noise"].mean("die"), data["bits"].to_numpy()
    kinds = list(product(data["adc"].to_numpy().tolist(), data["temperature"].to_numpy().tolist()))
    for axis, chip in zip(axes, chips, strict=True):
        for colour, (adc, T) in zip(COLOURS, kinds, strict=False):
            at = {"chip": chip, "adc": adc, "temperature": T}
            with_errors(axis, bits, mean.sel(at).to_numpy(), error.sel(at).to_numpy(), f"{adc}, kT = {T:.2g}", colour)
            axis.plot(bits, mean.sel(at).to_numpy(), color=colour, linewidth=0.9)
            axis.plot(bits, noise.sel(at).to_numpy(), color=colour, linewidth=0.9, linestyle="--")
        axis.set_yscale("log")
        axis.set_ylim(float(noise.min()) / 2, 2 * float(mean.max()))
        title = "converters alone err" if chip == "converters" else "typical chip"
        label(axis, f"{title}; dashed: by noise", "bits of the converters", "relative error of x")
    axes[1].legend(frameon=False, fontsize=8, loc="center")
    return {"readout": figure}


STUDY = Study(
    "readout",
    "Linear equations read through converters: bits and temperature",
    measure,
    [Quantity("error", "", "relative error of x"), Quantity("noise", "", "of that by noise")],
    [
        Axis("chip", ("converters", "typical")),
        Axis("adc", ("raw", "trimmed")),
        Axis("temperature", (2.0**-4, 2.0**-6), "", "kT of the cells"),
        Axis("bits", (8, 9, 10, 12, 14), "bit", "bits of the converters"),
    ],
    dies=6,
    files=[shipped()[CONFIG]],
    judge=judge,
    draw=draw,
)
