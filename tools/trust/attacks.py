"""F2: raw-socket attacks on the daemon's ipc socket, on a gateway without keys and on one with keys.

After each attack a good client must be welcomed within `BACK_S`, and the oracle's digest of the chip must be what it was.
Messages without end are for gateways: who can open the daemon's socket is its user.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trust.attacks_list import ATTACKS
from trust.attacks_messages import endless_message
from trust.effort import Effort
from trust.zmtp import Raw

from gateway.harness import Gateway, KeyedDealer, keyed
from server.process import SMALL, Process, short_directory
from tsu_apps.report import Row
from tsu_emu.bench.client import Oracle
from tsu_emu.gateway.keys import GATEWAY, Role, make

BACK_S = 2.0
MEMORY_MB = 128
OVERSHOOT = 3.0
"""Of the memory limit, at most: a worker is looked at 20 times a second."""
ENDLESS_S = 60.0
PARTS = (b"", b"x" * 100, b"y" * 8000)
"""Frames of messages without end."""
ROUNDS = 20
"""All attacks so often, each time with other random numbers, when long."""


@dataclass
class Target:
    """What is attacked, and how good clients come in; `slowest` is the longest that one took, in seconds."""

    name: str
    endpoint: str
    url: str
    gateway: Gateway | None = None
    slowest: float = 0.0

    def welcome(self) -> None:
        """A good client says HELLO and BYE, neither of which the chip hears of."""
        begun = time.monotonic()
        with contextlib.closing(KeyedDealer(self.url)) as dealer:
            dealer.hello()
            dealer.bye()
        self.slowest = max(self.slowest, time.monotonic() - begun)


@dataclass
class Place:
    """A daemon in a process of its own and the ways to it."""

    daemon: Process
    oracle: Oracle
    targets: list[Target]
    changed: list[str] = field(default_factory=list)

    def look(self, digest: str, after: str) -> None:
        """Notes whether the daemon is gone, or the chip another."""
        if not self.daemon.running or self.oracle.digest() != digest:
            self.changed.append(after)


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """A daemon with an oracle, a gateway without keys and one with keys in front of it."""
    memory = ("--memory", str(MEMORY_MB))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(short_directory())
        (folder / "small.toml").write_text(SMALL)
        make(folder / "keys", "ann", Role.OPERATOR)
        daemon = stack.enter_context(Process(folder / "small.toml", f"ipc://{folder}/chip.sock", "--bench"))
        oracle = stack.enter_context(Oracle(daemon.ready["oracle"]))
        to = ("--to", daemon.endpoint, "--listen", "tcp://127.0.0.1:*", *memory)
        bare = stack.enter_context(Gateway(*to))
        locked = stack.enter_context(Gateway(*to, "--keys", str(folder / "keys")))
        url = keyed(locked.endpoint, folder / "keys" / "ann.secret", folder / "keys" / f"{GATEWAY}.public")
        yield Place(daemon, oracle, [
            Target("daemon, ipc", daemon.endpoint, daemon.endpoint),
            Target("gateway without keys", bare.endpoint, bare.endpoint, bare),
            Target("gateway with keys", locked.endpoint, url, locked),
        ])  # fmt: skip


class Connections:
    """Connects to an endpoint; closes what an attack left open when it could not go on."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint, self._made = endpoint, list[Raw]()

    def __call__(self) -> Raw:
        self._made.append(Raw(self._endpoint))
        return self._made[-1]

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        for raw in self._made:
            raw.close()


def assault(place: Place, effort: Effort, seed: int) -> None:
    """All attacks on all targets, once."""
    digest = place.oracle.digest()
    for target in place.targets:
        for name, attack in ATTACKS.items():
            with Connections(target.endpoint) as connect, contextlib.suppress(OSError):  # who takes no more has repelled it
                attack(connect, random.Random(f"{seed} {name}"))
            target.welcome()
            place.look(digest, f"{target.name}: {name}, {effort.again('F2')}")


def endless(place: Place, effort: Effort) -> list[Row]:
    """Messages without end, to the gateway to which a raw socket can speak without a key."""
    target, digest, rows = place.targets[1], place.oracle.digest(), []
    gateway = target.gateway
    assert gateway is not None
    for part in PARTS:
        taken = endless_message(lambda: Raw(target.endpoint), part, ENDLESS_S)
        grown = gateway.event("worker-too-large")
        begun = time.monotonic()
        target.welcome()
        back = time.monotonic() - begun
        place.look(digest, f"message without end of {len(part)} bytes a frame, {effort.again('F2')}")
        what = f"message without end, frames of {len(part)} bytes"
        rows += [
            Row(f"{what}: taken", taken, "MiB"),
            Row.at_most(f"{what}: memory of the worker when it was ended", grown["megabytes"], OVERSHOOT * MEMORY_MB, "MiB"),
            Row.at_most(f"{what}: gateway back", back, BACK_S, "s"),
        ]
    return rows


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / (1 << 20)


def measure(effort: Effort) -> list[Row]:
    """All attacks on all targets, `ROUNDS` times when long, then the messages without end."""
    rounds = effort.size(1, ROUNDS)
    with place() as made:
        pid = int(made.daemon.ready["pid"])
        before = 0.0
        for k in range(rounds):
            assault(made, effort, effort.seed + k)
            before = before or resident_mb(pid)
            effort.progress((k + 1) / (rounds + 1))
        rows = endless(made, effort)
        grown = resident_mb(pid) - before
        note = f": {made.changed[:2]}" if made.changed else ""
        slowest = [Row.at_most(f"{t.name}: slowest welcome after an attack", t.slowest, BACK_S, "s") for t in made.targets]
        return [
            Row.at_least("attacks on each of three endpoints", float(len(ATTACKS)), 30),
            Row.at_most(f"after which the daemon was gone or the chip another{note}", float(len(made.changed)), 0),
            *slowest,
            *rows,
            Row("memory of the daemon, growth after the first round", grown, "MiB"),
        ]
