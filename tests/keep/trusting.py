"""Modules of tools/trust, and a kept server of a small chip on a disk that can go wrong."""

from __future__ import annotations

import importlib
import random
import sys
from itertools import count
from pathlib import Path
from typing import Any

from server.harness import Client, small_config
from tsu_emu.bench.instruments import Instruments
from tsu_emu.bench.oracle import Oracle
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig
from tsu_emu.keep.identity import identity_of
from tsu_emu.keep.keeper import Keeper
from tsu_emu.keep.records import What
from tsu_emu.keep.recovery import Recovered, begin
from tsu_emu.server.session import Server

TOOLS = str(Path(__file__).resolve().parents[2] / "tools")


def module(name: str) -> Any:
    """A module of tools/trust."""
    if TOOLS not in sys.path:
        sys.path.append(TOOLS)
    return importlib.import_module(f"trust.{name}")


faulty = module("faulty_disk")


class Life:
    """One start of a daemon without sockets: a chip, its server and its keeper.

    clock : processor time as the keeper sees it; may be set
    """

    def __init__(self, disk: Any, config: ChipConfig | None = None, durable: bool = True, draw: int = 1000) -> None:
        self.clock, self.disk = 0.0, disk
        self.chip = Chip(config or small_config())
        self.server = Server(self.chip)
        self.oracle, self.instruments = Oracle(self.chip), Instruments(self.chip)
        doors = {What.ORACLE: self.oracle, What.INSTRUMENTS: self.instruments}
        identity = identity_of(self.chip.config)
        self.keeper = Keeper(disk, self.server, identity, doors, durable, lambda: self.clock, count(draw).__next__)
        self.recovered: Recovered = begin(self.keeper)
        self.front = self.keeper.handler(What.REQUEST)

    def handle(self, frames: Any) -> list[Any]:
        """A turn of the daemon with one request: no reply if there may be none yet."""
        reply = self.front([bytes(f) for f in frames])
        sent = reply if self.keeper.settle() else []
        self.keeper.rest()
        return sent


def disk(seed: int = 1) -> Any:
    return faulty.FaultyDisk(random.Random(seed))


def client(life: Life) -> Client:
    return Client(life)  # type: ignore[arg-type]


def moved(client_: Client, life: Life) -> Client:
    """The same client at the next start."""
    client_.server = life  # type: ignore[assignment]
    return client_
