"""Makes the figures of docs/analog.md, all of them measured through the pins of shipped chips.

tools/run figures [DIRECTORY]          docs/figures by default
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

import tsu_driver as tsu
from tsu_apps.characterise import characterise
from tsu_apps.characterise.figures import COLOURS, INK, label, panels
from tsu_apps.ending import ended
from tsu_driver.instruments import Instruments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROCEDURES = {"dac-linearity": "inl", "drift": "allan", "thermal": "thermal"}
"""Procedures of the characterisation whose figures are shown, and the names of their files."""


def measured() -> dict[str, Figure]:
    """Figures of procedures run on digits-typical."""
    with tsu.open("emu:digits-typical?bench=1") as chip:
        assert chip.instruments_url is not None
        with Instruments(chip.instruments_url) as lab:
            result = characterise(chip, lab, only=tuple(PROCEDURES))
    return {PROCEDURES[name]: outcome.draw() for name, outcome in result.outcomes.items() if outcome.draw is not None}


def energies() -> Figure:
    """Energy histogram of 16 coupled p-bits at three temperatures beside Boltzmann's law, which sums over all 65,536 states."""
    rng = np.random.default_rng(3)
    J = np.triu(np.round(rng.normal(0, 0.35, (16, 16)) * 64) / 64, 1)
    J, h = J + J.T, np.round(rng.normal(0, 0.3, 16) * 64) / 64
    states = 1 - 2 * (np.arange(1 << 16)[:, None] >> np.arange(16) & 1)
    E = -0.5 * np.einsum("ki,ij,kj->k", states, J, states) - states @ h
    bins = np.linspace(E.min(), E.max(), 50)
    figure, (axis,) = panels(height=3.4)
    with tsu.open("emu:ideal-16") as chip:
        chip.program_couplings(J, h)
        for colour, t in zip(COLOURS, (0.75, 1.5, 4.0 - 1 / 64), strict=False):
            chip.set_temperature(t)
            s = chip.sample(1500, every=4, burn=500).reshape(-1, 16).astype(float)
            seen = -0.5 * np.einsum("ki,ij,kj->k", s, J, s) - s @ h
            law = np.exp(-(E - E.min()) / t)
            share, _ = np.histogram(E, bins, weights=law / law.sum())
            axis.stairs(
                np.histogram(seen, bins)[0] / len(seen), bins, fill=True, alpha=0.35, color=colour, label=f"sampled, T = {t:g}"
            )
            axis.plot((bins[1:] + bins[:-1]) / 2, share, color=INK, linewidth=0.9)
    label(axis, "Energies of 96,000 samples, and Boltzmann's law (lines)", "E  (kT at T = 1)", "share of a bin")
    axis.legend(frameon=False, fontsize=9)
    return figure


def traces() -> Figure:
    """Offsets of four cells of digits-typical over two days, read every half hour from 32,768 spins."""
    times, offsets = np.arange(96) * 1800.0, []
    with tsu.open("emu:digits-typical") as chip:
        chip.program_couplings(None)
        hz = chip.capabilities.clock_hz
        for t in times:
            batch = chip.batch()
            batch.delay_until(round((t + 1) * hz))
            batch.execute()
            offsets.append(np.arctanh(chip.sample(512).mean(axis=(0, 1))[:4]))
    figure, (axis,) = panels(height=3.2)
    axis.plot(times / 3600, np.array(offsets) - np.mean(offsets, axis=0), linewidth=1)
    label(axis, "Drift of four cells' offsets about their means", "chip time  (h)", "offset  (kT)")
    return figure


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/run figures", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("directory", nargs="?", default=str(Path(__file__).parents[1] / "docs/figures"), help="where they go")
    folder = Path(parser.parse_args().directory)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [lambda: {"energies": energies()}, lambda: {"traces": traces()}, measured]
    with Progress(transient=True) as bar:
        task = bar.add_task("measuring", total=len(jobs))
        for job in jobs:
            for name, figure in job().items():
                figure.savefig(folder / f"{name}.png", dpi=110)
            bar.advance(task)
    print(f"figures in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(ended("tools/run figures", main))
