"""100,000 hostile messages: each is answered in form, changes nothing if refused, and the next good one is carried out."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from server.fuzzing import break_bus, expect_form, govern, hostile, may_run
from server.harness import Client, fingerprint, small_server
from tsu_contract.errors import Code, Layer
from tsu_contract.wire import decode_reply

CASES = 25_000
SEEDS = (1, 2, 3, 4)
NEW_CHIP_EVERY = 5_000
BREAK_EVERY = 50
"""A fault on the bus, in place of one that has not struck yet."""


def _resident_bytes() -> int:
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


def _attack(seed: int, seen: Counter[str]) -> None:
    rng = random.Random(seed)
    client = Client(small_server())
    for number in range(CASES):
        if number and number % NEW_CHIP_EVERY == 0:
            client = Client(small_server())
        if number % BREAK_EVERY == 0:
            break_bus(rng, client.server.chip)
        frames = hostile(rng, client)
        govern(frames, may_run(client.server.chip), int(client.server.chip.state.time[1]))
        before = fingerprint(client.server)
        note = f"seed {seed}, case {number}: {[f.hex() for f in frames]}"
        try:
            reply = decode_reply(client.server.handle(frames))
            expect_form(reply, frames, client.session, client.seq)
            if reply.failure is not None and reply.failure.code.layer is not Layer.DEVICE:
                assert fingerprint(client.server) == before
            seen[reply.failure.code.name if reply.failure else f"good {reply.kind.name}"] += 1
            session = client.server.sessions.get(client.session)
            if session is None:
                client = Client(client.server)
            else:
                client.seq = session.last_seq
            if number % 4 == 0:
                assert client.value("SYS.ID") == 0x75500104
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{note}"[:4000]) from error


BY_OTHERS = {"BUSY", "LEASED", "SESSION_CUT", "NOT_KEPT"}
"""Codes that depend on other sessions, clocks, queues and disks, which are not here."""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to see the process's memory")
def test_hostile_messages_are_answered_in_form_and_change_nothing_when_refused() -> None:
    seen: Counter[str] = Counter()
    resident = 0
    for seed in SEEDS:
        _attack(seed, seen)
        resident = resident or _resident_bytes()
    assert sum(seen.values()) == CASES * len(SEEDS) == 100_000
    assert _resident_bytes() - resident < 64 << 20
    reached = {name for name in seen if not name.startswith("good")}
    assert reached == {c.name for c in Code if c} - BY_OTHERS
    assert seen["good OPERATE"] > 5_000
    assert min(seen["good HELLO"], seen["good BYE"], seen["good PEEK"]) > 10
    assert seen["good STATUS"] > 0
