"""A directory of files, as thin as can be: what the system is asked for, and nothing that decides.

Files are opened by name in a directory that is open already, never by a path, so that no link and no ".." leads anywhere else.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}(?:\.[a-z]{1,8}){0,2}", re.ASCII)
"""Names of files; the whole name, not a part of it."""


Bytes = bytes | memoryview


class DiskError(Exception):
    """The directory or a name in it cannot be used; says why."""


class File(Protocol):
    """A file that grows. OSError: the system could not."""

    def write(self, data: Bytes) -> int:
        """Appends some of the bytes, and says how many."""

    def sync(self) -> None:
        """Returns when all that was written is on the disk."""

    def truncate(self, length: int) -> None:
        """Cuts the file; what is written next follows there."""

    def close(self) -> None:
        """Lets go of it. May be called again."""


class Disk(Protocol):
    """A directory. OSError: the system could not; DiskError: the name is none."""

    def names(self) -> list[str]:
        """Files that there are, in order."""

    def read(self, name: str) -> bytes:
        """A whole file."""

    def create(self, name: str) -> File:
        """An empty file, whatever was there."""

    def rename(self, old: str, new: str) -> None:
        """At once, and in place of what has the new name."""

    def remove(self, name: str) -> None:
        """A file goes."""

    def sync(self) -> None:
        """Returns when names made, changed and removed are on the disk."""

    def free(self) -> int:
        """Bytes that can still be written."""

    def close(self) -> None:
        """Lets go of it. May be called again."""


def checked(name: str) -> str:
    """The name, if it is one; DiskError if it could be anything else."""
    if not NAME.fullmatch(name):
        raise DiskError(f"{name!r} is no name: lower case letters, digits, _ and - expected, and a short ending")
    return name


def write_all(file: File, data: Bytes) -> None:
    """Appends all bytes, however few the system takes at a time; OSError if it takes none."""
    view = memoryview(data)
    while view:
        taken = file.write(view)
        if taken <= 0:
            raise OSError(errno.EIO, "nothing was written")
        view = view[taken:]


def put(disk: Disk, name: str, parts: Iterable[Bytes]) -> None:
    """A file whose whole contents are on the disk before it has its name, so that there is all of it or none; OSError else."""
    passing = f"{name}.part"
    file = disk.create(passing)
    try:
        for part in parts:
            write_all(file, part)
        file.sync()
    except BaseException:
        file.close()
        _forget(disk, passing)
        raise
    file.close()
    disk.rename(passing, name)
    disk.sync()


def _forget(disk: Disk, name: str) -> None:
    try:
        disk.remove(name)
    except OSError:
        return


class OsFile:
    """A file of the system, by its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def write(self, data: Bytes) -> int:
        """As `File.write`."""
        return os.write(self._open, data)

    def sync(self) -> None:
        """As `File.sync`."""
        _data_to_disk(self._open)

    def truncate(self, length: int) -> None:
        """As `File.truncate`."""
        os.ftruncate(self._open, length)
        os.lseek(self._open, length, os.SEEK_SET)

    def close(self) -> None:
        """As `File.close`."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    @property
    def _open(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the file is closed")
        return self._descriptor


_data_to_disk: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


class OsDisk:
    """A directory of this system, for one process at a time, made 0700 if there is none.

    DiskError: another process has it, it is not ours, others may write to it, or it cannot be had.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory: int | None = os.open(path, flags)
        except OSError as error:
            raise DiskError(f"{error.strerror or error}; a directory expected, not a link to one") from None
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        found = os.fstat(self._open)
        if found.st_uid != os.geteuid():
            raise DiskError(f"it belongs to user {found.st_uid}, not to us ({os.geteuid()})")
        if stat.S_IMODE(found.st_mode) & 0o022:
            raise DiskError(f"others may write there (mode {stat.S_IMODE(found.st_mode):o}); chmod 700 {self.path}")
        try:
            fcntl.flock(self._open, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DiskError("another daemon keeps its chip there") from None

    @property
    def _open(self) -> int:
        if self._directory is None:
            raise OSError(errno.EBADF, f"{self.path} is closed")
        return self._directory

    def names(self) -> list[str]:
        """As `Disk.names`; what has another kind of name is not ours."""
        return sorted(name for name in os.listdir(self._open) if NAME.fullmatch(name))

    def _file(self, name: str, flags: int) -> int:
        """A descriptor of a regular file that is ours alone."""
        descriptor = os.open(checked(name), flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600, dir_fd=self._open)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise DiskError(f"{name} is no file")

    def read(self, name: str) -> bytes:
        """As `Disk.read`."""
        with os.fdopen(self._file(name, os.O_RDONLY), "rb") as file:
            return file.read()

    def create(self, name: str) -> File:
        """As `Disk.create`."""
        return OsFile(self._file(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))

    def rename(self, old: str, new: str) -> None:
        """As `Disk.rename`."""
        os.rename(checked(old), checked(new), src_dir_fd=self._open, dst_dir_fd=self._open)

    def remove(self, name: str) -> None:
        """As `Disk.remove`."""
        os.unlink(checked(name), dir_fd=self._open)

    def sync(self) -> None:
        """As `Disk.sync`."""
        os.fsync(self._open)

    def free(self) -> int:
        """As `Disk.free`."""
        found = os.fstatvfs(self._open)
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """As `Disk.close`; another process may have the directory from now on."""
        directory, self._directory = self._directory, None
        if directory is not None:
            os.close(directory)
