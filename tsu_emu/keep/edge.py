"""A keeper in a real directory, with real clocks and random numbers."""

from __future__ import annotations

import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tsu_contract.wire import Frame
from tsu_emu.bench.door import Door
from tsu_emu.bench.instruments import Instruments
from tsu_emu.bench.oracle import Oracle
from tsu_emu.chip import Chip
from tsu_emu.keep.disk import DiskError, OsDisk
from tsu_emu.keep.identity import identity_of
from tsu_emu.keep.keeper import Keeper
from tsu_emu.keep.named import verbs
from tsu_emu.keep.records import JournalError, What
from tsu_emu.keep.recovery import Recovered, Stopped, begin
from tsu_emu.keep.snapshot import SnapshotError
from tsu_emu.server.daemon import endings
from tsu_emu.server.session import Server

SYNC_SECONDS = 0.05
"""In fast mode the journal is brought to the disk so often: half of what may be lost, as a disk takes its time."""
DOORS = {"front": What.REQUEST, "instruments": What.INSTRUMENTS, "oracle": What.ORACLE}
"""Kinds of records, by the name of their door."""


class KeepError(Exception):
    """A directory in which no chip can be kept, or not this one; says why, and what to do."""


def session_number() -> int:
    """A number of 1 to 2^63 - 1 that nobody can guess."""
    return 1 + secrets.randbelow((1 << 63) - 1)


class Kept(NamedTuple):
    """A server that is kept. recovered : what was found; handlers : of the doors: front, instruments, oracle"""

    keeper: Keeper
    recovered: Recovered
    handlers: dict[str, Callable[[list[Frame]], list[Frame]]]


@contextmanager
def kept(server: Server, directory: Path, durable: bool, progress: Callable[[int, int], None]) -> Iterator[Kept]:
    """A server as it was at its last end, kept from now on; at the end of the block all is brought to the disk.

    progress : as that of `recovery.begin`. KeepError: it cannot be.
    """
    try:
        disk = OsDisk(directory)
        try:
            oracle = Oracle(server.chip)
            doors: dict[What, Door] = {What.INSTRUMENTS: Instruments(server.chip), What.ORACLE: oracle}
            identity = identity_of(server.chip.config)
            keeper = Keeper(disk, server, identity, doors, durable, time.process_time, session_number)
            oracle.add(verbs(keeper))
            with _stoppable(server.chip):
                found = begin(keeper, progress)
        except BaseException:
            disk.close()
            raise
    except (DiskError, SnapshotError, JournalError, OSError) as error:
        raise KeepError(f"{directory}: {error}") from None
    ended = threading.Event()
    writer = threading.Thread(target=_sync_now_and_then, args=(keeper, ended), daemon=True)
    if not durable:
        writer.start()
    try:
        yield Kept(keeper, found, {name: keeper.handler(what) for name, what in DOORS.items()})
    finally:
        ended.set()
        if not durable:
            writer.join()
        keeper.close()


@contextmanager
def _stoppable(chip: Chip) -> Iterator[None]:
    """Signals that end a daemon raise Stopped in the midst of a run of the chip, if this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = threading.Event()

    def look() -> None:
        if asked.is_set():
            raise Stopped

    before, chip.between_calls = chip.between_calls, look
    kept_handlers = {s: signal.signal(s, lambda *_: asked.set()) for s in endings()}
    try:
        yield
    finally:
        chip.between_calls = before
        for number, handler in kept_handlers.items():
            signal.signal(number, handler)
    look()


def _sync_now_and_then(keeper: Keeper, ended: threading.Event) -> None:
    while not ended.wait(SYNC_SECONDS):
        keeper.sync()
