"""The journal that is being written: one segment, to which records are added, and how much of it is on the disk."""

from __future__ import annotations

from threading import Lock

from tsu_emu.keep.disk import File, write_all
from tsu_emu.keep.records import REQUESTS, Record, What, encode, head


class Journal:
    """A segment. OSError from its constructor: it cannot be begun.

    first, chain : as in `records.head`; begins : bytes that the file has before it
    number : of the next request; written : bytes of the segment
    """

    def __init__(self, file: File, first: int, chain: int, begins: int = 0) -> None:
        self._file, self._begins, self.number, self.chain = file, begins, first, chain
        self._lock = Lock()
        beginning = head(first, chain)
        write_all(file, beginning)
        self.written, self._safe = len(beginning), 0
        self.sound = True
        self.sync()

    @property
    def behind(self) -> bool:
        """Whether something was written that may not be on the disk yet."""
        return self._safe < self.written

    def add(self, what: What, time: int, session: int, body: bytes = b"") -> None:
        """Writes a record; a request has the next number, others are about the request before.

        OSError: it is not there. If not even what came of it could be removed, `sound` is False, and nothing can follow.
        """
        asked = what in REQUESTS
        number = self.number if asked else max(0, self.number - 1)
        data, crc = encode(Record(what, number, time, session, self._safe, body), self.chain)
        try:
            write_all(self._file, data)
        except OSError:
            self._take_back()
            raise
        self.written += len(data)
        self.chain = crc
        self.number += asked

    def _take_back(self) -> None:
        try:
            self._file.truncate(self._begins + self.written)
        except OSError:
            self.sound = False

    def sync(self) -> None:
        """Returns when all that was written is on the disk; OSError: it may not be, and nothing can follow.

        May be called by another thread than writes.
        """
        with self._lock:
            written = self.written
            if self._safe >= written:
                return
            try:
                self._file.sync()
            except OSError:
                self.sound = False
                raise
            self._safe = written

    def close(self) -> None:
        """Lets go of the file, once nobody waits for the disk."""
        with self._lock:
            self._file.close()
