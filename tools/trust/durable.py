"""F4: the mode that HELLO names is the mode that is kept: what may be lost, and what a request costs."""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from trust.effort import Effort
from trust.faulty_disk import FaultyDisk

from server.harness import Client
from server.process import Dealer, Process, short_directory
from tsu_apps.report import Row
from tsu_contract.operations import Op
from tsu_contract.registers import register
from tsu_emu.chip import Chip
from tsu_emu.config import parse
from tsu_emu.keep.edge import kept
from tsu_emu.keep.identity import identity_of
from tsu_emu.keep.keeper import Keeper
from tsu_emu.keep.records import What
from tsu_emu.keep.recovery import begin
from tsu_emu.server.session import Server

CONFIG = parse({"name": "kept", "fabric": {"planes": 2, "topology": {"kind": "dense", "cells": 6}}})
WRITE = (Op.WRITE, register("SYS.SCRATCH").at(), 1, 0, 0)
FAST_SECONDS = 0.1
SLACK_SECONDS = 0.1
"""What a busy machine's scheduler and disk may add in the small size."""
ROUND = 50


class Turns:
    """A kept server without sockets: each request is a turn."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper, self._handle = keeper, keeper.handler(What.REQUEST)

    def handle(self, frames: list[bytes]) -> list[bytes]:
        reply = [bytes(f) for f in self._handle(list(frames))]
        return reply if self._keeper.settle() else []


def lost(seed: int) -> int:
    """Requests that were answered in durable mode and are not found after the power went at some moment."""
    rng = random.Random(seed)
    disk = FaultyDisk(rng)

    def started() -> Keeper:
        server = Server(Chip(CONFIG))
        keeper = Keeper(disk, server, identity_of(CONFIG), {}, True, lambda: 0.0, lambda: rng.getrandbits(62) + 1)
        begin(keeper)
        return keeper

    keeper = started()
    client = Client(Turns(keeper))  # type: ignore[arg-type]
    answered = rng.randrange(1, 30)
    for _ in range(answered):
        client.operate(WRITE)
    disk.crash(power=True)
    (session,) = started().server.sessions
    return answered - session.last_seq


def longest_unsynced(seconds: float) -> float:
    """The longest that a request was with the system alone in fast mode, s."""
    longest = 0.0
    with (
        tempfile.TemporaryDirectory() as folder,
        kept(Server(Chip(CONFIG)), Path(folder) / "s", False, lambda a, b: None) as found,
    ):
        client, end = Client(Turns(found.keeper)), time.monotonic() + seconds  # type: ignore[arg-type]
        since = time.monotonic()
        while time.monotonic() < end:
            if not found.keeper.behind:
                since = time.monotonic()
                client.operate(WRITE)
            longest = max(longest, time.monotonic() - since)
            time.sleep(0.0005)
    return longest


def costs(rounds: int) -> dict[str, float]:
    """Microseconds of a round trip by mode, median of all requests of rounds that take turns."""
    modes: dict[str, tuple[str, ...]] = {"nothing": (), "fast": ("--keep", "fast"), "durable": ("--keep", "durable")}
    taken: dict[str, list[float]] = {mode: [] for mode in modes}
    with short_directory() as folder, ExitStack() as stack:
        dealers = {}
        for mode, arguments in modes.items():
            state = ("--state", f"{folder}/{mode}") if arguments else ()
            process = stack.enter_context(Process(Path("digits-ideal"), f"ipc://{folder}/{mode}.sock", *arguments, *state))
            dealers[mode] = stack.enter_context(Dealer(process.endpoint))
            if dealers[mode].hello().body["keeps"] != mode:
                raise ValueError(f"HELLO names another mode than {mode}")
        for _ in range(rounds):
            for mode, dealer in dealers.items():
                for _ in range(ROUND):
                    begun = time.perf_counter()
                    dealer.done(WRITE)
                    taken[mode].append((time.perf_counter() - begun) * 1e6)
    return {mode: median(found) for mode, found in taken.items()}


def measure(effort: Effort) -> list[Row]:
    """Rows of F4."""
    count = effort.size(100, 5000)
    gone = [lost(effort.seed * 1_000_003 + k) for k in range(count)]
    effort.progress(0.4)
    unsynced = longest_unsynced(effort.size(3, 60))
    effort.progress(0.7)
    cost = costs(effort.size(20, 200))
    slack = 0.0 if effort.long else SLACK_SECONDS
    again = "" if not any(gone) else f" ({effort.again('F4')})"
    return [
        Row.at_most(f"durable: answered requests lost in {count} losses of power{again}", float(sum(gone)), 0),
        Row.at_most("fast: longest time until a request is on the disk", unsynced, FAST_SECONDS + slack, "s"),
        *(Row(f"round trip of a request, keeps {mode}", found, "us") for mode, found in cost.items()),
    ]
