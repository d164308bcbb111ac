"""Several recorders of one chip, and the operations of its bus, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from tsu_contract.operations import Op
from tsu_contract.wire import Frame
from tsu_emu.chip import Result
from tsu_emu.server.pieces import in_pieces
from tsu_emu.server.session import Server


@dataclass(frozen=True)
class Access:
    """An operation of the host.

    place : name of the register or window, "" if the operation has none
    value : what was read, else written; begin, end : the link's clock before and after it, cycles
    """

    op: Op
    address: int
    place: str
    value: int
    begin: int
    end: int


class Watcher(Protocol):
    """Who writes a chip's life down."""

    def look(self) -> None:
        """After the events of a cycle."""

    def accessed(self, access: Access) -> None:
        """After an operation."""

    def close(self) -> None:
        """No more will come."""


class Watching:
    """Shows the life of a server's chip to watchers; the chip lives as it would unwatched, only slower."""

    def __init__(self, server: Server) -> None:
        self._server, self._chip, self._unwatched = server, server.chip, server.execute
        self._watchers: list[Watcher] = []

    def add(self, watcher: Watcher) -> None:
        """One more, from now on."""
        self._watchers.append(watcher)
        self._chip.observe(self._look)
        self._server.execute = self._execute

    def close(self) -> None:
        """Nobody watches any more."""
        self._chip.observe(None)
        self._server.execute = self._unwatched
        while self._watchers:
            self._watchers.pop().close()

    def _look(self) -> None:
        for watcher in self._watchers:
            watcher.look()

    def _execute(self, records: NDArray[Any], payloads: Sequence[Frame] = ()) -> Result:
        """As the chip does, an operation at a time."""

        def accessed(k: int, done: Result) -> None:
            op = Op(int(records["op"][k]))
            value = int(done.values[0]) if op in (Op.READ, Op.WAIT) else int(records["value"][k])
            address = int(records["addr"][k])
            place = self._chip.map.name_at(address) if op < Op.DELAY else ""
            access = Access(op, address, place, value, done.t_start, done.t_end)
            for watcher in self._watchers:
                watcher.accessed(access)
            self._chip.between_calls()

        return in_pieces(self._chip, records, payloads, 1, accessed)
