"""A firmware of few instructions without any defence, as a scenario: it adds a word of RAM to what the host sends."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chip.test_core import FOREVER, HANDLER, MRET, SOFTWARE, TO_CORE, get, li, listen, lui, lw, put
from cpu.images import elf
from cpu.pair import addi, op, stw
from serving import config
from tsu_emu.config import ChipConfig
from tsu_testing.campaign import Played
from tsu_testing.host import Host

ADDEND, WORD = 7, 3
"""What it adds, and the word of RAM that has it. The mailbox words that it took are counted in the next word."""
RAM = 0x2000_0000
SENT = (41, 1000, 5)


def image() -> bytes:
    """Boots at once; takes words in a handler."""
    main = [*li(8, RAM), *li(7, ADDEND), stw(7, 8, 4 * WORD), *li(6, 2), *put("SYS.BOOT", 6), *listen(SOFTWARE), *FOREVER]
    handler = [*get("MAILBOX.TO_CORE", 7), lui(8, RAM), lw(9, 8, 4 * WORD), op(0x33, 7, 0, 7, 9), *put("MAILBOX.FROM_CORE", 7)]
    handler += [lw(9, 8, 4 * WORD + 4), addi(9, 9, 1), stw(9, 8, 4 * WORD + 4)]
    handler += [addi(9, 0, TO_CORE), *put("MAILBOX.STATUS", 9), MRET]
    words = [*main, *[0x13] * (HANDLER // 4 - len(main)), *handler]
    return elf([(0, np.array(words, np.uint32).tobytes(), 4 * len(words))])


class Echo:
    """Scenario: three words go there and come back."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "echo.elf"
        self.path.write_bytes(image())

    @property
    def config(self) -> ChipConfig:
        """Three cells and the core."""
        core = {"image": str(self.path), "rom_words": 512, "ram_words": 64}
        return config({"kind": "dense", "cells": 3}, planes=2, cpu=core)

    def play(self, host: Host) -> Played:
        """Right is the sum, and nothing is reported: the host notices no more than a missing answer."""
        if not host.ready(2000):
            return Played(False, (), False)
        for word in SENT:
            host.until(host.now + 1000)
            host.send(word)
            answer = host.receive(2000)
            if answer is None:
                return Played(False, (), False)
            if answer != word + ADDEND:
                return Played(False)
        return Played(True)
