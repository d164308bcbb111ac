"""Recordings: a chip's state, and everything that was asked of it since with check sums of what it answered; and doing it again.

magic 8 | bytes of the snapshot u64 | snapshot | a journal's segment, with REPLY records, and END if it was ended
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from tsu_contract.errors import Code, fail
from tsu_contract.wire import Frame
from tsu_emu import state as S
from tsu_emu.bench.instruments import Instruments
from tsu_emu.bench.oracle import Oracle
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig, parse
from tsu_emu.keep import table
from tsu_emu.keep.disk import File, write_all
from tsu_emu.keep.identity import difference, identity_of
from tsu_emu.keep.journal import Journal
from tsu_emu.keep.records import REQUESTS, JournalError, Record, Segment, What, join_frames, read, split_frames
from tsu_emu.keep.snapshot import Snapshot, SnapshotError, arrays_of, decode, encode
from tsu_emu.server.session import Server
from tsu_emu.server.sessions import Decision

LOG = logging.getLogger("tsu_emu.keep")
MAGIC = b"TSUTAKE\n"
HEAD = struct.Struct("<8sQ")
AFTER = struct.Struct("<Q")
PARTS = ("its header (status, interrupts, times)", "the values of its operations")


class RecordingError(Exception):
    """A file that is no recording, or a damaged one; says what is wrong."""


class Asked(Protocol):
    """The front door, or a door of the lab bench."""

    accepted: Callable[[Sequence[Frame]], None]

    def handle(self, frames: Sequence[Frame]) -> list[Frame]: ...


class Recorder:
    """Records all that is asked of a server from now on; OSError if the file cannot be begun.

    insist : a request that cannot be recorded is refused as NOT_KEPT; else the recording ends there
    going : whether it goes on
    """

    def __init__(self, file: File, server: Server, insist: bool = True) -> None:
        self._file, self._server, self._insist, self.going = file, server, insist, True
        chip, tables = server.chip, {"sessions": table.packed(server.sessions), "chain": 0, "boot": server.boot}
        parts = encode(identity_of(chip.config), 0, chip.link_time, chip.state, tables)
        length = sum(map(len, parts))
        write_all(file, HEAD.pack(MAGIC, length))
        for part in parts:
            write_all(file, part)
        self._journal = Journal(file, 0, 0, HEAD.size + length)
        self._draw = server.sessions.next_number
        self._upcoming, self._under_way = self._draw(), False
        server.sessions.next_number = self._next_session
        server.decided = self._decided

    def _next_session(self) -> int:
        number, self._upcoming = self._upcoming, self._draw()
        return number

    def _decided(self, what: Decision, session: int) -> None:
        self._add(What.DECIDED, session, what.value.encode())

    def attach(self, what: What, door: Asked) -> Callable[[Sequence[Frame]], list[Frame]]:
        """What is asked of a door is recorded; its handler, through which what it answers is recorded, too."""

        def write(frames: Sequence[Frame]) -> None:
            self._under_way = self._add(what, self._upcoming, join_frames(frames))
            if not self._under_way and self._insist:
                raise fail(Code.NOT_KEPT, "nothing was done, for the recording cannot be written")

        def through(frames: Sequence[Frame]) -> list[Frame]:
            reply = door.handle(frames)
            if self._under_way:
                self._under_way = False
                self._add(What.REPLY, 0, _summed(self._server.chip.link_time, reply))
            return reply

        door.accepted = write
        return through

    def _add(self, what: What, session: int, body: bytes) -> bool:
        if self.going:
            try:
                self._journal.add(what, self._server.chip.link_time, session, body)
            except OSError as error:
                LOG.warning("the recording ends: %s", error)
                self.going = False
        return self.going

    def close(self) -> None:
        """The end, with the digest of the state; without, if a request was broken off."""
        if self._under_way:
            self._add(What.UNDONE, 0, b"")
        else:
            self._add(What.END, 0, S.digest(self._server.chip.state).encode())
        self._file.close()


def _summed(time: int, reply: Sequence[Frame]) -> bytes:
    """Chip time after a request, and a CRC-32 of each frame of its reply."""
    return AFTER.pack(time) + struct.pack(f"<{len(reply)}I", *map(zlib.crc32, reply))


class Recording(NamedTuple):
    """What was recorded. cut : bytes at the end that never arrived whole"""

    snapshot: Snapshot
    records: list[Record]
    cut: int

    @property
    def requests(self) -> int:
        """How many there are."""
        return sum(record.what in REQUESTS for record in self.records)


class Outcome(NamedTuple):
    """Of a replay. requests : carried out; ended : the recording came to its end, so that its last state was compared;
    number, time, what : of the first difference, "" if there is none; digest : of the state at the end"""

    requests: int
    ended: bool
    number: int
    time: int
    what: str
    digest: str


def read_recording(data: bytes) -> Recording:
    """A recording from its bytes; RecordingError if they are none, or damaged."""
    if len(data) < HEAD.size or not data.startswith(MAGIC):
        raise RecordingError(f"this is no recording: it does not begin with {MAGIC!r}")
    _, length = HEAD.unpack_from(data)
    end = HEAD.size + length
    try:
        snapshot = decode(memoryview(data)[HEAD.size : end])
        segment: Segment = read("journal", data[end:])
    except (SnapshotError, JournalError) as error:
        raise RecordingError(str(error)) from None
    return Recording(snapshot, segment.records, segment.cut)


def replay(
    recording: Recording, make: Callable[[ChipConfig], Chip], progress: Callable[[int, int], None] = lambda done, total: None
) -> Outcome:
    """Does again what was recorded, up to the first difference.

    make : a chip at power-on; progress : called with requests carried out, and how many there are
    RecordingError: this chip or program is another one than that of the recording.
    """
    server = _server(recording.snapshot, make)
    doors: dict[What, Asked] = {
        What.REQUEST: server,
        What.INSTRUMENTS: Instruments(server.chip),
        What.ORACLE: Oracle(server.chip),
    }
    undone = {record.number for record in recording.records if record.what == What.UNDONE}
    total, done, ended, summed = recording.requests, 0, False, b""
    for record in recording.records:
        time, what = server.chip.link_time, ""
        if record.what in REQUESTS and record.number not in undone:
            if time != record.time:
                what = f"chip time before it: recorded {record.time}, replayed {time}"
            else:
                progress(done, total)
                server.sessions.next_number = _always(record.session)
                summed = _summed_after(server, doors[record.what], record)
                done += 1
        elif record.what == What.DECIDED:
            server.apply(Decision(record.body.decode()), record.session)
        elif record.what == What.REPLY:
            what = _compared(record.body, summed)
        elif record.what == What.END:
            ended, found = True, S.digest(server.chip.state)
            if found != record.body.decode():
                what = f"the state after it: recorded {record.body.decode()[:16]}..., replayed {found[:16]}..."
        if what:
            return Outcome(done, ended, record.number, record.time, what, S.digest(server.chip.state))
    return Outcome(done, ended, -1, server.chip.link_time, "", S.digest(server.chip.state))


def _always(number: int) -> Callable[[], int]:
    return lambda: number


def _summed_after(server: Server, door: Asked, record: Record) -> bytes:
    reply = door.handle(split_frames(record.body))
    return _summed(server.chip.link_time, reply)


def _server(snapshot: Snapshot, make: Callable[[ChipConfig], Chip]) -> Server:
    """The server as it was when the recording began."""
    try:
        config = parse(snapshot.identity.values)
        other = difference(snapshot.identity, identity_of(config))
        if other:
            raise RecordingError(f"the recording is of another chip: {other}")
        chip = make(config)
        chip.restore(arrays_of(snapshot.chip, chip.state))
    except (SnapshotError, ValueError, OSError) as error:
        raise RecordingError(str(error)) from None
    # what clocks decided is recorded, so no clock runs
    server = Server(chip, boot=snapshot.server["boot"], clock=lambda: 0.0)
    server.sessions.take(table.unpacked(snapshot.server["sessions"]))
    return server


def _compared(recorded: bytes, replayed: bytes) -> str:
    """What differs between the replies to a request, in words; "" if nothing does."""
    if recorded == replayed:
        return ""
    (before,), (now,) = AFTER.unpack_from(recorded), AFTER.unpack_from(replayed)
    if before != now:
        return f"chip time after it: recorded {before}, replayed {now}"
    frames = [[sums[at : at + 4] for at in range(AFTER.size, len(sums), 4)] for sums in (recorded, replayed)]
    if len(frames[0]) != len(frames[1]):
        return f"frames of its reply: recorded {len(frames[0])}, replayed {len(frames[1])}"
    k = next(k for k, (a, b) in enumerate(zip(*frames, strict=True)) if a != b)
    return f"in its reply {PARTS[k] if k < len(PARTS) else f'the data of block read {k - len(PARTS) + 1}'}"
