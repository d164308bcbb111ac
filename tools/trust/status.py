"""F15: STATUS in the midst of work. A host keeps a chip busy without end; another asks for its status at random moments.

A large chip with slow effects makes the drift of all its couplers anew when its first epoch ends; the seconds in which that
happens have a row of their own.
"""

from __future__ import annotations

import random
import time

import numpy as np
from trust.crowd import Crowd, Member, served
from trust.effort import Effort

from server.harness import delay, program_rows, records_of, wait, write
from tsu_apps.report import Row
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import value_of

WITHIN_S, FIRST_S = 0.1, 3.0
READY = wait("SYS.BOOT", value_of("SYS.BOOT.STAGE", "READY"), 0xFF, 10_000_000)
ENDLESS = [*program_rows(Instruction(Opcode.RUN, 0xFFFFFFFF)), write("SEQ.CTRL", 1)]
WORK = {
    "one long DELAY": [delay(1 << 55)],
    "65,536 short DELAYs": [delay(200_000)] * 65_536,
    "a WAIT that is never met": [wait("SEQ.STATUS", 0x55, 0xFF, 1 << 55)],
}


def measure(effort: Effort) -> list[Row]:
    """Longest and median time to a reply, for each kind of work; and that it really was under way."""
    rows: list[Row] = []
    for k, (name, work) in enumerate(WORK.items()):
        rng = random.Random(effort.seed + k)
        with served("z1-128") as process, Crowd(process.endpoint, 2) as crowd:
            host, looker = crowd.join(), crowd.join("observer")
            assert host.asked(host.operate(records_of([READY, *ENDLESS]))).failure is None
            host.post(host.operate(records_of(work)))
            while looker.status()["busy"] is None:
                pass
            begun, first = time.monotonic(), 0.0
            while time.monotonic() - begun < FIRST_S:
                first = max(first, _asked(looker, rng)[0])
            count = effort.size(100, 3000)
            looks = []
            for done in range(count):
                looks.append(_asked(looker, rng))
                effort.progress((k + done / count) / len(WORK))
        times, busy, cycles = zip(*looks, strict=True)
        again = "" if max(first, *times) <= WITHIN_S and all(busy) else f"; {effort.again('F15')}"
        begins = f"{name}: STATUS after, at the most in the first {FIRST_S:g} s{again}"
        rows += [
            Row.at_most(begins, 1e3 * first, 1e3 * WITHIN_S, "ms"),
            Row(f"{name}: STATUS after, median", 1e3 * float(np.median(times)), "ms"),
            Row.at_most(f"{name}: STATUS after, at the most{again}", 1e3 * max(times), 1e3 * WITHIN_S, "ms"),
            Row.at_least(f"{name}: of {count} looks, in the midst of it", sum(busy), count),
            Row.at_least(f"{name}: chip time between first and last look", cycles[-1] - cycles[0], 1, "cycles"),
        ]
    return rows


def _asked(looker: Member, rng: random.Random) -> tuple[float, bool, int]:
    """At a random moment: seconds to the reply, whether a request was under way, chip time."""
    time.sleep(rng.random() * 0.05)
    begun = time.perf_counter()
    status = looker.status()
    return time.perf_counter() - begun, status["busy"] is not None, int(status["cycles"])
