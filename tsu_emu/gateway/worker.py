"""The process that faces the network: it checks, authenticates and hands on, and has nothing to lose.

Its supervisor writes one JSON object to standard input, keeps that open as long as the worker is to live, and reads JSON lines
from standard output. All that it must not forget, whose session is whose, it tells the supervisor at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import zmq

from tsu_contract.errors import Code
from tsu_contract.wire import read_header
from tsu_emu.gateway import keys
from tsu_emu.gateway.door import Curve, Door
from tsu_emu.gateway.keys import Role
from tsu_emu.gateway.rules import BenchDoor, FrontDoor, Sessions, User
from tsu_emu.gateway.zap import Zap

TICK_MS = 500
"""How often a worker says that it is alive, and looks whether the keys have changed."""
MESSAGE_SHARE = 8
"""A message may have this share of the memory."""
REPLY_VALUES = 12
ANYBODY = User(b"", "anybody", Role.BENCH)
"""Who is served without keys, on loopback."""


def tell(event: str, **details: Any) -> None:
    """One line for the supervisor, whole or not at all."""
    os.write(1, (json.dumps({"event": event, **details}) + "\n").encode())


def set_limits() -> None:
    """No core file, which would have the secret key, and as many descriptors as are allowed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class KeyRing:
    """Keys that are let in now; looks again when the directory has changed."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._users: dict[bytes, User] = {}
        self._seen: tuple[Any, ...] = ()
        self.look()

    def look(self) -> None:
        """Reads the keys again if their directory has changed. What cannot be read lets nobody in."""
        if self._directory is None:
            return
        now = self._state(self._directory)
        if now == self._seen:
            return
        try:
            found, wrong = keys.read(self._directory)
        except keys.KeysError as error:
            found, wrong = [], [str(error)]
        self._seen, self._users = now, {key.public: User(key.public, key.name, key.role) for key in found}
        tell("keys", names=[key.name for key in found], wrong=wrong)

    @staticmethod
    def _state(directory: Path) -> tuple[Any, ...]:
        try:
            with os.scandir(directory) as entries:
                files = sorted(
                    (e.name, s.st_mtime_ns, s.st_mode, s.st_uid) for e in entries for s in [e.stat(follow_symlinks=False)]
                )
            return (os.stat(directory).st_mode, *files)
        except OSError as error:
            return (str(error),)

    def who(self, key: bytes) -> User | None:
        """The user of a key, None if it is not let in."""
        return ANYBODY if self._directory is None else self._users.get(key)


class Denials:
    """Connections refused, told of at most once a tick: a flood of them is no flood of lines."""

    def __init__(self) -> None:
        self._count, self._last = 0, ""

    def add(self, address: str) -> None:
        self._count, self._last = self._count + 1, address

    def tell(self) -> None:
        if self._count:
            tell("denied", connections=self._count, last=self._last[:64])
            self._count = 0


class Worker:
    """All doors of a gateway. `plan` is what the supervisor says, see `supervisor.Supervisor`."""

    def __init__(self, plan: dict[str, Any]) -> None:
        directory = Path(plan["keys"]) if plan["keys"] else None
        pair = keys.own(directory) if directory else None
        self._ring, self._denials = KeyRing(directory), Denials()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.setsockopt(zmq.MAX_SOCKETS, 4096)
        self._poller = zmq.Poller()
        self._zap = Zap(self._context, lambda key: self._ring.who(key) is not None, self._denials.add)
        self._poller.register(self._zap.socket, zmq.POLLIN)
        known = {int(number): key.encode() for number, key in plan["sessions"].items()}
        self._sessions = Sessions(
            known,
            lambda number, key: tell("session", number=number, key=key.decode()),
            lambda number: tell("closed", number=number),
        )
        payload_bytes = (plan["memory"] << 20) // MESSAGE_SHARE
        curve = Curve(pair.public, pair.secret) if pair else None
        self._doors = []
        for name, (fd, to) in plan["doors"].items():
            rules = FrontDoor(self._sessions, payload_bytes) if name == "front" else BenchDoor()
            cut = self._unread if name == "front" else _forget
            who = self._ring.who
            self._doors.append(Door(self._context, fd, to, curve, payload_bytes, rules, who, cut, self._poller))

    def _unread(self, header: bytes) -> None:
        """A client of the front door did not take a reply; its session is over."""
        session = read_header(header, REPLY_VALUES)[3]
        self._sessions.cut(session, "the gateway closed this session: its client did not read replies")
        tell("cut", session=session, code=int(Code.SESSION_CUT))

    def run(self) -> None:
        """Serves until the process ends."""
        ticked = time.monotonic()
        while True:
            for socket, _ in self._poller.poll(TICK_MS):
                if socket is self._zap.socket:
                    self._zap.answer()
                else:
                    any(door.serve(socket) for door in self._doors)
            if time.monotonic() - ticked > TICK_MS / 1000:
                ticked = time.monotonic()
                self._ring.look()
                self._denials.tell()
                for door in self._doors:
                    door.tidy()
                tell("alive")


def _forget(header: bytes) -> None:
    """A client of the lab bench did not take a reply: there are no sessions there, and nothing to keep."""


def _end_with_stdin() -> None:
    with contextlib.suppress(OSError):
        sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serves as standard input says."""
    plan = json.loads(sys.stdin.buffer.readline())
    set_limits()
    worker = Worker(plan)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    tell("ready")
    try:
        worker.run()
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # sockets with messages under way would hold up an orderly end


if __name__ == "__main__":
    main()
