"""Bars on a terminal, while a program works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import ModuleType, TracebackType
from typing import Any, Self


class Bars:
    """Bars on stderr if that is a terminal; a context manager.

    columns : those of a bar, by the module `rich.progress`, which is loaded only if it is one
    rich : rich's display, or None where there is no terminal, and what is to be told goes into lines
    """

    def __init__(self, columns: Callable[[ModuleType], Sequence[Any]]) -> None:
        self.rich: Any = None
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self.rich = progress.Progress(*columns(progress), console=Console(stderr=True), refresh_per_second=5)

    def __enter__(self) -> Self:
        if self.rich is not None:
            self.rich.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.rich is not None:
            self.rich.stop()
