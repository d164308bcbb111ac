"""Several recorders of one chip, and the operations of its bus, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tsu_contract.operations import Op
from tsu_contract.registers import REGISTER_SPACE, WINDOW_AT, WINDOW_STRIDE, access_table
from tsu_contract.wire import Frame
from tsu_emu.chip import Result
from tsu_emu.digital.validate import check
from tsu_emu.server.session import Server


@dataclass(frozen=True)
class Access:
    """An operation of the host.

    value : what was read, else written; begin, end : the link's clock before and after it, cycles
    """

    op: Op
    address: int
    value: int
    begin: int
    end: int

    @property
    def place(self) -> str:
        """Name of the register or window, "" if the operation has none."""
        if self.op >= Op.DELAY:
            return ""
        if self.address >= REGISTER_SPACE:
            return WINDOW_AT[self.address // WINDOW_STRIDE].name
        return access_table().names[access_table().register[access_table().decode[self.address >> 2]]]


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
        self._server, self._chip = server, server.chip
        self._watchers: list[Watcher] = []

    def add(self, watcher: Watcher) -> None:
        """One more, from now on."""
        self._watchers.append(watcher)
        self._chip.observe(self._look)
        self._server.execute = self._execute

    def close(self) -> None:
        """Nobody watches any more."""
        self._chip.observe(None)
        self._server.execute = self._chip.execute
        while self._watchers:
            self._watchers.pop().close()

    def _look(self) -> None:
        for watcher in self._watchers:
            watcher.look()

    def _execute(self, records: NDArray[Any], payloads: Sequence[Frame] = ()) -> Result:
        """As the chip does, an operation at a time. Whether a list is legal is told before any of it is carried out."""
        chip = self._chip
        check(records, payloads, chip.plant.rules, chip.plant.windows, chip.capabilities, chip.link_time)
        whole, waiting = Result(0, chip.link_time, chip.link_time, np.empty(0, np.uint32)), iter(payloads)
        values: list[int] = []
        for k in range(len(records)):
            op = Op(int(records["op"][k]))
            part = chip.execute(records[k : k + 1], (next(waiting),) if op is Op.BLKWR else ())
            whole.t_end = part.t_end
            if part.failure is not None:
                whole.failure = type(part.failure)(**{**part.failure.__dict__, "index": k})
                break
            values += part.values.tolist()
            whole.data += part.data
            seen = values[-1] if op in (Op.READ, Op.WAIT) else int(records["value"][k])
            access = Access(op, int(records["addr"][k]), seen, part.t_start, part.t_end)
            for watcher in self._watchers:
                watcher.accessed(access)
        whole.executed, whole.values = len(values), np.array(values, np.uint32)
        return whole
