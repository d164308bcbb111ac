"""Reproduces two published measurements from configurations, through the chip's pins.

    tools/run curves [--json FILE] [--figure FILE]

1. Switching probability of two magnetic junctions against voltage: p-bits with the bias I / T = (V - V_th) / (2 V_T).
   Threshold and width are fitted to the published points; what is tested is the law between them and the shot noise.
2. Spectrum of the slow drift of a bias on a quantum annealer (1/f flux noise): drift of p-bit offsets, observed as the
   publication does, by many reads each .787 s, and averaged over 29 stretches of 200 s.

Data and sources: tools/data. Each verdict stands beside a power check: the same comparison with the effect doubled or off.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

import tsu_driver as tsu
from tsu_apps.ending import ended
from tsu_apps.report import Row, format_rows, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = Path(__file__).parent / "data"
JUNCTIONS = {"A": (0.8974, 0.02455, 23.2), "B": (0.9003, 0.01320, 18.5)}
"""Threshold V, width V (maximum likelihood with 50 shots a point), and the deviance that 99 % of experiments stay below."""
SHOTS = 50
INTERVAL_S, SAMPLES, STRETCHES, READS = 0.787, 254, 29, 86
"""Of the spectrum: sampling, points of a stretch, stretches averaged, reads of 64 planes each."""
DRIFT_DENSITY, DRIFT_LOW_HZ, DRIFT_HIGH_HZ = 3.37e-5, 1e-3, 0.64
"""S(f) = density / f: the best 1/f fit to the published points with a floor of 2.85e-4, from counting 5,504 reads. The band ends
at the observation's Nyquist frequency, and is flat below 1 mHz, as the source says."""

Real = NDArray[np.float64]

CHIP = """
name = "{name}"
[clock]
hz = 100000000
[fabric]
planes = 64
topology = {{ kind = "edges", cells = {cells}, pairs = [] }}
[bias.dac]
bits = 12
full_scale = 8.0
{more}
"""
DRIFT = """
[cell]
kind = "pbit"
[cell.offset_drift]
flicker_rms = {rms}
flicker_low_hz = {low}
flicker_high_hz = {high}
[slow]
epoch_cycles = 16777216
"""


def table(name: str) -> list[dict[str, str]]:
    """Rows of a data file, without its comments."""
    lines = [line for line in (DATA / name).read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def chip_of(folder: str, name: str, cells: int, more: str = "") -> str:
    """URL of a private chip with loose p-bits."""
    path = Path(folder) / f"{name}.toml"
    path.write_text(CHIP.format(name=name, cells=cells, more=more))
    return f"emu:{path}"


def deviance(measured: Real, law: Real) -> float:
    """2 N sum of p ln(p/q) + (1-p) ln((1-p)/(1-q)) for N shots a point."""
    q = np.clip(law, 1e-12, 1 - 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(measured > 0, measured * np.log(measured / q), 0.0)
        down = np.where(measured < 1, (1 - measured) * np.log((1 - measured) / (1 - q)), 0.0)
    return float(2 * SHOTS * (up + down).sum())


def switching(folder: str, temperature: float = 1.0) -> dict[str, tuple[Real, Real, Real]]:
    """For each junction: volts, published probabilities, and the chip's over 64,000 looks at each point."""
    points = {
        d: [(float(r["volt"]), float(r["probability"])) for r in table("sot_mtj_switching.csv") if r["device"] == d]
        for d in JUNCTIONS
    }
    fields = np.concatenate([(np.array(points[d])[:, 0] - th) / (2 * w) for d, (th, w, _) in JUNCTIONS.items()])
    with tsu.open(chip_of(folder, "junctions", len(fields))) as chip:
        chip.program_couplings((np.empty((0, 2), int), np.empty(0)), fields)
        chip.set_temperature(temperature)
        spins = chip.sample(1000, burn=10)
    up, out, first = (spins == 1).mean(axis=(0, 1)), {}, 0
    for d in JUNCTIONS:
        volt, published = np.array(points[d]).T
        out[d] = volt, published, up[first : first + len(volt)]
        first += len(volt)
    return out


def spectrum(folder: str, rms: float, seed: int, step: object = None) -> tuple[Real, Real]:
    """(frequencies, density h^2/Hz) of 29 drifting p-bits' offsets, estimated from reads as tanh^-1 of the mean spin."""
    drift = DRIFT.format(rms=rms, low=DRIFT_LOW_HZ, high=DRIFT_HIGH_HZ) if rms else ""
    url = chip_of(folder, f"drift-{seed}", STRETCHES, drift) + f"?run_seed={seed}"
    series = np.empty((SAMPLES, STRETCHES))
    with tsu.open(url) as chip:
        period = round(INTERVAL_S * chip.capabilities.clock_hz)
        for k in range(SAMPLES):
            batch = chip.batch()
            batch.delay_until((k + 1) * period)
            batch.execute()
            series[k] = np.arctanh(chip.sample(READS).mean(axis=(0, 1)))
            if callable(step):
                step()
    series -= series.mean(axis=0)
    power = np.abs(np.fft.rfft(series, axis=0)) ** 2
    density = 2 * INTERVAL_S / SAMPLES * power.mean(axis=1)
    return np.fft.rfftfreq(SAMPLES, INTERVAL_S)[1:], density[1:]


def mismatch(published: tuple[Real, Real], found: tuple[Real, Real]) -> float:
    """rms of ln(found / published) over the published frequencies."""
    at = np.interp(published[0], found[0], np.log(found[1]))
    return float(np.sqrt(np.mean((at - np.log(published[1])) ** 2)))


def draw(curves: dict[str, tuple[Real, Real, Real]], published: tuple[Real, Real], found: tuple[Real, Real]) -> Figure:
    """Both comparisons side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, (d, (volt, measured, law)) in zip(("#b5541c", "#1f5f8b"), curves.items(), strict=True):
        error = np.sqrt(np.maximum(measured * (1 - measured), 0.01) / SHOTS)
        left.errorbar(
            1e3 * volt, measured, error, fmt="o", color=colour, markersize=4, linewidth=1, label=f"junction {d}, measured"
        )
        left.plot(1e3 * volt, law, color=colour, linewidth=1.2, label=f"junction {d}, chip")
    left.set(xlabel="pulse voltage  (mV)", ylabel="switching probability")
    left.set_title("p-bit transfer curve, 50 shots a point", loc="left", fontsize=10)
    right.loglog(*published, "o", color="#222222", markersize=3, label="published")
    right.loglog(*found, color="#1f5f8b", linewidth=1.2, label="chip")
    right.set(xlabel="frequency  (Hz)", ylabel=r"$S_h$  (h$^2$/Hz)")
    right.set_title("Drift of a bias, 29 stretches of 200 s", loc="left", fontsize=10)
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=8)
        axis.grid(color="#dddddd", linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def measure(step: object = None) -> tuple[list[Row], Figure]:
    """All rows, and the figure."""
    rows = []
    rms = float(np.sqrt(DRIFT_DENSITY * np.log(DRIFT_HIGH_HZ / DRIFT_LOW_HZ)))
    data = table("flux_noise.csv")
    published = np.array([float(r["hz"]) for r in data]), np.array([float(r["density"]) for r in data])
    with tempfile.TemporaryDirectory() as folder:
        curves, warm = switching(folder), switching(folder, 2.0)
        for d, (_, _, limit) in JUNCTIONS.items():
            rows.append(
                Row.at_most(f"junction {d}: deviance of the published points from the chip", deviance(*curves[d][1:]), limit)
            )
            rows.append(Row.at_least(f"junction {d}: the same with twice the noise", deviance(*warm[d][1:]), limit))
        found = spectrum(folder, rms, 1, step)
        rows.append(Row.at_most("drift: rms of ln(chip / published spectrum)", mismatch(published, found), 0.30))
        for name, amplitude in (("twice the drift", 2 * rms), ("no drift", 0.0)):
            rows.append(
                Row.at_least(f"drift: the same with {name}", mismatch(published, spectrum(folder, amplitude, 2, step)), 0.30)
            )
    return rows, draw(curves, published, found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/run curves", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE")
    parser.add_argument("--figure", metavar="FILE", help="write the figure to FILE (.png or .svg)")
    arguments = parser.parse_args()
    with Progress(transient=True) as bar:
        task = bar.add_task("measuring", total=3 * SAMPLES)
        rows, figure = measure(lambda: bar.advance(task))
    print(format_rows(rows))
    if arguments.figure:
        Path(arguments.figure).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(arguments.figure, dpi=120)
    if arguments.json:
        write_json(arguments.json, rows, config={"shots": SHOTS, "reads": 64 * READS, "stretches": STRETCHES}, seeds={"run": 1})
    return 0 if all(row.ok is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(ended("tools/run curves", main))
