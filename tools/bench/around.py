"""A daemon of its own beside the same code in process, and how long one takes to start."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from measuring import Effort, median_row, most_row
from tick import LABELS, VISIBLE, data

import tsu_driver as tsu
from tsu_apps.learning import Ctd
from tsu_apps.report import Row
from tsu_contract.wire import Reply, Request, decode_reply, encode_request

CHIP = "digits-ideal"
TICKS, QUICK_TICKS = 600, 50
OVER_THE_WIRE, START_S = 1.1, 1.0
LEAST_STARTS = 5
OPENING = f"""
import time
begin = time.perf_counter()
import tsu_driver as tsu
imported = time.perf_counter()
with tsu.open("emu:{CHIP}") as chip:
    chip.read_register("SEQ.STATUS")
    print(time.perf_counter() - imported, imported - begin, flush=True)
"""


class Inside:
    """A link to a server in the same process: the frames that would go over a socket, without one."""

    def __init__(self, config: str) -> None:
        from tsu_emu.chip import Chip
        from tsu_emu.config import load
        from tsu_emu.server.session import Server
        from tsu_firmware import BootFirmware

        self._server = Server(Chip(load(config), BootFirmware()))

    def call(self, request: Request, timeout_s: float) -> Reply:
        """The reply; nothing can time out."""
        return decode_reply(self._server.handle(encode_request(request)))

    def close(self) -> None:
        """Nothing is held."""


def _training(chip: tsu.Chip, ticks: int) -> tuple[float, float]:
    """Microseconds of a tick, and messages of one, in a training; a short one before it has loaded what there is to load."""
    X, y = data()
    Ctd(chip, range(64), range(64, VISIBLE), ticks=QUICK_TICKS).fit(X, y, progress=False)
    before = chip.stats.messages
    machine = Ctd(chip, range(64), range(64, VISIBLE), ticks=ticks).fit(X, y, progress=False)
    return 1e6 * machine.counters_.wall_seconds / ticks, (chip.stats.messages - before) / ticks


def bench_training(effort: Effort) -> list[Row]:
    """Ticks of host-driven CTD on digits with a daemon of its own and in process, in turn."""
    ticks = QUICK_TICKS if effort.quick else TICKS
    apart, inside, messages = [], [], 0.0
    for _ in range(effort.repeats + 1):
        with tsu.open(f"emu:{CHIP}?threads=1") as chip:
            apart.append(_training(chip, ticks)[0])
        with tsu.Chip(Inside(CHIP)) as chip:
            seconds, messages = _training(chip, ticks)
            inside.append(seconds)
        effort.step()
    ratio = [a / b for a, b in zip(apart[1:], inside[1:], strict=True)]
    return [
        median_row(f"tick of Ctd on {LABELS} digits, {messages:.1f} messages, daemon", apart[1:], "us"),
        median_row("the same calls in process", inside[1:], "us"),
        most_row("daemon over in process", ratio, "", effort.goal(OVER_THE_WIRE)),
    ]


def bench_start(effort: Effort) -> list[Row]:
    """A process that opens a chip compiled before, until its first reply."""
    opened, imported, whole, processor = [], [], [], []
    for _ in range(max(LEAST_STARTS, effort.repeats) + 1):
        used, begin = os.times(), time.perf_counter()
        run = subprocess.run([sys.executable, "-c", OPENING], capture_output=True, text=True, check=True)
        whole.append(time.perf_counter() - begin)
        now = os.times()
        processor.append(now.children_user + now.children_system - used.children_user - used.children_system)
        for values, text in zip((opened, imported), run.stdout.split(), strict=True):
            values.append(float(text))
    return [
        most_row("tsu.open and a first reply, warm", opened[1:], "s", effort.goal(START_S)),
        median_row("import of tsu_driver", imported[1:], "s"),
        median_row("process that opens a chip and ends", whole[1:], "s"),
        median_row("processor time of it and its daemon", processor[1:], "s"),
    ]
