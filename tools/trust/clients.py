"""F7: a thousand clients, each with a connection and a session of its own.

A few have a request under way at a time, as hosts that train do; the others are connected and silent. Memory is the daemon's own
account of itself, before the first and after the last. Then the table is filled, and one more HELLO must be told BUSY.
"""

from __future__ import annotations

import random
import time

import numpy as np
import zmq
from trust.crowd import Crowd, Member, repeatable, served
from trust.effort import Effort

from server.harness import records_of
from tsu_apps.report import Row
from tsu_contract.errors import Code
from tsu_contract.operations import Op
from tsu_contract.registers import register

LATENCY_MS, BYTES_EACH, SETTLE_S = 10.0, 64_000, 0.5
AT_ONCE, REQUESTS = 4, (2_000, 20_000)
RECORDS = records_of([(Op.WRITE, register("SYS.SCRATCH").at(), 5, 0, 0), (Op.READ, register("SYS.SCRATCH").at(), 0, 0, 0)])


def measure(effort: Effort) -> list[Row]:
    """Memory of a client, latency among all of them, and what one too many is told."""
    count, rng = effort.size(200, 1000), random.Random(effort.seed)
    with served() as process, Crowd(process.endpoint, count + 1) as crowd:
        looker = crowd.join()
        limit = int(looker.status()["limits"]["sessions"])
        looker.asked(looker.operate(RECORDS))  # what it takes to carry out a request at all is not a client's
        before = _memory(looker)
        for done in range(count - 1):
            crowd.join()
            effort.progress(0.4 * done / count)
        for member in crowd.members:
            member.asked(member.operate(RECORDS))
        each = (_memory(looker) - before) / (count - 1)
        times = _latencies(crowd, effort.size(*REQUESTS), rng, effort)
        opened = len(crowd.members)
        while opened < limit and crowd.members[opened % count].hello().failure is None:
            opened += 1
        refused = looker.hello()
        told = refused.failure is not None and refused.failure.code is Code.BUSY
        alive = all(m.asked(m.operate(RECORDS)).failure is None for m in rng.sample(crowd.members, 20))
    p99 = float(np.percentile(times, 99)) * 1e3
    rows = [
        Row.at_most(f"memory of each of {count} clients", each, BYTES_EACH, "bytes"),
        Row("round trip among them, median", float(np.median(times)) * 1e3, "ms"),
        Row.at_most("round trip among them, p99", p99, LATENCY_MS, "ms"),
        Row.at_least("sessions open when one more was told BUSY", opened if told else 0, limit),
        Row.at_least("of 20 clients, served afterwards", 20 if alive else 0, 20),
    ]
    return repeatable(rows, effort.again("F7"))


def _memory(looker: Member) -> int:
    time.sleep(SETTLE_S)
    return int(looker.status()["memory_bytes"])


def _latencies(crowd: Crowd, requests: int, rng: random.Random, effort: Effort) -> list[float]:
    """Seconds from request to reply, AT_ONCE of them under way, of clients drawn anew for each."""
    poller, times, started = zmq.Poller(), list[float](), 0
    sent: dict[zmq.Socket[bytes], tuple[Member, float]] = {}
    for member in crowd.members:
        poller.register(member.socket, zmq.POLLIN)
    while len(times) < requests:
        while len(sent) < AT_ONCE and started < requests:
            member = rng.choice(crowd.members)
            if member.socket not in sent:
                sent[member.socket] = (member, time.perf_counter())
                member.post(member.operate(RECORDS))
                started += 1
        waiting = list(sent)
        ready = [s for s in waiting if s.poll(0)] or [s for s, _ in poller.poll(1000)]
        for socket in ready:
            member, begun = sent.pop(socket)
            assert member.reply().failure is None
            times.append(time.perf_counter() - begun)
        effort.progress(0.4 + 0.6 * len(times) / requests)
    return times
