"""Waveforms read back, the bus on both kinds of record, and a chip that lives as it would unwatched."""

from __future__ import annotations

import json
from bisect import bisect_right
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vcd.reader import TokenKind, tokenize

from server.harness import (
    Client,
    at,
    block_read,
    block_write,
    delay,
    fingerprint,
    program_rows,
    read,
    rmw,
    small_server,
    wait,
    write,
)
from tsu_contract.errors import Code
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode
from tsu_contract.wire import Kind, Reply
from tsu_emu.server.session import Server
from tsu_emu.server.trace import Recorder, Watching, Waveforms

LIFE = [
    [
        *program_rows(Instruction(Opcode.SET_T, 200), Instruction(Opcode.RUN, 3), Instruction(Opcode.HALT)),
        write("IRQ.ENABLE", 0x1F),
    ],
    [block_write("BIAS", 4), write("BIAS", 3, 1), write("BIAS", 5, 2), read("FABRIC.STATUS")],
    [rmw("CORR.CTRL", 1, 1), write("SEQ.CTRL", 1), wait("SEQ.STATUS", 2, 0xFF, 100_000), block_read("SPIN", 4), delay(50)],
]
"""Lists of operations: a program with an interrupt at its end, DACs that settle, bursts."""
PAYLOAD = np.arange(8, dtype="<i2").tobytes()


def live(server: Server) -> list[Reply]:
    client = Client(server)
    return [client.done(*rows, payloads=[PAYLOAD] * sum(r[0] == Op.BLKWR for r in rows)) for rows in LIFE]


class Dump:
    """A value change dump read back: changes of each signal, in cycles."""

    def __init__(self, path: Path, hz: int) -> None:
        self.changes: dict[str, list[tuple[int, float]]] = {}
        names: dict[str, str] = {}
        scopes: list[str] = []
        time = 0
        with path.open("rb") as file:
            for token in tokenize(file):
                match token.kind:
                    case TokenKind.SCOPE:
                        scopes.append(token.scope.ident)
                    case TokenKind.UPSCOPE:
                        scopes.pop()
                    case TokenKind.VAR:
                        names[token.var.id_code] = ".".join((*scopes, token.var.reference))
                    case TokenKind.CHANGE_TIME:
                        assert token.time_change >= time
                        time = token.time_change
                    case TokenKind.CHANGE_SCALAR | TokenKind.CHANGE_VECTOR | TokenKind.CHANGE_REAL:
                        change: Any = token.data
                        value = float(change.value)
                        self.changes.setdefault(names[change.id_code], []).append((round(time * hz / 1e12), value))
                    case _:
                        pass
        self.end = round(time * hz / 1e12)

    def value(self, name: str, cycle: int) -> float:
        """Of a signal at a cycle."""
        rows = self.changes[name]
        return rows[bisect_right([c for c, _ in rows], cycle) - 1][1]


def watched(folder: Path) -> tuple[Server, list[Reply], Dump, list[dict[str, Any]]]:
    server = small_server()
    watching = Watching(server)
    watching.add(Waveforms(server.chip, folder / "w.vcd"))
    watching.add(Recorder(server.chip, folder / "t.json"))
    replies = live(server)
    watching.close()
    dump = Dump(folder / "w.vcd", server.chip.capabilities.clock_hz)
    return server, replies, dump, json.loads((folder / "t.json").read_text())


def test_nobody_notices(tmp_path: Path) -> None:
    """Replies and state are those of a chip that nobody watched, to the last bit; afterwards nothing is left of the watch."""
    server, replies, _, _ = watched(tmp_path)
    plain = small_server()
    for mine, theirs in zip(replies, live(plain), strict=True):
        assert (mine.t_start, mine.t_end, mine.executed) == (theirs.t_start, theirs.t_end, theirs.executed)
        assert mine.values.tolist() == theirs.values.tolist()
        assert [bytes(d) for d in mine.data] == [bytes(d) for d in theirs.data]
        assert mine.interrupts == theirs.interrupts
    assert fingerprint(server) == fingerprint(plain)
    assert server.execute == server._execute


def test_every_operation_is_on_the_bus_for_its_time(tmp_path: Path) -> None:
    """One rise of `active` for each, with operation, address and data; the list's times are the replies'."""
    _, replies, dump, _ = watched(tmp_path)
    rows = [row for rows in LIFE for row in rows]
    rises = [cycle for cycle, value in dump.changes["bus.active"] if value == 1]
    busy = [cycle for cycle, _ in dump.changes["bus.active"]]
    assert rises[0] == replies[0].t_start
    assert busy[-1] == replies[-1].t_end
    starts = [reply.t_start for reply in replies]
    assert set(starts) <= set(rises)
    placed = [row for row in rows if row[0] < Op.DELAY]
    seen = [(dump.value("bus.op", c), dump.value("bus.address", c)) for c in rises]
    assert set(seen) >= {(int(row[0]), row[1]) for row in placed}
    cycle = next(c for c in rises if dump.value("bus.op", c) == Op.WRITE and dump.value("bus.address", c) == at("IRQ.ENABLE"))
    assert dump.value("bus.data", cycle) == 0x1F


def test_sequencer_interrupts_dacs_and_temperature(tmp_path: Path) -> None:
    """The interrupt that the reply told rises at its cycle; the sequencer runs up to it; SET_T moves the DAC."""
    _, replies, dump, _ = watched(tmp_path)
    (done,) = replies[-1].interrupts
    assert dump.value("irq.SEQ_DONE", done.cycle - 1) == 0
    assert dump.value("irq.SEQ_DONE", done.cycle) == 1
    assert dump.value("sequencer.state", done.cycle) == 2
    assert dump.value("sequencer.state", done.cycle - 1) == 1
    codes = [value for _, value in dump.changes["dac.tdac"]]
    assert codes[-1] == 200
    assert [value for _, value in dump.changes["dac.settled"]][-2:] == [0, 1]
    assert dump.changes["temperature.die"][0][1] == pytest.approx(300, abs=10)


def test_the_timeline_has_the_bus_too(tmp_path: Path) -> None:
    _, _, _, events = watched(tmp_path)
    (track,) = (e["tid"] for e in events if e.get("name") == "thread_name" and e["args"]["name"] == "bus")
    names = [e["name"] for e in events if e["ph"] == "B" and e["tid"] == track]
    assert len(names) == sum(map(len, LIFE))
    assert names[-5:] == ["RMW CORR.CTRL", "WRITE SEQ.CTRL", "WAIT SEQ.STATUS", "BLKRD SPIN", "DELAY"]
    assert events[-1]["ph"] in "ECBi"


def test_list_that_fails_is_told_as_unwatched(tmp_path: Path) -> None:
    """Illegal: nothing is done. A WAIT that runs out: what came before stands, and the index is that in the list."""
    seen: list[list[Any]] = []
    for watch in (False, True):
        server = small_server()
        watching = Watching(server)
        if watch:
            watching.add(Waveforms(server.chip, tmp_path / "w.vcd"))
        client = Client(server)
        replies = [
            client.operate(write("SYS.SCRATCH", 1), read("SYS.CTRL")),
            client.operate(write("SYS.SCRATCH", 2), wait("SEQ.STATUS", 2, 0xFF, 40), read("SYS.ID")),
            client.operate(),
        ]
        assert [r.failure.code if r.failure else Code.OK for r in replies] == [Code.WRITE_ONLY, Code.WAIT_TIMEOUT, Code.OK]
        seen.append([(r.kind is Kind.OPERATE, r.failure, r.executed, r.t_start, r.t_end, r.values.tolist()) for r in replies])
        seen[-1].append(fingerprint(server))
        watching.close()
    assert seen[0] == seen[1]


def test_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Waveforms(small_server().chip, tmp_path / "missing" / "w.vcd")
