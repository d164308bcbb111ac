"""Waveforms of a chip as a value change dump, which every wave viewer reads: bus, sequencer, interrupts, temperature.

Source: IEEE 1364-2001, section 18; written by pyvcd.
"""

from __future__ import annotations

import heapq
from itertools import count
from pathlib import Path
from typing import Any

from vcd import VCDWriter
from vcd.writer import Variable

from tsu_contract.registers import REGISTERS
from tsu_emu import __version__
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.digital import words as W
from tsu_emu.server.trace.watching import Access

PICOSECONDS = 10**12
SLACK = 1 << 13
"""Cycles by which what is seen of the chip may run ahead of what is told of the bus: more than posted writes and bursts take."""


class Waveforms:
    """Records signals from now on into a file; OSError if it cannot be written.

    Signals: bus.active, bus.op (docs/protocol.md), bus.address, bus.data; sequencer.state, pc, opcode (that of PC's place);
    irq.* one for each interrupt that is pending; dac.settled, dac.tdac; temperature.die in K.
    """

    def __init__(self, chip: Chip, path: Path) -> None:
        self._chip, self._state = chip, chip.state
        self._file = path.open("w", encoding="ascii")
        self._writer = VCDWriter(self._file, "1 ps", date="", version=f"tsu-emu {__version__}", comment=chip.config.name)
        self._hz = chip.capabilities.clock_hz
        vectors = {
            "bus.active": 1, "bus.op": 4, "bus.address": 32, "bus.data": 32, "sequencer.state": 8, "sequencer.pc": 32,
            "sequencer.opcode": 8, "dac.settled": 1, "dac.tdac": 16,
        }  # fmt: skip
        self._interrupts = {f"irq.{name}": field.mask for name, field in REGISTERS["IRQ.PENDING"].fields.items()}
        self._signals: dict[str, Variable[Any]] = {}
        for name, bits in (vectors | dict.fromkeys(self._interrupts, 1)).items():
            scope, signal = name.split(".")
            self._signals[name] = self._writer.register_var(scope, signal, "wire" if bits == 1 else "reg", size=bits)
        self._signals["temperature.die"] = self._writer.register_var("temperature", "die", "real", init=chip.surroundings.die_k())
        self._last: dict[str, float] = {}
        self._changes: list[tuple[int, int, str, float]] = []
        self._order, self._written = count(), 0
        self.look()

    def look(self) -> None:
        """After the events of a cycle."""
        now, registers = int(self._state.time[S.NOW]), self._state.registers
        pending, pc = int(registers[W.IRQ_PENDING]), int(registers[W.SEQ_PC])
        self._set("sequencer.state", int(registers[W.SEQ_STATUS]) & 0xFF, now)
        self._set("sequencer.pc", pc, now)
        self._set("sequencer.opcode", int(self._state.program[pc]) >> 56 if pc < len(self._state.program) else 0, now)
        self._set("dac.settled", int(registers[W.FABRIC_STATUS] & W.SETTLED != 0), now)
        self._set("dac.tdac", int(registers[W.TDAC]), now)
        self._set("temperature.die", self._chip.surroundings.die_k(), now)
        for name, mask in self._interrupts.items():
            self._set(name, int(pending & mask != 0), now)
        self._write(now - SLACK)

    def accessed(self, access: Access) -> None:
        """After an operation: it is on the bus from its begin to its end."""
        values = {"bus.op": int(access.op), "bus.address": access.address, "bus.data": access.value, "bus.active": 1}
        for name, value in values.items():
            self._change(name, value, access.begin)
        self._change("bus.active", 0, access.end)
        self._write(access.begin)

    def close(self) -> None:
        """The file is whole."""
        end = max(int(self._state.time[S.NOW]), self._chip.link_time)
        self._write(end)
        self._writer.close(self._time(end))
        self._file.close()

    def _set(self, name: str, value: float, cycle: int) -> None:
        if self._last.get(name) != value:
            self._last[name] = value
            self._change(name, value, cycle)

    def _change(self, name: str, value: float, cycle: int) -> None:
        heapq.heappush(self._changes, (cycle, next(self._order), name, value))

    def _time(self, cycle: int) -> int:
        return cycle * PICOSECONDS // self._hz

    def _write(self, until: int) -> None:
        """What is known to have happened before a cycle; times only go forward in the file."""
        while self._changes and self._changes[0][0] <= until:
            cycle, _, name, value = heapq.heappop(self._changes)
            self._written = max(self._written, cycle)
            self._writer.change(self._signals[name], self._time(self._written), value)
