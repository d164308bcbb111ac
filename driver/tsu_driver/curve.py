"""Connections to a gateway: encrypted, with a key of one's own and the gateway's public one, both from files."""

from __future__ import annotations

import json
import os
import stat
from typing import Any
from urllib.parse import parse_qs

import zmq

from tsu_driver.errors import HostError

SCHEME = "tcp+curve://"
SHAPE = f"{SCHEME}HOST:PORT?key=FILE.secret&server=gateway.public"
FILE_BYTES_MAX = 4096
FORMAT, VERSION = "tsu-key", 1


def connect(socket: zmq.Socket[bytes], url: str) -> None:
    """Connect to `ipc://`, `tcp://` or, encrypted, `tcp+curve://HOST:PORT?key=FILE&server=FILE`.

    HostError: the URL is not of that form, a file has no key, or others than its owner may read the secret one.
    """
    if not url.startswith(SCHEME):
        socket.connect(url)
        return
    address, _, query = url.removeprefix(SCHEME).partition("?")
    given = parse_qs(query, keep_blank_values=True)
    if set(given) != {"key", "server"} or any(len(values) != 1 for values in given.values()):
        raise HostError(f"{url!r} is not {SHAPE}")
    own = _read(given["key"][0], secret=True)
    server = _read(given["server"][0], secret=False)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, _half(own, "public", given["key"][0]))
    socket.setsockopt(zmq.CURVE_SECRETKEY, _half(own, "secret", given["key"][0]))
    socket.setsockopt(zmq.CURVE_SERVERKEY, _half(server, "public", given["server"][0]))
    socket.connect(f"tcp://{address}")


def _read(path: str, secret: bool) -> dict[str, Any]:
    """What a file of a key says."""
    try:
        with open(path, "rb") as source:
            mode = stat.S_IMODE(os.fstat(source.fileno()).st_mode)
            if secret and os.name == "posix" and mode & 0o077:
                raise HostError(f"{path} is a secret that others may read (mode {mode:04o}); chmod 600 {path}")
            values = json.loads(source.read(FILE_BYTES_MAX))
    except (OSError, ValueError) as error:
        raise HostError(f"{path} is no file of a key: {error}") from None
    if not isinstance(values, dict) or values.get(FORMAT) != VERSION:
        raise HostError(f"{path} is no file of a key, version {VERSION}; `tsu-emu keys make` writes them")
    return values


def _half(values: dict[str, Any], half: str, path: str) -> bytes:
    text = values.get(half)
    if not isinstance(text, str) or len(text) != 40:
        raise HostError(f"{path} has no {half} key")
    return text.encode()
