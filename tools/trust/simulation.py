"""A daemon, its clients, the network between them and its disk in one process and one thread, all decided by one seed.

Messages get lost, doubled, late and out of order; the disk fills up, breaks and writes short; the daemon is killed, or the
machine loses power, at any operation of the disk, recovery included. In the end every request was answered, and the answers must
be those of a chip to which nothing ever happened, request after request in the order of chip time; so must the last state.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from trust.faulty_disk import Crash, FaultyDisk

from tsu_contract.errors import Code
from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import MAP_HASH, WINDOWS, register, value_of
from tsu_contract.wire import Frame, Kind, Reply, Request, decode_reply, encode_request
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.config import parse
from tsu_emu.keep.identity import identity_of
from tsu_emu.keep.keeper import Keeper
from tsu_emu.keep.records import What
from tsu_emu.keep.recovery import begin
from tsu_emu.server.session import Server

CONFIG = parse(
    {"name": "simulated", "fabric": {"planes": 2, "topology": {"kind": "dense", "cells": 6}}, "sequencer": {"program_words": 4}}
)
HALTED = value_of("SEQ.STATUS.STATE", "HALTED")
PATIENCE = 40
"""Ticks after which a client sends its request again."""
TICKS_MAX = 100_000
TURN = 16


class Violation(AssertionError):
    """Something that was promised did not hold; names seed and options."""


@dataclass(frozen=True)
class Options:
    """Of one simulation, all from its seed.

    durable, power : mode of the journal, and whether crashes take what was not synced, which `fast` does not promise to survive
    loss, twice : chances of a message; late : longest delay, ticks; crashes, trouble : chances of a tick that a crash is near, or
    that trouble with the disk begins
    """

    seed: int
    durable: bool
    power: bool
    clients: int
    requests: int
    loss: float
    twice: float
    late: int
    crashes: float
    trouble: float

    @classmethod
    def of(cls, seed: int) -> Options:
        """What a seed stands for."""
        rng = random.Random(seed)
        durable = rng.random() < 0.6
        return cls(
            seed, durable, durable and rng.random() < 0.7, rng.randrange(1, 5), rng.randrange(5, 25),
            rng.choice((0.0, 0.1, 0.3)), rng.choice((0.0, 0.2)), rng.choice((1, 10, 60)),
            rng.choice((0.0, 0.01, 0.03)), rng.choice((0.0, 0.01, 0.02)),
        )  # fmt: skip


@dataclass
class Client:
    """Sends one request after another, each until it is answered."""

    number: int
    script: list[tuple[np.ndarray[Any, Any], tuple[bytes, ...]]]
    session: int = 0
    seq: int = 0
    waiting: list[Frame] | None = None
    sent_at: int = 0
    answered: list[Reply] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return len(self.answered) == len(self.script)

    def next_frames(self) -> list[Frame]:
        """Of the request that comes next: HELLO, or a list with the next number."""
        if not self.session:
            return encode_request(Request(Kind.HELLO, 0, 0, body={"client": f"c{self.number}", "map_hash": MAP_HASH}))
        records, payloads = self.script[len(self.answered)]
        return encode_request(Request(Kind.OPERATE, self.session, len(self.answered) + 1, records, payloads))

    def take(self, reply: Reply) -> str:
        """A reply has come; what is wrong with it, "" if nothing."""
        if self.waiting is None:
            return ""
        kind = Kind.OPERATE if self.session else Kind.HELLO
        if reply.kind is not kind or (self.session and (reply.session, reply.seq) != (self.session, len(self.answered) + 1)):
            return ""
        if reply.failure is not None and reply.failure.code is Code.NOT_KEPT:
            return ""
        if reply.failure is not None:
            return f"client {self.number}, request {len(self.answered) + 1}: {reply.failure.code.name}: {reply.failure.message}"
        self.waiting = None
        if self.session:
            self.answered.append(reply)
        else:
            self.session = reply.session
        return ""


def script(rng: random.Random, count: int) -> list[tuple[np.ndarray[Any, Any], tuple[bytes, ...]]]:
    """Requests whose replies tell what was done before: writes, programs, spins read."""
    found = []
    for _ in range(count):
        codes = np.array([rng.randrange(-100, 100) for _ in range(6)], np.int16).tobytes()
        program = assemble([Instruction(Opcode.RUN, rng.randrange(1, 6)), Instruction(Opcode.STROBE), Instruction(Opcode.HALT)])
        rows = [
            (Op.RMW, 0, 0, register("SYS.SCRATCH").at(), rng.randrange(1 << 16), 0xFFFFFFFF, 0),
            (Op.BLKWR, 0, 0, WINDOWS["BIAS"].address, 0, 0, 3),
            (Op.WRITE, 0, 0, register("TEMP.TDAC").at(), rng.randrange(1, 200), 0, 0),
            (Op.BLKWR, 0, 0, WINDOWS["PROGRAM"].address, 0, 0, 2 * len(program)),
            (Op.WRITE, 0, 0, register("SEQ.PC").at(), 0, 0, 0),
            (Op.WRITE, 0, 0, register("SEQ.CTRL").at(), 1, 0, 0),
            (Op.WAIT, 0, 0, register("SEQ.STATUS").at(), HALTED, 0xFF, 1_000_000),
            (Op.BLKRD, 0, 0, WINDOWS["SPIN"].address, 0, 0, 2),
            (Op.DELAY, 0, 0, 0, 0, 0, rng.randrange(1, 500)),
            (Op.READ, 0, 0, register("SYS.SCRATCH").at(), 0, 0, 0),
            (Op.BLKRD, 0, 0, WINDOWS["BIAS"].address, 0, 0, 3),
        ]
        found.append((np.array(rows, RECORD), (codes, program.tobytes())))
    return found


class World:
    """One simulation. trouble : room, chance of errors and of short writes when the disk is in trouble, drawn if not given

    crashes : of the daemon so far; refusals : requests refused as NOT_KEPT
    """

    def __init__(self, options: Options, trouble: tuple[int | None, float, float] | None = None) -> None:
        self._trouble = trouble
        self.options, self._rng = options, random.Random(options.seed ^ 0x5EED)
        self._disk = FaultyDisk(self._rng)
        self.clients = [Client(k, script(self._rng, options.requests)) for k in range(options.clients)]
        self._post: list[tuple[int, int, bool, list[bytes]]] = []
        self._tick = self._up_at = self._trouble_until = 0
        self._clock = 0.0
        self._sessions = self._rng.randrange(1, 1 << 40)
        self._server: Server | None = None
        self._keeper: Keeper | None = None
        self._handle: Callable[[list[Frame]], list[Frame]] = lambda frames: []
        self.crashes = self.refusals = 0

    def fail(self, what: str) -> Violation:
        return Violation(f"{what} [tick {self._tick}, {self.options}; python tools/trust/simulate.py {self.options.seed}]")

    def run(self) -> None:
        """Until every request was answered; Violation if what was promised does not hold."""
        while not all(client.done for client in self.clients):
            self._tick += 1
            if self._tick > TICKS_MAX:
                raise self.fail("requests are not answered")
            self._upset()
            self._ask()
            self._serve()
            self._deliver()
        self._compare()

    # what goes wrong

    def _upset(self) -> None:
        faults, rng, options = self._disk.faults, self._rng, self.options
        if self._tick == self._trouble_until:
            faults.room, faults.errors, faults.short = None, 0.0, 0.0
        if rng.random() < options.trouble:
            drawn = rng.choice((None, rng.randrange(3000))), rng.choice((0.0, 0.2, 1.0)), rng.choice((0.0, 0.5))
            faults.room, faults.errors, faults.short = self._trouble or drawn
            self._trouble_until = self._tick + rng.randrange(1, 150)
        if faults.crash_in is None and rng.random() < options.crashes:
            faults.crash_in = rng.randrange(40)

    def _crash(self) -> None:
        self._disk.crash(self.options.power)
        self._server = self._keeper = None
        self.crashes += 1
        self._up_at = self._tick + self._rng.randrange(1, 30)

    def _start(self) -> None:
        """The daemon starts anew; the disk may fail it then, too."""
        server = Server(Chip(CONFIG))
        keeper = Keeper(self._disk, server, identity_of(CONFIG), {}, self.options.durable, lambda: self._clock, self._draw)
        try:
            begin(keeper)
        except OSError:
            self._crash()
            return
        except Exception as error:
            raise self.fail(f"the daemon does not start: {type(error).__name__}: {error}") from None
        self._server, self._keeper, self._handle = server, keeper, keeper.handler(What.REQUEST)

    def _draw(self) -> int:
        self._sessions += 1
        return self._sessions

    # messages

    def _send(self, client: int, to_daemon: bool, frames: list[Frame]) -> None:
        rng, options = self._rng, self.options
        for _ in range(1 + (rng.random() < options.twice)):
            if rng.random() >= options.loss:
                self._post.append(
                    (self._tick + rng.randrange(1, options.late + 1), client, to_daemon, [bytes(f) for f in frames])
                )

    def _due(self, to_daemon: bool) -> list[tuple[int, list[bytes]]]:
        found = [row for row in self._post if row[2] is to_daemon and row[0] <= self._tick]
        self._post = [row for row in self._post if not (row[2] is to_daemon and row[0] <= self._tick)]
        return [(client, frames) for _, client, _, frames in found]

    def _ask(self) -> None:
        for client in self.clients:
            if not client.done and (client.waiting is None or self._tick >= client.sent_at + PATIENCE):
                client.waiting = client.next_frames()
                client.sent_at = self._tick
                self._send(client.number, True, client.waiting)

    def _serve(self) -> None:
        """A turn of the daemon."""
        try:
            if self._keeper is None:
                if self._tick < self._up_at:
                    self._due(True)
                    return
                self._start()
            asked = self._due(True)
            while asked and self._keeper is not None:
                turn, asked = asked[:TURN], asked[TURN:]
                self._take_turn(self._keeper, turn)
        except Crash:
            self._crash()

    def _take_turn(self, keeper: Keeper, turn: list[tuple[int, list[bytes]]]) -> None:
        owed = [(client, self._handle(list(frames))) for client, frames in turn]
        if keeper.settle():
            for client, reply in owed:
                if reply:
                    self._send(client, False, reply)
        self._clock += self._rng.random() * 0.1
        keeper.rest()
        if not self.options.durable and self._rng.random() < 0.2:
            keeper.sync()

    def _deliver(self) -> None:
        for number, frames in self._due(False):
            reply = decode_reply(frames)
            self.refusals += reply.failure is not None and reply.failure.code is Code.NOT_KEPT
            wrong = self.clients[number].take(reply)
            if wrong:
                raise self.fail(wrong)

    # what was promised

    def _compare(self) -> None:
        """Every answer is what an undisturbed chip answers, in the order of chip time, and so is the last state."""
        chip = Chip(CONFIG)
        rows = [(reply.t_start, client.script[k], reply) for client in self.clients for k, reply in enumerate(client.answered)]
        for begun, (records, payloads), reply in sorted(rows, key=lambda row: row[0]):
            alone = chip.execute(records, payloads)
            if (alone.t_start, alone.t_end) != (begun, reply.t_end):
                raise self.fail(
                    f"a request from cycle {begun} to {reply.t_end}; undisturbed it is {alone.t_start} to {alone.t_end}"
                )
            if alone.values.tolist() != reply.values.tolist() or [bytes(d) for d in alone.data] != [bytes(d) for d in reply.data]:
                raise self.fail(f"another answer at cycle {begun} than undisturbed")
        while self._server is None:
            self._disk.faults.crash_in = None
            self._tick += 1
            self._disk.faults.errors, self._disk.faults.room = 0.0, None
            self._start()
        if S.digest(self._server.chip.state) != S.digest(chip.state):
            raise self.fail("the last state is another one than undisturbed")
