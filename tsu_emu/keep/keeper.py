"""Keeps a daemon's chip and sessions: every request that changes something is in the journal before anything is done, and what is
in the journal is done again after a crash, by the same handlers."""

from __future__ import annotations

import errno
import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tsu_contract import wire
from tsu_contract.errors import Code, ProtocolError, fail
from tsu_contract.wire import Frame, Kind
from tsu_emu.bench.door import Door
from tsu_emu.keep import table
from tsu_emu.keep.disk import Disk, put
from tsu_emu.keep.identity import Identity
from tsu_emu.keep.journal import Journal
from tsu_emu.keep.records import What, join_frames
from tsu_emu.keep.snapshot import encode
from tsu_emu.keep.store import journal_name, snapshot_name, tidy
from tsu_emu.server.session import Server
from tsu_emu.server.sessions import Decision

LOG = logging.getLogger("tsu_emu.keep")
BUSY_SECONDS = 0.35
"""Processor time after which another snapshot is taken: what a start after a crash may have to do again."""
WORTH = 20.0
"""A snapshot that takes long is taken after so many times what the last one took."""
SEGMENT_BYTES = 64 << 20
"""A segment of the journal that is longer is ended by a snapshot."""
SPARE_BYTES = 1 << 20
"""Free bytes without which no snapshot is begun, beside its own."""


class Keeper:
    """Keeps the life of one server. `recovery.begin` says where it begins; until then nothing is journaled.

    doors : of the lab bench, by the kind of their records
    durable : a reply goes out when its request is on the disk; else it is with the system, and `sync` brings it there
    clock : processor time, s; draw : numbers of sessions, not to be guessed
    number : requests carried out; trouble : why nothing can be kept at present, "" if all is well
    """

    def __init__(
        self, disk: Disk, server: Server, identity: Identity, doors: Mapping[What, Door], durable: bool,
        clock: Callable[[], float], draw: Callable[[], int],
    ) -> None:  # fmt: skip
        self.disk, self.server, self.identity, self.durable = disk, server, identity, durable
        self._doors: dict[What, Server | Door] = {What.REQUEST: server, **doors}
        self.number, self.segment, self.chain, self.trouble = 0, 0, 0, ""
        self.upcoming = draw()
        self._draw, self._clock = draw, clock
        self._journal: Journal | None = None
        self._since, self._took, self._due_bytes = clock(), 0.0, SEGMENT_BYTES
        self._under_way = self._broken_off = False
        self._turn: list[bytes] = []
        self._doubtful: set[bytes] = set()
        server.sessions.next_number = self._next_session
        server.keeps = "durable" if durable else "fast"
        server.status.warnings = self._warnings

    def _next_session(self) -> int:
        number, self.upcoming = self.upcoming, self._draw()
        return number

    # Requests

    def keep_all(self) -> None:
        """From now on requests that change something are written to the journal, or refused as NOT_KEPT."""
        for what, door in self._doors.items():
            door.accepted = self._accept(what)
        self.server.decided = self._decided

    def carry_out(self, what: What, frames: Sequence[Frame]) -> None:
        """A request of the journal, once more; KeyError if its door is not there."""
        self._doors[what].handle(frames)

    def _accept(self, what: What) -> Callable[[Sequence[Frame]], None]:
        """The hook that writes requests of a door to the journal."""

        def write(frames: Sequence[Frame]) -> None:
            self._write(what, self.upcoming, join_frames(frames))
            self.number += 1
            self._under_way = True
            if self.durable:
                self._turn.append(bytes(frames[0]))

        return write

    def _decided(self, what: Decision, session: int) -> None:
        """The daemon decides something of a session that no request asked for, and whatever the disk does.

        If it cannot be written, nothing else is until a new snapshot has it; none is taken in the midst of a request.
        """
        try:
            self._write(What.DECIDED, session, what.value.encode())
        except ProtocolError:
            if self._journal is not None:
                self._journal.sound = False

    def _write(self, what: What, session: int, body: bytes) -> None:
        if not self._in_order() and (self._under_way or not self._mended()):
            raise fail(Code.NOT_KEPT, f"nothing was done, for it cannot be kept: {self.trouble}")
        assert self._journal is not None
        try:
            self._journal.add(what, self.server.chip.link_time, session, body)
        except OSError as error:
            self._note(error)
            raise fail(Code.NOT_KEPT, f"nothing was done, for it cannot be kept: {self.trouble}") from None
        if self.trouble:
            self._well()

    def handler(self, what: What) -> Callable[[list[Frame]], list[Frame]]:
        """What a daemon's door calls: from the frames of a request to those of its reply; none if it must not be answered yet."""
        handle = self._doors[what].handle

        def through(frames: list[Frame]) -> list[Frame]:
            if self._doubtful and frames and bytes(frames[0]) in self._doubtful and not self._mended():
                return []
            try:
                reply = handle(frames)
            except BaseException:
                self._broken_off = self._under_way
                raise
            self._under_way = False
            return reply

        return through

    def settle(self) -> bool:
        """Before the replies of a turn go out: whether they may; if not, what they tell could be lost."""
        turn, self._turn = self._turn, []
        if not turn or self._journal is None:
            return True
        try:
            self._journal.sync()
        except OSError as error:
            self._note(error)
            self._doubtful |= {head for head in turn if _is_numbered(head)}
            return self._mended()
        return True

    @property
    def behind(self) -> bool:
        """Whether something was written that may not be on the disk yet."""
        return self._journal is not None and self._journal.behind

    def sync(self) -> None:
        """Brings to the disk what was written; may be called by a thread of its own. Trouble is noticed at the next request."""
        journal = self._journal
        if journal is not None and journal.sound:
            try:
                journal.sync()
            except OSError as error:
                LOG.warning("the journal may not be on the disk: %s", error)

    # Trouble

    def _warnings(self) -> list[str]:
        """For STATUS."""
        return [f"requests that change something are refused, for they cannot be kept: {self.trouble}"] if self.trouble else []

    def _in_order(self) -> bool:
        return self._journal is not None and self._journal.sound

    def _note(self, error: OSError) -> None:
        said = f"{error.strerror or error}"
        if said != self.trouble:
            LOG.warning("the journal cannot be written: %s; requests that change something are refused", said)
        self.trouble = said

    def _well(self) -> None:
        LOG.warning("the journal is written again")
        self.trouble = ""

    def _mended(self) -> bool:
        """Whether all that was carried out is on the disk after all, in a new snapshot."""
        try:
            self.next_segment(anew=True)
        except OSError as error:
            self._note(error)
            return False
        if self.trouble:
            self._well()
        return True

    # Snapshots

    def rest(self) -> None:
        """After the replies of a turn: takes a snapshot if one is due."""
        busy = self._clock() - self._since
        long = self._journal is not None and self._journal.written >= self._due_bytes
        if not long and busy < max(BUSY_SECONDS, WORTH * self._took):
            return
        try:
            self.next_segment()
        except OSError as error:
            LOG.warning("no snapshot could be taken: %s; the journal goes on", error)
            self._since = self._clock()
            self._due_bytes += SEGMENT_BYTES

    def encoded(self) -> list[memoryview]:
        """A snapshot of now."""
        chip, lease = self.server.chip, self.server.lease
        held = [lease.holder, lease.client, lease.seconds]
        server = {"sessions": table.packed(self.server.sessions), "lease": held, "chain": self.chain}
        return encode(self.identity, self.number, chip.link_time, chip.state, server)

    def next_segment(self, anew: bool = False) -> None:
        """A snapshot, and a journal that begins with it; OSError if that cannot be, and then all is as it was.

        anew : the chip's state does not follow from snapshot and journal so far
        """
        begun, before = self._clock(), self.chain
        self.chain = self._journal.chain if self._journal else self.chain
        self.chain = zlib.crc32(b"anew", self.chain) if anew else self.chain
        number = self.segment + 1
        try:
            parts = self.encoded()
            if self.disk.free() < sum(map(len, parts)) + SPARE_BYTES:
                raise OSError(errno.ENOSPC, f"{self.disk.free() >> 20} MiB free are not enough for a snapshot")
            journal = self._begun(number)
        except OSError:
            self.chain = before
            raise
        try:
            put(self.disk, snapshot_name(number), parts)
        except OSError:
            self.chain = before
            journal.close()
            self._withdraw(number)
            raise
        self._take(journal, number)
        self._since, self._took, self._due_bytes = self._clock(), self._clock() - begun, SEGMENT_BYTES

    def _begun(self, number: int) -> Journal:
        """An empty journal on the disk."""
        file = self.disk.create(journal_name(number))
        try:
            journal = Journal(file, self.number, self.chain)
            self.disk.sync()
        except OSError:
            file.close()
            raise
        return journal

    def _take(self, journal: Journal, number: int) -> None:
        """A new segment is the one that is written."""
        if self._journal is not None:
            self._journal.close()
        self._journal, self.segment = journal, number
        self._doubtful.clear()
        try:
            tidy(self.disk)
        except OSError as error:
            LOG.warning("old snapshots could not be removed: %s", error)

    def _withdraw(self, number: int) -> None:
        """A snapshot that may be there is not to be found, or the journal so far cannot go on."""
        try:
            if snapshot_name(number) in self.disk.names():
                self.disk.remove(snapshot_name(number))
                self.disk.sync()
        except OSError:
            if self._journal is not None:
                self._journal.sound = False

    def resume(self) -> None:
        """A snapshot of what was recovered; if the disk does not take it, requests are refused until it does."""
        try:
            self.next_segment()
        except OSError as error:
            self._note(error)

    def close(self) -> None:
        """The end: a request that was broken off is taken back, else a snapshot is taken. The journal is enough."""
        journal = self._journal
        if journal is None:
            return
        try:
            if not self._broken_off:
                self.next_segment(anew=not journal.sound)
            elif journal.sound:
                journal.add(What.UNDONE, self.server.chip.link_time, 0)
            self.sync()
        except OSError as error:
            LOG.warning("no snapshot could be taken at the end: %s; the journal has it all", error)
        finally:
            self._journal, journal = None, self._journal
            if journal is not None:
                journal.close()
            self.disk.close()


def _is_numbered(head: bytes) -> bool:
    """Whether the header of a request is that of one whose reply is kept."""
    try:
        values: list[Any] = wire.read_header(head, 6)
    except ProtocolError:
        return False
    return bool(values[2] in (Kind.OPERATE, Kind.LEASE))
