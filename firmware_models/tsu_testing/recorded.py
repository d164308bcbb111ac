"""What a test's driver and bench ask of its chip, recorded in memory, so that a failure can be had again without the test."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tsu_contract.wire import Frame
from tsu_emu.bench.door import Door
from tsu_emu.keep.recording import Recorder
from tsu_emu.keep.records import What
from tsu_emu.server.session import Server

ROOM_BYTES = 64 << 20
"""A recording that would be longer ends there."""
Handler = Callable[[Sequence[Frame]], list[Frame]]


class _Memory:
    """A `tsu_emu.keep.disk.File` of ROOM_BYTES."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes | memoryview) -> int:
        if len(self.data) + len(data) > ROOM_BYTES:
            raise OSError(errno.ENOSPC, f"recordings of tests have {ROOM_BYTES >> 20} MiB")
        self.data += data
        return len(data)

    def sync(self) -> None:
        """Nothing is to be done."""

    def truncate(self, length: int) -> None:
        del self.data[length:]

    def close(self) -> None:
        """Nothing is to be let go of."""


class Recorded:
    """The recording of one server, from now on. `spoilt` : something was done to the chip that no recording has."""

    def __init__(self, server: Server) -> None:
        self._memory, self.spoilt = _Memory(), False
        self._recorder = Recorder(self._memory, server, insist=False)
        self.handle: Handler = self._recorder.attach(What.REQUEST, server)

    def door(self, what: What, door: Door) -> Handler:
        """The handler of a door of the bench, recorded as well."""
        return self._recorder.attach(what, door)

    def write(self, folder: Path, name: str) -> Path | None:
        """Ends it, in a file of a folder, which is made if need be; None if it would not be the test's whole life."""
        if self.spoilt or not self._recorder.going:
            return None
        self._recorder.close()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)[-120:]}.tsutake"
        path.write_bytes(self._memory.data)
        return path
