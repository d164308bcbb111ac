"""F1: hostile messages from a seed, to a server in process and to a daemon of its own over its socket.

Every reply must decode and fit its request; one that refuses leaves the chip's state as it was (looked at for every
`LOOK_EVERY`th); every `GOOD_EVERY`th message is followed by a good one, which is carried out. Memory is what the process has at
the end beyond what it had after `SETTLED` of the messages.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trust.effort import Effort

from server.fuzzing import break_bus, expect_form, govern, hostile, may_run
from server.harness import Client, Row, fingerprint, read, records_of, small_server
from server.process import SMALL, Dealer, Process, short_directory
from tsu_apps.report import Row as Result
from tsu_contract.errors import Code, Layer, ProtocolError
from tsu_contract.wire import Frame, Kind, Reply, Request, decode_reply, decode_request, encode_request

MAGIC = 0x75500104
LOOK_EVERY, GOOD_EVERY, BREAK_EVERY, NEW_CHIP_EVERY = 16, 8, 50, 20_000
SETTLED = 0.2
GROWTH_MB = 5.0
SLOW_S = 5.0
"""A message that takes longer hangs; `govern` bounds what is asked."""


@dataclass
class Tally:
    """What came of the messages so far.

    frames, messages : sent; wrong : what was not as promised, in words; slowest : seconds; settled_mb : memory once settled
    """

    frames: int = 0
    messages: int = 0
    slowest: float = 0.0
    settled_mb: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def add(self, frames: Sequence[bytes], seconds: float) -> None:
        self.frames, self.messages, self.slowest = self.frames + len(frames), self.messages + 1, max(self.slowest, seconds)

    def rows(self, what: str, grown_mb: float, again: str) -> list[Result]:
        note = f": {self.wrong[:2]}; {again}" if self.wrong else ""
        return [
            Result(f"{what}: frames", float(self.frames)),
            Result.at_most(f"{what}: replies not as promised{note}", float(len(self.wrong)), 0),
            Result.at_most(f"{what}: slowest reply", self.slowest, SLOW_S, "s"),
            Result.at_most(f"{what}: memory grown", grown_mb, GROWTH_MB, "MiB"),
        ]


def resident_mb(pid: int | str) -> float:
    """Memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / (1 << 20)


def _takes_lease_for_another(frames: Sequence[Frame], session: int) -> bool:
    """Whether a message would keep the good client out by right: a lease of another session."""
    try:
        request = decode_request(frames)
    except ProtocolError:
        return False
    return request.kind is Kind.LEASE and request.session != session


def in_process(frames: int, seed: int, progress: Callable[[float], None]) -> tuple[Tally, float]:
    """The server's handler, until so many frames are sent; and the memory grown in MiB."""
    rng, tally, client = random.Random(seed), Tally(), Client(small_server())
    while tally.frames < frames and not tally.wrong:
        if tally.messages % NEW_CHIP_EVERY == NEW_CHIP_EVERY - 1:
            client = Client(small_server())
        if tally.messages % BREAK_EVERY == 0:
            break_bus(rng, client.server.chip)
        message = hostile(rng, client)
        govern(message, may_run(client.server.chip), int(client.server.chip.state.time[1]))
        if _takes_lease_for_another(message, client.session):
            continue
        client = _one_in_process(client, message, tally, f"seed {seed}")
        if tally.messages % 1000 == 0:
            progress(tally.frames / frames)
            if not tally.settled_mb and tally.frames > SETTLED * frames:
                tally.settled_mb = resident_mb("self")
    return tally, resident_mb("self") - tally.settled_mb


def _one_in_process(client: Client, message: list[bytes], tally: Tally, note: str) -> Client:
    """One message; the client that goes on."""
    look = tally.messages % LOOK_EVERY == 0
    before = fingerprint(client.server) if look else None
    begun = time.perf_counter()
    try:
        reply = decode_reply(client.server.handle(message))
        tally.add(message, time.perf_counter() - begun)
        expect_form(reply, message, client.session, client.seq)
        refused = reply.failure is not None and reply.failure.code.layer is not Layer.DEVICE
        assert not (look and refused) or fingerprint(client.server) == before, "a refusal changed the chip"
        session = client.server.sessions.get(client.session)
        if session is None:
            return Client(client.server)
        client.seq = session.last_seq
        if tally.messages % GOOD_EVERY == 0:
            assert client.value("SYS.ID") == MAGIC
    except Exception as error:
        tally.wrong.append(f"{note}, message {tally.messages}: {type(error).__name__} {error}"[:300])
    return client


class WireClient(Dealer):
    """A session over a socket that makes messages as `Client` does."""

    def frames(
        self, *rows: Row, payloads: Sequence[Frame] = (), seq: int | None = None, kind: Kind = Kind.OPERATE
    ) -> list[Frame]:
        """Of an OPERATE or PEEK with the next number."""
        number = self.seq + 1 if seq is None else seq
        return encode_request(Request(kind, self.session, number, records_of(rows), tuple(payloads)))

    def good(self) -> bool:
        """Whether a good request is carried out; one that does not fit the session after all begins another."""
        reply = decode_reply(self._call(self.frames(read("SYS.ID"))))
        if reply.failure is not None and reply.failure.code.layer is Layer.SESSION:
            self.hello()
            reply = decode_reply(self._call(self.frames(read("SYS.ID"))))
        self.seq += reply.failure is None or reply.failure.code is Code.BUS_ERROR
        return reply.failure is None and reply.values.tolist() == [MAGIC]

    def _call(self, frames: list[Frame]) -> list[bytes]:
        self.send(frames)
        return self.receive()

    def note(self, message: list[bytes], reply: Reply) -> None:
        """Takes in what a reply says of the session."""
        if reply.kind is Kind.BYE and reply.failure is None and reply.session == self.session:
            self.hello()
            return
        used = reply.failure is None or reply.failure.code.layer in (Layer.BUS, Layer.DEVICE)
        numbered = reply.kind in (Kind.OPERATE, Kind.LEASE, Kind.SUBSCRIBE)
        if numbered and used and (reply.session, reply.seq) == (self.session, self.seq + 1):
            self.seq += 1


def on_the_wire(frames: int, seed: int, progress: Callable[[float], None]) -> tuple[Tally, float]:
    """A daemon in a process of its own; each message awaits its reply. Memory is the daemon's."""
    rng, tally = random.Random(seed), Tally()
    with short_directory() as folder:
        (folder / "small.toml").write_text(SMALL)
        with Process(folder / "small.toml", f"ipc://{folder}/chip.sock") as daemon, WireClient(daemon.endpoint) as client:
            client.hello()
            while tally.frames < frames and not tally.wrong:
                message = hostile(rng, client) or [b""]
                govern(message, True, 0)
                if _subscribes(message) or _takes_lease_for_another(message, client.session):
                    continue
                _one_on_the_wire(client, message, tally, f"seed {seed}")
                if tally.messages % 500 == 0:
                    progress(tally.frames / frames)
                    if not tally.settled_mb and tally.frames > SETTLED * frames:
                        tally.settled_mb = resident_mb(daemon.ready["pid"])
            if not daemon.running:
                tally.wrong.append(f"seed {seed}, message {tally.messages}: the daemon is gone")
                return tally, 0.0
            return tally, resident_mb(daemon.ready["pid"]) - tally.settled_mb


def _subscribes(frames: Sequence[Frame]) -> bool:
    """Whether a message asks for messages that come by themselves, among which replies would have to be looked for."""
    try:
        return decode_request(frames).kind is Kind.SUBSCRIBE
    except ProtocolError:
        return False


def _one_on_the_wire(client: WireClient, message: list[bytes], tally: Tally, note: str) -> None:
    begun = time.perf_counter()
    try:
        client.send(message)
        reply = decode_reply(client.receive())
        tally.add(message, time.perf_counter() - begun)
        expect_form(reply, message, client.session, client.seq)
        client.note(message, reply)
        if tally.messages % GOOD_EVERY == 0:
            assert client.good(), "a good request was not carried out"
    except Exception as error:
        tally.wrong.append(f"{note}, message {tally.messages}: {type(error).__name__} {error}"[:300])


def measure(effort: Effort) -> list[Result]:
    """10^7 frames in process and 10^6 on the wire when long; else 10^5 and 2 x 10^4."""
    rows: list[Result] = []
    parts: list[tuple[str, Any, int]] = [
        ("in process", in_process, effort.size(100_000, 10_000_000)),
        ("on the wire", on_the_wire, effort.size(20_000, 1_000_000)),
    ]
    for k, (what, run, frames) in enumerate(parts):
        tally, grown = run(frames, effort.seed, lambda share, k=k: effort.progress((k + share) / len(parts)))
        rows += tally.rows(what, grown, effort.again("F1"))
    return rows
