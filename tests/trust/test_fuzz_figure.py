"""Figure F1 in a size for tests: the same seed sends the same, and a server that answers wrongly is noticed."""

from __future__ import annotations

from typing import Any

import pytest

from trust.trusting import module
from tsu_contract.wire import decode_reply, encode_reply
from tsu_emu.server.session import Server

fuzz = module("fuzz")


def silent(share: float) -> None:
    """Nobody watches."""


def test_hostile_frames_on_the_wire_are_answered_as_promised() -> None:
    tally, grown = fuzz.on_the_wire(3_000, 5, silent)
    assert tally.wrong == []
    assert tally.frames >= 3_000
    assert all(row.ok is not False for row in tally.rows("on the wire", grown, ""))


def test_same_seed_sends_the_same() -> None:
    one, other = (fuzz.in_process(3_000, 5, silent)[0] for _ in range(2))
    assert one.wrong == other.wrong == []
    assert (one.frames, one.messages) == (other.frames, other.messages)


def test_server_that_changes_something_where_it_refuses_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Server.handle

    def changes(self: Server, frames: Any) -> Any:
        reply = answer(self, frames)
        if decode_reply(reply).failure is not None:
            self.chip.state.registers[7] += 1
        return reply

    monkeypatch.setattr(Server, "handle", changes)
    tally, _ = fuzz.in_process(3_000, 5, silent)
    assert "seed 5" in tally.wrong[0]
    assert "a refusal changed the chip" in tally.wrong[0]


def test_reply_to_another_number_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Server.handle

    def renumbered(self: Server, frames: Any) -> Any:
        reply = decode_reply(answer(self, frames))
        reply.seq += reply.seq > 20
        return encode_reply(reply)

    monkeypatch.setattr(Server, "handle", renumbered)
    tally, _ = fuzz.in_process(3_000, 5, silent)
    assert len(tally.wrong) == 1
