"""Snapshots and segments of a journal by number in one directory: which there are, and what they tell together."""

from __future__ import annotations

import logging
import re
from typing import NamedTuple

from tsu_emu.keep.disk import Disk
from tsu_emu.keep.records import JournalError, Record, Segment, read
from tsu_emu.keep.snapshot import OtherVersion, Snapshot, SnapshotError, decode

LOG = logging.getLogger("tsu_emu.keep")
SNAPSHOTS = 2
"""Snapshots that are kept, with the journal since the older one."""
NUMBERED = re.compile(r"(snapshot|journal)-(\d{12})\.tsu", re.ASCII)


def snapshot_name(number: int) -> str:
    """File of a snapshot."""
    return f"snapshot-{number:012}.tsu"


def journal_name(number: int) -> str:
    """File of the segment that begins with the snapshot of that number."""
    return f"journal-{number:012}.tsu"


class Kept(NamedTuple):
    """What a directory tells. segment : number of the newest; snapshot : newest sound one; records : since it;
    chain : check sum after the last of them; cut : bytes at the end that never arrived whole"""

    segment: int
    snapshot: Snapshot
    records: list[Record]
    chain: int
    cut: int


def numbers(disk: Disk, kind: str) -> list[int]:
    """Of the snapshots or segments that there are, in order."""
    found = (NUMBERED.fullmatch(name) for name in disk.names())
    return sorted(int(match[2]) for match in found if match and match[1] == kind)


def load(disk: Disk) -> Kept | None:
    """What is kept, None in a directory in which nothing is. Snapshots that are damaged are set aside, named .bad.

    SnapshotError, JournalError: what there is does not go together; nothing is changed then. OSError: it cannot be read.
    """
    snapshots, segments = numbers(disk, "snapshot"), numbers(disk, "journal")
    if not snapshots:
        if any(read(journal_name(n), disk.read(journal_name(n))).records for n in segments):
            raise SnapshotError("there are journals, but no snapshot; bring the snapshots back from a copy")
        return None
    number, snapshot, bad = _newest(disk, snapshots)
    for lost in (n for n in snapshots if n >= number and n not in segments):
        LOG.warning("%s is not there: what was done after %s is left out", journal_name(lost), snapshot_name(lost))
    records, chain, cut = _since(disk, snapshot, [n for n in segments if n >= number], snapshots)
    for damaged in bad:
        disk.rename(snapshot_name(damaged), f"{snapshot_name(damaged)}.bad")
    return Kept(max(*snapshots, *segments, number), snapshot, records, chain, cut)


def _newest(disk: Disk, found: list[int]) -> tuple[int, Snapshot, list[int]]:
    """The newest snapshot that is sound, its number, and the numbers of later ones, which are not."""
    bad: list[int] = []
    said = ""
    for number in reversed(found):
        try:
            return number, decode(disk.read(snapshot_name(number))), bad
        except OtherVersion as error:
            raise OtherVersion(f"{snapshot_name(number)}: {error}") from None
        except SnapshotError as error:
            said = said or f"{snapshot_name(number)}: {error}"
            LOG.warning("%s: %s; an earlier one is taken", snapshot_name(number), error)
            bad.append(number)
    raise SnapshotError(f"{said}; no earlier snapshot is sound. Nothing was changed; bring the files back from a copy")


def _since(disk: Disk, snapshot: Snapshot, segments: list[int], snapshots: list[int]) -> tuple[list[Record], int, int]:
    """Records after a snapshot, the check sum after them, and bytes that were cut off their end.

    A segment without records and without a snapshot was begun in vain, and says nothing.
    """
    records: list[Record] = []
    number, chain, cut = snapshot.number, snapshot.server["chain"], 0
    for segment in segments:
        name = journal_name(segment)
        found = read(name, disk.read(name))
        if found.first >= 0 and (found.records or segment in snapshots):
            _check_follows(name, found, number, chain)
            records += found.records
            number, chain = _after(name, found, number), found.last
        cut = found.cut
        if cut:
            LOG.warning("%s: the last %d bytes are no whole record, and are left out", name, cut)
    return records, chain, cut


def _check_follows(name: str, segment: Segment, number: int, chain: int) -> None:
    if (segment.first, segment.chain) != (number, chain):
        raise JournalError(
            f"{name} begins with request {segment.first}, but what is kept before it ends with request {number - 1}: records are "
            "missing. Nothing was changed; bring the files back from a copy, or move this and later ones away"
        )


def _after(name: str, segment: Segment, number: int) -> int:
    """Number of the request that follows a segment; JournalError if its own are not consecutive."""
    for record in segment.records:
        if record.number == number:
            number += 1
        elif record.number != number - 1:
            raise JournalError(f"{name}: request {record.number} after request {number - 1}; records are missing")
    return number


def tidy(disk: Disk) -> None:
    """Removes what is older than the oldest of SNAPSHOTS snapshots."""
    oldest = numbers(disk, "snapshot")[-SNAPSHOTS:][0]
    for kind, name in (("snapshot", snapshot_name), ("journal", journal_name)):
        for number in numbers(disk, kind):
            if number < oldest:
                disk.remove(name(number))
    for left in disk.names():
        if left.endswith(".part"):
            disk.remove(left)
