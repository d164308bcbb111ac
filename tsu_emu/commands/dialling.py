"""How a command reaches a daemon or a door: a local socket, loopback, or a gateway by key."""

from __future__ import annotations

from pathlib import Path

import zmq

from tsu_emu.server.endpoints import answered

GATEWAY = "tcp+curve://"


def dial(socket: zmq.Socket[bytes], url: str) -> None:
    """Connects as the driver does; ConnectionError: the URL is none, its keys are none, or there is no such local socket."""
    path = url.removeprefix("ipc://")
    if path != url and path:
        if not Path(path).exists():
            raise ConnectionError(f"there is no socket {path}{_beside(Path(path))}")
        if not answered(path):
            raise ConnectionError(f"nobody listens at {path}, which a daemon left that was killed")
    try:
        if url.startswith(GATEWAY):
            _by_key(socket, url)
        else:
            socket.connect(url)
    except zmq.ZMQError as error:
        raise ConnectionError(
            f"cannot connect to {url}: {error.strerror}; a URL is ipc://PATH, tcp://127.0.0.1:PORT or {GATEWAY}..."
        ) from None


def _by_key(socket: zmq.Socket[bytes], url: str) -> None:
    from tsu_driver.curve import connect
    from tsu_driver.errors import HostError

    try:
        connect(socket, url)
    except HostError as error:
        raise ConnectionError(str(error)) from None


def _beside(path: Path) -> str:
    """Which sockets there are in its place."""
    found = sorted(p.name for p in path.parent.glob("*.sock")) if path.parent.is_dir() else []
    return f"; in {path.parent} there are {', '.join(found)}" if found else ""
