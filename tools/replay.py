"""Sends the messages of a record again, and says where the first reply differs.

`tools/replay.py RECORD URL [--map FILE]`: RECORD as `tsu_firmware --record` writes it; URL is `emu:NAME?die_seed=..`, for which a
fresh emulator is started, or `ipc://..`, `tcp://..` of a daemon that nobody has talked to yet. Exit code 0: all words of all
replies are the same, as on every chip of that configuration and seeds; 1: a difference; 2: the record or the URL is wrong.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tsu_contract.errors import ProtocolError
from tsu_contract.extension import BASE, RegisterMap
from tsu_contract.operations import Op
from tsu_contract.wire import Kind, Reply, Request, decode_reply, decode_request
from tsu_driver.daemon import Daemon
from tsu_driver.errors import HostError, LinkError
from tsu_driver.links import ZmqLink
from tsu_driver.names import find_map
from tsu_driver.opening import emulator_command

MAGIC = b"TSUREC1\n"
TIMEOUT_S = 120.0

Exchange = tuple[Request, Reply | None]


def read_record(path: Path) -> list[Exchange]:
    """Requests and their replies, in order; the last has None if the program ended before its reply came.

    ValueError says what is wrong with a file that is no record. One that was cut short is read as far as it goes.
    """
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{path} is no record: it does not start with {MAGIC!r}")
    exchanges: list[Exchange] = []
    try:
        for direction, frames in _messages(data):
            if direction == b">":
                exchanges.append((decode_request(frames), None))
            elif direction == b"<" and exchanges and exchanges[-1][1] is None:
                exchanges[-1] = (exchanges[-1][0], decode_reply(frames))
            else:
                raise ValueError(f"{path}: a message of direction {direction!r} after {len(exchanges)} requests")
    except ProtocolError as error:
        raise ValueError(f"{path}: message {len(exchanges)}: {error}") from None
    return exchanges


def _messages(data: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Direction and frames of each whole message: a byte, the number of frames, each with its length before it."""
    at = len(MAGIC)
    while at + 5 <= len(data):
        direction, (count,) = data[at : at + 1], struct.unpack_from("<I", data, at + 1)
        at += 5
        frames = []
        for _ in range(count):
            if at + 4 > len(data):
                return
            (length,) = struct.unpack_from("<I", data, at)
            at += 4 + length
            if at > len(data):
                return
            frames.append(data[at - length : at])
        yield direction, frames


def place_name(address: int, within: RegisterMap = BASE) -> str:
    """Name of what is at a byte address of a map: SEQ.STATUS, SPIN word 3; the address if nothing is."""
    for window in within.windows.values():
        if window.address <= address < window.address + window.size:
            return f"{window.name} word {(address - window.address) // 4}"
    for register in within.registers.values():
        if register.address <= address < register.address + 4 * register.words * register.count:
            index = (address - register.address) // (4 * register.words)
            return register.name + (f"[{index}]" if register.count > 1 else "")
    return f"address {address:#x}"


def first_difference(request: Request, recorded: Reply, replayed: Reply, within: RegisterMap = BASE) -> str | None:
    """What differs between two replies to a request, or None. Sessions and start-up texts may differ."""
    if request.kind is Kind.HELLO:
        for key in ("map_hash", "name"):
            if recorded.body.get(key) != replayed.body.get(key):
                return f"{key}: recorded {recorded.body.get(key)}, replayed {replayed.body.get(key)}"
        return None
    if recorded.t_start != replayed.t_start:
        return f"chip time before it: recorded {recorded.t_start}, replayed {replayed.t_start}"
    return _data_difference(request, recorded, replayed, within) or _header_difference(recorded, replayed)


def _data_difference(request: Request, recorded: Reply, replayed: Reply, within: RegisterMap) -> str | None:
    frames = 0
    for k in range(min(recorded.executed, replayed.executed)):
        op, address = Op(int(request.records["op"][k])), int(request.records["addr"][k])
        pairs = [(0, int(recorded.values[k]), int(replayed.values[k]))]
        if op is Op.BLKRD:
            a, b = (memoryview(r.data[frames]).cast("I").tolist() for r in (recorded, replayed))
            pairs = [(word, x, y) for word, (x, y) in enumerate(zip(a, b, strict=True))]
            frames += 1
        for word, x, y in pairs:
            if x != y:
                place = place_name(address + 4 * word, within)
                return f"operation {k}, {op.name} {place}: recorded {x:#010x}, replayed {y:#010x}"
    return None


def _header_difference(recorded: Reply, replayed: Reply) -> str | None:
    for name in ("failure", "executed", "t_end", "interrupts", "interrupts_lost"):
        a, b = getattr(recorded, name), getattr(replayed, name)
        if a != b:
            return f"{name}: recorded {a}, replayed {b}"
    return None


def replay(exchanges: list[Exchange], endpoint: str, within: RegisterMap = BASE) -> str | None:
    """The first difference and the number of its message, or None if there is none.

    endpoint : of a daemon whose chip has done nothing yet; within : its register map. LinkError if it does not answer,
    ValueError if the record is of a chip with another map.
    """
    _check_map(exchanges, within)
    link, session = ZmqLink(endpoint), 0
    try:
        for number, (request, recorded) in enumerate(exchanges):
            reply = link.call(replace(request, session=session), TIMEOUT_S)
            if request.kind is Kind.HELLO:
                session = reply.session
            difference = first_difference(request, recorded, reply, within) if recorded else None
            if difference:
                return f"message {number}: {difference}"
    finally:
        link.close()
    return None


def _check_map(exchanges: list[Exchange], within: RegisterMap) -> None:
    hashes = {request.body.get("map_hash") for request, _ in exchanges if request.kind is Kind.HELLO}
    if hashes - {within.hash}:
        raise ValueError("the record is of a chip with another register map; --map FILE names the file of its folded table")


@contextmanager
def served(url: str, map: Path | None = None) -> Iterator[str]:
    """The endpoint of a daemon that is there, or of one that is started for an `emu:` URL, with a register map of one's own."""
    if not url.startswith("emu:"):
        yield url
        return
    daemon = Daemon(emulator_command(url, map))
    try:
        yield daemon.endpoint
    finally:
        daemon.close()


def main(arguments: list[str] | None = None) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(description="Sends a record's messages again and compares every word of the replies.")
    parser.add_argument("record", type=Path)
    parser.add_argument("url")
    parser.add_argument("--map", type=Path, metavar="FILE", help="the chip's register map, if it is not the contract's")
    options = parser.parse_args(arguments)
    try:
        exchanges, within = read_record(options.record), find_map(options.map)
        with served(options.url, options.map) as endpoint:
            difference = replay(exchanges, endpoint, within)
    except (OSError, ValueError, HostError, LinkError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2
    cut = "; the record has none to the last" if exchanges and exchanges[-1][1] is None else ""
    print(difference or f"{len(exchanges)} messages: all replies are the same{cut}")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
