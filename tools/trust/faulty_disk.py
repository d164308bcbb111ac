"""A disk in memory that does what disks do: it fills up, breaks, writes short, and loses what was not synced."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field

SECTOR = 512
"""Bytes that are written whole or not at all when power goes."""


class Crash(BaseException):
    """The process was killed, or the machine lost power, at this very operation."""


@dataclass
class Inode:
    """Contents: as the system has them, and as the disk has them."""

    now: bytearray = field(default_factory=bytearray)
    safe: bytes = b""


@dataclass
class Faults:
    """What goes wrong next.

    room : bytes that still fit, None for plenty; errors : chance that an operation fails with EIO; short : chance that a write
    takes less than it is given; crash_in : operations until the process is killed, None for never
    """

    room: int | None = None
    errors: float = 0.0
    short: float = 0.0
    crash_in: int | None = None


class FaultyFile:
    """A file of a FaultyDisk."""

    def __init__(self, disk: FaultyDisk, inode: Inode) -> None:
        self._disk, self._inode = disk, inode

    def write(self, data: bytes | memoryview) -> int:
        """Appends what fits, or part of it."""
        disk, length = self._disk, len(data)
        if disk.faults.short and disk.rng.random() < disk.faults.short:
            length = disk.rng.randrange(1, length + 1)
        try:
            disk.step()
        except Crash:
            self._inode.now += data[: disk.rng.randrange(length + 1)]
            raise
        if disk.faults.room is not None:
            length = min(length, disk.faults.room)
            disk.faults.room -= length
            if not length:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._inode.now += data[:length]
        return length

    def sync(self) -> None:
        """The contents are on the disk."""
        self._disk.step()
        self._inode.safe = bytes(self._inode.now)

    def truncate(self, length: int) -> None:
        """The file is cut."""
        self._disk.step()
        del self._inode.now[length:]

    def close(self) -> None:
        """Nothing is to be let go of."""


class FaultyDisk:
    """A `tsu_emu.keep.disk.Disk`. rng : decides every chance; faults : may be set anew at any time; operations : so far"""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.faults, self.operations = rng, Faults(), 0
        self._now: dict[str, Inode] = {}
        self._safe: dict[str, Inode] = {}
        self._owed: list[Callable[[dict[str, Inode]], None]] = []

    def step(self) -> None:
        """One operation of the system: it may be the last, or fail."""
        self.operations += 1
        if self.faults.crash_in is not None:
            self.faults.crash_in -= 1
            if self.faults.crash_in < 0:
                raise Crash
        if self.faults.errors and self.rng.random() < self.faults.errors:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def crash(self, power: bool) -> None:
        """The process is gone; with the machine's power also part of what was not synced: of the directory some last changes, of
        files any sectors that had been appended."""
        self.faults = Faults()
        if power:
            for change in self._owed[: self.rng.randrange(len(self._owed) + 1)]:
                change(self._safe)
            self._now = dict(self._safe)
            for inode in self._now.values():
                self._lose(inode)
        self._safe, self._owed = dict(self._now), []

    def _lose(self, inode: Inode) -> None:
        """Appended bytes that were not synced may be missing, or their sectors may be zeros."""
        if len(inode.now) <= len(inode.safe) or inode.now[: len(inode.safe)] != inode.safe:
            inode.now = bytearray(inode.safe)
            return
        tail = inode.now[len(inode.safe) : self.rng.randrange(len(inode.safe), len(inode.now) + 1)]
        for at in range(0, len(tail), SECTOR):
            if self.rng.random() < 0.3:
                tail[at : at + SECTOR] = bytes(len(tail[at : at + SECTOR]))
        inode.now = bytearray(inode.safe) + tail
        inode.safe = bytes(inode.now)

    def _change(self, change: Callable[[dict[str, Inode]], None]) -> None:
        self.step()
        change(self._now)
        self._owed.append(change)

    def names(self) -> list[str]:
        """Files that there are."""
        self.step()
        return sorted(self._now)

    def read(self, name: str) -> bytes:
        """A whole file."""
        self.step()
        return bytes(self._now[name].now)

    def create(self, name: str) -> FaultyFile:
        """An empty file."""
        inode = Inode()

        def change(names: dict[str, Inode]) -> None:
            names[name] = inode

        self._change(change)
        return FaultyFile(self, inode)

    def rename(self, old: str, new: str) -> None:
        """At once."""

        def change(names: dict[str, Inode]) -> None:
            if old in names:
                names[new] = names.pop(old)

        self._change(change)

    def remove(self, name: str) -> None:
        """A file goes."""
        self._change(lambda names: names.pop(name, None) and None)

    def sync(self) -> None:
        """The directory is on the disk."""
        self.step()
        self._safe, self._owed = dict(self._now), []

    def free(self) -> int:
        """Bytes that fit."""
        return 1 << 40 if self.faults.room is None else self.faults.room

    def close(self) -> None:
        """Nothing is to be let go of."""

    def flip(self, name: str, bit: int) -> None:
        """A bit of a file turns over."""
        self._now[name].now[bit // 8] ^= 1 << bit % 8

    def length(self, name: str) -> int:
        """Bytes of a file."""
        return len(self._now[name].now)
