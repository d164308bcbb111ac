"""A chip with a firmware core behind a daemon with a GDB server, and a debugger that speaks the protocol by hand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from cpu.images import elf
from cpu.pair import addi, csrr, csrw, imm, op, stw
from server.harness import Row
from server.process import Dealer
from serving import config
from tsu_contract.registers import register
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig
from tsu_emu.server.daemon import Daemon
from tsu_emu.server.gdb import Debugger
from tsu_emu.server.session import Server
from tsu_emu.warmup import warm_up_once

BUS, RAM, HANDLER = 0x4000_0000, 0x2000_0000, 0x100
PENDING = BUS + register("IRQ.PENDING").at()
LOOP, COUNTED = 0x38, 0x3C
"""First instruction of the main loop, and its store."""
SECONDS = 20.0


def li(rd: int, value: int) -> list[int]:
    """A constant, always in two instructions."""
    return [op(0x37, rd) | value + 0x800 & 0xFFFFF000, addi(rd, rd, value)]


def store(name: str, rs: int) -> list[int]:
    """Register rs to a register of the chip, by x30."""
    return [*li(30, BUS + register(name).at()), stw(rs, 30, 0)]


MAIN = [
    *li(5, HANDLER),
    csrw(0x305, 5),
    addi(6, 0, 1),
    *store("CPU.IRQ_ENABLE", 6),
    *li(5, 1 << 11),
    csrw(0x304, 5),
    imm(0x73, 0, 6, 8, 0x300),
    *li(8, RAM),
    0x13,
    addi(9, 9, 1),
    stw(9, 8, 0),
    0xFF9FF06F,
]
"""External interrupts on for SEQ_DONE; then a loop of three that counts in x9 and in the first word of RAM."""
SERVE = [addi(6, 0, 1), *store("IRQ.PENDING", 6), csrr(7, 0xB00), *store("MAILBOX.FROM_CORE", 7), 0x30200073]
"""The handler: acknowledges, and tells the host the cycle."""


def core_config(folder: Path) -> ChipConfig:
    """Three cells on two planes, and the core above."""
    words = [*MAIN, *[0x13] * (HANDLER // 4 - len(MAIN)), *SERVE]
    image = folder / "image.elf"
    image.write_bytes(elf([(0, np.array(words, np.uint32).tobytes(), 4 * len(words))]))
    cells = {"kind": "dense", "cells": 3}
    return config(cells, planes=2, cpu={"image": str(image), "rom_words": 512, "ram_words": 64})


class Rsp:
    """A debugger's end of the connection, without acknowledgements unless asked."""

    def __init__(self, address: str, acknowledge: bool = False) -> None:
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), SECONDS)
        self._rest = b""
        self.acknowledge = True
        if not acknowledge:
            try:
                assert self.ask(b"QStartNoAckMode") == b"OK"
            except BaseException:
                self.close()
                raise
            self.acknowledge = False

    def raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send(self, contents: bytes) -> None:
        self.raw(b"$" + contents + b"#%02x" % (sum(contents) & 0xFF))

    def receive(self) -> bytes:
        """Contents of the next packet but for what is to be shown; b"" is an empty one, EOFError the end of the connection."""
        contents = self._next()
        while contents[:1] == b"O" and contents != b"OK":
            contents = self._next()
        return contents

    def shown(self) -> str:
        """What comes next is to be shown to whoever debugs."""
        contents = self._next()
        assert contents[:1] == b"O", contents
        return bytes.fromhex(contents[1:].decode()).decode()

    def _next(self) -> bytes:
        while True:
            begin = self._rest.find(b"$")
            mark = self._rest.find(b"#", begin)
            if begin >= 0 and 0 <= mark <= len(self._rest) - 3:
                break
            self._more()
        contents, total = self._rest[begin + 1 : mark], self._rest[mark + 1 : mark + 3]
        assert int(total, 16) == sum(contents) & 0xFF
        self._rest = self._rest[mark + 3 :]
        if self.acknowledge:
            self.raw(b"+")
        return contents

    def _more(self) -> None:
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError
        self._rest += data

    def ask(self, contents: bytes) -> bytes:
        self.send(contents)
        return self.receive()

    def nothing_comes(self, seconds: float) -> bool:
        """Whether no byte comes for a while."""
        self.socket.settimeout(seconds)
        try:
            self._rest += self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(SECONDS)
        return False

    def register(self, number: int) -> int:
        return int.from_bytes(bytes.fromhex(self.ask(b"p%x" % number).decode()), "little")

    def word(self, address: int) -> int:
        return int.from_bytes(bytes.fromhex(self.ask(b"m%x,4" % address).decode()), "little")

    def monitor(self, text: str) -> str:
        return bytes.fromhex(self.ask(b"qRcmd," + text.encode().hex().encode()).decode()).decode()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Rsp:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Bench:
    """A chip in a daemon's thread: hosts by `dealer`, a debugger by `attach`."""

    def __init__(self, chip: Chip, endpoint: str, address: str) -> None:
        self.chip, self.endpoint, self.address = chip, endpoint, address

    def attach(self, acknowledge: bool = False) -> Rsp:
        """A debugger for which the core has stopped."""
        rsp = Rsp(self.address, acknowledge)
        assert rsp.ask(b"?").startswith(b"T")
        return rsp

    def dealer(self) -> Dealer:
        dealer = Dealer(self.endpoint)
        dealer.hello()
        return dealer


@contextmanager
def debugged(folder: Path, wait: bool = False) -> Iterator[Bench]:
    """A daemon in a thread, with a GDB server."""
    chip = Chip(core_config(folder))
    warm_up_once(lambda done, total: None, chip.config)
    debugger = Debugger(chip, 0, wait)
    daemon = Daemon(Server(chip), f"ipc://{folder / 's'}", debugger=debugger)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            daemon.run()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Bench(chip, daemon.endpoint, debugger.address)
    finally:
        daemon.stop()
        thread.join()
    assert not failed, failed


@contextmanager
def waiting(host: Dealer, *rows: Row, call: Callable[[], object] | None = None) -> Iterator[threading.Event]:
    """A host that carries out operations, or a call, while the test goes on; gives what is set when it is done, as it must be
    at the end."""
    done, failed = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            host.done(*rows) if call is None else call()
        except BaseException as error:
            failed.append(error)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    yield done
    thread.join()
    assert not failed, failed
