"""Measures speed; every rate of spin updates stands beside a moment that a wrong sampler would miss.

    tools/run bench wire [--json FILE]       register operations and bulk data through a daemon, beside a bare echo
    tools/run bench kernels [--json FILE]    spin updates per second of whole chips in process

Medians over alternating repetitions; spread is one standard deviation over them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import zmq
from rich.progress import Progress

import tsu_driver as tsu
from tsu_apps.report import Row, format_rows, write_json
from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import MAP_HASH, WINDOWS, register
from tsu_contract.wire import Kind, Request, decode_reply, encode_request

REPEATS = 7


def median_row(name: str, values: Sequence[float], unit: str, goal: float | None = None) -> Row:
    """The median of repetitions, with their spread; `goal` is a least value."""
    value, spread = statistics.median(values), statistics.stdev(values)
    return Row(name, value, unit, spread) if goal is None else Row.at_least(name, value, goal, unit, spread)


# Wire


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
        reply = decode_reply(self.socket.recv_multipart())
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


def bench_wire(step: Callable[[], None]) -> list[Row]:
    """Operations per second batched, pipelined and unbatched, and bulk data."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/echo.sock"
        other = multiprocessing.get_context("spawn").Process(target=echo, args=(endpoint,), daemon=True)
        other.start()
        try:
            return _bench_wire(endpoint, step)
        finally:
            other.terminate()
            other.join()


def _bench_wire(echo_endpoint: str, step: Callable[[], None]) -> list[Row]:
    bare = zmq.Context.instance().socket(zmq.DEALER)
    bare.connect(echo_endpoint)
    batch, single = register_mix(256), register_mix(1)
    frames = encode_request(Request(Kind.OPERATE, 1, 1, single))
    rates: dict[str, list[float]] = {k: [] for k in ("lockstep", "pipelined", "driver", "unbatched", "echo", "read", "write")}
    with tsu.open("emu:z1-128") as chip:
        raw = Raw(chip._session._link.endpoint)  # type: ignore[attr-defined]
        cap = chip.capabilities
        source, codes = WINDOWS["TOPO_SOURCE"], bytes(2 * cap.couplers)
        read, write = np.zeros(4, RECORD), np.zeros(1, RECORD)
        read["op"], read["addr"], read["arg"] = Op.BLKRD, source.address, cap.words(source)
        write[0] = (Op.BLKWR, 0, 0, WINDOWS["COUPLING"].address, 0, 0, len(codes) // 4)
        for _ in range(REPEATS):
            rates["lockstep"].append(256 * 400 / raw.stream(batch, 400, 1) / 1e6)
            rates["pipelined"].append(256 * 400 / raw.stream(batch, 400, 8) / 1e6)
            rates["driver"].append(256 * 50 / driver_batches(chip, 50) / 1e6)
            rates["unbatched"].append(1e6 * round_trips(lambda: raw.send(single), raw.receive, 1000))
            rates["echo"].append(1e6 * round_trips(lambda: bare.send_multipart(frames), bare.recv_multipart, 1000))
            rates["read"].append(4 * 4 * cap.words(source) * 10 / 2**20 / raw.stream(read, 10, 2))
            rates["write"].append(len(codes) * 10 / 2**20 / raw.stream(write, 10, 2, (codes,)))
            step()
        raw.socket.close(0)
    bare.close(0)
    ratio = [a / b for a, b in zip(rates["unbatched"], rates["echo"], strict=True)]
    return [
        median_row("256 a message, 8 under way", rates["pipelined"], "M op/s", 1.0),
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


# Kernels


@dataclass
class Subject:
    """A chip under test: what it is called, a configuration, its planes and threads, and sweeps of one repetition."""

    name: str
    config: object
    planes: int
    threads: int
    sweeps: int
    goal: float | None = None


def subjects() -> list[Subject]:
    """The chips that are measured; dense 512 is not shipped."""
    from tsu_emu.config import load, parse

    z1, digits, digits_ideal = load("z1-128"), load("digits-typical"), load("digits-ideal")
    ideal = parse({**z1.model_dump(by_alias=True, include={"fabric", "clock", "timing"}), "name": "z1-128-ideal"})
    dense = parse({"name": "dense-512", "fabric": {"topology": {"kind": "dense", "cells": 512}}})
    return [
        Subject("z1-128, 64 planes, 2 threads", z1, 64, 2, 60, 400.0),
        Subject("z1-128, 64 planes", z1, 64, 1, 40),
        Subject("z1-128 without errors", ideal, 64, 1, 40),
        Subject("z1-128, 1 plane", z1, 1, 1, 400),
        Subject("dense 512, 64 planes", dense, 64, 1, 60),
        Subject("digits-typical, 64 planes", digits, 64, 1, 3000),
        Subject("digits-ideal, 64 planes", digits_ideal, 64, 1, 3000),
    ]


class Running:
    """A chip with random codes, and a program that sweeps it."""

    def __init__(self, subject: Subject) -> None:
        from tsu_emu.chip import Chip

        self.subject, self.chip = subject, Chip(subject.config, threads=subject.threads)  # type: ignore[arg-type]
        cap, rng = self.chip.capabilities, np.random.default_rng(0)
        largest = max(2, round(60 / np.sqrt(cap.couplers / cap.cells)))
        codes = rng.integers(-largest, largest + 1, cap.couplers + cap.couplers % 2).astype("<i2").tobytes()
        program = assemble([Instruction(Opcode.RUN, subject.sweeps), Instruction(Opcode.HALT)]).tobytes()
        self.operate((Op.BLKWR, "PROGRAM", program), (Op.BLKWR, "COUPLING", codes))
        for word in range((cap.planes + 31) // 32):
            enabled = (1 << min(max(subject.planes - 32 * word, 0), 32)) - 1
            self.operate((Op.WRITE, register("FABRIC.PLANE_ENABLE").at(word), enabled))
        self.seconds()

    def operate(self, *rows: tuple[int, str | int, bytes | int]) -> None:
        records, payloads = np.zeros(len(rows), RECORD), []
        for k, (op, where, what) in enumerate(rows):
            if isinstance(what, bytes):
                records[k] = (op, 0, 0, WINDOWS[str(where)].address, 0, 0, len(what) // 4)
                payloads.append(what)
            else:
                records[k] = (op, 0, 0, where, what, 0, 0)
        self.chip.execute(records, payloads)

    def seconds(self) -> float:
        """Time of one repetition."""
        records = np.zeros(3, RECORD)
        records[0] = (Op.WRITE, 0, 0, register("SEQ.PC").at(), 0, 0, 0)
        records[1] = (Op.WRITE, 0, 0, register("SEQ.CTRL").at(), 1, 0, 0)
        records[2] = (Op.WAIT, 0, 0, register("SEQ.STATUS").at(), 2, 0xFF, 1 << 40)
        begin = time.perf_counter()
        result = self.chip.execute(records)
        took = time.perf_counter() - begin
        if result.failure is not None:
            raise RuntimeError(result.failure.message)
        return took

    def rate(self) -> float:
        """Million attempted spin updates a second."""
        return self.subject.planes * self.subject.sweeps * self.chip.capabilities.cells / self.seconds() / 1e6

    def moment(self) -> tuple[float, float]:
        """<s I> - <I tanh(I/T)> over the cells of the last colour, kT, and its standard error.

        These cells were just drawn given all others, so the difference is 0 for a right sampler, in or out of equilibrium.
        """
        from tsu_emu.analog.dac import output

        plant, t = self.chip._plant, self.chip._plant.topology
        temperature = output(plant.die.temperature, 0, 64)
        last = t.order[t.phase[-2] :]
        differences = []
        for plane in range(self.subject.planes):
            up = (self.chip.state.spins[plane >> 6] >> np.uint64(plane & 63) & np.uint64(1)).astype(np.int64)
            heard = np.add.reduceat(plant.doubled * up[t.source], t.row[:-1])
            field = ((plant.base + heard) / plant.die.scale)[last]
            differences.append(field * ((2 * up[last] - 1) - np.tanh(field / temperature)))
        values = np.concatenate(differences)
        return float(values.mean()), float(values.std() / np.sqrt(len(values)))


def bench_kernels(step: Callable[[], None]) -> list[Row]:
    """Rates of all subjects, alternating, each followed by the moment that proves its sampler."""
    running = [Running(s) for s in subjects()]
    rates: list[list[float]] = [[] for _ in running]
    for _ in range(REPEATS):
        for k, chip in enumerate(running):
            rates[k].append(chip.rate())
        step()
    rows = []
    for chip, values in zip(running, rates, strict=True):
        rows.append(median_row(chip.subject.name, values, "M/s", chip.subject.goal))
        mean, error = chip.moment()
        rows.append(
            Row(f"{chip.subject.name}: <s I> - <I tanh I>", mean, "kT", error, "|value| <= 5 spread", abs(mean) <= 5 * error)
        )
    errors = [a / b for a, b in zip(rates[1], rates[2], strict=True)]
    rows.append(median_row("z1-128 with over without errors", errors, ""))
    errors = [a / b for a, b in zip(rates[5], rates[6], strict=True)]
    rows.append(median_row("digits, every effect over ideal", errors, "", 0.7))
    return rows


BENCHES = {"wire": bench_wire, "kernels": bench_kernels}


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/run bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=BENCHES, help="what to measure")
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE")
    arguments = parser.parse_args()
    if arguments.name == "kernels":
        from tsu_emu.warmup import warm_up

        warm_up(lambda done, total: None)
    with Progress(transient=True) as bar:
        task = bar.add_task(f"measuring {arguments.name}", total=REPEATS)
        rows = BENCHES[arguments.name](lambda: bar.advance(task))
    print(format_rows(rows))
    if arguments.json:
        write_json(arguments.json, rows, config={"bench": arguments.name, "repeats": REPEATS}, seeds={"codes": 0})
    return 0 if all(row.ok is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
