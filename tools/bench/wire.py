"""Register operations and bulk data through a daemon, beside a bare echo."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import zmq
from measuring import Effort, median_row

import tsu_driver as tsu
from tsu_apps.report import Row
from tsu_contract.operations import RECORD, Op
from tsu_contract.registers import MAP_HASH, WINDOWS, register
from tsu_contract.wire import Kind, Request, decode_reply, encode_request


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

    def send(self, records: np.ndarray, payloads: tuple[bytes, ...] = ()) -> None:
        self.seq += 1
        self.socket.send_multipart(encode_request(Request(Kind.OPERATE, self.session, self.seq, records, payloads)), copy=False)

    def receive(self) -> None:
        reply = decode_reply([f.buffer for f in self.socket.recv_multipart(copy=False)])
        if reply.failure is not None:
            raise RuntimeError(reply.failure.message)

    def stream(self, records: np.ndarray, messages: int, under_way: int, payloads: tuple[bytes, ...] = ()) -> float:
        """Seconds for so many equal messages with `under_way` of them unanswered at a time."""
        begin, sent = time.perf_counter(), 0
        for done in range(messages):
            while sent < min(messages, done + under_way):
                self.send(records, payloads)
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
    """A bare ROUTER that sends back what comes, in a process of its own as the daemon is."""
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.bind(endpoint)
    while True:
        socket.send_multipart(socket.recv_multipart())


def round_trips(send: Callable[[], object], receive: Callable[[], object], count: int) -> float:
    """Median seconds of a round trip."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        send()
        receive()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def bench_wire(effort: Effort) -> list[Row]:
    """Operations per second batched, pipelined and unbatched, and bulk data."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/echo.sock"
        other = multiprocessing.get_context("spawn").Process(target=echo, args=(endpoint,), daemon=True)
        other.start()
        try:
            return _bench_wire(endpoint, effort)
        finally:
            other.terminate()
            other.join()


def _bench_wire(echo_endpoint: str, effort: Effort) -> list[Row]:
    bare = zmq.Context.instance().socket(zmq.DEALER)
    bare.connect(echo_endpoint)
    batch, single = register_mix(256), register_mix(1)
    frames = encode_request(Request(Kind.OPERATE, 1, 1, single))
    rates: dict[str, list[float]] = {k: [] for k in ("lockstep", "pipelined", "driver", "unbatched", "echo", "read", "write")}
    many, few = (40, 5) if effort.quick else (400, 50)
    singles, bulk = (100, 2) if effort.quick else (1000, 10)
    with tsu.open("emu:z1-128") as chip:
        raw = Raw(chip._session._link.endpoint)  # type: ignore[attr-defined]
        cap = chip.capabilities
        source, codes = WINDOWS["TOPO_SOURCE"], bytes(2 * cap.couplers)
        read, write = np.zeros(4, RECORD), np.zeros(1, RECORD)
        read["op"], read["addr"], read["arg"] = Op.BLKRD, source.address, cap.words(source)
        write[0] = (Op.BLKWR, 0, 0, WINDOWS["COUPLING"].address, 0, 0, len(codes) // 4)
        for _ in range(effort.repeats):
            rates["lockstep"].append(256 * many / raw.stream(batch, many, 1) / 1e6)
            rates["pipelined"].append(256 * many / raw.stream(batch, many, 8) / 1e6)
            rates["driver"].append(256 * few / driver_batches(chip, few) / 1e6)
            rates["unbatched"].append(1e6 * round_trips(lambda: raw.send(single), raw.receive, singles))
            rates["echo"].append(1e6 * round_trips(lambda: bare.send_multipart(frames), bare.recv_multipart, singles))
            rates["read"].append(4 * 4 * cap.words(source) * bulk / 2**20 / raw.stream(read, bulk, 2))
            rates["write"].append(len(codes) * bulk / 2**20 / raw.stream(write, bulk, 2, (codes,)))
            effort.step()
        raw.socket.close(0)
    bare.close(0)
    ratio = [a / b for a, b in zip(rates["unbatched"], rates["echo"], strict=True)]
    return [
        median_row("256 a message, 8 under way", rates["pipelined"], "M op/s", effort.goal(1.0)),
        median_row("256 a message, lockstep", rates["lockstep"], "M op/s"),
        median_row("256 a message, tsu_driver", rates["driver"], "M op/s"),
        median_row("unbatched round trip", rates["unbatched"], "us"),
        median_row("bare echo round trip", rates["echo"], "us"),
        median_row("unbatched over echo", ratio, ""),
        median_row("bulk read", rates["read"], "MiB/s"),
        median_row("bulk write, coupling DACs", rates["write"], "MiB/s"),
    ]


def driver_batches(chip: tsu.Chip, messages: int) -> float:
    """Seconds for batches of 256 operations built, sent and decoded by the driver."""
    begin = time.perf_counter()
    for _ in range(messages):
        batch = chip.batch()
        for _ in range(64):
            batch.write("SYS.SCRATCH", 7)
            batch.read("SYS.SCRATCH")
            batch.read("SEQ.STATUS")
            batch.read("CAP.CELLS")
        batch.execute()
    return time.perf_counter() - begin
