"""Register operations and bulk data through a daemon, beside a bare echo; then what stands round the kernels."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from math import prod

import numpy as np
import zmq
from around import bench_start, bench_training
from linear import bench_linear
from measuring import Effort, median_row, most_row

import tsu_driver as tsu
from tsu_apps.report import Row
from tsu_contract.operations import RECORD, Op
from tsu_contract.registers import MAP_HASH, WINDOWS, register
from tsu_contract.wire import Kind, Request, decode_reply, encode_request
from tsu_driver.links import SOCKET_BYTES

RATE, OVER_ECHO, BULK = 3.0, 1.5, 2.0
"""Goals: M operations/s, of round trips, GiB/s."""
BULK_BYTES, GIB, MORE = 4 << 20, 1 << 30, b"more"


class Raw:
    """A session without the driver: prepared frames, as many under way as wanted."""

    def __init__(self, endpoint: str) -> None:
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, 60_000)
        self.socket.connect(endpoint)
        self.seq, self.session = 0, 0
        self.socket.send_multipart(encode_request(Request(Kind.HELLO, 0, 0, body={"map_hash": MAP_HASH})))
        self.session = decode_reply(self.socket.recv_multipart()).session

    def send(self, records: np.ndarray) -> None:
        self.seq += 1
        self.socket.send_multipart(encode_request(Request(Kind.OPERATE, self.session, self.seq, records)))

    def receive(self) -> None:
        reply = decode_reply(self.socket.recv_multipart())
        if reply.failure is not None:
            raise RuntimeError(reply.failure.message)

    def stream(self, records: np.ndarray, messages: int, under_way: int) -> float:
        """Seconds for so many equal messages with `under_way` of them unanswered at a time."""
        begin, sent = time.perf_counter(), 0
        for done in range(messages):
            while sent < min(messages, done + under_way):
                self.send(records)
                sent += 1
            self.receive()
        return time.perf_counter() - begin


def register_mix(count: int) -> np.ndarray:
    """Reads and writes of registers of several kinds, all without effect on the array."""
    kinds = [
        (Op.WRITE, "SYS.SCRATCH", 0x1234), (Op.READ, "SYS.SCRATCH", 0), (Op.READ, "SEQ.STATUS", 0), (Op.READ, "SYS.CYCLE", 0),
        (Op.WRITE, "TEMP.TDAC", 64), (Op.WRITE, "IRQ.PENDING", 0x1F), (Op.READ, "CAP.CELLS", 0), (Op.WRITE, "CORR.PERIOD", 4),
    ]  # fmt: skip
    out = np.zeros(count, RECORD)
    for k in range(count):
        op, name, value = kinds[k % len(kinds)]
        out[k] = (op, 0, 0, register(name).at(), value, 0, 0)
    return out


def echo(endpoint: str) -> None:
    """A bare ROUTER in a process of its own as the daemon is: sends back what comes, or as many bytes as are asked for."""
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    for option in (zmq.SNDBUF, zmq.RCVBUF):
        socket.setsockopt(option, SOCKET_BYTES)
    socket.bind(endpoint)
    bulk = bytes(BULK_BYTES)
    while True:
        frames = socket.recv_multipart()
        if frames[1:] == [MORE]:
            socket.send_multipart([frames[0], bulk], copy=False)
        else:
            socket.send_multipart(frames)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def bench_wire(effort: Effort) -> list[Row]:
    """Operations per second batched, pipelined and unbatched, bulk data, training and starting, and what is to be linear."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/echo.sock"
        other = multiprocessing.get_context("spawn").Process(target=echo, args=(endpoint,), daemon=True)
        other.start()
        bare = zmq.Context.instance().socket(zmq.DEALER)
        for option in (zmq.SNDBUF, zmq.RCVBUF):
            bare.setsockopt(option, SOCKET_BYTES)
        bare.connect(endpoint)
        try:
            with tsu.open("emu:z1-128") as chip:
                rows = _operations(chip, bare, effort) + _bulk(chip, bare, effort)
        finally:
            bare.close(0)
            other.terminate()
            other.join()
    return rows + bench_training(effort) + bench_start(effort) + bench_linear(effort)


def _operations(chip: tsu.Chip, bare: zmq.Socket[bytes], effort: Effort) -> list[Row]:
    raw = Raw(chip._session._link.endpoint)  # type: ignore[attr-defined]
    batch, single = register_mix(256), register_mix(1)
    frames = encode_request(Request(Kind.OPERATE, 1, 1, single))
    names = ("lockstep", "pipelined", "again", "anew", "unbatched", "echo", "ratio", "register")
    rates: dict[str, list[float]] = {k: [] for k in names}
    many, few, singles = (40, 5, 100) if effort.quick else (400, 50, 1000)
    prepared = driver_batch(chip)
    for _ in range(effort.repeats):
        rates["lockstep"].append(256 * many / raw.stream(batch, many, 1) / 1e6)
        rates["pipelined"].append(256 * many / raw.stream(batch, many, 8) / 1e6)
        rates["again"].append(256 * many / timed(lambda: [prepared.execute() for _ in range(many)]) / 1e6)
        rates["anew"].append(256 * few / timed(lambda: [driver_batch(chip).execute() for _ in range(few)]) / 1e6)
        ours, theirs = [], []
        for _ in range(singles):
            ours.append(timed(lambda: (raw.send(single), raw.receive())))
            theirs.append(timed(lambda: (bare.send_multipart(frames), bare.recv_multipart())))
        register_s = [timed(lambda: chip.read_register("SYS.SCRATCH")) for _ in range(singles)]
        for name, values in (("unbatched", ours), ("echo", theirs), ("register", register_s)):
            rates[name].append(1e6 * statistics.median(values))
        rates["ratio"].append(rates["unbatched"][-1] / rates["echo"][-1])
        effort.step()
    raw.socket.close(0)
    return [
        median_row("256 a message, 8 under way", rates["pipelined"], "M op/s", effort.goal(RATE)),
        median_row("256 a message, lockstep", rates["lockstep"], "M op/s"),
        median_row("256 a message, tsu_driver, a batch carried out again", rates["again"], "M op/s", effort.goal(RATE)),
        median_row("256 a message, tsu_driver, batches made anew", rates["anew"], "M op/s"),
        median_row("unbatched round trip", rates["unbatched"], "us"),
        median_row("bare echo round trip", rates["echo"], "us"),
        most_row("unbatched over echo", rates["ratio"], "", effort.goal(OVER_ECHO)),
        median_row("tsu_driver, read_register", rates["register"], "us"),
    ]


def _bulk(chip: tsu.Chip, bare: zmq.Socket[bytes], effort: Effort) -> list[Row]:
    """GiB/s of windows as tsu_driver reads and writes them, some 4 MiB a message, and of a bare socket."""
    reads = {name: _whole(chip, name, False) for name in ("HOSTMEM", "LEARN_PAIR", "COUPLING", "SPIN")}
    writes = {name: _whole(chip, name, True) for name in ("HOSTMEM", "LEARN_PAIR", "COUPLING")}
    count = 2 if effort.quick else 10
    rates: dict[str, list[float]] = {}
    for _ in range(effort.repeats):
        taken = timed(lambda: [(bare.send(MORE), bare.recv(copy=False)) for _ in range(count)])
        rates.setdefault("bulk read, bare socket", []).append(count * BULK_BYTES / GIB / taken)
        for what, batches in (("read", reads), ("write", writes)):
            for name, (batch, size) in batches.items():
                taken = timed(lambda batch=batch: [batch.execute() for _ in range(count)])  # type: ignore[misc]
                rates.setdefault(f"bulk {what}, {name}", []).append(count * size / GIB / taken)
    goals = {name: BULK for name in rates if "HOSTMEM" in name or "LEARN_PAIR" in name}
    return [median_row(name, values, "GiB/s", effort.goal(goals.get(name))) for name, values in rates.items()]


def _whole(chip: tsu.Chip, name: str, write: bool) -> tuple[tsu.Batch, int]:
    """A batch that reads or writes a window so often that it is some BULK_BYTES, and how many it is."""
    window, cap = WINDOWS[name], chip.capabilities
    size = prod(cap.shape(window)) * window.dtype.itemsize
    batch = chip.batch()
    for _ in range(max(1, BULK_BYTES // size)):
        if write:
            batch.write_window(name, np.zeros(cap.shape(window), window.dtype))
        else:
            batch.read_window(name)
    return batch, size * max(1, BULK_BYTES // size)


def driver_batch(chip: tsu.Chip) -> tsu.Batch:
    """256 operations on registers of several kinds."""
    batch = chip.batch()
    for k in range(32):
        batch.write("SYS.SCRATCH", k)
        batch.read("SYS.SCRATCH")
        batch.read("SEQ.STATUS")
        batch.read("CAP.CELLS")
        batch.write("TEMP.TDAC", 64)
        batch.write("IRQ.PENDING", 0x1F)
        batch.read("TEMP.TDAC")
        batch.write("CORR.PERIOD", 4)
    return batch
