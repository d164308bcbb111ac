"""Watches a chip event by event, and writes what it sees in the trace event format, which Perfetto reads.

Source: "Trace Event Format", Google, 2016: duration events B and E, instants i, counters C, metadata M; an array in JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tsu_contract.program import Opcode
from tsu_contract.registers import REGISTERS, label_of
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.digital import words as W
from tsu_emu.server.trace.calls import Calls
from tsu_emu.server.trace.symbols import Symbols
from tsu_emu.server.trace.watching import Access

BUS, FIRMWARE, INTERRUPTS, SEQUENCER, DACS = TRACKS = ("bus", "firmware", "interrupts", "sequencer", "DACs")


class Track:
    """One row of the timeline; its slices lie one within the other."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self._recorder, self._number, self._open = recorder, number, 0

    def begin(self, name: str, cycle: int, **more: Any) -> None:
        """A slice begins."""
        self._open += 1
        self._recorder.write(ph="B", name=name, cycle=cycle, tid=self._number, **more)

    def end(self, cycle: int) -> None:
        """The innermost slice ends."""
        self._open -= 1
        self._recorder.write(ph="E", cycle=cycle, tid=self._number)

    def instant(self, name: str, cycle: int, **more: Any) -> None:
        """Something happens."""
        self._recorder.write(ph="i", s="t", name=name, cycle=cycle, tid=self._number, **more)

    def close(self, cycle: int) -> None:
        """All slices that are open end."""
        while self._open:
            self.end(cycle)


class Recorder:
    """Records a chip's life from now on into a file; OSError if it cannot be written. Of the bus it hears by `accessed`.

    image : the ELF file of its core, for the names of functions
    """

    def __init__(self, chip: Chip, path: Path, image: Path | None = None) -> None:
        self._chip, self._state = chip, chip.state
        self._us = 1e6 / chip.capabilities.clock_hz
        self._file = path.open("w", encoding="utf-8")
        self._separator = "[\n"
        self._tracks = {name: Track(self, k) for k, name in enumerate(TRACKS, 1)}
        self.write(ph="M", name="process_name", args={"name": chip.config.name})
        for k, name in enumerate(TRACKS, 1):
            self.write(ph="M", name="thread_name", tid=k, args={"name": name})
        self._pending, self._step, self._fetched, self._settling = 0, "", 0, False
        self._counted = {"TEMP.TDAC": -1.0, "die, K": -1.0}
        self._calls: Calls | None = None
        chip.observe(self.look)
        if chip.core is not None and image is not None:
            self._calls = Calls(chip, chip.core, Symbols(image.read_bytes()), self._tracks[FIRMWARE])
        self.look()

    def write(self, *, cycle: int | None = None, tid: int = 0, **event: Any) -> None:
        """One event; `cycle` becomes its time in microseconds, and stays as an argument."""
        if cycle is not None:
            event = {**event, "ts": round(cycle * self._us, 6), "args": {"cycle": cycle, **event.get("args", {})}}
        self._file.write(self._separator + json.dumps({**event, "pid": 1, "tid": tid}))
        self._separator = ",\n"

    def look(self) -> None:
        """After the events of a cycle."""
        now = int(self._state.time[S.NOW])
        if self._calls is not None:
            self._calls.look()
        self._interrupts(now)
        self._sequencer(now)
        self._dacs(now)
        self._counter("TEMP.TDAC", float(self._state.registers[W.TDAC]), now)
        self._counter("die, K", self._chip.surroundings.die_k(), now)

    def accessed(self, access: Access) -> None:
        """After an operation of the host."""
        track = self._tracks[BUS]
        track.begin(f"{access.op.name} {access.place}".rstrip(), access.begin, args={"value": f"{access.value:#x}"})
        track.end(access.end)

    def close(self) -> None:
        """The file is whole, and nobody watches the chip."""
        self._chip.observe(None)
        now = int(self._state.time[S.NOW])
        for track in self._tracks.values():
            track.close(max(now, self._core_cycle()))
        self._file.write("\n]\n")
        self._file.close()

    def _core_cycle(self) -> int:
        return int(self._state.hart["cycle"][0]) if self._calls is not None else 0

    def _interrupts(self, now: int) -> None:
        pending = int(self._state.registers[W.IRQ_PENDING])
        if risen := pending & ~self._pending:
            for name, field in REGISTERS["IRQ.PENDING"].fields.items():
                if field.mask & risen:
                    self._tracks[INTERRUPTS].instant(name, now)
        self._pending = pending

    def _sequencer(self, now: int) -> None:
        """What it does: the instruction under way while it runs, else its state if it is not idle."""
        status, at = int(self._state.registers[W.SEQ_STATUS]), int(self._state.registers[W.SEQ_PC])
        state = label_of("SEQ.STATUS.STATE", REGISTERS["SEQ.STATUS"].fields["STATE"].get(status))
        step = "" if state == "IDLE" else state
        if state == "RUNNING":
            step = self._instruction(self._under_way(at))
        if step != self._step:
            track = self._tracks[SEQUENCER]
            track.close(now)
            if step:
                track.begin(step, now)
        self._step, self._fetched = step, at if state == "RUNNING" else 0

    def _under_way(self, at: int) -> int:
        """Place of the instruction whose time this is: PC's, or, when PC's is fetched next, the one before it, or an END."""
        if self._state.core["sequencer"][0, S.ACTIVITY] != S.FETCH:
            return at
        if at >= self._fetched:
            return at - 1
        return next((k for k in range(self._fetched, len(self._state.program)) if self._opcode(k) == Opcode.END), at - 1)

    def _opcode(self, place: int) -> int:
        return int(self._state.program[place]) >> 56

    def _instruction(self, place: int) -> str:
        """As text; nothing if there is none."""
        if not 0 <= place < len(self._state.program):
            return ""
        opcode = self._opcode(place)
        name = Opcode(opcode).name if opcode in Opcode._value2member_map_ else "ILLEGAL"
        return f"{place}: {name} {int(self._state.program[place]) & 0xFFFFFFFF}"

    def _dacs(self, now: int) -> None:
        settling = not self._state.registers[W.FABRIC_STATUS] & W.SETTLED
        if settling and not self._settling:
            written = int(self._state.events[S.EVENT_SETTLED]) - int(self._chip.plant.timing["settle"][0])
            self._tracks[DACS].begin("settling", min(max(written, 0), now))
        elif self._settling and not settling:
            self._tracks[DACS].end(now)
        self._settling = settling

    def _counter(self, name: str, value: float, now: int) -> None:
        if value != self._counted[name]:
            self._counted[name] = value
            self.write(ph="C", name=name, cycle=now, args={"value": value})
