"""Progress of a run: a bar on a terminal, a plain line every few seconds anywhere else."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from tsu_apps.learning.history import Moment
from tsu_apps.terminal import Bars

PLAIN_S = 3.0
"""Seconds between plain lines."""


class Bar(Bars):
    """A listener that shows energies, |dW| and accuracy on stderr; a context manager."""

    def __init__(self) -> None:
        super().__init__(
            lambda p: (
                p.TextColumn("{task.description}"), p.BarColumn(24), p.MofNCompleteColumn(), p.TimeRemainingColumn(),
                p.TextColumn("{task.fields[text]}"),
            )
        )  # fmt: skip
        self._task: Any = None
        self._accuracy = math.nan
        self._shown = -math.inf
        self._begun = time.monotonic()

    def __call__(self, moment: Moment) -> None:
        """Show a moment."""
        if math.isfinite(moment.accuracy):
            self._accuracy = moment.accuracy
        if self.rich is None:
            self._plain(moment)
            return
        if self._task is None:
            self._task = self.rich.add_task("training", total=moment.ticks, text="")
        self.rich.update(self._task, completed=moment.tick, text=self._text(moment))

    def _plain(self, moment: Moment) -> None:
        now = time.monotonic()
        if now - self._shown < PLAIN_S and moment.tick < moment.ticks:
            return
        self._shown = now
        seconds = now - self._begun
        print(f"training: {moment.tick}/{moment.ticks} ticks, {seconds:.0f} s, {self._text(moment)}", file=sys.stderr, flush=True)

    def _text(self, moment: Moment) -> str:
        parts = []
        if math.isfinite(moment.energy_data + moment.energy_free):
            parts.append(f"E data {moment.energy_data:.1f} free {moment.energy_free:.1f} kT")
        if math.isfinite(moment.change):
            parts.append(f"|dW| {moment.change:.1e} per tick")
        if math.isfinite(self._accuracy):
            parts.append(f"validation {self._accuracy:.3f}")
        if moment.saturated:
            parts.append(f"SATURATED {moment.saturation:.0%}")
        return ", ".join(parts)
