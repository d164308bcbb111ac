"""F8: fifty subscribers that do not read, and a host that works beside them.

The host's rate is that of lists of register operations, one after the other, in short turns alone and beside the fifty, so that
whatever else the machine does befalls both. Then the fifty fall silent until they are cut.
"""

from __future__ import annotations

import statistics
import time

from trust.crowd import Crowd, Member, repeatable, served
from trust.effort import Effort

from server.harness import records_of
from tsu_apps.report import Row
from tsu_contract.errors import Code
from tsu_contract.operations import Op
from tsu_contract.registers import register
from tsu_contract.wire import Kind, Request

SUBSCRIBERS, SLOWER, CUT_S, BYTES = 50, 0.2, 10.0, 64 << 20
TURN_S, TURNS = 0.4, (6, 30)
BATCH = records_of([(Op.READ, register("SYS.SCRATCH").at(), 0, 0, 0)] * 256)


def measure(effort: Effort) -> list[Row]:
    """How much slower the host is, when the last one is cut, that each is told why, and memory."""
    turns = effort.size(*TURNS)
    with served() as process, Crowd(process.endpoint, SUBSCRIBERS + 2) as crowd:
        host, looker = crowd.join(), crowd.join()
        deaf = [crowd.join("observer") for _ in range(SUBSCRIBERS)]
        _rate(host, 1.0)
        memory = int(looker.status()["memory_bytes"])
        shares, alone = [], []
        for turn in range(turns):
            rates = []
            for every_ms in (0, 100) if turn % 2 else (100, 0):
                _subscribe(deaf, every_ms)
                rates.append(_rate(host, TURN_S))
            beside, lonely = reversed(rates) if turn % 2 else rates
            shares.append(1.0 - beside / lonely)
            alone.append(lonely)
            effort.progress(0.5 * turn / turns)
        _subscribe(deaf, 100)
        begun, most, cut_after = time.monotonic(), memory, float("inf")
        while (passed := time.monotonic() - begun) < 2 * CUT_S:
            status = looker.status()
            most = max(most, int(status["memory_bytes"]))
            if status["sessions"]["subscribers"] == 0:
                cut_after = passed
                break
            _rate(host, TURN_S / 4)
            effort.progress(0.5 + passed / 4 / CUT_S)
        told = sum(_told(member) for member in deaf)
    rows = [
        Row("host alone", statistics.median(alone) / 1e6, "M op/s"),
        Row.at_most(f"slower beside {SUBSCRIBERS} that do not read, share", statistics.median(shares), SLOWER),
        Row.at_most("last of them cut after", cut_after, CUT_S, "s"),
        Row.at_least("of them, told why", told, SUBSCRIBERS),
        Row.at_most("memory of the daemon, more at the most", most - memory, BYTES, "bytes"),
    ]
    return repeatable(rows, effort.again("F8"))


def _subscribe(deaf: list[Member], every_ms: int) -> None:
    """All of them ask for updates, or for none; they read no reply."""
    for member in deaf:
        member.post(Request(Kind.SUBSCRIBE, member.session, 1, body={"every_ms": every_ms, "credit": 100}))


def _rate(host: Member, seconds: float) -> float:
    """Operations per second."""
    begun, operations = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        assert host.asked(host.operate(BATCH)).failure is None
        operations += len(BATCH)
    return operations / (time.perf_counter() - begun)


def _told(member: Member) -> bool:
    """Whether the last that a subscriber finds is why it was cut; updates before it have no gap in their numbers."""
    number = 0
    while True:
        reply = member.reply()
        if reply.failure is not None:
            return reply.failure.code is Code.SESSION_CUT and "granted" in reply.failure.message
        if "number" not in reply.body:
            number = number if reply.body["every_ms"] else 0
            continue
        number += 1
        if reply.body["number"] != number:
            return False
