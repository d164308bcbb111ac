"""Compiles everything a daemon runs, once per version, by leading a tiny chip through its life."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba.core import event
from numpy.typing import NDArray

from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register
from tsu_emu import jit
from tsu_emu.chip import Bus, Chip
from tsu_emu.config import parse

Progress = Callable[[int, int], None]
"""Called with functions compiled so far, and how many there are."""


class _Count(event.Listener):
    def __init__(self, progress: Progress) -> None:
        self._progress, self._done = progress, 0

    def on_start(self, event: event.Event) -> None:
        pass

    def on_end(self, event: event.Event) -> None:
        if event.data["dispatcher"].py_func.__module__.startswith("tsu_emu."):
            self._done += 1
            if self._done <= jit.declared:
                self._progress(self._done, jit.declared)


class _Boot:
    """Firmware that uses its bus once."""

    def step(self, state: NDArray[np.int64], bus: Bus) -> int | None:
        """Write what was read."""
        scratch = register("SYS.SCRATCH").at()
        bus.write(scratch, bus.read(scratch))
        return None


def warm_up(progress: Progress) -> None:
    """Returns when all is compiled, from scratch in about half a minute, else loaded from the cache in a fraction of a second."""
    with event.install_listener("numba:compile", _Count(progress)):
        for sigma in (0.0, 0.01):
            _live(sigma)


def _live(sigma: float) -> None:
    """Every kind of operation on a chip of three cells."""
    dac = {"element_sigma": sigma, "gain_sigma": sigma, "offset_sigma_lsb": sigma}
    topology = {"kind": "dense", "cells": 3}
    errors = {"coupling": {"dac": dac, "gain_sigma": sigma}, "bias": {"dac": dac}}
    errors |= {"cell": {"kind": "pbit", "slope_sigma": sigma, "offset_sigma_kt": sigma}}
    errors |= {"temperature": {"dac": {**dac, "full_scale": 4.0}}}
    chip = Chip(parse({"name": "warmup", "fabric": {"topology": topology}, **errors}), _Boot())
    program = assemble([Instruction(Opcode.RUN, 2), Instruction(Opcode.STROBE), Instruction(Opcode.HALT)])
    codes = np.zeros(6, np.int16)
    rows = [
        (Op.BLKWR, WINDOWS["PROGRAM"].address, 0, 0, 6),
        (Op.BLKWR, WINDOWS["COUPLING"].address, 0, 0, 3),
        (Op.WRITE, WINDOWS["BIAS"].address, 0, 0, 0),
        (Op.WRITE, WINDOWS["CLAMP_MASK"].address, 0, 0, 0),
        (Op.WRITE, register("CORR.CTRL").at(), 1, 0, 0),
        (Op.WRITE, register("SEQ.CTRL").at(), 1, 0, 0),
        (Op.WAIT, register("SEQ.STATUS").at(), 2, 0xFF, 10_000),
        (Op.RMW, register("SYS.SCRATCH").at(), 1, 0xFFFFFFFF, 0),
        (Op.READ, WINDOWS["SPIN"].address, 0, 0, 0),
    ]
    records = np.zeros(len(rows), RECORD)
    for k, (op, addr, value, mask, arg) in enumerate(rows):
        records[k] = (op, 0, 0, addr, value, mask, arg)
    result = chip.execute(records, (program.tobytes(), codes.tobytes()))
    if result.failure is not None:
        raise AssertionError(f"the warm-up chip failed: {result.failure.message}")
