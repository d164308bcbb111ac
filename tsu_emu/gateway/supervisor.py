"""The process that lasts: it holds the listening sockets and what must not be forgotten, and starts workers that face the world.

Connections that come while there is no worker wait in the system's queue. A worker that dies is replaced at once; one that dies
before it was ready is replaced after a while that doubles each time.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tsu_emu.gateway import keys
from tsu_emu.gateway.keys import KeysError

BACKLOG = 512
PAUSE_S, PAUSE_MAX_S = 0.1, 30.0
"""Before a worker is started after one that never was ready."""
LOOK_S = 0.05
"""Between two looks at how much memory a worker has."""
SILENT_S = 10.0
"""A worker that says nothing for so long hangs, and is ended."""
STOP_S = 3.0
MEMORY_MB_MIN = 64


class GatewayError(ValueError):
    """A gateway that cannot be, and why."""


@dataclass(frozen=True)
class Plan:
    """What a gateway is to be.

    doors : by name ("front", "instruments", "oracle") where the door listens, tcp://HOST:PORT, and the engine's endpoint
    directory : of the keys; None is for loopback alone
    memory_mb : that a worker may take beyond what it starts with, MiB
    """

    doors: Mapping[str, tuple[str, str]]
    directory: Path | None
    memory_mb: int


@dataclass
class _Life:
    """One worker, from its start to its end."""

    process: subprocess.Popen[bytes]
    buffer: bytes = b""
    ready: bool = False
    begun_bytes: int = 0
    heard: float = field(default_factory=time.monotonic)

    def resident_bytes(self) -> int:
        """Memory of its own that it really has, which what a peer merely announces does not raise."""
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        except OSError:
            return 0
        return (int(pages[1]) - int(pages[2])) * resource.getpagesize() if len(pages) > 2 else 0


def listening(at: str, keyed: bool) -> socket.socket:
    """A socket that listens; GatewayError if the endpoint is none, or is not for a gateway without keys."""
    try:
        parts = urlsplit(at)
        host, port = parts.hostname or "", 0 if at.endswith(":*") else parts.port
    except ValueError:
        host, port = "", None
    if at.endswith(":*") and not host:
        host = urlsplit(at.removesuffix(":*")).hostname or ""
    if not at.startswith("tcp://") or not host or port is None or parts.path or parts.query:
        raise GatewayError(f"{at}: tcp://HOST:PORT expected, PORT * for any")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if not keyed and not ip_address(str(address[0])).is_loopback:
            raise GatewayError(f"{at}: without keys a gateway listens on loopback alone; `tsu-emu keys make` makes keys")
        made = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise GatewayError(f"{at}: {error.strerror or error}") from None
    made.setblocking(False)
    return made


def endpoint_of(made: socket.socket) -> str:
    """Where a socket listens, as a client names it."""
    host, port = made.getsockname()[:2]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


class Supervisor:
    """Keeps a worker behind its doors until it is told to stop.

    announce : called with an event's name and its details
    endpoints : where the doors are, by name
    """

    def __init__(self, plan: Plan, announce: Callable[..., None]) -> None:
        self._plan, self._announce = plan, announce
        self._sessions: dict[int, str] = {}
        if not Path("/proc/self/status").exists():
            raise GatewayError("a gateway needs Linux: a worker's memory is watched there")
        if plan.memory_mb < MEMORY_MB_MIN:
            raise GatewayError(f"a worker needs {MEMORY_MB_MIN} MiB or more, not {plan.memory_mb}")
        self._check_keys()
        self._sockets: dict[str, socket.socket] = {}
        try:
            for name, (at, _) in plan.doors.items():
                self._sockets[name] = listening(at, plan.directory is not None)
        except GatewayError:
            self._close()
            raise
        self.endpoints = {name: endpoint_of(made) for name, made in self._sockets.items()}
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def _check_keys(self) -> None:
        if self._plan.directory is None:
            return
        try:
            keys.own(self._plan.directory)
            _, wrong = keys.read(self._plan.directory)
        except KeysError as error:
            raise GatewayError(str(error)) from None
        if wrong:
            raise GatewayError("; ".join(wrong))

    def run(self) -> None:
        """Serves until SIGTERM, SIGINT, or SIGHUP unless that is ignored."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)
        pause, announced = 0.0, False
        try:
            while not self._stopping:
                life = self._start()
                announced = self._watch(life, announced)
                code = self._end(life)
                if self._stopping:
                    break
                pause = 0.0 if life.ready else min(max(PAUSE_S, 2 * pause), PAUSE_MAX_S)
                self._announce("worker-died", code=code, why=_cause(code), sessions=len(self._sessions), again_in_s=pause)
                self._sleep(pause)
        finally:
            self._close()

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def _sleep(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            selector.select(seconds)

    def _start(self) -> _Life:
        """A worker that has been told what to do."""
        fds = {name: made.fileno() for name, made in self._sockets.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "tsu_emu.gateway.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=list(fds.values()), process_group=0,
        )  # fmt: skip
        doors = {name: (fd, self._plan.doors[name][1]) for name, fd in fds.items()}
        directory = str(self._plan.directory) if self._plan.directory else None
        told = {"doors": doors, "keys": directory, "memory": self._plan.memory_mb, "sessions": self._sessions}
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()
        return _Life(process)

    def _watch(self, life: _Life, announced: bool) -> bool:
        """Listens to a worker until it ends, hangs, or we are to stop; whether the gateway has been announced."""
        assert life.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(life.process.stdout, selectors.EVENT_READ, "worker")
            selector.register(self._wake_read, selectors.EVENT_READ, "wake")
            while not self._stopping:
                heard = [key.data for key, _ in selector.select(LOOK_S)]
                if "worker" in heard:
                    data = os.read(life.process.stdout.fileno(), 65536)
                    if not data:
                        return announced
                    life.heard = time.monotonic()
                    *lines, life.buffer = (life.buffer + data).split(b"\n")
                    for line in lines:
                        announced = self._hear(life, json.loads(line), announced)
                if life.ready and self._has_to_go(life):
                    life.process.kill()
                    return announced
        return announced

    def _has_to_go(self, life: _Life) -> bool:
        """Whether a worker hangs or has grown too large: no option of a socket bounds what one message of many frames takes."""
        more = life.resident_bytes() - life.begun_bytes
        if more > self._plan.memory_mb << 20:
            self._announce("worker-too-large", megabytes=more >> 20, limit=self._plan.memory_mb)
            return True
        if time.monotonic() - life.heard > SILENT_S:
            self._announce("worker-hangs", silent_s=SILENT_S)
            return True
        return False

    def _hear(self, life: _Life, said: dict[str, Any], announced: bool) -> bool:
        """Takes in a line of a worker's; whether the gateway has been announced."""
        match said.pop("event"):
            case "ready":
                life.ready, life.begun_bytes = True, life.resident_bytes()
                more = {name: at for name, at in self.endpoints.items() if name != "front"}
                event = "worker-started" if announced else "ready"
                self._announce(event, endpoint=self.endpoints["front"], pid=os.getpid(), worker=life.process.pid, **more)
                return True
            case "session":
                self._sessions[said["number"]] = said["key"]
            case "closed":
                self._sessions.pop(said["number"], None)
            case "alive":
                pass
            case other:
                self._announce(str(other), **said)
        return announced

    @staticmethod
    def _end(life: _Life) -> int:
        """Exit code of a worker, which is over, or ended now."""
        process = life.process
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            return process.wait(STOP_S if life.process.poll() is None else None)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            process.stdout.close()

    def _close(self) -> None:
        for made in self._sockets.values():
            made.close()


def _cause(code: int) -> str:
    """Why a worker ended, in words."""
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
