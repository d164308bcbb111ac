"""A small chip behind `Server.handle`, without sockets, and a client that keeps its own count of numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Instruction, assemble
from tsu_contract.registers import MAP_HASH, WINDOWS, register
from tsu_contract.wire import Frame, Kind, Reply, Request, decode_reply, encode_request
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig, parse
from tsu_emu.server.session import Server

CELLS, PLANES, PROGRAM_WORDS = 41, 70, 16
"""41 cells: two words a plane, and half a word at the end of BIAS. 70 planes: two blocks, three words of PLANE_ENABLE."""

Row = tuple[int, int, int, int, int]
"""(op, address, value, mask, arg) of a record."""


def small_config(**changes: Any) -> ChipConfig:
    """A ring: cells, couplers and planes fill none of their words."""
    ring = {"kind": "edges", "cells": CELLS, "pairs": [[k, (k + 1) % CELLS] for k in range(CELLS)]}
    config = {
        "name": "small",
        "fabric": {"planes": PLANES, "topology": ring},
        "sequencer": {"program_words": PROGRAM_WORDS},
        "temperature": {"dac": {"bits": 9, "full_scale": 4.0}},
    }
    return parse({**config, **changes})


def at(name: str, index: int = 0) -> int:
    """Address of a register, or of a window's 32-bit word `index`."""
    return WINDOWS[name].address + 4 * index if name in WINDOWS else register(name).at(index)


def read(name: str, index: int = 0) -> Row:
    return (Op.READ, at(name, index), 0, 0, 0)


def write(name: str, value: int, index: int = 0) -> Row:
    return (Op.WRITE, at(name, index), value, 0, 0)


def rmw(name: str, value: int, mask: int, index: int = 0) -> Row:
    return (Op.RMW, at(name, index), value, mask, 0)


def block_read(name: str, words: int, index: int = 0) -> Row:
    return (Op.BLKRD, at(name, index), 0, 0, words)


def block_write(name: str, words: int, index: int = 0) -> Row:
    return (Op.BLKWR, at(name, index), 0, 0, words)


def wait(name: str, value: int, mask: int, cycles: int, index: int = 0) -> Row:
    return (Op.WAIT, at(name, index), value, mask, cycles)


def delay(cycles: int) -> Row:
    return (Op.DELAY, 0, 0, 0, cycles)


def records_of(rows: Sequence[Row]) -> NDArray[Any]:
    """(n,) RECORD."""
    records = np.zeros(len(rows), RECORD)
    for k, (op, addr, value, mask, arg) in enumerate(rows):
        records[k] = (op, 0, 0, addr, value, mask, arg)
    return records


def program_rows(*program: Instruction) -> list[Row]:
    """Writes of a program, word by word."""
    words = assemble(program).view(np.uint32).tolist()
    return [write("PROGRAM", word, k) for k, word in enumerate(words)]


class Client:
    """One session of a server. Every reply is decoded and checked for what all replies have in common."""

    def __init__(self, server: Server, name: str = "test", **more: Any) -> None:
        self.server = server
        self.seq = 0
        hello = self.exchange(Request(Kind.HELLO, 0, 0, body={"client": name, "map_hash": MAP_HASH, **more}))
        assert hello.failure is None
        self.session = hello.session
        self.welcome = hello.body

    def frames(
        self, *rows: Row, payloads: Sequence[Frame] = (), seq: int | None = None, kind: Kind = Kind.OPERATE
    ) -> list[Frame]:
        """Frames of an OPERATE, or a PEEK, with the next number, which is not used up."""
        number = self.seq + 1 if seq is None else seq
        return encode_request(Request(kind, self.session, number, records_of(rows), tuple(payloads)))

    def peek(self, *rows: Row) -> Reply:
        """Looks without using a number up."""
        return decode_reply(self.server.handle(self.frames(*rows, kind=Kind.PEEK)))

    def numbered(self, kind: Kind, **body: Any) -> Reply:
        """A request of another kind with the next number, which is used up unless it is refused."""
        reply = self.exchange(Request(kind, self.session, self.seq + 1, body=body))
        self.seq += reply.failure is None
        return reply

    def operate(self, *rows: Row, payloads: Sequence[Frame] = ()) -> Reply:
        """Carries out a list that must reach the bus."""
        reply = decode_reply(self.server.handle(self.frames(*rows, payloads=payloads)))
        self.seq += 1
        assert (reply.kind, reply.session, reply.seq) == (Kind.OPERATE, self.session, self.seq), reply.failure
        assert reply.executed == len(reply.values)
        return reply

    def done(self, *rows: Row, payloads: Sequence[Frame] = ()) -> Reply:
        """Carries out a list that must succeed."""
        reply = self.operate(*rows, payloads=payloads)
        assert reply.failure is None, reply.failure
        assert reply.executed == len(rows)
        return reply

    def value(self, name: str, index: int = 0) -> int:
        return int(self.done(read(name, index)).values[0])

    def bye(self) -> Reply:
        self.seq += 1
        return self.exchange(Request(Kind.BYE, self.session, self.seq))

    def exchange(self, request: Request) -> Reply:
        return decode_reply(self.server.handle(encode_request(request)))


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def small_server(clock: Callable[[], float] = time.monotonic, **changes: Any) -> Server:
    """A server of a chip without firmware, whose state differs from power-on in every kind of window."""
    return Server(Chip(small_config(**changes)), name="small", boot="b00t", clock=clock)


def fingerprint(server: Server) -> tuple[str, int, int]:
    """Digest of the whole state, chip time, and the link's clock."""
    state = server.chip.state
    return S.digest(state), int(state.time[S.NOW]), int(state.time[S.LINK])
