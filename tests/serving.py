"""Chips for tests: behind a daemon in a thread and a real socket, or in process behind the session alone."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import tsu_driver as tsu
from tsu_contract.operations import RECORD
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind, Reply, Request, decode_reply, encode_request
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig, parse
from tsu_emu.server.daemon import Daemon
from tsu_emu.server.session import Server
from tsu_firmware import BootFirmware

Row = tuple[int, int, int, int, int]
"""op, address, value, mask, arg."""


def config(topology: dict[str, Any], planes: int = 64, **more: Any) -> ChipConfig:
    """A chip with that graph; everything else ideal unless said."""
    return parse({"name": "test", "fabric": {"planes": planes, "topology": topology}, **more})


@contextmanager
def serving(chip: Chip, clock: Callable[[], float] = time.monotonic) -> Iterator[str]:
    """A daemon in a thread; gives its endpoint. clock : by which leases end, s"""
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Server(chip, clock=clock), f"ipc://{Path(folder) / 'chip.sock'}")
        thread = threading.Thread(target=daemon.run)
        thread.start()
        try:
            yield daemon.endpoint
        finally:
            daemon.stop()
            thread.join()


@contextmanager
def opened(chip_config: ChipConfig, threads: int = 1) -> Iterator[tuple[Chip, tsu.Chip]]:
    """(the emulated chip, the driver's view of it through a socket)."""
    chip = Chip(chip_config, BootFirmware(), threads=threads)
    with serving(chip) as endpoint, tsu.open(endpoint) as driver:
        yield chip, driver


class Pins:
    """A session in process: operations as rows, replies decoded."""

    def __init__(self, chip: Chip) -> None:
        self.chip, self.server, self._seq = chip, Server(chip), 0
        self.session = self._call(Request(Kind.HELLO, 0, 0, body={"map_hash": MAP_HASH})).session

    def _call(self, request: Request) -> Reply:
        return decode_reply([bytes(f) for f in self.server.handle([bytes(f) for f in encode_request(request)])])

    def operate(self, rows: Sequence[Row], *payloads: bytes) -> Reply:
        """One message."""
        self._seq += 1
        return self._call(Request(Kind.OPERATE, self.session, self._seq, records(rows), payloads))


def records(rows: Sequence[Row]) -> np.ndarray[Any, Any]:
    """Operation records of rows."""
    out = np.zeros(len(rows), RECORD)
    for k, (op, addr, value, mask, arg) in enumerate(rows):
        out[k] = (op, 0, 0, addr, value, mask, arg)
    return out
