"""RTL: random transactions on the emulated chip's registers and on a register file that another generator made of the same map.

The chip is driven through its front door; the other side is SystemVerilog under Verilator (rtl_build.py). Compared is every word
that a READ or an RMW returns. What a register does to others is the chip's and no register file's: `PLAYED` is done for the
hardware's side of the other one, `NOT_WRITTEN` and `NOT_READ` are left out.
"""

from __future__ import annotations

import importlib.util
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from trust.effort import Effort
from trust.rtl_build import HOLDS, READ, STORES, WRITE, Built, build

from server.harness import Client, Row, small_config
from tsu_apps.report import Row as Result
from tsu_contract.errors import Code
from tsu_contract.operations import Op
from tsu_contract.registers import REGISTERS, Register, register
from tsu_emu.chip import Chip
from tsu_emu.server.session import Server

TRANSACTIONS = 100_000
A_MESSAGE = 200
PLANES = 256
"""All that the map has room for: no bit of a plane is reserved."""
NOT_WRITTEN = {
    "SYS.CTRL": "RESET returns every register to its reset value",
    "SEQ.CTRL": "starts and stops programs",
    "DMA.HEAD": "one too far ahead sets a bit of SYS.ERROR",
    "CAL.CTRL": "STAMP sets CAL.STATUS",
    "CAL.LIMIT": "makes CAL.STATUS stale in time, and raises an interrupt",
}
NOT_READ = {
    "TEMP.SENSOR": "measures",
    "FABRIC.STATUS": "follows the DACs' settling",
    "CPU.PC": "counts",
    "LEARN.CORR_FIRST": "CORR.CTRL.LATCH copies it",
    "LEARN.CORR_VERSION": "CORR.CTRL.LATCH copies it",
    "LEARN.CORR_CRC": "CORR.CTRL.LATCH copies it",
} | {name: "counts, and latches its high word when the low one is read" for name, r in REGISTERS.items() if r.words == 2}
PLAYED = {"IRQ.TEST": "IRQ.PENDING", "MAILBOX.TO_CORE": "MAILBOX.STATUS"}
"""A write to the one sets bits of the other: those that are written, or the lowest."""

Transaction = tuple[int, int, int, int]


class Driver:
    """Random transactions: rows for the chip, and what is to be played on the other side.

    expected : words that the chip gave, in the order in which the other side reads them
    """

    def __init__(self, client: Client, built: Built, rng: random.Random) -> None:
        self._client, self._built, self._rng = client, built, rng
        self._code_limit = (1 << client.server.chip.capabilities.temp_bits) - 1
        self.transactions: list[Transaction] = []
        self.expected: list[int] = []
        self.where: list[str] = []
        self.done = self.refused = 0
        readable = {n: r for n, r in REGISTERS.items() if n not in NOT_READ and r.mask("r", "rw", "w1c")}
        writable = {n: r for n, r in REGISTERS.items() if n not in NOT_WRITTEN and r.mask("rw", "w", "w1c", "pulse")}
        self._reads, self._writes = list(readable.values()), list(writable.values())
        self._changes = [r for n, r in writable.items() if n in readable and not r.mask("w", "pulse") and n not in PLAYED]
        self._constant = [r for r in REGISTERS.values() if r.mask("r") == r.mask("r", "rw", "w", "w1c", "pulse")]

    def power_on(self) -> None:
        """What hardware holds on the chip is held on the other side, too: capabilities, the map's hash, and the like.

        Then everything is read once: reset values.
        """
        for reg in self._reads:
            for at in (reg.at(k) for k in range(reg.count)):
                value = int(self._client.done((Op.READ, at, 0, 0, 0)).values[0])
                if reg.mask("r") and at in self._built.hardware:
                    self.transactions.append((HOLDS, self._built.hardware[at], value, 0))
                self.transactions.append((READ, at, 0, 0))
                self.expected.append(value)
                self.where.append(f"READ {reg.name} {at:#x}")

    def message(self, count: int) -> None:
        """Some transactions in one message, and sometimes one that the chip must refuse."""
        rows: list[Row] = []
        reads: list[tuple[int, str]] = []
        for _ in range(count):
            self._one(rows, reads)
        values = self._client.done(*rows).values.tolist()
        self.expected += [values[place] for place, _ in reads]
        self.where += [what for _, what in reads]
        self.done += count
        self._illegal()

    def _one(self, rows: list[Row], reads: list[tuple[int, str]]) -> None:
        draw = self._rng.random()
        if draw < 0.4:
            reg, at = self._element(self._reads)
            reads.append((len(rows), f"READ {reg.name} {at:#x}"))
            rows.append((Op.READ, at, 0, 0, 0))
            self.transactions.append((READ, at, 0, 0))
        elif draw < 0.8:
            reg, at = self._element(self._writes)
            value = self._value(reg)
            rows.append((Op.WRITE, at, value, 0, 0))
            self.transactions.append((WRITE, at, value, 0xFFFFFFFF))
            self._play(reg, value)
        else:
            reg, at = self._element(self._changes)
            fields = [f for f in reg.fields.values() if self._rng.random() < 0.6] or list(reg.fields.values())[:1]
            mask = sum(f.mask for f in fields)
            value = self._value(reg) & mask
            reads.append((len(rows), f"RMW {reg.name} {at:#x}"))
            rows.append((Op.RMW, at, value, mask, 0))
            self.transactions += [(READ, at, 0, 0), (WRITE, at, value, mask)]

    def _element(self, among: list[Register]) -> tuple[Register, int]:
        reg = self._rng.choice(among)
        return reg, reg.at(self._rng.randrange(reg.count))

    def _value(self, reg: Register) -> int:
        """Bits of all writable fields, each within its range."""
        word = 0
        for f in reg.fields.values():
            if f.access == "r":
                continue
            low, high = (f.minimum or 0, f.maximum) if f.maximum is not None else (0, (1 << f.width) - 1)
            if reg.name in ("TEMP.TDAC", "TEMP.START", "TEMP.END"):
                high = self._code_limit
            edge = self._rng.random() < 0.2
            word |= (self._rng.choice((low, high)) if edge else self._rng.randint(low, high)) << f.low
        return word

    def _play(self, reg: Register, value: int) -> None:
        """What the chip's hardware does of itself."""
        if reg.name in PLAYED:
            number = self._built.hardware[register(PLAYED[reg.name]).at()]
            self.transactions.append((STORES, number, value if reg.name == "IRQ.TEST" else 1, 0))

    def _illegal(self) -> None:
        """A write to what can only be read is refused by the chip; the other side takes no notice of it."""
        _, at = self._element(self._constant)
        value = self._rng.getrandbits(32)
        failure = self._client.operate((Op.WRITE, at, value, 0, 0)).failure
        self.refused += failure is not None and failure.code is Code.READ_ONLY
        self.transactions.append((WRITE, at, value, 0xFFFFFFFF))


def compare(folder: Path, seed: int, count: int, progress: Callable[[float], None]) -> tuple[Driver, list[str]]:
    """What was driven, and in words every reading in which the two differ."""
    built = build(folder)
    progress(0.5)
    driver = Driver(Client(Server(Chip(small_config(fabric=_fabric())))), built, random.Random(seed))
    driver.power_on()
    while driver.done < count:
        driver.message(min(A_MESSAGE, count - driver.done))
    readings = built.play(driver.transactions).tolist()
    progress(1.0)
    if len(readings) != len(driver.expected):
        return driver, [f"{len(readings)} readings, {len(driver.expected)} expected"]
    pairs = zip(driver.where, driver.expected, readings, strict=True)
    return driver, [f"{what}: chip {ours:#x}, other {theirs:#x}" for what, ours, theirs in pairs if ours != theirs]


def _fabric() -> dict[str, object]:
    return {"planes": PLANES, "topology": {"kind": "dense", "cells": 4}}


def lacking() -> str:
    """What is not installed, in words; nothing if all is there."""
    needs = {"verilator": shutil.which("verilator"), "peakrdl-regblock": importlib.util.find_spec("peakrdl_regblock")}
    return ", ".join(name for name, found in needs.items() if found is None)


def measure(effort: Effort) -> list[Result]:
    """`TRANSACTIONS` of them, ten times as many when long; without Verilator and the generator a row that says so."""
    if missing := lacking():
        return [Result(f"not measured: {missing} not installed", 0.0)]
    with tempfile.TemporaryDirectory() as folder:
        driver, different = compare(Path(folder), effort.seed, effort.size(TRANSACTIONS, 10 * TRANSACTIONS), effort.progress)
    note = f": {different[:2]}; {effort.again('RTL')}" if different else ""
    return [
        Result("transactions", float(driver.done)),
        Result("words compared", float(len(driver.expected))),
        Result.at_most(f"words that differ{note}", float(len(different)), 0),
        Result("writes to what can only be read, all refused", float(driver.refused)),
    ]
