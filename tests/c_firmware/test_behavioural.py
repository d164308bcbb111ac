"""Behavioural firmware with the commands of the C firmware: both in the same scenarios, and what is its own."""

from __future__ import annotations

import ctypes
import random
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tsu_driver as tsu
from c_firmware.building import built, built_for_the_core
from c_firmware.runs import chip_at
from c_firmware.test_control import HEAT, SPREAD, lab
from c_firmware.test_core import command
from c_firmware.test_page import PAGE
from tsu_contract.operations import RECORD, Op
from tsu_contract.registers import access_table, register
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.config import ConfigError, load
from tsu_firmware import ControlFirmware, control, fixed, machine, servo
from tsu_firmware.machine import RAM_WORDS

Command = tuple[Any, ...]
CONTROL = {"cpu_firmware": "control"}
COUNTERS = ("CPU.PC", "SYS.CYCLE", "MON.", "CAL.AGE", "TIMER.", "WATCHDOG.")
"""What tells how long something took, or when the core wakes."""
ANNEAL = 5
TRIMMED: list[Command] = [
    ("boot",), ("look",), ("servo",), ("look", 16), ("anneal", 192, 20, 64, 30), ("watch", 2, 1000, 100), ("safe",),
]  # fmt: skip
REFUSED: list[Command] = [
    ("servo",), ("anneal", 192), ("anneal", 0, 20), ("look", 0), ("look", 100_000), ("temp", 1), ("temp", 1, 1, 0),
    ("watch", 1, 1, 1, 1), ("safe",), ("safe", 1),
]  # fmt: skip
HOT: list[Command] = [("temp", 19200, 67109), ("temp", 19200, -67109, 100_000, 1), ("watch", 1, 1000, 655, 19200, 67109)]
SCENARIOS: dict[str, tuple[dict[str, Any], list[Command]]] = {
    "trims": (SPREAD, TRIMMED),
    "small trims, odd cells and planes": (
        SPREAD | {"trim_offset_full_scale_kt": 0.125, "fabric.topology.cells": 5, "fabric.planes": 7}, TRIMMED[2:]
    ),
    "refused": ({}, REFUSED),
    "heat": (HEAT, HOT),
}  # fmt: skip


def lived(changes: dict[str, Any], commands: list[Command]) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Answers, without how long an annealing took, and the chip's state in the end."""
    with chip_at(**changes) as (chip, endpoint), tsu.open(endpoint) as host:
        if "thermal_tau_s" in changes:
            lab(chip, "ambient", k=320.0)
            lab(chip, "skip", seconds=1.0)
        host.program_couplings(([[0, 1]], [0.5]), np.full(host.capabilities.cells, 0.25))
        host.clamp([3], [1])
        answers = []
        for name, *arguments in commands:
            status, words = command(host, name, *arguments)
            answers.append((status, len(words) if name == "anneal" else words))
        host.delay(1_000_000)
        return answers, S.save(chip.state)


def differences(a: dict[str, NDArray[Any]], b: dict[str, NDArray[Any]]) -> list[str]:
    """Registers and arrays of two states that differ, less counters and the core's own."""
    table = access_table()
    words = np.flatnonzero(a["core"]["registers"][0] != b["core"]["registers"][0])
    names = [table.names[table.register[w]] for w in words]
    arrays = [k for k in a if k not in ("core", "hart", "core_ram") and not np.array_equal(a[k], b[k])]
    return [name for name in names if not name.startswith(COUNTERS)] + arrays


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_both_firmwares_answer_alike_and_leave_the_same_chip(scenario: str) -> None:
    """Word for word: sweeps have the same noise whenever they come."""
    changes, commands = SCENARIOS[scenario]
    in_c, left = lived(changes | {"cpu_image": built_for_the_core()}, commands)
    here, right = lived(changes | CONTROL, commands)
    assert here == in_c
    assert differences(left, right) == []


def test_another_servo_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One read more in one round."""
    changes, commands = SCENARIOS["trims"]
    in_c, left = lived(changes | {"cpu_image": built_for_the_core()}, commands[1:3])
    monkeypatch.setattr(servo, "SAMPLES", (2000, 20000, *servo.SAMPLES[2:]))
    here, right = lived(changes | CONTROL, commands[1:3])
    assert here[0] == in_c[0]
    assert here[1] != in_c[1]
    assert "trim_offset" in differences(left, right)


def test_its_arithmetic_is_that_of_the_sources() -> None:
    library = ctypes.CDLL(str(built("libfixed.so")))
    library.fixed_ratio.restype = ctypes.c_int64
    library.fixed_root.restype = ctypes.c_uint32
    rng = random.Random(5)
    for _ in range(500):
        whole, mean, square = rng.randrange(1, 1 << rng.randrange(1, 33)), rng.randrange(-(1 << 30), 1 << 30), rng.getrandbits(63)
        a, b = rng.randrange(-(1 << 50), 1 << 50), rng.randrange(1, 1 << rng.randrange(1, 40))
        assert fixed.log2(whole) == library.fixed_log2(ctypes.c_uint32(whole))
        assert fixed.atanh(mean) == library.fixed_atanh(ctypes.c_int32(mean))
        assert fixed.root(square) == library.fixed_root(ctypes.c_uint64(square))
        assert fixed.ratio(a, b) == library.fixed_ratio(ctypes.c_int64(a), ctypes.c_int64(b))
    assert [fixed.signed(w) for w in (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)] == [0, 0x7FFFFFFF, -0x80000000, -1]


class Watched:
    """A chip with this firmware, by its registers."""

    def __init__(self, **changes: str) -> None:
        values = {"cpu.firmware": "control", "trim.bits": "9", "cell.offset_sigma_kt": "0.2"} | changes
        self.chip = Chip(load("ideal-16", values), ControlFirmware())
        self.bus = self.chip.firmware_bus()

    def read(self, name: str) -> int:
        return int(self.chip.state.registers[access_table().word(name)])

    def do(self, *rows: tuple[Op, int, int, int]) -> None:
        """Operations (op, address, value, argument) in one message."""
        records = np.zeros(len(rows), RECORD)
        for k, (op, address, value, argument) in enumerate(rows):
            records[k] = op, 0, 0, address, value, 0, argument
        self.chip.execute(records)

    def write(self, name: str, value: int) -> None:
        self.do((Op.WRITE, register(name).at(), value, 0))

    def live(self, cycles: int) -> None:
        """Chip time goes on."""
        self.do((Op.DELAY, 0, 0, cycles))

    def answer(self) -> list[int]:
        """Words of an answer, each waited for."""
        words, wanted = [], 1
        while len(words) < wanted:
            for _ in range(10_000):
                if self.read("MAILBOX.STATUS") & 2:
                    break
                self.live(10_000)
            words.append(self.read("MAILBOX.FROM_CORE"))
            self.write("MAILBOX.STATUS", 2)
            wanted = 1 + (words[0] >> 8 & 0xFF)
        return words


def test_a_chip_saved_in_the_midst_of_a_servo_goes_on() -> None:
    first, second = Watched(), Watched()
    first.live(50_000)
    first.write("MAILBOX.TO_CORE", 1)
    for cycles in (1_000, 3_000_000, 4_000_000):
        first.live(cycles)
        assert not first.read("MAILBOX.STATUS") & 2
        second.chip.restore(S.save(first.chip.state))
        assert S.digest(second.chip.state) == S.digest(first.chip.state)
    expected, found = first.answer(), second.answer()
    assert expected[0] == 1 | 7 << 8
    assert found == expected
    assert S.digest(second.chip.state) == S.digest(first.chip.state)


@pytest.mark.parametrize("gap", [5, 20])
def test_words_that_come_while_a_step_is_under_way_wait_for_its_end(gap: int) -> None:
    """A step that takes a word lasts 11 cycles, of its three accesses, and empties the mailbox in its first."""
    w = Watched()
    w.live(50_000)
    assert w.read("SYS.BOOT") == 2
    assert w.read("CPU.STATUS") == 3, "there, and asleep"
    mailbox = register("MAILBOX.TO_CORE").at()
    w.do(*((Op.WRITE, mailbox, 3 | 2 << 8, 0), (Op.DELAY, 0, 0, gap), (Op.WRITE, mailbox, 19200, 0), (Op.DELAY, 0, 0, 4)))
    taken = access_table().word("MAILBOX.STATUS")
    assert (w.chip.state.registers[taken] == 1) == (gap == 5)
    w.do((Op.DELAY, 0, 0, 20), (Op.WRITE, mailbox, 0, 0))
    assert w.answer() == [3 | 3 << 8, 19200, 64, 4096]


def test_holding_the_core_starts_it_anew() -> None:
    w = Watched()
    w.live(50_000)
    w.write("MAILBOX.TO_CORE", 1)
    w.live(3_000_000)
    w.write("CPU.CTRL", 1)
    w.live(1_000)
    w.write("SYS.CTRL", 1)
    assert w.read("CPU.STATUS") & 1
    w.live(30_000_000)
    assert not w.read("MAILBOX.STATUS") & 2, "held, it does nothing"
    w.write("CPU.CTRL", 0)
    w.live(50_000)
    assert w.read("SYS.BOOT") == 2
    w.write("MAILBOX.TO_CORE", 0)
    assert w.answer() == [0 | 1 << 8, 0]


def test_the_command_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    _, example = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    names: dict[str, Any] = {"Machine": machine.Machine, "Routine": machine.Routine}
    exec(example, names)
    monkeypatch.setattr(control, "COMMANDS", (*control.COMMANDS, (names["COUNT_COMMAND"], 0, 0)))
    monkeypatch.setattr(control, "ROUTINES", (*control.ROUTINES, names["COUNT_COMMAND"]))
    w = Watched()
    w.live(50_000)
    w.write("MAILBOX.TO_CORE", 5 | 2 << 8)
    for word in (64, 20):
        w.live(100)
        w.write("MAILBOX.TO_CORE", word)
    assert w.answer()[0] == 5 | 1 << 8
    w.write("MAILBOX.TO_CORE", 7)
    assert w.answer() == [7 | 1 << 8, 20]


def test_its_memory_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="name one of them"):
        load("ideal-16", {"cpu.firmware": "control", "cpu.image": "x.elf"})
    with pytest.raises(ValueError, match=f"needs {RAM_WORDS}"):
        Watched(**{"cpu.ram_words": "100"}).live(1)
    assert len(Chip(load("ideal-16")).state.core_ram) == 0
