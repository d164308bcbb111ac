"""The edge to the system: whose directory it may be, which names are names, and that a file is whole or not there."""

from __future__ import annotations

import errno
import os
import random
import stat
import string
from pathlib import Path

import pytest

from tsu_emu.keep.disk import DiskError, OsDisk, checked, put, write_all

ODD = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/etc/passwd",
    "a\0b",
    "a\n",
    "A",
    "a b",
    "-a",
    ".a",
    "a..",
    "a.tsu.bad.x",
    "ä",
    "a" * 65,
    "a.",
    "１",
]


def test_directory_is_ours_alone_and_files_too(tmp_path: Path) -> None:
    disk = OsDisk(tmp_path / "a" / "b")
    put(disk, "x.tsu", [b"12", b"3"])
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "b" / "x.tsu").stat().st_mode) == 0o600
    assert (disk.names(), disk.read("x.tsu")) == (["x.tsu"], b"123")
    disk.close()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_directory_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d").chmod(mode)
    with pytest.raises(DiskError, match=r"others may write .* chmod 700"):
        OsDisk(tmp_path / "d")


def test_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(DiskError, match="belongs to user"):
        OsDisk(tmp_path)


def test_second_daemon_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    first = OsDisk(tmp_path / "d")
    with pytest.raises(DiskError, match="another daemon"):
        OsDisk(tmp_path / "d")
    first.close()
    OsDisk(tmp_path / "d").close()


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d" / "x.tsu").symlink_to(tmp_path / "secret")
    (tmp_path / "link").symlink_to(tmp_path / "d")
    with pytest.raises(DiskError, match="not a link"):
        OsDisk(tmp_path / "link")
    disk = OsDisk(tmp_path / "d")
    for act in (disk.read, disk.create):
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            act("x.tsu")
    disk.close()
    assert (tmp_path / "secret").read_text() == "s"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    disk = OsDisk(tmp_path / "d")
    os.mkfifo(tmp_path / "d" / "x.tsu")
    with pytest.raises((DiskError, OSError)):
        disk.read("x.tsu")
    disk.close()


@pytest.mark.parametrize("name", ODD)
def test_odd_name_is_refused(name: str) -> None:
    with pytest.raises(DiskError):
        checked(name)


def test_no_name_of_a_thousand_leads_out_of_the_directory(tmp_path: Path) -> None:
    """Random names of what has led out of directories; those that are taken make a file in it, and nothing else."""
    rng, disk = random.Random(1), OsDisk(tmp_path / "in" / "d")
    pieces = ["..", "/", "\\", "\0", "~", "%2e", "․", "a", "b", ".", "-", "_", "0", "tsu", " ", "\n", *string.punctuation]
    taken = set()
    for _ in range(1000):
        name = "".join(rng.choice(pieces) for _ in range(rng.randrange(1, 8)))
        try:
            disk.create(name).close()
            taken.add(name)
        except DiskError:
            continue
    assert taken
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")} == {"in", "in/d", *(f"in/d/{name}" for name in taken)}
    disk.close()


class Reluctant:
    """A file that takes two bytes at a time, then breaks."""

    def __init__(self, room: int) -> None:
        self.data, self._room = b"", room

    def write(self, data: bytes | memoryview) -> int:
        part = bytes(data[:2])
        if len(self.data) + len(part) > self._room:
            raise OSError(errno.ENOSPC, "full")
        self.data += part
        return len(part)

    def sync(self) -> None: ...
    def truncate(self, length: int) -> None: ...
    def close(self) -> None: ...


def test_short_writes_are_gone_on_with() -> None:
    file = Reluctant(100)
    write_all(file, b"123456789")
    assert file.data == b"123456789"
    with pytest.raises(OSError, match="full"):
        write_all(Reluctant(4), b"123456789")


def test_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = OsDisk(tmp_path / "d")
    put(disk, "x.tsu", [b"old"])

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="full"):
        put(disk, "x.tsu", [b"new"])
    assert (disk.names(), disk.read("x.tsu")) == (["x.tsu"], b"old")
    disk.close()
