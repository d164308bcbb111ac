"""Hostile messages, from a seed: random bytes, random values, good messages with bits turned over, cut or shuffled.

Chip time is bounded by `govern`: what may take long by design, a program that runs under a long DELAY or WAIT, is cut short.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from typing import Any, Protocol

import msgpack
import numpy as np

from server.harness import Row, block_read, block_write, delay, program_rows, read, rmw, wait, write
from tsu_contract.errors import Failure, Layer, ProtocolError
from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import MAP_HASH, REGISTERS, WINDOWS
from tsu_contract.wire import Frame, Kind, Reply, Request, decode_request, encode_request
from tsu_emu import state as S
from tsu_emu.chip import Chip

PATIENCE_CYCLES = 0x3FF
"""What is left of a long DELAY or WAIT while a program runs: a program takes about 10 ns a cycle."""


class Speaker(Protocol):
    """Whose messages they are: a session, and its last number."""

    session: int
    seq: int

    def frames(
        self, *rows: Row, payloads: Sequence[Frame] = (), seq: int | None = None, kind: Kind = Kind.OPERATE
    ) -> list[Frame]: ...


HEADER = struct.Struct("<BBHIIIQ")
ADDRESSES = [r.at(k) + 4 * h for r in REGISTERS.values() for k in range(r.count) for h in range(r.words)]
ADDRESSES += [w.address + offset for w in WINDOWS.values() for offset in (0, 4, 80, 136, 0x03FFFFFC)]
EDGES = (0, 1, 2, 3, 5, 31, 64, 255, 256, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WIDE = (*EDGES, 1 << 32, (1 << 50) - 1, 1 << 60, (1 << 62) - (1 << 50), 1 << 62, 1 << 63, (1 << 63) + 1, (1 << 64) - 1)


def _number(rng: random.Random, edges: tuple[int, ...], bits: int) -> int:
    return rng.choice(edges) if rng.random() < 0.8 else rng.getrandbits(bits)


def _record(rng: random.Random) -> bytes:
    """Anything that fits 24 bytes; half of them look like operations."""
    if rng.random() < 0.1:
        return rng.randbytes(24)
    op = rng.choice((1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, rng.randrange(256)))
    address = rng.choice(ADDRESSES) + rng.choice((0, 0, 0, 0, 0, 4, 1, -4))
    sparse = [_number(rng, EDGES, 32) if rng.random() < 0.4 else 0 for _ in range(2)]
    arg = _number(rng, WIDE, 64) if rng.random() < 0.4 else 0
    flags, chip = (rng.randrange(256), rng.randrange(65536)) if rng.random() < 0.03 else (0, 0)
    return HEADER.pack(op, flags, chip, max(0, address if op < 7 or rng.random() < 0.1 else 0), *sparse, arg)


def _value(rng: random.Random, depth: int = 0) -> Any:
    """A random msgpack value."""
    if depth > 4:
        return None
    match rng.randrange(12):
        case 0:
            return None
        case 1:
            return rng.random() < 0.5
        case 2:
            return rng.choice((-1, 0, 1, 2, 3, 1 << 32, (1 << 64) - 1, -(1 << 63)))
        case 3:
            return rng.choice((0.0, 1.0, -1e300, float("inf"), float("nan")))
        case 4:
            return rng.choice(("", "TSU", MAP_HASH, "a" * 70, "\u0000\U0001f600", "x" * 3000))
        case 5:
            return rng.choice((b"", b"TSU", b"\x00" * 3000, rng.randbytes(9)))
        case 6 | 7:
            return [_value(rng, depth + 1) for _ in range(rng.randrange(5))]
        case 8 | 9:
            keys = rng.choices(("map_hash", "role", "seconds", "every_ms", "credit", "a", b"b", "c" * 40), k=rng.randrange(4))
            return {k: _value(rng, depth + 1) for k in keys}
        case 10:
            return msgpack.ExtType(rng.randrange(128), rng.randbytes(rng.randrange(5)))
        case _:
            return msgpack.Timestamp(rng.getrandbits(30))


def _random_header(rng: random.Random, client: Speaker) -> bytes:
    """A header with some of its values replaced, or an array of anything."""
    if rng.random() < 0.2:
        return bytes(msgpack.packb(_value(rng)))
    values: list[Any] = ["TSU", 1, rng.choice((1, 2, 2, 2, 3, 3, 3, 4, 4, 6, 7)), client.session, client.seq + 1, {}]
    for _ in range(rng.randrange(1, 3)):
        values[rng.randrange(6)] = _value(rng)
    if rng.random() < 0.1:
        values = values[: rng.randrange(7)] + [_value(rng)] * rng.randrange(3)
    packed = bytes(msgpack.packb(values))
    if rng.random() < 0.05:
        place = rng.randrange(5)
        packed = b"\x96" + b"".join(
            b"\x91" * rng.choice((3, 500, 1000, 1022, 3000)) + b"\xc0" if k == place else bytes(msgpack.packb(v))
            for k, v in enumerate(["TSU", 1, 2, client.session, client.seq + 1, {}])
        )
    return packed


def _good(rng: random.Random, client: Speaker) -> list[Frame]:
    """A message that would be carried out."""
    program = program_rows(
        Instruction(Opcode.LOOP, 3), Instruction(Opcode.RUN, 2), Instruction(Opcode.END), Instruction(Opcode.HALT)
    )
    biases = np.array([rng.randrange(-128, 128) for _ in range(8)], "<i2").tobytes()
    rows = rng.choice(
        (
            [read("SYS.CYCLE"), write("SYS.SCRATCH", rng.getrandbits(32)), rmw("CORR.CTRL", 1, 1)],
            [block_write("BIAS", 4, 2), block_read("BIAS", 21), wait("FABRIC.STATUS", 1, 1, 100)],
            [*program, write("SEQ.CTRL", 1), wait("SEQ.STATUS", 2, 0xFF, 1000), block_read("SPIN", 12, 6)],
            [write("IRQ.ENABLE", 0x1F), write("IRQ.TEST", 1), delay(50), (Op.FENCE, 0, 0, 0, 0), (Op.DELAY_UNTIL, 0, 0, 0, 9)],
        )
    )
    return client.frames(*rows, payloads=[biases] * sum(r[0] == Op.BLKWR for r in rows))


def _flip_bits(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    for _ in range(rng.choice((1, 1, 2, 8))):
        k = rng.randrange(len(frames))
        if frames[k]:
            data = bytearray(frames[k])
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            frames[k] = bytes(data)
    return frames


def _cut(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    if rng.random() < 0.3:
        return frames[: rng.randrange(len(frames) + 1)]
    k = rng.randrange(len(frames))
    return [*frames[:k], frames[k][: rng.randrange(len(frames[k]) + 1)], *frames[k + 1 :]]


def _shuffle(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    frames = frames + [rng.choice(frames) for _ in range(rng.randrange(3))]
    rng.shuffle(frames)
    return frames


def hostile(rng: random.Random, client: Speaker) -> list[bytes]:
    """One message of any of the kinds."""
    kind = rng.randrange(8)
    if kind == 0:
        return [rng.randbytes(rng.choice((0, 1, 5, 24, 60, 5000))) for _ in range(rng.randrange(5))]
    if kind == 1:
        return [_random_header(rng, client), *(rng.randbytes(rng.choice((0, 24, 25))) for _ in range(rng.randrange(3)))]
    if kind == 2:
        body = {"map_hash": rng.choice((MAP_HASH, MAP_HASH, "x", _value(rng)))}
        return [bytes(f) for f in encode_request(Request(Kind.HELLO, rng.randrange(2), rng.randrange(2), body=body))]
    if kind in (3, 4, 5):
        seq = client.seq + rng.choice((1, 1, 1, 1, 1, 1, 0, -3, 2)) if client.seq > 3 else None
        head = bytes(client.frames(seq=seq, kind=rng.choice((Kind.OPERATE, Kind.OPERATE, Kind.PEEK)))[0])
        payloads = [rng.randbytes(rng.choice((0, 4, 8, 84))) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        return [head, b"".join(_record(rng) for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 6)))), *payloads]
    good = [bytes(f) for f in _good(rng, client)]
    return rng.choice((_flip_bits, _flip_bits, _cut, _shuffle))(rng, good)


def may_run(chip: Chip) -> bool:
    """Whether a program is under way."""
    return int(chip.state.events[1]) < 1 << 62


def govern(frames: list[bytes], running: bool, now: int) -> None:
    """Cuts DELAY and WAIT short if a program runs or may be started; shortens nothing else. `now` is the link's clock."""
    if len(frames) < 2 or len(frames[1]) % 24 or not frames[1]:
        return
    records = np.frombuffer(frames[1], RECORD).copy()
    running = running or bool(np.any(records["addr"] & 0xFFFFFFFC == 0x300))
    long = np.isin(records["op"], (6, 7)) & (records["arg"] > PATIENCE_CYCLES)
    until = records["op"] == 8
    if running:
        records["arg"][long] &= PATIENCE_CYCLES
        records["arg"][until] = np.minimum(records["arg"][until], now + PATIENCE_CYCLES)
        frames[1] = records.tobytes()


def break_bus(rng: random.Random, chip: Chip) -> None:
    """The next access of a random address fails, but for SYS.ID."""
    address = rng.choice([a for a in ADDRESSES if a])
    chip.state.core["faults"][0, 0] = (S.BUS_ERROR, address, 1, 0)
    chip.faults_changed()


def _decoded(frames: list[bytes]) -> Request | Failure:
    try:
        return decode_request(frames)
    except ProtocolError as error:
        return error.failure


def expect_form(reply: Reply, frames: list[bytes], session: int, last_seq: int) -> None:
    """What every reply owes to its request, so far as that can be read. A number used before gets the reply of that time."""
    request = _decoded(frames)
    if isinstance(request, Failure):
        assert (reply.failure, reply.session, reply.seq) == (request, 0, 0)
        return
    assert reply.seq == request.seq
    if request.session == session and 0 < request.seq <= last_seq:
        return
    assert reply.kind is request.kind
    assert reply.executed == len(reply.values)
    if request.kind is Kind.OPERATE and not (reply.failure and reply.failure.code.layer is Layer.SESSION):
        done = request.records[: reply.executed]
        bursts = [4 * int(a) for a in done["arg"][done["op"] == Op.BLKRD]]
        assert [len(d) for d in reply.data] == bursts
        if reply.failure is None:
            assert reply.executed == len(request.records)
        elif reply.failure.code.layer is Layer.DEVICE:
            assert reply.executed == reply.failure.index
