"""A bar on a terminal, with an estimate of the time that is left; nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(text: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how many more are done."""
    if not sys.stderr.isatty():
        yield lambda more: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=300.0) as progress:
        task = progress.add_task("", total=total, completed=done)
        yield lambda more: progress.advance(task, more)
