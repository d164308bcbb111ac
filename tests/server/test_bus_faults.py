"""Accesses that fail on the chip's bus, as an injected fault lets them."""

from __future__ import annotations

import numpy as np
import pytest

from server.harness import CELLS, Client, Row, at, block_read, block_write, read, rmw, small_server, write
from tsu_contract.errors import Code, Layer
from tsu_contract.operations import Op
from tsu_emu import state as S
from tsu_emu.server.session import Server


def with_fault(server: Server, address: int, times: int) -> None:
    """Accesses of an address fail, so many times."""
    server.chip.state.core["faults"][0, 0] = (S.BUS_ERROR, address, times, 0)
    server.chip.faults_changed()


@pytest.mark.parametrize(
    ("row", "payloads", "scratch"),
    [
        (read("SYS.SCRATCH"), (), 0),
        (write("SYS.SCRATCH", 7), (), 7),
        (rmw("SYS.SCRATCH", 7, 0xFFFFFFFF), (), 7),
        (write("BIAS", 1, 3), (), 0),
        (block_read("SPIN", 5, 2), (), 0),
        (block_write("BIAS", 2, 4), (bytes([1, 0] * 4),), 0),
        ((int(Op.WAIT), at("SYS.SCRATCH"), 0, 0xFF, 10), (), 0),
    ],
    ids=["read", "write", "rmw", "window", "burst read", "burst write", "wait"],
)
def test_access_that_fails_on_the_bus_ends_its_list_there(row: Row, payloads: tuple[bytes, ...], scratch: int) -> None:
    """What came before it has happened, it itself and what follows has not; the next access of the address succeeds."""
    client = Client(small_server())
    with_fault(client.server, row[1], 1)
    reply = client.operate(write("IRQ.ENABLE", 5), read("IRQ.ENABLE"), row, write("IRQ.ENABLE", 9), payloads=payloads)
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.layer) == (Code.BUS_ERROR, Layer.DEVICE)
    assert (reply.failure.index, reply.failure.address, reply.executed) == (2, row[1], 2)
    assert (reply.values.tolist(), list(reply.data)) == ([0, 5], [])
    assert reply.t_end > reply.t_start
    assert client.value("IRQ.ENABLE") == 5
    assert client.value("SYS.SCRATCH") == 0
    assert not np.any(client.server.chip.state.bias_code)
    assert client.done(row, read("SYS.SCRATCH"), payloads=payloads).values[-1] == scratch


def test_bus_fault_strikes_as_often_as_it_was_asked_to() -> None:
    client = Client(small_server())
    with_fault(client.server, at("CAP.CELLS"), 3)
    replies = [client.operate(read("CAP.CELLS")) for _ in range(4)]
    assert [r.failure.code if r.failure else Code.OK for r in replies] == [Code.BUS_ERROR] * 3 + [Code.OK]
    assert replies[3].values.tolist() == [CELLS]
