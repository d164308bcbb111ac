"""F10: the system's time jumps, and nothing changes: the same replies, byte for byte, and leases as long as they should be.

One daemon is started with a clock of its own in place of Python's `time.time` and its kin, which jumps by up to ten years
whenever it is read; ZeroMQ waits by the monotonic clock. The other one has the system's. Both live through the same requests.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trust.crowd import Crowd, Member, repeatable, served
from trust.effort import Effort

import tsu_driver
import tsu_emu
from server.harness import block_read, delay, program_rows, read, records_of, wait, write
from server.process import Process
from tsu_apps.report import Row
from tsu_contract.errors import Code
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import value_of
from tsu_contract.wire import Kind, Request

LEASE_S, LATE_S = 1.0, 0.5
JUMPING = """
import random, time
_rng, _now = random.Random({seed}), time.time
_read = [0]
def _time():
    _read[0] += 1
    return max(_now() + _rng.uniform(-3e8, 3e8), 0.0)
time.time = _time
time.time_ns = lambda: int(1e9 * _time())
"""
READY = wait("SYS.BOOT", value_of("SYS.BOOT.STAGE", "READY"), 0xFF, 100_000)
WALL = {"time", "time_ns", "localtime", "gmtime", "ctime", "now", "utcnow", "today"}
MAY = ("events.py", "checks.py", "older.py")
"""Modules that may ask what time it is: the log, the doctor, who compares clocks, and what removes forgotten compiled code."""


def measure(effort: Effort) -> list[Row]:
    """Replies that differ, a lease's length by the monotonic clock under both clocks, and who reads the system's time."""
    lives = []
    for k, jumping in enumerate((False, True)):
        with _clock(effort.seed if jumping else None), served(None, "--log-level", "debug") as process:
            lives.append(_life(process, effort.size(20, 500)))
        effort.progress((k + 1) / 2)
    (plain, lease), (jumped, jumped_lease) = lives
    different = sum(a != b for a, b in zip(plain, jumped, strict=True))
    rows = [
        Row.at_most(f"of {len(plain)} replies, others when clocks jump", different, 0),
        Row("a lease of 1 s ended after", lease, "s"),
        Row.at_most("and, when clocks jump, was off by", abs(jumped_lease - LEASE_S), LATE_S, "s"),
        Row.at_most(
            "modules of driver and emulator that read the system's time, but for log, doctor and forgotten code",
            len(readers()),
            0,
        ),
    ]
    return repeatable(rows, effort.again("F10"))


@contextmanager
def _clock(seed: int | None) -> Iterator[None]:
    """Python programs that start meanwhile have a clock that jumps, if there is a seed for it."""
    if seed is None:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(JUMPING.format(seed=seed))
        sys.path.insert(0, folder)  # processes are started with our path
        try:
            yield
        finally:
            sys.path.remove(folder)


def _life(process: Process, rounds: int) -> tuple[list[str], float]:
    """Digests of the replies of some samples, and how long a lease kept another session out."""
    with Crowd(process.endpoint, 3) as crowd:
        host, other = crowd.join(), crowd.join()
        digests = [
            _digest(
                host, [READY, *program_rows(Instruction(Opcode.RUN, 5), Instruction(Opcode.STROBE), Instruction(Opcode.HALT))]
            )
        ]
        for _ in range(rounds):
            digests.append(_digest(host, [write("SEQ.PC", 0), write("SEQ.CTRL", 1), delay(20_000), block_read("SPIN", 8)]))
            digests.append(_digest(host, [read("SYS.CYCLE"), read("MON.ENERGY"), read("TEMP.SENSOR")]))
        host.seq += 1
        begun = time.monotonic()
        assert host.asked(Request(Kind.LEASE, host.session, host.seq, body={"seconds": LEASE_S})).failure is None
        while _leased(other):
            time.sleep(0.01)
        lasted = time.monotonic() - begun
        digests.append(_digest(host, [block_read("SPIN", 8)]))
    return digests, lasted


def _digest(host: Member, rows: list[tuple[int, int, int, int, int]]) -> str:
    """Of a reply, but for what differs from run to run: numbers of sessions."""
    reply = host.asked(host.operate(records_of(rows)))
    assert reply.failure is None
    parts = [reply.values.tobytes(), *map(bytes, reply.data), repr((reply.t_start, reply.t_end, reply.interrupts)).encode()]
    return hashlib.sha256(b"|".join(parts)).hexdigest()


def _leased(other: Member) -> bool:
    """Whether another session holds the chip."""
    reply = other.asked(Request(Kind.OPERATE, other.session, other.seq + 1))
    other.seq += reply.failure is None
    return reply.failure is not None and reply.failure.code is Code.LEASED


def readers() -> list[str]:
    """Modules that read the system's time."""
    found = []
    for package in (tsu_emu, tsu_driver):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
            if path.name not in MAY and any(map(_reads_clock, calls)):
                found.append(str(path))
    return found


def _reads_clock(called: ast.expr) -> bool:
    """Whether it is one of WALL, of a module or class of times."""
    if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
        return False
    return called.attr in WALL and called.value.id in ("time", "datetime", "date")
