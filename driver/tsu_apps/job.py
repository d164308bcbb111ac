"""What the programs for one chip share: the argument that names it, lists, a bench beside it, progress."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import tsu_driver
from tsu_apps.ending import ended
from tsu_apps.terminal import Bars
from tsu_driver import Chip
from tsu_driver.instruments import Instruments

LEASE_S = 60.0
"""Longest silence of a program on a chip that it has for itself: longer than any of them works things out by itself."""


def add_url(parser: argparse.ArgumentParser) -> None:
    """The chip's URL."""
    parser.add_argument("url", help="the chip, as tsu_driver.open takes it: ipc://path, tcp://host:port or emu:NAME")


def add_list(parser: argparse.ArgumentParser, text: Callable[[], str], about: str) -> None:
    """--list, which prints `text()` and ends the program, as --help does; about : what it prints."""

    class Listing(argparse.Action):
        def __call__(self, *_: object) -> None:
            parser.exit(ended(parser.prog, listed))

    def listed() -> int:
        print(text().rstrip("\n"), flush=True)
        return 0

    parser.add_argument("--list", nargs=0, action=Listing, help=about)


def make_way(*files: Path | None) -> None:
    """Before the work, see that files can be written after it: their directories are made if need be. None is no file.

    OSError names what is in the way.
    """
    for file in (file for file in files if file is not None):
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not os.access(file.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file.parent))


@contextmanager
def leased(url: str, calibration: str | None = None) -> Iterator[Chip]:
    """The chip of a URL, which nobody else operates meanwhile; calibration : as `tsu_driver.open` takes it.

    LinkError with code LEASED if another has it.
    """
    with tsu_driver.open(url, calibration=calibration) as chip, chip.lease(LEASE_S):
        yield chip


@contextmanager
def chip_and_bench(given: argparse.Namespace) -> Iterator[tuple[Chip, Instruments | None, Progress]]:
    """The chip of `given.url`, leased, the instruments of `given.instruments` or those that it came with, and progress."""
    with ExitStack() as stack:
        chip = stack.enter_context(leased(given.url))
        at = given.instruments or chip.instruments_url
        bench = stack.enter_context(Instruments(at)) if at else None
        yield chip, bench, stack.enter_context(Progress())


class Progress(Bars):
    """Called with a procedure's name and a share of its work; a context manager. A bar each on a terminal, else a line."""

    def __init__(self) -> None:
        super().__init__(
            lambda p: (p.TextColumn("{task.description:<18}"), p.BarColumn(32), p.TaskProgressColumn(), p.TimeElapsedColumn())
        )
        self._name = ""
        self._task: Any = None

    def __call__(self, name: str, share: float) -> None:
        """Show it."""
        if name != self._name:
            self._name = name
            if self.rich is None:
                print(name, file=sys.stderr, flush=True)
            else:
                self._task = self.rich.add_task(name, total=1.0)
        if self.rich is not None and self._task is not None:
            self.rich.advance(self._task, share)
