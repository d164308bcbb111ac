"""Keys that open a gateway: files of a directory that only its owner may enter.

`NAME.public` is what lets a key in; `NAME.secret`, for the key's owner, is needed nowhere else. Both are one JSON object. The
directory also has the gateway's own pair, `gateway`. Everything is opened through the directory's descriptor, following no link.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import zmq

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What a key may be called."""
GATEWAY = "gateway"
"""Name of the gateway's own pair."""
FILE_BYTES_MAX = 4096
Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
FORMAT = "tsu-key"
VERSION = 1


class Role(StrEnum):
    """What the owner of a key may do; each may do what those before it may."""

    OBSERVER = "observer"
    OPERATOR = "operator"
    BENCH = "bench"


class KeysError(ValueError):
    """A directory of keys, or a file in it, that cannot be used; the message says why."""


@dataclass(frozen=True)
class Key:
    """A key that is let in; `public` is in Z85, 40 characters."""

    name: str
    role: Role
    public: bytes


@dataclass(frozen=True)
class Pair:
    """Both halves of a key pair, in Z85."""

    public: bytes
    secret: bytes


def make(directory: Path, name: str, role: Role) -> Path:
    """Write a new pair, and the gateway's own if the directory has none; gives the secret file's path. KeysError if it exists."""
    _check_name(name)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _opened(directory) as folder:
        if not _exists(folder, f"{GATEWAY}.secret"):
            _write_pair(folder, directory, GATEWAY, None)
        if name == GATEWAY:
            raise KeysError(f"{GATEWAY} is the name of the gateway's own key")
        if _exists(folder, f"{name}.public"):
            raise KeysError(f"{directory} has a key {name} already; revoke it, or choose another name")
        _write_pair(folder, directory, name, role)
    return directory / f"{name}.secret"


def revoke(directory: Path, name: str) -> None:
    """Take a key out; a gateway lets it in no more, and refuses its requests within a second. KeysError if there is none."""
    _check_name(name)
    if name == GATEWAY:
        raise KeysError("the gateway's own key is not revoked; make another directory")
    with _opened(directory) as folder:
        if not _exists(folder, f"{name}.public"):
            raise KeysError(f"{directory} has no key {name}")
        os.unlink(f"{name}.public", dir_fd=folder)
        with suppress(FileNotFoundError):
            os.unlink(f"{name}.secret", dir_fd=folder)
        os.fsync(folder)


def read(directory: Path) -> tuple[list[Key], list[str]]:
    """Keys that are let in, by name, and what is wrong with files that therefore let nobody in. KeysError for the directory."""
    keys, wrong, seen = [], [], set()
    with _opened(directory) as folder:
        for name in sorted(os.listdir(folder)):
            stem, dot, end = name.rpartition(".")
            if end != "public" or not dot or stem == GATEWAY:
                continue
            try:
                key = _key_of(folder, stem)
                if key.public in seen:
                    raise KeysError("another file has the same key")
                seen.add(key.public)
                keys.append(key)
            except (KeysError, OSError) as error:
                wrong.append(f"{directory / name}: {error}")
    return keys, wrong


def own(directory: Path) -> Pair:
    """The gateway's own pair. KeysError if there is none, or if others may read it."""
    with _opened(directory) as folder:
        try:
            values = _load(folder, f"{GATEWAY}.secret", 0o077)
        except FileNotFoundError:
            raise KeysError(f"{directory} has no keys; `tsu-emu keys make NAME --dir {directory}` makes the first") from None
        except (KeysError, OSError) as error:
            raise KeysError(f"{directory / GATEWAY}.secret: {error}") from None
        return Pair(_z85(values, "public"), _z85(values, "secret"))


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise KeysError(f"{name!r} is no name for a key: 1 to 64 letters, digits, - and _, the first a letter or digit")


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    """A descriptor of the directory, which is this user's and nobody else's."""
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise KeysError(f"{directory}: {error.strerror}") from None
    try:
        _check_private(os.fstat(folder), str(directory), 0o077)
        yield folder
    finally:
        os.close(folder)


def _check_private(found: os.stat_result, what: str, forbidden: int) -> None:
    """KeysError unless this user owns it and nobody else has any of the `forbidden` permissions."""
    if found.st_uid != os.geteuid():
        raise KeysError(f"{what} belongs to user {found.st_uid}, not to this one, {os.geteuid()}")
    if stat.S_IMODE(found.st_mode) & forbidden:
        raise KeysError(f"{what} is open to others (mode {stat.S_IMODE(found.st_mode):04o}); chmod go= {what}")


def _exists(folder: int, name: str) -> bool:
    return name in os.listdir(folder)


def _write_pair(folder: int, directory: Path, name: str, role: Role | None) -> None:
    public, secret = (half.decode() for half in zmq.curve_keypair())
    values = {FORMAT: VERSION, "name": name, "role": role.value if role else "", "public": public}
    _write(folder, directory, f"{name}.secret", {**values, "secret": secret})
    _write(folder, directory, f"{name}.public", values)


def _write(folder: int, directory: Path, name: str, values: dict[str, Any]) -> None:
    """A new file, 0600, which appears whole or not at all."""
    draft = f".{name}.{os.getpid()}"
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(file, "w") as out:
            os.fchmod(out.fileno(), 0o600)
            json.dump(values, out)
            out.write("\n")
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        raise KeysError(f"{directory / name} exists already; move it away first") from None
    finally:
        os.unlink(draft, dir_fd=folder)
    os.fsync(folder)


def _load(folder: int, name: str, forbidden: int) -> dict[str, Any]:
    """A file's values. KeysError if they are none, or the file has any of the `forbidden` permissions for others."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(file, "rb") as source:
        found = os.fstat(source.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise KeysError("no regular file")
        _check_private(found, name, forbidden)
        text = source.read(FILE_BYTES_MAX + 1)
    try:
        values = json.loads(text) if len(text) <= FILE_BYTES_MAX else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or values.get(FORMAT) != VERSION:
        raise KeysError(f"no file of a key, version {VERSION}")
    return values


def _z85(values: dict[str, Any], half: str) -> bytes:
    text = values.get(half)
    if not isinstance(text, str) or not Z85.fullmatch(text):
        raise KeysError(f"{half} is no key of 40 characters")
    return text.encode()


def _key_of(folder: int, name: str) -> Key:
    values = _load(folder, f"{name}.public", 0o022)
    if values.get("name") != name or not NAME.fullmatch(name):
        raise KeysError("the name in the file is not the file's")
    if values.get("role") not in list(Role):
        raise KeysError(f"the role is none of {', '.join(Role)}")
    return Key(name, Role(values["role"]), _z85(values, "public"))
