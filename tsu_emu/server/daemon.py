"""The daemon: sockets and the wall clock, nothing else. It hands bytes to `Server` and bytes back."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import zmq

from tsu_contract.wire import PAYLOAD_BYTES_MAX
from tsu_emu.server.session import Server

LOOPBACK = re.compile(r"tcp://(127(\.\d{1,3}){3}|localhost|\[::1\]):(\d+|\*)")


class EndpointError(ValueError):
    """An endpoint that the daemon will not listen on."""


def default_endpoint(name: str) -> str:
    """ipc endpoint of a chip in the user's run-time directory, which is made 0700."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home() / ".cache")
    return f"ipc://{base / 'tsu-emu' / (name + '.sock')}"


def prepare(endpoint: str) -> None:
    """Checks an endpoint and makes an ipc socket's directory, 0700; EndpointError says what is wrong with it."""
    if endpoint.startswith("tcp://"):
        if not LOOPBACK.fullmatch(endpoint):
            raise EndpointError(f"{endpoint}: without encryption the daemon listens on loopback alone, e.g. tcp://127.0.0.1:5555")
        return
    if not endpoint.startswith("ipc://") or len(endpoint) < len("ipc://") + 1:
        raise EndpointError(f"{endpoint}: ipc://PATH or tcp://127.0.0.1:PORT expected")
    path = Path(endpoint.removeprefix("ipc://"))
    if len(os.fsencode(path)) > zmq.IPC_PATH_MAX_LEN:
        raise EndpointError(f"{endpoint}: the path is longer than {zmq.IPC_PATH_MAX_LEN} bytes")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _answered(endpoint):
        raise EndpointError(f"{endpoint}: another daemon listens there")


def _answered(endpoint: str) -> bool:
    """Whether somebody accepts connections on an ipc endpoint."""
    import socket

    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(endpoint.removeprefix("ipc://"))
        except OSError:
            return False
        return True


def announce(event: str, **details: Any) -> None:
    """One JSON line on standard output, for whoever started the daemon."""
    with suppress(BrokenPipeError):
        print(json.dumps({"event": event, **details}), flush=True)


@contextmanager
def _stop_signals(wake: Any) -> Iterator[None]:
    """SIGTERM and SIGINT become a message on the daemon's inner socket; elsewhere than in the main thread, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {s: signal.signal(s, lambda *_: wake()) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


class Daemon:
    """Serves one chip on one endpoint until `stop` is called, a signal comes or, if asked, standard input closes."""

    def __init__(self, server: Server, endpoint: str) -> None:
        self._server = server
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 1000)
        self._router.setsockopt(zmq.MAXMSGSIZE, PAYLOAD_BYTES_MAX)
        self._router.setsockopt(zmq.ROUTER_HANDOVER, 0)
        prepare(endpoint)
        self._router.bind(endpoint)
        self.endpoint = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._ipc = Path(endpoint.removeprefix("ipc://")) if endpoint.startswith("ipc://") else None
        if self._ipc:
            self._ipc.chmod(0o600)
        read_end, write_end = os.pipe()
        self._wake_read, self._wake_write = read_end, write_end

    def stop(self) -> None:
        """Ends `run` from another thread or a signal handler."""
        os.write(self._wake_write, b"x")

    def run(self, exit_with_stdin: bool = False) -> None:
        """Answers requests in the order in which they come."""
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._wake_read, zmq.POLLIN)
        stdin = sys.stdin.fileno() if exit_with_stdin else None
        if stdin is not None:
            poller.register(stdin, zmq.POLLIN)
        try:
            with _stop_signals(self.stop):
                while True:
                    ready = dict(poller.poll())
                    if self._wake_read in ready or (stdin in ready and not os.read(stdin or 0, 4096)):
                        return
                    if self._router in ready:
                        self._answer()
        finally:
            self._close()

    def _answer(self) -> None:
        """Answers all that has arrived."""
        while True:
            try:
                client, *frames = self._router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            with suppress(zmq.Again):
                self._router.send_multipart([client, *self._server.handle(frames)], zmq.NOBLOCK, copy=False)

    def _close(self) -> None:
        self._router.close()
        self._context.term()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._ipc:
            self._ipc.unlink(missing_ok=True)


def boot_word() -> str:
    """A word that tells one start of a daemon from the next."""
    return secrets.token_hex(8)
