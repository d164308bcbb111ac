"""Where a daemon may listen: sockets of this user, and loopback."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import zmq

LOOPBACK = re.compile(r"tcp://(?:127(?:\.\d{1,3}){3}|localhost|\[::1\]):(\d{1,5}|\*)")


class EndpointError(ValueError):
    """An endpoint that the daemon will not or cannot listen on."""


def default_endpoint(name: str) -> str:
    """ipc endpoint of a chip in the user's run-time directory."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home() / ".cache")
    return f"ipc://{base / 'tsu-emu' / (name + '.sock')}"


def prepare(endpoint: str) -> None:
    """Checks an endpoint and makes an ipc socket's directory, 0700, if there is none; EndpointError says what is wrong."""
    if endpoint.startswith("tcp://"):
        port = LOOPBACK.fullmatch(endpoint)
        if port is None:
            raise EndpointError(f"{endpoint}: without encryption the daemon listens on loopback alone, e.g. tcp://127.0.0.1:5555")
        if port[1] != "*" and int(port[1]) > 65535:
            raise EndpointError(f"{endpoint}: a port is 0 to 65535, or * for any")
        return
    name = endpoint.removeprefix("ipc://")
    if name == endpoint or not name or name[0] in "@*":
        raise EndpointError(f"{endpoint}: ipc://PATH or tcp://127.0.0.1:PORT expected")
    if len(os.fsencode(name)) > zmq.IPC_PATH_MAX_LEN:
        raise EndpointError(f"{endpoint}: the path is longer than {zmq.IPC_PATH_MAX_LEN} bytes")
    try:
        Path(name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EndpointError(f"{endpoint}: {error}") from None
    if answered(name):
        raise EndpointError(f"{endpoint}: another daemon listens there")


def answered(path: str) -> bool:
    """Whether somebody accepts connections on a local socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True
