"""Traces: they change nothing, and count what is executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chip.test_core import HANDLER
from serving import config
from testing.echo import SENT, WORD, Echo
from tsu_contract.registers import register
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.cpu.state import BUS_LOAD, BUS_STORE
from tsu_testing.host import BusError, Host
from tsu_testing.tracing import ENTERED, Tracer


def test_a_trace_changes_nothing_and_counts(tmp_path: Path) -> None:
    """The same state bit for bit; every instruction once; an interrupt for each word sent, and the accesses of its handler."""
    echo = Echo(tmp_path)
    plain, chip = Chip(echo.config), Chip(echo.config)
    echo.play(Host(plain))
    with Tracer(chip, 4096) as tracer:
        echo.play(Host(chip))
    assert S.digest(plain.state) == S.digest(chip.state)
    rows = tracer.last()
    entered = rows["kind"] == ENTERED
    assert int(entered.sum()) == len(SENT)
    assert len(rows) - len(SENT) == int(tracer.executed.sum()) == int(chip.state.hart["retired"][0])
    assert tracer.executed[0, HANDLER // 2] == len(SENT)
    mailbox = 0x4000_0000 + register("MAILBOX.FROM_CORE").at()
    stores = rows[(rows["kind"] == BUS_STORE) & (rows["address"] == mailbox)]
    assert stores["value"].tolist() == [word + 7 for word in SENT]
    assert int((rows["kind"] == BUS_LOAD).sum()) == len(SENT)
    assert (np.diff(rows["cycle"]) > 0).all()
    assert chip.state.core_ram[WORD + 1] == len(SENT)


def test_the_last_instructions_are_kept(tmp_path: Path) -> None:
    echo = Echo(tmp_path)
    chip, other = Chip(echo.config), Chip(echo.config)
    with Tracer(chip, 4096) as whole, Tracer(other, 8) as few:
        echo.play(Host(chip))
        echo.play(Host(other))
    assert few.instructions == whole.instructions > 8
    assert (few.last() == whole.last()[-8:]).all()
    few.clear()
    assert few.last().size == few.instructions == int(few.executed.sum()) == 0


def test_what_is_refused() -> None:
    chip = Chip(config({"kind": "dense", "cells": 3}, planes=2))
    with pytest.raises(ValueError, match="no firmware core"):
        Tracer(chip)
    chip.state.core["faults"][0, 0] = (S.BUS_ERROR, register("SYS.ID").at(), 1, 0)
    chip.faults_changed()
    with pytest.raises(BusError):
        Host(chip).read("SYS.ID")
