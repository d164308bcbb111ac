"""Compiled code of other versions in the user's cache directory: how long ago it was used, and an end to what is forgotten."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

FORGOTTEN_S = 30 * 86400.0
"""Seconds after which code that nobody has used goes."""
VERSION = re.compile("[0-9a-f]{16}")


def other_versions() -> list[Path]:
    """Directories of compiled code beside this version's."""
    from tsu_emu.code_cache import cache_directory

    ours = cache_directory()
    beside = sorted(ours.parent.iterdir()) if ours.parent.is_dir() else []
    return [path for path in beside if path != ours and VERSION.fullmatch(path.name) and path.is_dir()]


def size_of(place: Path) -> int:
    """Bytes of all files."""
    return sum(found.st_size for found in _files(place))


def last_used(place: Path) -> float:
    """When a process of that version last started, as `time.time` has it; if it left no note, when a file was last written or
    read."""
    from tsu_emu.code_cache import IN_USE

    with suppress(OSError):
        return (place / IN_USE).stat().st_mtime
    return max((max(found.st_mtime, found.st_atime) for found in _files(place)), default=place.stat().st_mtime)


def remove_forgotten() -> tuple[int, int]:
    """(versions, bytes) removed: those that no process holds and none has started with for FORGOTTEN_S."""
    count = size = 0
    for place in other_versions():
        with suppress(OSError):
            if time.time() - last_used(place) > FORGOTTEN_S:
                size_here = size_of(place)
                if _remove(place):
                    count, size = count + 1, size + size_here
    return count, size


def _remove(place: Path) -> bool:
    """False if a process holds it. Under another name first: a process that starts now makes a directory of its own."""
    from tsu_emu.code_cache import IN_USE

    held = os.open(place / IN_USE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        gone = place.with_name(f"{place.name}.{os.getpid()}")
        place.rename(gone)
        shutil.rmtree(gone)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(held)


def _files(place: Path) -> list[os.stat_result]:
    return [path.stat() for path in place.rglob("*") if path.is_file()]
