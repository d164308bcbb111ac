"""The simulated daemon: promises hold whatever happens, and a keeper that breaks one is found out."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import pytest

from keep.trusting import module
from tsu_emu.keep import keeper as keeping
from tsu_emu.keep import table
from tsu_emu.keep.journal import Journal
from tsu_emu.keep.keeper import Keeper

simulation = module("simulation")
SEEDS = range(60)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Hundreds of warnings of crashes that are meant."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def simulated(seeds: Any) -> tuple[int, int, list[str]]:
    """Crashes and refusals in simulations, and what did not hold."""
    crashes, refusals, broken = 0, 0, []
    for seed in seeds:
        world = simulation.World(simulation.Options.of(seed))
        try:
            world.run()
        except simulation.Violation as violation:
            broken.append(str(violation))
        crashes, refusals = crashes + world.crashes, refusals + world.refusals
    return crashes, refusals, broken


def test_promises_hold_in_crashes_and_trouble() -> None:
    crashes, refusals, broken = simulated(SEEDS)
    assert broken == []
    assert crashes > 100
    assert refusals > 100


def test_a_seed_does_the_same_again() -> None:
    for seed in (3, 11):
        one, two = (simulation.World(simulation.Options.of(seed)) for _ in range(2))
        one.run()
        two.run()
        assert [r.t_end for c in one.clients for r in c.answered] == [r.t_end for c in two.clients for r in c.answered]
        assert (one.crashes, one.refusals, one._tick) == (two.crashes, two.refusals, two._tick)


def never_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Keeper, "settle", lambda self: True)


def no_replies_kept(patch: pytest.MonkeyPatch) -> None:
    unpacked = table.unpacked

    def forgetful(rows: Any) -> Any:
        sessions = unpacked(rows)
        for session in sessions:
            session.replies = OrderedDict()
        return sessions

    patch.setattr(table, "unpacked", forgetful)


def refused_but_done(patch: pytest.MonkeyPatch) -> None:
    """A request that could not be written is carried out all the same."""
    write = Keeper._write

    def careless(self: Keeper, *arguments: Any) -> None:
        try:
            write(self, *arguments)
        except keeping.ProtocolError:
            return

    patch.setattr(Keeper, "_write", careless)


def answers_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """Replies to what may not be on the disk go out when they are asked for again."""
    patch.setattr(keeping, "_is_numbered", lambda head: False)


def tails_left_in_place(patch: pytest.MonkeyPatch) -> None:
    """What came of a failed write stays in the journal, and the journal goes on behind it."""
    patch.setattr(Journal, "_take_back", lambda self: None)


@pytest.mark.parametrize("breach", [never_synced, no_replies_kept, refused_but_done, answers_in_doubt, tails_left_in_place])
def test_power_a_broken_promise_is_found_and_its_seed_is_told(monkeypatch: pytest.MonkeyPatch, breach: Any) -> None:
    breach(monkeypatch)
    for seed in range(400):
        _, _, broken = simulated([seed])
        if broken:
            assert f"tools/trust/simulate.py {seed}" in broken[0]
            return
    raise AssertionError("nothing was noticed in 400 simulations")
