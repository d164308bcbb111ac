"""F5: a long life. Small: 30 days of chip time through the instruments' door. Long: also 8 hours by the wall's clock.

In each hour of chip time clients come, work, err and go, straight and through a gateway with keys; one in fifty says no BYE.
Looked at are memory and descriptors of the daemon and of the gateway's worker.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from trust.effort import Effort

from gateway.harness import Gateway, KeyedDealer, keyed
from server.harness import block_read, block_write, program_rows, read, wait, write
from server.process import SMALL, Dealer, Process, short_directory
from tsu_apps.report import Row
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import value_of
from tsu_driver.instruments import Instruments
from tsu_emu.gateway.door import IDLE_S
from tsu_emu.gateway.keys import GATEWAY, Role, make

DAYS, HOUR_S = 30, 3600.0
LONG_S = 8 * 3600.0
SLOPE_MB = 1.0
"""An hour of the wall's; of chip time it is the growth over the second half."""
DESCRIPTORS, DESCRIPTORS_OF_A_PEER = 8, 3
"""More than at first, at most: connections that are being closed, and of clients that went without BYE in the last `IDLE_S`."""
FORGETS = 0.02
PAUSE_S = 1.0
"""Between two rounds by the wall's clock."""
HALTED = wait("SEQ.STATUS", value_of("SEQ.STATUS.STATE", "HALTED"), 0xFF, 1_000_000)


@dataclass
class Watched:
    """A process: its memory in MiB and its descriptors, at each look, with the seconds of the wall's clock."""

    name: str
    pid: int
    at: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def look(self) -> None:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        self.at.append(time.monotonic())
        self.megabytes.append(pages * 4096 / (1 << 20))
        self.descriptors.append(len(os.listdir(f"/proc/{self.pid}/fd")))

    def per_hour(self) -> float:
        """MiB an hour: a line through the second half."""
        half = len(self.at) // 2
        return float(np.polyfit(np.array(self.at[half:]) / 3600, self.megabytes[half:], 1)[0])

    def grown(self) -> float:
        """MiB from the middle to the end, means of an eighth of the looks each."""
        half, part = len(self.at) // 2, max(1, len(self.at) // 8)
        return float(np.mean(self.megabytes[-part:]) - np.mean(self.megabytes[half : half + part]))

    def descriptors_left(self) -> int:
        """Descriptors at the end beyond those after a tenth of the looks."""
        return self.descriptors[-1] - self.descriptors[len(self.descriptors) // 10]


class Household:
    """A daemon, its instruments, a gateway, and what a round of clients does."""

    def __init__(self, daemon: Process, gateway: Gateway, lab: Instruments, url: str, rng: random.Random) -> None:
        self.daemon, self.lab, self._url, self._rng = daemon, lab, url, rng
        self._gateway = gateway
        self.watched = [Watched("daemon", int(daemon.ready["pid"])), Watched("gateway's worker", gateway.worker)]
        self.wrong: list[str] = []
        self._forgot: list[float] = []

    def round(self) -> None:
        """An hour of chip time, and clients in it."""
        before = self.lab.read().seconds
        if self.lab.skip(HOUR_S).seconds < before + 0.999 * HOUR_S:
            self.wrong.append("chip time did not pass")
        for url in (self.daemon.endpoint, self._url):
            with contextlib.closing(KeyedDealer(url)) as client:
                client.hello()
                self._work(client)
                if self._rng.random() >= FORGETS:
                    client.bye()
                elif url == self._url:
                    self._forgot.append(time.monotonic())
        for one in self.watched:
            one.look()

    def _work(self, client: Dealer) -> None:
        codes = np.array([self._rng.randrange(-100, 100) for _ in range(12)], "<i2").tobytes()
        client.done(block_write("BIAS", 6), payloads=[codes])
        program = program_rows(Instruction(Opcode.RUN, self._rng.randrange(1, 200)), Instruction(Opcode.HALT))
        client.done(*program, write("SEQ.PC", 0), write("SEQ.CTRL", 1), HALTED)
        client.done(block_read("SPIN", 8), read("MON.ENERGY"), read("IRQ.PENDING"))
        for frames in ([], [b"x"], [self._rng.randbytes(40)], [self._rng.randbytes(9), b"y" * 24]):
            client.send(frames or [b""])
            client.receive()

    def rows(self, what: str, effort: Effort, by_wall: bool) -> list[Row]:
        """Rows of what was watched."""
        forgotten = sum(time.monotonic() - at < IDLE_S + 1 for at in self._forgot)
        allowed = DESCRIPTORS + DESCRIPTORS_OF_A_PEER * forgotten
        rows = [Row(f"{what}: chip time", self.lab.read().seconds / 86400, "days")]
        for one in self.watched:
            if by_wall:
                rows.append(Row.at_most(f"{what}: memory of the {one.name}", one.per_hour(), SLOPE_MB, "MiB/h"))
            else:
                rows.append(Row.at_most(f"{what}: memory of the {one.name}, growth in 15 days", one.grown(), SLOPE_MB, "MiB"))
            name = f"{what}: descriptors of the {one.name}, more than at first"
            rows.append(Row.at_most(name, one.descriptors_left(), allowed))
        note = f": {self.wrong[:2]}; {effort.again('F5')}" if self.wrong else ""
        alive = self.daemon.running and self._gateway.worker == self.watched[1].pid
        return [*rows, Row.at_most(f"{what}: surprises{note}", float(len(self.wrong) + (not alive)), 0)]


@contextlib.contextmanager
def household(seed: int) -> Iterator[Household]:
    """All of it, at power-on."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(short_directory())
        (folder / "small.toml").write_text(SMALL)
        make(folder / "keys", "ann", Role.OPERATOR)
        daemon = stack.enter_context(Process(folder / "small.toml", f"ipc://{folder}/chip.sock", "--bench"))
        arguments = ("--to", daemon.endpoint, "--listen", "tcp://127.0.0.1:*", "--keys", str(folder / "keys"))
        gateway = stack.enter_context(Gateway(*arguments))
        lab = stack.enter_context(Instruments(daemon.ready["instruments"]))
        url = keyed(gateway.endpoint, folder / "keys" / "ann.secret", folder / "keys" / f"{GATEWAY}.public")
        yield Household(daemon, gateway, lab, url, random.Random(seed))


def measure(effort: Effort) -> list[Row]:
    """30 days of chip time, an hour at a time; when long, then 8 hours of rounds as well."""
    with household(effort.seed) as home:
        for hour in range(24 * DAYS):
            home.round()
            effort.progress((hour + 1) / (24 * DAYS) / (100 if effort.long else 1))
        rows = home.rows("30 days of chip time", effort, by_wall=False)
    if not effort.long:
        return rows
    with household(effort.seed + 1) as home:
        begun = time.monotonic()
        for _ in itertools.takewhile(lambda _: time.monotonic() - begun < LONG_S, itertools.count()):
            home.round()
            effort.progress((time.monotonic() - begun) / LONG_S)
            time.sleep(PAUSE_S)
        return [*rows, *home.rows(f"{LONG_S / 3600:g} hours", effort, by_wall=True)]
