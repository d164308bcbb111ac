"""A small chip behind a daemon in a thread, a gateway process in front of it, and clients with keys."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq

from server.harness import small_config
from server.process import Dealer, command, environment, short_directory
from tsu_driver.curve import connect
from tsu_emu.bench.instruments import Instruments
from tsu_emu.bench.oracle import Oracle
from tsu_emu.chip import Chip
from tsu_emu.gateway.keys import GATEWAY, Role, make
from tsu_emu.server.daemon import Daemon
from tsu_emu.server.session import Server

SECONDS = 20
"""For an event that must come."""
USERS = {"ann": Role.OPERATOR, "bob": Role.OPERATOR, "eve": Role.OBSERVER, "lab": Role.BENCH}


class Gateway:
    """A gateway process; `events` that it prints are read in the background."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            command("gateway", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.seen: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.ready = self.event("ready")
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._events.put(json.loads(line))

    def event(self, name: str, seconds: float = SECONDS) -> dict[str, Any]:
        """The next event of that name; others are kept in `seen`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                said = self._events.get(timeout=left)
            except queue.Empty:
                break
            self.seen.append(said)
            if said["event"] == name:
                return said
        raise AssertionError(f"no event {name} within {seconds} s, but {self.seen}")

    @property
    def endpoint(self) -> str:
        return str(self.ready["endpoint"])

    @property
    def worker(self) -> int:
        """Process id of the present worker."""
        return int([e for e in self.seen if "worker" in e][-1]["worker"])

    def close(self) -> int:
        """Ends it; its exit code."""
        self.process.terminate()
        try:
            code = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return code

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class KeyedDealer(Dealer):
    """A plain DEALER at a URL of the driver's, `tcp+curve://` or other.

    unread : replies that it takes before anybody reads them
    """

    def __init__(self, url: str, routing_id: bytes = b"", unread: int = 1000) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, 1000 * SECONDS)
        self._socket.setsockopt(zmq.RCVHWM, unread)
        if routing_id:
            self._socket.setsockopt(zmq.ROUTING_ID, routing_id)
        connect(self._socket, url)
        self.session = 0
        self.seq = 0


class Site:
    """What one gateway test needs: the chip, its daemon's endpoint, keys, a gateway.

    handled : requests that have reached the daemon's front door
    """

    def __init__(self, folder: Path, chip: Chip, endpoint: str, gateway: Gateway, handled: list[int]) -> None:
        self.folder, self.chip, self.endpoint, self.gateway, self._handled = folder, chip, endpoint, gateway, handled

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def handled(self) -> int:
        return self._handled[0]

    def url(self, user: str, door: str = "endpoint") -> str:
        """Where a user finds a door."""
        return keyed(str(self.gateway.ready[door]), self.keys / f"{user}.secret", self.keys / f"{GATEWAY}.public")

    def dealer(self, user: str) -> KeyedDealer:
        """A client with a user's key that has said HELLO."""
        dealer = KeyedDealer(self.url(user))
        dealer.hello()
        return dealer


def keyed(endpoint: str, secret: Path, server: Path) -> str:
    """A driver's URL."""
    return f"{endpoint.replace('tcp://', 'tcp+curve://')}?key={secret}&server={server}"


@contextmanager
def engine(folder: Path, chip: Chip) -> Iterator[tuple[Daemon, list[int]]]:
    """A daemon in a thread with both doors of the bench; and how many requests it has handled."""
    server, handled = Server(chip, name="small", boot="b00t"), [0]
    answer = server.handle

    def counted(frames: Any) -> Any:
        handled[0] += 1
        return answer(frames)

    server.handle = counted  # type: ignore[method-assign]
    at = f"ipc://{folder}/chip.sock"
    doors = {"instruments": (f"{at}.i", Instruments(chip).handle), "oracle": (f"{at}.o", Oracle(chip).handle)}
    daemon = Daemon(server, at, doors=doors)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield daemon, handled
    finally:
        daemon.stop()
        thread.join()


@contextmanager
def site(*arguments: str, keyed: bool = True) -> Iterator[Site]:
    """A chip, its daemon and a gateway on loopback with the keys of USERS, or without keys."""
    with ExitStack() as stack:
        folder = stack.enter_context(short_directory())
        os.chmod(folder, 0o700)
        if keyed:
            for user, role in USERS.items():
                make(folder / "keys", user, role)
            arguments += ("--keys", str(folder / "keys"))
        chip = Chip(small_config())
        daemon, handled = stack.enter_context(engine(folder, chip))
        doors = ("--instruments", daemon.endpoints["instruments"], "--oracle", daemon.endpoints["oracle"])
        gateway = Gateway("--to", daemon.endpoint, "--listen", "tcp://127.0.0.1:*", *doors, *arguments)
        stack.enter_context(gateway)
        yield Site(folder, chip, daemon.endpoint, gateway, handled)
