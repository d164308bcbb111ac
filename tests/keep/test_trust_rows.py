"""The figures of trust that are about keeping, in small sizes: each meets its goal, and sees what would miss it."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from keep.trusting import module
from server.harness import Client
from tsu_emu.chip import Chip
from tsu_emu.keep.edge import kept
from tsu_emu.keep.journal import Journal
from tsu_emu.keep.records import JournalError
from tsu_emu.keep.snapshot import SnapshotError
from tsu_emu.server.session import Server

flips, names, drain, durable, disk, simulate = map(module, ("flips", "names", "drain", "durable", "disk", "simulate"))


class Small:
    """An effort of one hundredth."""

    seed = 3

    @staticmethod
    def size(small: int, full: int) -> int:
        return max(small // 10, 1)

    @staticmethod
    def progress(share: float) -> None:
        assert 0 <= share <= 1

    @staticmethod
    def again(figure: str, **options: Any) -> str:
        return f"again {figure}"


@pytest.mark.parametrize("figure", [flips, names, disk, simulate], ids=lambda m: m.__name__)
def test_goals_are_met(figure: Any) -> None:
    rows = figure.measure(Small)
    assert [row.name for row in rows if row.ok is False] == []
    assert all(row.goal for row in rows)


def test_power_what_is_not_damaged_would_be_taken() -> None:
    assert flips.snapshot_taken(flips.snapshot())
    data, starts = flips.journal(random.Random(1))
    assert flips.journal_taken(data, data, starts)
    assert not flips.journal_taken(data[:-1], data, starts)
    assert flips.journal_taken(data[: starts[-2] + 5], data, starts[:-2] + [starts[-2] + 1, starts[-2] + 3])


def test_durable_loses_nothing_and_a_journal_that_does_not_sync_would(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(durable.lost(seed) for seed in range(20)) == 0

    def never(self: Journal) -> None:
        self._safe = self.written

    monkeypatch.setattr(Journal, "sync", never)
    found = 0
    for seed in range(20):
        try:
            found += durable.lost(seed)
        except (JournalError, SnapshotError, ValueError):  # of a start that finds less than a journal, or no session
            found += 1
    assert found


def test_fast_brings_requests_to_the_disk_by_itself(tmp_path: Path) -> None:
    """How soon is the figure's to say: here others may keep the disk busy."""
    with kept(Server(Chip(durable.CONFIG)), tmp_path / "s", False, lambda done, total: None) as found:
        client, deadline = Client(durable.Turns(found.keeper)), time.monotonic() + 20.0
        for _ in range(5):
            client.operate(durable.WRITE)
            while found.keeper.behind:
                assert time.monotonic() < deadline
                time.sleep(0.002)
    assert durable.longest_unsynced(0.2) > 0
