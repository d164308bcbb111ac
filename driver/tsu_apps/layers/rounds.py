"""The chip's side of a layer: rounds, each of which writes all biases and looks a few times at all cells of the enabled planes.

Biases are common to all planes, so a round asks as many different questions as there are cells, and planes are replicas of
them. Many rounds go in one message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_contract.bits import pack_spins, unpack_spins
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_driver import Batch, Chip

LOOKS_MAX, WORK_MAX = 128, 1 << 21
"""Looks of a message at most, and their work in ticks of a cell, so that a message takes a second or so."""
CONVERSION_WORK = 8
"""What a conversion counts for, in ticks of a cell."""
SLACK_CYCLES = 10_000
"""A wait gives up so long after the time that a program takes."""


class View(NamedTuple):
    """How a kind of cell is read.

    opcode : the instruction of a look; window : where it lies then
    row, per_word : elements of a plane and of a 32-bit word there
    decode : (looks, planes, row) to (looks, planes, cells)
    """

    opcode: Opcode
    window: str
    row: int
    per_word: int
    decode: Callable[[NDArray[Any]], NDArray[Any]]


def view_of(chip: Chip) -> View:
    """Spins of p-bits, states of pdits, values of others."""
    cells = chip.capabilities.cells
    if chip.kind in ("pbit", "async-pbit"):
        return View(Opcode.STROBE, "SPIN", (cells + 31) // 32, 1, lambda words: unpack_spins(words, cells))
    if chip.kind == "pdit":
        return View(Opcode.STROBE, "STATE", cells, 4, lambda states: states)
    return View(Opcode.ADC_SCAN, "VALUE", cells, 2, lambda codes: chip.adc_value(codes, "cell"))


class Rounds:
    """A chip set up for rounds: T = 1, no clamps, the first so many planes enabled, a program in its memory.

    With `pinned`, all cells are pinned at 0 for a sweep before each look and let go for `sweeps` sweeps; else they live on from
    look to look, `sweeps` sweeps apart.

    looks_per_message : how many looks go in one message
    """

    def __init__(self, chip: Chip, sweeps: int, pinned: bool, planes: int) -> None:
        """Set the chip up."""
        self._chip, self._pinned, self._planes = chip, pinned, planes
        self._view, cap = view_of(chip), chip.capabilities
        chip.set_temperature(1.0)
        chip.plane_temperatures(1.0)
        chip.enable_planes(planes)
        if pinned:
            chip.clamp(np.arange(cap.cells), np.zeros(cap.cells))
        chip.unclamp()
        self._load(sweeps)
        converts = self._view.opcode is Opcode.ADC_SCAN
        look = planes * -(-cap.cells // cap.adc_count) * cap.adc_cycles if converts else cap.strobe_cycles
        self._bound = 2 * cap.settle_cycles + (sweeps + 1) * cap.sweep_time(planes, correlate=False) + look + SLACK_CYCLES
        self._pin = pack_spins(np.ones((planes, cap.cells))).reshape(-1)
        self._elements = planes * self._view.row
        work = cap.cells * planes * (sweeps + CONVERSION_WORK * converts)
        self.looks_per_message = max(1, min(LOOKS_MAX, WORK_MAX // work))

    def _load(self, sweeps: int) -> None:
        """Write the program: from 0 after a write of biases, else from `again`; pinned cells go on from `release`."""
        settle = [Instruction(Opcode.WAIT_SETTLE), Instruction(Opcode.DELAY, self._chip.capabilities.settle_cycles)]
        pin = [Instruction(Opcode.RUN, 1), Instruction(Opcode.HALT)] if self._pinned else []
        look = [Instruction(Opcode.RUN, sweeps), Instruction(self._view.opcode), Instruction(Opcode.HALT)]
        self._again, self._release = len(settle), len(settle) + len(pin)
        batch = self._chip.batch()
        batch.write_window("PROGRAM", assemble([*settle, *pin, *look]))
        batch.execute()

    def run(self, codes: NDArray[np.int16], looks: int) -> NDArray[Any]:
        """(rounds, looks, planes, cells) spins, states or values of the enabled planes.

        codes : (rounds, cells, terms) of BIAS
        """
        jobs = [(codes[k], look) for k in range(len(codes)) for look in range(looks)]
        step = self.looks_per_message
        parts = [self._message(jobs[first : first + step]) for first in range(0, len(jobs), step)]
        readings = np.concatenate(parts)
        return readings.reshape(len(codes), looks, *readings.shape[1:])

    def _message(self, jobs: list[tuple[NDArray[np.int16], int]]) -> NDArray[Any]:
        """(jobs, planes, cells) of looks, the first of a round after its biases are written."""
        batch, tickets, free = self._chip.batch(), [], np.zeros_like(self._pin)
        whole = self._view.row * self._chip.capabilities.planes
        count = min(whole, self._elements + -self._elements % self._view.per_word)
        for codes, look in jobs:
            if not look:
                batch.write_window("BIAS", codes.reshape(-1))
            if self._pinned:
                batch.write_window("CLAMP_MASK", self._pin)
            self._start(batch, self._again if look else 0)
            if self._pinned:
                batch.write_window("CLAMP_MASK", free)
                self._start(batch, self._release)
            tickets.append(batch.read_window(self._view.window, 0, count))
        batch.execute()
        raw = np.stack([ticket.value.reshape(-1)[: self._elements] for ticket in tickets])
        return self._view.decode(raw.reshape(len(jobs), self._planes, -1))

    def _start(self, batch: Batch, at: int) -> None:
        batch.write("SEQ.PC", at)
        batch.write("SEQ.CTRL", START=1)
        batch.wait_field("SEQ.STATUS.STATE", "HALTED", max_cycles=self._bound)
