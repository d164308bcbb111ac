"""Where compiled code is kept: in a directory that is named by all sources it may depend on.

Numba files a function's code by the path of its source and does not notice that a function in another file changed. Here the
directory's name is a hash of all sources of the chip and its contract and of Numba's version, and within it a function has the
place that its source has in the package: checkouts and installations of one version share their code, wherever they lie.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CacheImpl, _CacheLocator

import tsu_contract

NOT_COMPILED = ("server", "bench", "keep", "gateway", "commands", "__main__.py", "warmup.py")
"""Parts of this package that compiled functions know nothing of; the import rules see to it."""
IN_USE = "in-use"
"""File in the cache directory that each process locks that may load code from there; its time is when the last one started."""
PACKAGE = Path(__file__).resolve().parent


@cache
def version() -> str:
    """16 hexadecimal digits of the sources and of Numba's version."""
    digest = hashlib.sha256(numba.__version__.encode())
    apart = {PACKAGE / name for name in NOT_COMPILED}
    for package in (PACKAGE, Path(tsu_contract.__file__).resolve().parent):
        for path in sorted([*package.rglob("*.py"), *package.rglob("*.json")]):
            if apart & {path, *path.parents}:
                continue
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_directory() -> Path:
    """Directory of this version's compiled code, in NUMBA_CACHE_DIR, else under the user's cache directory (XDG_CACHE_HOME, else
    ~/.cache)."""
    own = os.environ.get("NUMBA_CACHE_DIR")
    return Path(own or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tsu-emu") / version()


@cache
def _folder(sources: str) -> Path | None:
    """Where the code of a directory of sources is kept; None for one of others, or if nothing can be written there."""
    within = Path(sources).resolve()
    if not within.is_relative_to(PACKAGE):
        return None
    place = cache_directory() / within.relative_to(PACKAGE)
    with suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
        return place
    return None


class Place(_CacheLocator):
    """Where the code of one function of this package is kept; Numba asks for it when the function is declared."""

    def __init__(self, function: Any, folder: Path) -> None:
        self._path, self._line = folder, function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        """The directory."""
        return str(self._path)

    def get_source_stamp(self) -> str:
        """What would be another if the source were: the directory's name says it."""
        return ""

    def get_disambiguator(self) -> str:
        """What tells functions of one name in one file apart."""
        return str(self._line)

    @classmethod
    def from_function(cls, function: Any, file: str) -> Place | None:
        """None if it is not for us to say."""
        folder = _folder(os.path.dirname(file))
        return None if folder is None else cls(function, folder)


def hold(place: Path) -> None:
    """As long as this process lives nobody takes its compiled code for forgotten. Without a directory there is none."""
    with suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
        held = os.open(place / IN_USE, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.utime(held)


def keep_here() -> None:
    """Has Numba keep this package's code in its place, before any function is declared."""
    CacheImpl._locator_classes.insert(0, Place)
    hold(cache_directory())
