"""p-bits that flip by themselves: candidates for a flip per second, each rate beside a moment that a wrong sampler would miss."""

from __future__ import annotations

from typing import Any

import numpy as np
from measuring import Effort, median_row, zero_row
from running import Running, Subject

from tsu_apps.report import Row

TICK_S = 1e-8
"""Of chip time, a time constant of the cells: each has one candidate in the mean."""
LIMIT, PLANES, SETTLING = 12, 64, 20
"""Largest code, planes, and ticks before anything is measured."""
GOAL = 800.0
"""Million candidates a second on one thread."""


def config(side: int, clock: str) -> Any:
    """Free p-bits without errors on a grid of degree 16; a tick is TICK_S."""
    from tsu_emu.config import parse

    topology = {"kind": "grid", "width": side, "height": side, "rules": [[1, 0], [2, 1], [2, 3], [4, 1]]}
    cell = {"kind": "async-pbit", "tau_s": TICK_S, "clock": clock}
    timing = {"clock": {"hz": 1e8}, "timing": {"colour": 1, "slot": 0}}
    return parse({"name": f"free-{clock}", **timing, "fabric": {"planes": PLANES, "topology": topology}, "cell": cell})


class Free(Running):
    """A chip of free p-bits in equilibrium: couplings are alike in both directions."""

    def __init__(self, subject: Subject) -> None:
        from tsu_emu.state import SWEEP

        super().__init__(subject, LIMIT)
        while self.chip.state.time[SWEEP] < SETTLING:
            self.seconds()

    def moment(self) -> tuple[float, float]:
        """<s I> - <I tanh(I/T)> over all cells at one time, kT, and its standard error over planes.

        In equilibrium each spin is drawn given its field, so the difference is 0; planes are independent at one time.
        """
        array, t = self.chip.array, self.chip.plant.topology
        spins = self.spins().astype(np.float64)
        field = np.add.reduceat(array._J * spins[:, t.source], t.row[:-1], axis=1) + array._h  # type: ignore[attr-defined]
        values = (field * (spins - np.tanh(field))).mean(1)
        return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def bench_free(effort: Effort) -> list[Row]:
    """Rates with clocks of each plane's own and with a clock for 64 planes, alternating, on one thread."""
    side, ticks = (16, 4) if effort.quick else (64, 60)
    chips = [Free(Subject(f"free p-bits, {c} clock", config(side, c), PLANES, 1, ticks)) for c in ("own", "shared")]
    rates: list[list[float]] = [[], []]
    for _ in range(effort.repeats):
        for k, chip in enumerate(chips):
            rates[k].append(chip.rate())
        effort.step()
    rows = []
    for chip, values, goal in zip(chips, rates, (None, GOAL), strict=True):
        rows.append(median_row(chip.subject.name, values, "M candidates/s", effort.goal(goal)))
        rows.append(zero_row(f"{chip.subject.name}: <s I> - <I tanh I>", *chip.moment(), "kT"))
    rows.append(median_row("shared over own clock", [b / a for a, b in zip(*rates, strict=True)], ""))
    return rows
