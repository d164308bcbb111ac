"""Windows and instructions that only some kinds of chips have: what is refused, where, and what is one step inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from server.harness import CELLS, PLANES, Client, block_read, block_write, delay, fingerprint, read, rmw, small_server, write
from server.test_bus_errors import Case
from tsu_contract.errors import Code

ANALOG = {
    "cell": {"kind": "gaussian"},
    "adc": {"count": 2, "buffer": 11},
    "timing": {"slot": 0, "colour": 1},
}
PDITS = {"cell": {"kind": "pdit", "states": 3}}
# name: (changes of the configuration, the bad operation)
OTHER_KINDS: dict[str, tuple[dict[str, Any], Case]] = {
    "spins of analog cells": (ANALOG, Case(read("SPIN"), Code.UNMAPPED, "SPIN", "0x18000000")),
    "clamp values of analog cells": (ANALOG, Case(write("CLAMP_VALUE", 1), Code.UNMAPPED, "CLAMP_VALUE", "0x14000000")),
    "states of analog cells": (ANALOG, Case(read("STATE"), Code.UNMAPPED, "STATE", "0x38000000")),
    "write of values": (ANALOG, Case(write("VALUE", 1), Code.READ_ONLY, "VALUE", "VALUE is read-only")),
    "burst write of samples": (
        ANALOG,
        Case(block_write("ADC_DATA", 1), Code.READ_ONLY, "ADC_DATA", "read-only", (bytes(4),)),
    ),
    "rmw of a trim": (ANALOG, Case(rmw("ADC_TRIM", 1, 1), Code.BAD_OPERATION, "ADC_TRIM", "RMW")),
    "behind the last value": (
        ANALOG,
        Case(read("VALUE", PLANES * CELLS // 2), Code.UNPOPULATED, "VALUE", f"VALUE has {PLANES * CELLS // 2} words"),
    ),
    "behind the last sample": (ANALOG, Case(block_read("ADC_DATA", 7), Code.UNPOPULATED, "ADC_DATA", "ADC_DATA has 6 words")),
    "behind the last trim": (ANALOG, Case(read("ADC_TRIM", 2), Code.UNPOPULATED, "ADC_TRIM", "ADC_TRIM has 2 words")),
    "behind the last bias term": (ANALOG, Case(write("BIAS", 0, CELLS), Code.UNPOPULATED, "BIAS", f"BIAS has {CELLS} words")),
    "bias term out of its range": (ANALOG, Case(write("BIAS", 128, 40), Code.OUT_OF_RANGE, "BIAS", "BIAS[80] = 128")),
    "trim too large": (
        ANALOG,
        Case(write("ADC_TRIM", 64 << 16, 1), Code.OUT_OF_RANGE, "ADC_TRIM", "ADC_TRIM[3] = 64; -64 to 63"),
    ),
    "trim too small": (ANALOG, Case(write("ADC_TRIM", 0xFFBF), Code.OUT_OF_RANGE, "ADC_TRIM", "ADC_TRIM[0] = -65; -64 to 63")),
    "pin beyond the range": (ANALOG, Case(write("PIN", 2048), Code.OUT_OF_RANGE, "PIN", "PIN[0] = 2048; -2048 to 2047")),
    "spins of pdits": (PDITS, Case(read("SPIN"), Code.UNMAPPED, "SPIN", "0x18000000")),
    "values of pdits": (PDITS, Case(read("VALUE"), Code.UNMAPPED, "VALUE", "0x3c000000")),
    "write of states": (PDITS, Case(write("STATE", 1), Code.READ_ONLY, "STATE", "STATE is read-only")),
    "behind the last state": (PDITS, Case(read("STATE", 718), Code.UNPOPULATED, "STATE", "STATE has 718 words")),
    "pin to a state that there is not": (
        PDITS,
        Case(write("PIN", 3, 5), Code.OUT_OF_RANGE, "PIN", "PIN[10] = 3; 0 to 2 expected"),
    ),
    "pin below all states": (
        PDITS,
        Case(block_write("PIN", 1), Code.OUT_OF_RANGE, "PIN", "PIN[1] = -1", (np.array([0, -1], "<i2").tobytes(),)),
    ),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_windows_of_other_kinds_of_cells_have_their_own_errors(name: str) -> None:
    changes, case = OTHER_KINDS[name]
    client = Client(small_server(**changes))
    before = fingerprint(client.server)
    reply = client.operate(read("SYS.ID"), case.row, payloads=case.payloads)
    assert fingerprint(client.server) == before
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.index, reply.failure.address) == (case.code, 1, case.row[1])
    assert (reply.failure.field, reply.executed) == (case.field, 0)
    assert case.says in reply.failure.message


def test_windows_of_other_kinds_take_what_is_one_step_inside() -> None:
    Client(small_server(**ANALOG)).done(
        write("PIN", 0xF80007FF),
        write("ADC_TRIM", 0xFFC0003F, 1),
        write("BIAS", 127, CELLS - 1),
        block_read("VALUE", PLANES * CELLS // 2),
        block_read("ADC_DATA", 6),
        block_read("ADC_TRIM", 2),
    )
    Client(small_server(**PDITS)).done(
        write("PIN", 0x00020002, 5), block_read("STATE", 718), block_read("PIN", PLANES * CELLS // 2)
    )


# word of a program: is it legal on a chip of p-bits without converters, on one of analog cells with some
CONVERSIONS = {
    0x0A00000000000000: (False, True),
    0x0A00000000000001: (False, False),
    0x0A00000100000000: (False, False),
    0x0B00000000000000: (False, False),
    0x0B00000000000001: (False, True),
    0x0B0000000000000B: (False, True),
    0x0B0000000000000C: (False, False),
    0x0C00000000000000: (False, False),
}


@pytest.mark.parametrize("word", CONVERSIONS, ids=lambda word: f"{word:#018x}")
@pytest.mark.parametrize("kind", [0, 1], ids=["p-bits", "analog"])
def test_conversions_are_legal_where_there_are_converters_and_up_to_the_buffer(word: int, kind: int) -> None:
    """HALTED (2) with all codes converted, or FAULTED (4) for ILLEGAL (1) at the instruction, with no conversion."""
    client = Client(small_server(**(ANALOG if kind else {}), energy={"conversion_aj": 1_000_000}))
    rows = [write("PROGRAM", word & 0xFFFFFFFF), write("PROGRAM", word >> 32, 1), write("SEQ.CTRL", 1), delay(1_000_000)]
    found = client.done(*rows, *(read(n) for n in ("SEQ.STATUS", "SEQ.PC", "SYS.ERROR", "MON.ENERGY_ADC"))).values[-4:].tolist()
    conversions = PLANES * CELLS if word >> 56 == 10 else word & 0xFFFFFFFF
    assert found == ([2, 1, 0, 1000 * conversions] if CONVERSIONS[word][kind] else [4 | 1 << 8, 0, 1, 0])
