"""Lists carried out in pieces: the same replies and the same chip, whatever the pieces, and looks in between."""

from __future__ import annotations

import numpy as np
import pytest

from server.harness import (
    Client,
    Row,
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
from tsu_contract.wire import Reply
from tsu_emu.server import session
from tsu_emu.server.pieces import PIECE

PROGRAM = program_rows(
    Instruction(Opcode.LOOP, 40), Instruction(Opcode.RUN, 2), Instruction(Opcode.END), Instruction(Opcode.HALT)
)
LIFE: list[list[Row]] = [
    [*PROGRAM, write("IRQ.ENABLE", 0x1F), write("SEQ.CTRL", 1), *[read("TEMP.SENSOR")] * 5, delay(500), block_read("SPIN", 3)],
    [
        write("BIAS", 1),
        write("BIAS", 2, 1),
        block_write("BIAS", 4, 2),
        write("BIAS", 3, 8),
        block_write("BIAS", 1),
        read("BIAS", 4),
    ],
    [rmw("CORR.CTRL", 1, 1), delay(7), wait("SEQ.STATUS", 2, 0xFF, 1_000_000), block_read("SPIN", 4), read("SYS.CYCLE")],
]


def lived(piece: int, monkeypatch: pytest.MonkeyPatch, last: list[Row]) -> tuple[list[Reply], tuple[str, int, int]]:
    monkeypatch.setattr(session, "PIECE", piece)
    server = small_server(
        coupling={"dac": {"element_sigma": 0.01}}, thermal={"sensor_noise_k": 0.3}, cell={"kind": "pbit", "offset_sigma_kt": 0.1}
    )
    client, replies = Client(server), []
    for rows in (*LIFE, last):
        blocks = [r for r in rows if r[0] == Op.BLKWR]
        replies.append(client.operate(*rows, payloads=[np.arange(2 * r[4], dtype="<i2").tobytes() for r in blocks]))
    return replies, fingerprint(server)


@pytest.mark.parametrize("piece", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("last", "code"),
    [
        ([read("SYS.ID")] * 9, Code.OK),
        ([*[write("SYS.SCRATCH", 3)] * 7, wait("SEQ.STATUS", 0x55, 0xFF, 40), read("SYS.ID")], Code.WAIT_TIMEOUT),
        ([*[write("SYS.SCRATCH", 4)] * 7, read("SYS.CTRL"), read("SYS.ID")], Code.WRITE_ONLY),
        ([], Code.OK),
    ],
    ids=["good", "times out", "illegal", "empty"],
)
def test_nothing_depends_on_the_pieces(monkeypatch: pytest.MonkeyPatch, piece: int, last: list[Row], code: Code) -> None:
    whole, state = lived(PIECE, monkeypatch, last)
    cut, state_of_cut = lived(piece, monkeypatch, last)
    assert (whole[-1].failure.code if whole[-1].failure else Code.OK) is code
    for a, b in zip(whole, cut, strict=True):
        assert (a.failure, a.executed, a.t_start, a.t_end, a.interrupts) == (
            b.failure,
            b.executed,
            b.t_start,
            b.t_end,
            b.interrupts,
        )
        assert a.values.tolist() == b.values.tolist()
        assert [bytes(d) for d in a.data] == [bytes(d) for d in b.data]
    assert state == state_of_cut


def test_long_list_lets_others_look() -> None:
    """Reads of the sensor come back from compiled code one by one, and no event is due in between."""
    server = small_server()
    client = Client(server)
    looks: list[int] = []
    server.chip.between_calls = lambda: looks.append(server.chip.link_time)
    client.done(*[read("TEMP.SENSOR")] * (10 * PIECE))
    assert len(looks) >= 10
