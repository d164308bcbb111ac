"""The reference chip: one cycle at a time, and the operations of the host link; docs/theory-of-operation.md, "Time"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.errors import Code
from tsu_contract.operations import Op
from tsu_contract.wire import Frame, Interrupt
from tsu_emu.config import ChipConfig

from .capabilities import capabilities_of
from .fabric import Correlator, Fabric
from .interrupts import Interrupts
from .learning import Learning
from .registers import Registers, Windows, is_window
from .ring import Ring
from .schedule import Schedule
from .sequencer import Engines, Sequencer
from .tempering import Tempering
from .topology import build_graph


@dataclass(frozen=True)
class Outcome:
    """What one message brought.

    values : one for each operation carried out; a WAIT that timed out is not among them
    data : bytes of each BLKRD carried out
    failure : code and operation, or None
    t_start, t_end : the link clock before and after; a WAIT that timed out counts in t_end
    interrupts, interrupts_lost : logged events since the last message, and how many the log no longer held
    """

    values: list[int]
    data: list[bytes]
    failure: tuple[Code, int] | None
    t_start: int
    t_end: int
    interrupts: tuple[Interrupt, ...]
    interrupts_lost: int


@dataclass(frozen=True)
class Posted:
    """A write on its way: the cycle at which it acts, and what it writes."""

    cycle: int
    address: int
    data: bytes


class TimedOut(Exception):
    """A WAIT did not come true."""


class ReferenceChip:
    """A chip without boot firmware, as the datasheet describes it."""

    def __init__(self, config: ChipConfig) -> None:
        graph = build_graph(config)
        self.timing = config.timing
        self.fabric = Fabric(config, graph)
        self.correlator = Correlator(graph, config.fabric.planes)
        self.interrupts = Interrupts()
        self.capabilities = capabilities_of(config, graph)
        self.engines = self._engines(config)
        self.sequencer = Sequencer(config, self.fabric, self.correlator, self.interrupts, self.engines)
        self.registers = Registers(config, self.capabilities, self.fabric, self.correlator, self.sequencer)
        self.windows = Windows(self.fabric, self.correlator, self.sequencer)
        self.now = 0
        self.link = 0
        self.drained = 0
        self.posted: list[Posted] = []

    def _engines(self, config: ChipConfig) -> Engines:
        cap = self.capabilities
        return Engines(
            Learning(config, self.fabric, self.correlator),
            Ring(config, self.fabric, self.interrupts),
            Tempering(self.fabric, self.correlator, (cap.coupling_lsb, cap.bias_lsb, cap.temp_lsb)),
            Schedule(config, self.fabric),
        )

    # Time.

    def advance(self, until: int) -> None:
        """Let every cycle after the present one happen, up to and including `until`."""
        while self.now < until:
            stale = self.sequencer.calibration.due
            self.now = (until if stale is None else min(until, max(stale, self.now + 1))) if self.nothing_due() else self.now + 1
            self.fabric.settle(self.now)
            self.sequencer.run_edges(self.now)
            self.sequencer.calibration.look(self.now)
            self._bus()

    def nothing_due(self) -> bool:
        """Nothing will ever happen until the host does something, but that the calibration grows stale."""
        return self.fabric.settled and self.sequencer.edge is None and not self.posted

    def _bus(self) -> None:
        """Posted writes that act at this cycle, in their order."""
        while self.posted and self.posted[0].cycle == self.now:
            write = self.posted.pop(0)
            if is_window(write.address):
                self.windows.write(write.address, write.data, self.now)
            else:
                self.registers.write(write.address, int.from_bytes(write.data, "little"), self.now)

    # Operations.

    def execute(self, records: NDArray[Any], payloads: Sequence[Frame]) -> Outcome:
        """Carry out a list of legal operations."""
        t_start, waiting = self.link, list(payloads)
        values: list[int] = []
        data: list[bytes] = []
        failure: tuple[Code, int] | None = None
        with np.errstate(over="ignore"):
            for index, record in enumerate(records):
                try:
                    values.append(self._operation(record, data, waiting))
                except TimedOut:
                    failure = (Code.WAIT_TIMEOUT, index)
                self.advance(self.link)
                if failure:
                    break
        interrupts, lost = self.interrupts.take_log()
        return Outcome(values, data, failure, t_start, self.link, interrupts, lost)

    def _operation(self, record: Any, data: list[bytes], payloads: list[Frame]) -> int:
        address, value, mask, arg = (int(record[name]) for name in ("addr", "value", "mask", "arg"))
        match Op(record["op"]):
            case Op.READ:
                return self._read(address)
            case Op.WRITE:
                self._write(address, value.to_bytes(4, "little"), 0)
            case Op.RMW:
                return self._read_modify_write(address, value, mask)
            case Op.BLKRD:
                data.append(self._read_window(address, arg, self.timing.burst_setup))
            case Op.BLKWR:
                self._write(address, bytes(payloads.pop(0)), self.timing.burst_setup)
            case Op.WAIT:
                return self._wait(address, value, mask, arg)
            case Op.DELAY:
                self.link += arg
            case Op.DELAY_UNTIL:
                self.link = max(self.link, arg)
            case Op.FENCE:
                self.link = max(self.link, self.drained)
        return 0

    def _beats(self, address: int, words: int) -> int:
        if not is_window(address):
            return 0
        window, _ = self.windows.at(address)
        return words * int(getattr(self.timing, window.cost))

    def _read(self, address: int) -> int:
        if is_window(address):
            return int.from_bytes(self._read_window(address, 1, 0), "little")
        t = max(self.link + self.timing.issue, self.drained) + self.timing.access
        self.advance(t)
        self.link = t + self.timing.return_
        return self.registers.read(address, t)

    def _read_window(self, address: int, words: int, setup: int) -> bytes:
        t = max(self.link + self.timing.issue + setup, self.drained) + self.timing.access
        self.advance(t)
        self.link = t + self._beats(address, words) + self.timing.return_
        return self.windows.read(address, words)

    def _write(self, address: int, data: bytes, setup: int) -> None:
        self.link += self.timing.issue + setup + self._beats(address, len(data) // 4)
        self.drained = max(self.link, self.drained) + self.timing.access
        self.posted.append(Posted(self.drained, address, data))
        self.link = max(self.link, self.drained - self.timing.write_buffer)
        self._bus()

    def _read_modify_write(self, address: int, value: int, mask: int) -> int:
        t = max(self.link + self.timing.issue, self.drained) + 2 * self.timing.access
        self.advance(t)
        before = self.registers.read(address, t)
        self.registers.write(address, value, t, mask)
        self.drained = t
        self.link = t + self.timing.return_
        return before

    def _wait(self, address: int, value: int, mask: int, most: int) -> int:
        first = max(self.link + self.timing.issue, self.drained) + self.timing.access
        self.advance(first)
        last = first + most
        while True:
            word = self.registers.peek(address, self.now)
            self.link = self.now + self.timing.return_
            if (word ^ value) & mask == 0:
                return word
            if self.now == last:
                raise TimedOut
            self.advance(last if self.nothing_due() else self.now + 1)
