"""F16: from SIGTERM to the end of the process, in the midst of a request with and without end; and what is found afterwards."""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path

import numpy as np
from trust.effort import Effort

from server.process import Dealer, Process, short_directory
from tsu_apps.report import Row
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register, value_of

GOAL_SECONDS = 5.0
CHIPS = ("digits-ideal", "z1-128")
BOOTED = (Op.WAIT, register("SYS.BOOT").at(), value_of("SYS.BOOT.STAGE", "READY"), 0xFF, 10_000_000)
START = (Op.WRITE, register("SEQ.CTRL").at(), 1, 0, 0)
CYCLE = (Op.READ, register("SYS.CYCLE").at(), 0, 0, 0)


def drained(chip: str, wait: int) -> tuple[float, bool]:
    """Seconds from SIGTERM to the end, while a DELAY of so many cycles is under way; whether the next start is in order."""
    from tsu_contract.wire import encode_request

    program = assemble([Instruction(Opcode.RUN, 0xFFFFFFFF)])
    with short_directory() as folder, tempfile.TemporaryDirectory() as state:
        arguments = (f"ipc://{folder}/c.sock", "--state", f"{state}/s")
        with Process(Path(chip), *arguments) as first, Dealer(first.endpoint) as dealer:
            dealer.hello()
            load = (Op.BLKWR, WINDOWS["PROGRAM"].address, 0, 0, 2)
            end = dealer.done(BOOTED, load, START, payloads=[np.asarray(program).tobytes()]).t_end
            dealer.send([bytes(f) for f in encode_request(dealer.request((Op.DELAY, 0, 0, 0, wait)))])
            time.sleep(0.3)
            begun = time.monotonic()
            first.signal(signal.SIGTERM)
            code = first.end()
            seconds = time.monotonic() - begun
            with Process(Path(chip), *arguments) as second:
                again = [line for line in second.lines if line["event"] == "recovered"]
                dealer.seq -= 1
                in_order = dealer.done(CYCLE).t_start == end
        return seconds, in_order and code == 0 and again[0]["requests"] <= 3


def measure(effort: Effort) -> list[Row]:
    """Rows of F16."""
    rows = []
    for place, chip in enumerate(CHIPS):
        seconds, in_order = drained(chip, 1 << 60)
        rows.append(
            Row.at_most(f"{chip}: SIGTERM in a request without end, to the end of the process", seconds, GOAL_SECONDS, "s")
        )
        rows.append(Row.at_most(f"{chip}: next start elsewhere than before that request", float(not in_order), 0))
        effort.progress((place + 1) / len(CHIPS))
    return rows
