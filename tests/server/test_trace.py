"""The timeline: a file that is well formed, functions and interrupts at the cycles of their instructions, and a chip that lives
as it would unwatched."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chip.pins import Desk
from chip.test_core import BUS, FOREVER, MRET, li, listen, put
from cpu.images import elf
from cpu.pair import NOP, addi, imm, op, stw
from serving import config
from tsu_contract.operations import Op
from tsu_contract.program import Opcode
from tsu_contract.registers import WINDOWS
from tsu_emu import state as S
from tsu_emu.server.trace import Recorder
from tsu_emu.server.trace.symbols import Symbols

EXTERNAL, RET, C_RET = 1 << 11, 0x00008067, 0x00018082
"""The last is compressed, with a compressed no-operation behind it."""
HANDLER, OUTER, INNER, TAIL = 0x100, 0x140, 0x180, 0x1C0


def jal(rd: int, offset: int) -> int:
    scattered = (offset >> 20 & 1) << 31 | (offset >> 1 & 0x3FF) << 21 | (offset >> 11 & 1) << 20 | (offset >> 12 & 0xFF) << 12
    return scattered | op(0x6F, rd)


def with_names(file: bytes, names: dict[str, int]) -> bytes:
    """An ELF file with a table of symbols: sections null, code, symbols, strings."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in names)
    rows = bytes(16)
    for name, address in names.items():
        rows += struct.pack("<IIIBBH", strings.index(name.encode()), address, 0, 0x12, 0, 1)
    symbols, text = len(file), len(file) + len(rows)
    table = text + len(strings)
    sections = bytes(40)
    for kind, flags, at, length, link in ((1, 6, 0, 0, 0), (2, 0, symbols, len(rows), 3), (3, 0, text, len(strings), 0)):
        sections += struct.pack("<10I", 0, kind, flags, 0, at, length, link, 0, 4, 16)
    header = bytearray(file[:52])
    struct.pack_into("<I", header, 32, table)
    struct.pack_into("<HH", header, 46, 40, 4)
    return bytes(header) + file[52:] + rows + strings + sections


NAMES = {"main": 0, "handler": HANDLER, "outer": OUTER, "inner": INNER, "tail": TAIL}


def desk(folder: Path, names: dict[str, int] = NAMES) -> Desk:
    """main calls outer, which calls inner, which jumps into tail, which returns to outer; then main sleeps."""
    main = [addi(6, 0, 1), *put("CPU.IRQ_ENABLE", 6), *listen(EXTERNAL), *li(2, OUTER), imm(0x67, 1, 0, 2, 0), *FOREVER]
    code = {
        0: main,
        HANDLER: [addi(6, 0, 1), *put("IRQ.PENDING", 6), MRET],
        OUTER: [addi(8, 1, 0), jal(1, INNER - OUTER - 4), addi(1, 8, 0), C_RET],
        INNER: [NOP, jal(0, TAIL - INNER - 4)],
        TAIL: [NOP, RET],
    }
    words = np.full(0x80, NOP, np.uint32)
    for address, block in code.items():
        words[address // 4 : address // 4 + len(block)] = block
    image = folder / "image.elf"
    image.write_bytes(with_names(elf([(0, words.tobytes(), 4 * len(words))]), names))
    cells = {"kind": "dense", "cells": 3}
    return Desk(config(cells, planes=2, cpu={"image": str(image), "rom_words": 512, "ram_words": 64}))


def live(d: Desk) -> int:
    """A code is written, and a program runs whose end interrupts the core; the cycle at which it ends."""
    d.set(IRQ__ENABLE=1)
    d.load((Opcode.SET_T, 200), (Opcode.LOOP, 2), (Opcode.RUN, 3), Opcode.STROBE, Opcode.END, Opcode.HALT)
    d.operate([(Op.DELAY_UNTIL, 0, 0, 0, 500)])
    d.fill("BIAS", [1, 2])
    d.set(SEQ__CTRL=1)
    d.operate([(Op.DELAY_UNTIL, 0, 0, 0, 1000)])
    return int(d.chip.state.core["irq_log"][0, 0, 1])


def recorded(
    folder: Path, names: dict[str, int] = NAMES, probe: Callable[[], bool] | None = None
) -> tuple[Desk, int, list[dict[str, Any]]]:
    d = desk(folder, names)
    d.chip.probe = probe
    recorder = Recorder(d.chip, folder / "trace.json", folder / "image.elf")
    done = live(d)
    recorder.close()
    return d, done, json.loads((folder / "trace.json").read_text())


def slices(events: list[dict[str, Any]], track: str) -> list[tuple[str, int, int]]:
    """(name, first cycle, last cycle) of a track in the order of their ends; each E ends the innermost B, and time never goes
    back."""
    (number,) = (e["tid"] for e in events if e.get("name") == "thread_name" and e["args"]["name"] == track)
    found, stack, before = [], [], 0
    for event in (e for e in events if e["tid"] == number and e["ph"] in "BE"):
        cycle = event["args"]["cycle"]
        assert cycle >= before
        before = cycle
        if event["ph"] == "B":
            stack.append((event["name"], cycle))
        else:
            found.append((*stack.pop(), cycle))
    assert not stack
    return found


def test_functions_and_interrupts_at_their_cycles(tmp_path: Path) -> None:
    """Each instruction takes a cycle, a store three; sleep is a slice too. Fails if a slice is a cycle early or late."""
    d, done, events = recorded(tmp_path)
    end = int(d.chip.state.time[S.NOW])
    assert slices(events, "firmware") == [
        ("inner", 18, 20), ("tail", 20, 22), ("outer", 16, 24), ("asleep", 25, done),
        ("handler", done + 1, done + 8), ("interrupt external", done, done + 8), ("asleep", done + 10, end), ("main", 0, end),
    ]  # fmt: skip
    assert [(e["name"], e["args"]["cycle"]) for e in events if e["ph"] == "i"] == [("SEQ_DONE", done)]


@pytest.mark.parametrize("names", [NAMES, {}])
def test_notes_tell_what_looks_after_each_instruction_tell(tmp_path: Path, names: dict[str, int]) -> None:
    """Event for event. A debugger's probe lets the core execute one instruction between two looks."""
    asked: list[bool] = []

    def probe() -> bool:
        asked.append(True)
        return True

    noted, stepped = recorded(tmp_path, names)[2], recorded(tmp_path, names, probe)[2]
    for track in range(6):
        assert [e for e in noted if e["tid"] == track] == [e for e in stepped if e["tid"] == track]
    assert len(asked) > 30


def test_the_sequencer_and_analog_events(tmp_path: Path) -> None:
    """Instructions with their operands one after the other until the end, the DACs' settling, and the temperature's code."""
    d, done, events = recorded(tmp_path)
    steps = slices(events, "sequencer")
    body = ["2: RUN 3", "3: STROBE 0", "4: END 0"]
    assert [name for name, _, _ in steps] == ["0: SET_T 200", "1: LOOP 2", *body, *body, "HALTED"]
    assert [last for _, _, last in steps[:-1]] == [first for _, first, _ in steps[1:]]
    assert steps[-1][1] == done
    t, runs, strobes = d.chip.config.timing, [steps[2], steps[5]], [steps[3], steps[6]]
    assert {last - first for _, first, last in strobes} == {t.instruction + t.strobe}
    assert {last - first for _, first, last in runs} == {3 * (t.sweep + 3 * (t.colour + 2 * t.slot)) + t.instruction}
    ((_, first, last),) = slices(events, "DACs")
    assert last - first == d.chip.config.timing.settle
    codes = [(e["args"]["value"], e["args"]["cycle"]) for e in events if e["ph"] == "C" and e["name"] == "TEMP.TDAC"]
    assert codes[-1][0] == 200
    assert steps[0][1] <= codes[-1][1] <= steps[1][2]


def test_stores_of_the_core_to_windows_and_its_reset(tmp_path: Path) -> None:
    """The DACs settle from the first of two stores on, a program is seen as it is written, a core that was held begins anew."""
    bias, program = (BUS + WINDOWS[name].address for name in ("BIAS", "PROGRAM"))
    main = [*li(7, bias), addi(6, 0, 1), stw(6, 7, 0), stw(0, 7, 0), *li(7, program), *li(6, Opcode.RUN << 24), stw(6, 7, 4)]
    code, image = np.array([*main, *FOREVER], "<u4").tobytes(), tmp_path / "image.elf"
    image.write_bytes(with_names(elf([(0, code, len(code))]), {"main": 0}))
    d = Desk(config({"kind": "dense", "cells": 3}, planes=2, cpu={"image": str(image), "rom_words": 512, "ram_words": 64}))
    recorder, opcodes = Recorder(d.chip, tmp_path / "trace.json", image), dict[int, int]()

    def look() -> None:
        recorder.look()
        opcodes[int(d.chip.state.time[S.NOW])] = int(d.chip.state.program[0] >> np.uint64(56))

    d.chip.observe(look)
    d.operate([(Op.DELAY_UNTIL, 0, 0, 0, 500)])
    d.set(CPU__CTRL=1)
    held = int(d.chip.state.time[S.NOW])
    d.set(CPU__CTRL=0)
    d.operate([(Op.DELAY_UNTIL, 0, 0, 0, 700)])
    recorder.close()
    events, t = json.loads((tmp_path / "trace.json").read_text()), d.chip.config.timing
    store, end = t.issue + t.access, 9 + 3 * (t.issue + t.access) - 1
    settled = 3 + store + t.settle
    begun = held + 2
    assert slices(events, "DACs") == [("settling", 3, settled), ("settling", begun + 3, begun + settled)]
    assert slices(events, "firmware") == [
        ("asleep", end, held), ("main", 0, held), ("asleep", begun + end, 700), ("main", held, 700)
    ]  # fmt: skip
    assert min(cycle for cycle, opcode in opcodes.items() if opcode == Opcode.RUN) == 7 + 2 * store


def test_the_format(tmp_path: Path) -> None:
    """What the trace event format asks of each kind of event; times are microseconds of chip time."""
    d, _, events = recorded(tmp_path)
    hz = d.chip.capabilities.clock_hz
    needed = {"B": {"name", "ts"}, "E": {"ts"}, "i": {"name", "ts", "s"}, "C": {"name", "ts", "args"}, "M": {"name", "args"}}
    assert {e["ph"] for e in events} == set(needed)
    for event in events:
        assert needed[event["ph"]] | {"pid", "tid"} <= set(event)
        if "ts" in event:
            assert event["ts"] == pytest.approx(event["args"]["cycle"] * 1e6 / hz, abs=1e-6)


def test_nobody_notices_a_recorder(tmp_path: Path) -> None:
    """The watched chip's state is that of one that nobody watched, to the last bit."""
    (tmp_path / "a").mkdir()
    watched, _, _ = recorded(tmp_path)
    plain = desk(tmp_path / "a")
    live(plain)
    assert S.digest(watched.chip.state) == S.digest(plain.chip.state)
    watched.operate([(Op.DELAY, 0, 0, 0, 1)])
    assert S.digest(watched.chip.state) != S.digest(plain.chip.state)


def test_without_names_functions_are_addresses(tmp_path: Path) -> None:
    """And a jump is no call: tail is part of inner."""
    _, done, events = recorded(tmp_path, {})
    assert slices(events, "firmware")[:2] == [("0x00000180", 18, 22), ("0x00000140", 16, 24)]
    assert (f"{HANDLER:#010x}", done + 1, done + 8) in slices(events, "firmware")


def test_symbols() -> None:
    """Of code alone; a file that is cut anywhere names something or nothing, and never fails."""
    file = with_names(elf([(0, bytes(16), 16)]), {"_start": 0, "main": 8, ".L1": 12, "$x": 4})
    symbols = Symbols(file)
    assert [symbols.name(a) for a in (0, 6, 8, 14)] == ["_start", "_start", "main", "main"]
    assert Symbols(b"").name(0x1234) == "0x00001234"
    for cut in range(len(file)):
        Symbols(file[:cut]).name(8)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Recorder(desk(tmp_path).chip, tmp_path / "missing" / "trace.json")
