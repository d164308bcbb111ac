"""Where a keeper begins: with a chip at power-on in an empty directory, or where the journal ends in one that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from tsu_emu.keep import store, table
from tsu_emu.keep.disk import put
from tsu_emu.keep.identity import difference
from tsu_emu.keep.keeper import Keeper
from tsu_emu.keep.records import REQUESTS, JournalError, Record, What, split_frames
from tsu_emu.keep.snapshot import Snapshot, SnapshotError, arrays_of
from tsu_emu.server.sessions import Decision

CONFIG_NAME = "config.json"
"""The configuration, for people; the snapshots have it, too."""


class Stopped(Exception):
    """The daemon is to end before it has begun."""


class Recovered(NamedTuple):
    """What was found. requests : carried out again; cut : bytes at the end of the journal that never arrived whole"""

    first: bool
    requests: int
    cut: int


def begin(keeper: Keeper, progress: Callable[[int, int], None] = lambda done, total: None) -> Recovered:
    """The keeper's server is where it was, and everything is kept from now on.

    progress : called with requests carried out again, and how many there are
    SnapshotError, JournalError: what is kept is damaged, or of another chip; nothing is changed then. OSError: the disk does not
    do what is necessary. Stopped, which the chip's `between_calls` may raise: nothing is changed, but that a request is left out
    which was under way when the daemon ended, and is so again.
    """
    kept = store.load(keeper.disk)
    if kept is None:
        text = json.dumps({"image": keeper.identity.image, **keeper.identity.values}, indent=1)
        put(keeper.disk, CONFIG_NAME, [text.encode()])
        keeper.next_segment()
        done = 0
    else:
        restore(keeper, kept.snapshot)
        keeper.segment, keeper.chain = kept.segment, kept.chain
        try:
            done = replay(keeper, kept.records, progress)
        except Stopped:
            _leave_out(keeper, kept)
            raise
        keeper.resume()
    keeper.keep_all()
    return Recovered(kept is None, done, kept.cut if kept else 0)


def restore(keeper: Keeper, snapshot: Snapshot) -> None:
    """Chip and sessions are those of a snapshot; SnapshotError if it is another chip's."""
    other = difference(snapshot.identity, keeper.identity)
    if other:
        raise SnapshotError(f"the snapshot is not of this chip: {other}")
    chip = keeper.server.chip
    try:
        chip.restore(arrays_of(snapshot.chip, chip.state))
    except ValueError as error:
        raise SnapshotError(str(error)) from None
    keeper.server.sessions.take(table.unpacked(snapshot.server["sessions"]))
    holder, client, seconds = snapshot.server.get("lease", (0, "", 0.0))
    if holder:
        keeper.server.lease.take(holder, client, seconds)
    keeper.number = snapshot.number


def _leave_out(keeper: Keeper, kept: store.Kept) -> None:
    """The request under way, if it is the last: nobody has its reply. A client may send it again."""
    under_way = keeper.number - 1
    if any(record.what in REQUESTS and record.number > under_way for record in kept.records):
        return
    keeper.server.chip.between_calls = lambda: None
    restore(keeper, kept.snapshot)
    replay(keeper, [record for record in kept.records if record.number < under_way], lambda done, total: None)
    keeper.number = under_way
    keeper.next_segment(anew=True)


def replay(keeper: Keeper, records: list[Record], progress: Callable[[int, int], None]) -> int:
    """Carries out what the journal has, by the handlers that did it first; how many requests that were.

    JournalError: the chip is not where it was at some request, so that this program is not the one that wrote the journal.
    """
    undone = {record.number for record in records if record.what == What.UNDONE}
    done = 0
    for place, record in enumerate(records):
        progress(place, len(records))
        if record.what in REQUESTS:
            keeper.number = record.number + 1
            if record.number not in undone:
                _again(keeper, record)
                done += 1
        elif record.what == What.DECIDED:
            keeper.server.apply(Decision(record.body.decode()), record.session)
    return done


def _again(keeper: Keeper, record: Record) -> None:
    time = keeper.server.chip.link_time
    if time != record.time:
        raise JournalError(
            f"before request {record.number} the chip is at cycle {time}, but was at {record.time}: another version of the "
            "program wrote this journal. Nothing was changed; start that version once more, and end it with SIGTERM"
        )
    keeper.upcoming = record.session
    keeper.carry_out(record.what, split_frames(record.body))
