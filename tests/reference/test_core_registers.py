"""Registers of the firmware core on a chip without one, as the host sees them, against the reference."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from serving import config, records
from tsu_contract.operations import Op
from tsu_contract.registers import register

from .blocks import Block
from .harness import Emulator, Reference, difference
from .mailbox import Mailbox
from .operations import Message

READ = ("CPU.CTRL", "CPU.STATUS", "CPU.PC", "CPU.IRQ_ENABLE", "TIMER.COMPARE_LOW", "TIMER.COMPARE_HIGH", "WATCHDOG.PERIOD",
        "MAILBOX.TO_CORE", "MAILBOX.FROM_CORE", "MAILBOX.STATUS", "IRQ.PENDING")  # fmt: skip
CHIP = config({"kind": "dense", "cells": 2}, planes=1)


def life(seed: int) -> Message:
    """Writes of what the host may write and resets, each followed by a look at everything."""
    rng, rows = random.Random(seed), []
    for _ in range(30):
        name, value = rng.choice((
            ("MAILBOX.TO_CORE", rng.getrandbits(32)), ("MAILBOX.STATUS", rng.randrange(4)), ("CPU.CTRL", rng.randrange(2)),
            ("SYS.CTRL", 1), ("IRQ.TEST", 0x80), ("IRQ.PENDING", 0x80),
        ))  # fmt: skip
        rows.append((int(Op.WRITE), register(name).at(), value, 0, 0))
        rows += [(int(Op.READ), register(read).at(), 0, 0, 0) for read in READ]
    return Message(records(rows), ())


def disagreement(seed: int) -> str | None:
    message = life(seed)
    return difference(message, Emulator(CHIP).send(message), Reference(CHIP).send(message))


@pytest.mark.parametrize("seed", range(3))
def test_the_reference_agrees(seed: int) -> None:
    assert disagreement(seed) is None


def words_fill_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mailbox, "write", Block.write)


def status_keeps_over_reset(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mailbox, "reset", lambda self: None)


def hold_is_reset(patch: pytest.MonkeyPatch) -> None:
    def every(self: Block) -> None:
        self.held = {name: list(values) for name, values in self.resets.items()}

    patch.setattr(Block, "reset", every)


@pytest.mark.parametrize("mutation", [words_fill_nothing, status_keeps_over_reset, hold_is_reset], ids=lambda m: m.__name__)
def test_a_wrong_reference_is_noticed(mutation: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    assert any(disagreement(seed) for seed in range(3))
