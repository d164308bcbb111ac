"""PEEK: looks without chip time and without any effect, and says what a read would."""

from __future__ import annotations

import random

import numpy as np
import pytest

from server.harness import (
    Client,
    Row,
    at,
    block_read,
    block_write,
    delay,
    fingerprint,
    program_rows,
    read,
    rmw,
    small_server,
    wait,
    write,
)
from tsu_contract.errors import Code
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import REGISTERS, WINDOWS, access_table
from tsu_contract.wire import Kind, Reply, Request
from tsu_emu import state as S
from tsu_emu.server.session import Server

MOVING = {"SYS.CYCLE", "MON.ENERGY", "MON.ENERGY_STANDBY", "TEMP.SENSOR", "CAL.AGE"}
"""Registers that go on while they are read."""


@pytest.fixture
def server() -> Server:
    """A chip that has lived: a program ran, windows were written, the sensor is noisy."""
    server = small_server(thermal={"sensor_noise_k": 0.5})
    client = Client(server)
    client.done(*program_rows(Instruction(Opcode.RUN, 5), Instruction(Opcode.STROBE), Instruction(Opcode.HALT)))
    client.done(write("IRQ.ENABLE", 0x1F), write("SEQ.CTRL", 1), delay(3000), write("SYS.SCRATCH", 0xBEEF))
    client.done(block_write("BIAS", 4), delay(100_000), payloads=[np.arange(8, dtype="<i2").tobytes()])
    return server


def code_of(reply: Reply) -> Code:
    return reply.failure.code if reply.failure else Code.OK


def readable() -> list[Row]:
    """A READ of each register that can be read, of the first word."""
    table = access_table()
    return [read(name) for name in REGISTERS if table.read[table.decode[at(name) >> 2]]]


def test_peek_of_every_register_has_no_effect_and_agrees_with_a_read(server: Server) -> None:
    observer, operator = Client(server, role="observer"), Client(server)
    rows = readable()
    before = fingerprint(server)
    looks = [observer.peek(*rows) for _ in range(2)]
    assert fingerprint(server) == before
    assert [code_of(reply) for reply in looks] == [Code.OK] * 2
    assert looks[0].values.tolist() == looks[1].values.tolist()
    names = [name for name in REGISTERS if read(name) in rows]
    for name, row, seen in zip(names, rows, looks[0].values.tolist(), strict=True):
        if name not in MOVING:
            assert operator.done(row).values[0] == seen, name
    assert len(rows) > 60


def test_peek_of_windows_agrees_with_a_read(server: Server) -> None:
    observer, operator = Client(server, role="observer"), Client(server)
    rows = [block_read(name, 1 if name == "NVM" else 2) for name in WINDOWS if "r" in WINDOWS[name].access]
    rows = [row for row in rows if code_of(observer.peek(row)) is Code.OK]
    before = fingerprint(server)
    looked, single = observer.peek(*rows), observer.peek(read("BIAS", 1), read("SPIN", 3))
    assert fingerprint(server) == before
    assert [bytes(d) for d in looked.data] == [bytes(d) for d in operator.done(*rows).data]
    assert single.values.tolist() == operator.done(read("BIAS", 1), read("SPIN", 3)).values.tolist()
    assert single.values[0] == 2 | 3 << 16
    assert len(rows) >= 10


def test_peek_takes_no_time_and_a_read_does(server: Server) -> None:
    client = Client(server)
    looks = [client.peek(read("SYS.CYCLE"), read("TEMP.SENSOR")) for _ in range(2)]
    assert looks[0].values.tolist() == looks[1].values.tolist()
    assert all(reply.t_start == reply.t_end == server.chip.link_time for reply in looks)
    times = [client.value("SYS.CYCLE") for _ in range(2)]
    assert times[0] < times[1]
    assert looks[0].values[0] <= times[0]


def test_counter_seen_by_peek_latches_nothing(server: Server) -> None:
    """An operator that has read the low half of a counter still finds its high half, whoever looks between."""
    operator, observer = Client(server), Client(server, role="observer")
    server.chip.state.time[[S.NOW, S.LINK, S.DRAINED]] = (1 << 32) - 8
    low = operator.value("SYS.CYCLE")
    high = at("SYS.CYCLE") + 4
    operator.done(delay(1000))
    assert observer.peek((Op.READ, high, 0, 0, 0)).values.tolist() == [1]
    assert low > 1 << 31
    assert operator.done((Op.READ, high, 0, 0, 0)).values.tolist() == [0]


def test_peek_uses_no_number_and_may_be_said_again(server: Server) -> None:
    client = Client(server)
    for seq in (0, 1, 7, (1 << 64) - 1):
        reply = client.exchange(Request(Kind.PEEK, client.session, seq))
        assert (code_of(reply), reply.seq) == (Code.OK, seq)
    assert client.done(read("SYS.ID")).seq == 1


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (write("SYS.SCRATCH", 1), Code.FORBIDDEN),
        (rmw("CORR.CTRL", 1, 1), Code.FORBIDDEN),
        (block_write("BIAS", 1), Code.FORBIDDEN),
        (wait("SEQ.STATUS", 2, 0xFF, 5), Code.FORBIDDEN),
        (delay(5), Code.FORBIDDEN),
        ((Op.FENCE, 0, 0, 0, 0), Code.FORBIDDEN),
        ((77, 0, 0, 0, 0), Code.BAD_OPERATION),
        ((Op.READ, 2, 0, 0, 0), Code.MISALIGNED),
        ((Op.READ, 0xFFFC, 0, 0, 0), Code.UNMAPPED),
        (read("SYS.CTRL"), Code.WRITE_ONLY),
        (block_read("BIAS", 1000), Code.UNPOPULATED),
    ],
)
def test_peek_refuses_what_is_no_legal_read_and_tells_which(server: Server, row: Row, code: Code) -> None:
    client = Client(server)
    before = fingerprint(server)
    reply = client.peek(read("SYS.ID"), row)
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.index, len(reply.values)) == (code, 1, 0)
    assert fingerprint(server) == before


def test_peek_needs_a_session_and_takes_no_payload(server: Server) -> None:
    client = Client(server)
    assert code_of(client.exchange(Request(Kind.PEEK, 99, 0))) is Code.UNKNOWN_SESSION
    request = Request(Kind.PEEK, client.session, 0, payloads=(b"abcd",))
    assert code_of(client.exchange(request)) is Code.BAD_PAYLOAD


def test_looks_between_operations_change_no_bit_of_a_life() -> None:
    """Two chips do the same; at one of them an observer looks at random places all the time."""
    rng = random.Random(4)
    watched, alone = Client(small_server()), Client(small_server())
    observer = Client(watched.server, role="observer")
    for _ in range(30):
        rows = rng.choice(
            (
                [*program_rows(Instruction(Opcode.RUN, 4), Instruction(Opcode.HALT)), write("SEQ.CTRL", 1)],
                [delay(rng.randrange(500)), read("SYS.CYCLE"), read("MON.ENERGY")],
                [write("TEMP.TDAC", rng.randrange(50, 500)), write("IRQ.TEST", 1), read("TEMP.SENSOR")],
            )
        )
        observer.peek(*rng.sample(readable(), 10), block_read("SPIN", 5))
        values = [client.done(*rows).values.tolist() for client in (watched, alone)]
        assert values[0] == values[1]
    assert fingerprint(watched.server) == fingerprint(alone.server)
