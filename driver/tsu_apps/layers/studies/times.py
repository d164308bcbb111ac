"""Time of a layer against its width: physical time, which the array takes, beside wall time, which the emulation takes."""

from __future__ import annotations

import numpy as np

from tsu_apps.layers.chip import ChipLayer
from tsu_apps.layers.laws import Law, Pbit, Pmode
from tsu_apps.layers.studies.study import Chips, Step, Study
from tsu_apps.report import Row

LAYERS: dict[str, tuple[Law, tuple[str, ...]]] = {
    "p-bits": (Pbit(), ("width-pbit-16", "width-pbit-256", "width-pbit-1024")),
    "pmodes, 4 converters": (Pmode(1.0, 1.0), ("width-pmode-16", "width-pmode-64")),
    "pmodes, a converter for 4 cells": (Pmode(1.0, 1.0), ("width-pmode-16", "width-pmode-adc-64")),
}
TAU_S = 1e-7
SAMPLES, INPUTS = 16, 32


def run(chips: Chips, step: Step) -> Study:
    """One layer as wide as the chip, of each kind and width; both times are those of one input."""
    names = dict.fromkeys((name, law) for law, names in LAYERS.values() for name in names)
    times = {}
    for name, law in names:
        step(f"times of {name}")
        times[name] = measure(chips, name, law)
    rows, data = list[Row](), {}
    for title, (_, names_of) in LAYERS.items():
        widths, seconds = (np.array([times[name][k] for name in names_of]) for k in (0, 1))
        data[title] = widths, seconds
        rows += [
            Row(f"{title}: physical time of a layer of {w}", 1e6 * t, "us") for w, t in zip(widths, seconds[:, 0], strict=True)
        ]
        growth, wider = seconds[-1] / seconds[0], f"{widths[-1] // widths[0]} times as wide"
        name = f"{title}: growth of physical time, {wider}"
        rows.append(Row(name, growth[0]) if title == "pmodes, 4 converters" else Row.at_most(name, growth[0], 1.0))
        rows.append(Row(f"{title}: growth of wall time, {wider}", growth[1]))
    return Study(rows, {"times": data})


def measure(chips: Chips, name: str, law: Law) -> tuple[int, tuple[float, float]]:
    """Width of a chip, and (physical time, wall time) of an input, s."""
    with chips(name) as chip:
        layer, width = ChipLayer(chip, law, TAU_S), chip.capabilities.cells
        layer.average(np.zeros((INPUTS, width)), SAMPLES)
        return width, (layer.cost.physical_s / INPUTS, layer.cost.wall_s / INPUTS)
