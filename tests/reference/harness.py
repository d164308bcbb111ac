"""Sends scenarios to a chip behind the protocol and to the reference, and names the first difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tsu_contract.operations import Op
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind, Reply, Request, decode_reply, encode_request
from tsu_emu.config import ChipConfig, parse

from .generate import Scenario
from .model import Outcome, ReferenceChip
from .operations import Message, tell


class Subject(Protocol):
    """Anything that carries out messages."""

    def send(self, message: Message) -> Outcome: ...


class Reference:
    """The reference chip as a subject."""

    def __init__(self, config: ChipConfig) -> None:
        self.chip = ReferenceChip(config)

    def send(self, message: Message) -> Outcome:
        return self.chip.execute(message.records, message.payloads)


class Emulator:
    """The emulator's daemon, without its socket."""

    def __init__(self, config: ChipConfig) -> None:
        from tsu_emu.chip import Chip
        from tsu_emu.server.session import Server

        self.server = Server(Chip(config, firmware=None), name="reference")
        self.session = 0
        self.seq = 0
        hello = self._exchange(Request(Kind.HELLO, 0, 0, body={"client": "test", "map_hash": MAP_HASH}))
        self.session = int(hello.body["session"])

    def _exchange(self, request: Request) -> Reply:
        return decode_reply(self.server.handle(encode_request(request)))

    def send(self, message: Message) -> Outcome:
        self.seq += 1
        reply = self._exchange(Request(Kind.OPERATE, self.session, self.seq, message.records, message.payloads))
        failure = None
        if reply.failure:
            failure = (reply.failure.code, -1 if reply.failure.index is None else reply.failure.index)
        assert reply.executed == len(reply.values)
        values, data = [int(v) for v in reply.values], [bytes(d) for d in reply.data]
        return Outcome(values, data, failure, reply.t_start, reply.t_end, reply.interrupts, reply.interrupts_lost)


class Recorded:
    """What a subject did, told again."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = iter(outcomes)

    def send(self, message: Message) -> Outcome:
        return next(self.outcomes)


def record(scenario: Scenario, subject: Callable[[ChipConfig], Subject]) -> Callable[[ChipConfig], Recorded]:
    """A subject that does what this one did in a scenario."""
    chip = subject(parse(scenario.config))
    outcomes = [chip.send(message) for message in scenario.messages]
    return lambda config: Recorded(outcomes)


def _tell_all(message: Message) -> list[str]:
    payloads = list(message.payloads)
    return [tell(r, payloads.pop(0) if r["op"] == Op.BLKWR else b"") for r in message.records]


def _first_difference(name: str, theirs: list[Any], ours: list[Any], told: list[str]) -> str | None:
    for index, (a, b) in enumerate(zip(theirs, ours, strict=False)):
        if a != b:
            shown = (a.hex(), b.hex()) if isinstance(a, bytes) else (f"{a:#x}", f"{b:#x}")
            return f"{name} of operation {index}, {told[index]}: {shown[0]}, reference {shown[1]}"
    return None


def difference(message: Message, theirs: Outcome, ours: Outcome) -> str | None:
    """The first difference between two outcomes of a message in words, None if they are equal."""
    told = _tell_all(message)
    reads = [t for t, r in zip(told, message.records, strict=True) if r["op"] == Op.BLKRD]
    found = _first_difference("value", theirs.values, ours.values, told)
    found = found or _first_difference("data", theirs.data, ours.data, reads)
    if found:
        return found
    for name in ("failure", "t_start", "t_end", "interrupts", "interrupts_lost"):
        a, b = getattr(theirs, name), getattr(ours, name)
        if a != b:
            where = f" at {told[b[1]]}" if name == "failure" and b else ""
            return f"{name}{where}: {a}, reference {b}"
    if len(theirs.values) != len(ours.values) or len(theirs.data) != len(ours.data):
        return f"{len(theirs.values)} operations carried out, reference {len(ours.values)}"
    return None


def compare(
    scenario: Scenario, subject: Callable[[ChipConfig], Subject], reference: Callable[[ChipConfig], Subject]
) -> str | None:
    """Runs a scenario on both; the first difference with its seed, message and operations, or None."""
    config = parse(scenario.config)
    left, right = subject(config), reference(config)
    for number, message in enumerate(scenario.messages):
        found = difference(message, left.send(message), right.send(message))
        if found:
            listing = "\n".join(f"  {index}: {line}" for index, line in enumerate(_tell_all(message)))
            return f"seed {scenario.seed}, message {number}, {found}\n{listing}"
    return None
