"""Figure F13: no stranger is served; one that is, and a role that may too much, would be noticed."""

from __future__ import annotations

import pytest

from gateway.harness import site
from trust.trusting import module
from tsu_contract.wire import Kind
from tsu_emu.gateway.keys import Role

keys = module("keys")
Effort = module("effort").Effort
SMALL = Effort(False, 3)


def test_no_stranger_is_served_and_no_role_does_more_than_it_may() -> None:
    with site() as place:
        rows = [*keys.roles(place, SMALL), *keys.strangers(place, SMALL, 100), *keys.dead_handlers(SMALL, 20)]
    assert [row for row in rows if row.ok is False] == []
    assert [row.value for row in rows if row.goal is None] == [18, 100, 20]


def test_stranger_that_is_served_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "KINDS", (*keys.KINDS, "good"))
    with site() as place:
        served, reached = keys.strangers(place, SMALL, 50)[1:3]
    assert served.ok is reached.ok is False
    assert 0 < served.value <= reached.value
    assert "--figures F13 --seed 3" in served.name


def test_role_that_may_too_much_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAY", {**keys.MAY, Role.OPERATOR: keys.MAY[Role.OPERATOR] - {Kind.LEASE}})
    with site() as place:
        row = keys.roles(place, SMALL)[1]
    assert row.ok is False
    assert "operator LEASE" in row.name
