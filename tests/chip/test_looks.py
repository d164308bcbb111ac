"""How often a chip at work lets others look: by work, and by time when the work comes in small pieces."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from server.harness import Client, delay, program_rows, small_server, write
from tsu_contract.program import Instruction, Opcode


@pytest.mark.parametrize("pieces", [1, 2000])
def test_chip_lets_others_look_in_the_midst_of_a_list(pieces: int) -> None:
    """However the host cuts up the time that it asks for. Bounds are wide: a busy machine may hold a thread up."""
    server = small_server()
    client = Client(server)
    client.done(*program_rows(Instruction(Opcode.RUN, 0xFFFFFFFF)), write("SEQ.CTRL", 1))
    client.done(delay(10_000))
    begun = time.perf_counter()
    client.done(delay(1_000_000))
    seconds_a_cycle = (time.perf_counter() - begun) / 1e6
    looks = [time.perf_counter()]
    server.chip.between_calls = lambda: looks.append(time.perf_counter())
    client.done(*[delay(int(1.0 / seconds_a_cycle / pieces))] * pieces)
    looks.append(time.perf_counter())
    gaps = [b - a for a, b in pairwise(looks)]
    assert looks[-1] - looks[0] > 0.4
    assert len(looks) > 6
    assert sorted(gaps)[len(gaps) // 2] < 0.5
