"""Progress of a run: a bar on a terminal, a plain line every few seconds anywhere else."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import Any, Self

from tsu_apps.learning.history import Moment

PLAIN_S = 3.0
"""Seconds between plain lines."""


class Bar:
    """A listener that shows energies, |dW| and accuracy on stderr; a context manager."""

    def __init__(self) -> None:
        self._bar: Any = _rich_bar() if sys.stderr.isatty() else None
        self._task: Any = None
        self._accuracy = math.nan
        self._shown = -math.inf
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, moment: Moment) -> None:
        """Show a moment."""
        if math.isfinite(moment.accuracy):
            self._accuracy = moment.accuracy
        if self._bar is None:
            self._plain(moment)
            return
        if self._task is None:
            self._task = self._bar.add_task("training", total=moment.ticks, text="")
        self._bar.update(self._task, completed=moment.tick, text=self._text(moment))

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


def _rich_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[text]}"), console=Console(stderr=True), refresh_per_second=5)
