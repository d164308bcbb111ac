"""Verbs of the oracle's door for snapshots by name: take one, list them, and go back to one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tsu_contract.bench import Arguments
from tsu_contract.errors import Code, fail
from tsu_emu import state as S
from tsu_emu.bench.door import Answer, Verb
from tsu_emu.keep.disk import DiskError, put
from tsu_emu.keep.identity import difference
from tsu_emu.keep.keeper import Keeper
from tsu_emu.keep.snapshot import SnapshotError, arrays_of, decode

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}", re.ASCII)
FILE = re.compile(rf"named-({NAME.pattern})\.tsu", re.ASCII)


def verbs(keeper: Keeper) -> Mapping[str, Verb]:
    """Of a chip that is kept. None is journaled: what is restored becomes the beginning of a new segment of the journal."""
    return {
        "snapshots": Verb(lambda _: Answer({"snapshots": _names(keeper)})),
        "snapshot": Verb(lambda given: _snapshot(keeper, _file(given)), ("name",)),
        "restore": Verb(lambda given: _restore(keeper, _file(given)), ("name",)),
    }


class _Fitting(tuple[str, ...]):
    """Contains every name that fits, and shows in its place what fits."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and NAME.fullmatch(name) is not None


FITTING = _Fitting(("1 to 48 lower case letters, digits, _ and -, a letter or digit first",))


def _file(given: Arguments) -> str:
    return f"named-{given.word('name', FITTING)}.tsu"


def _names(keeper: Keeper) -> list[str]:
    found = (FILE.fullmatch(name) for name in keeper.disk.names())
    return [match[1] for match in found if match]


def _snapshot(keeper: Keeper, file: str) -> Answer:
    try:
        put(keeper.disk, file, keeper.encoded())
    except OSError as error:
        raise fail(Code.NOT_KEPT, f"the snapshot cannot be written: {error.strerror or error}") from None
    return _state(keeper)


def _restore(keeper: Keeper, file: str) -> Answer:
    """The chip is as it was; sessions go on, and hear of interrupts from now on."""
    chip = keeper.server.chip
    if file not in keeper.disk.names():
        raise fail(Code.OUT_OF_RANGE, f"there is no such snapshot; there are {', '.join(_names(keeper)) or 'none'}", field="name")
    try:
        found = decode(keeper.disk.read(file))
        other = difference(found.identity, keeper.identity)
        arrays = arrays_of(found.chip, chip.state)
    except (SnapshotError, DiskError, OSError) as error:
        raise fail(Code.OUT_OF_RANGE, str(error), field="name") from None
    if other:
        raise fail(Code.OUT_OF_RANGE, f"the snapshot is not of this chip: {other}", field="name")
    before, seen = S.save(chip.state), [session.interrupts_seen for session in keeper.server.sessions]
    _put_back(keeper, arrays)
    try:
        keeper.next_segment(anew=True)
    except OSError as error:
        _put_back(keeper, before)
        for session, events in zip(keeper.server.sessions, seen, strict=True):
            session.interrupts_seen = events
        raise fail(Code.NOT_KEPT, f"nothing was done, for it cannot be kept: {error.strerror or error}") from None
    return _state(keeper)


def _put_back(keeper: Keeper, arrays: dict[str, Any]) -> None:
    chip = keeper.server.chip
    chip.restore(arrays)
    for session in keeper.server.sessions:
        session.interrupts_seen = chip.interrupts_so_far()


def _state(keeper: Keeper) -> Answer:
    return Answer({"digest": S.digest(keeper.server.chip.state)})
