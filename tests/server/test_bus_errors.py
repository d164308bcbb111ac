"""Every error of the bus layer: what the reply names, and that nothing of the list has happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from server.harness import (
    CELLS,
    PLANES,
    Client,
    Row,
    at,
    block_read,
    block_write,
    delay,
    fingerprint,
    program_rows,
    read,
    records_of,
    rmw,
    small_server,
    wait,
    write,
)
from tsu_contract.errors import Code, Layer
from tsu_contract.operations import TIME_MAX, Op
from tsu_contract.program import Instruction, Opcode
from tsu_contract.wire import Kind, Reply, Request

CLAMP = np.array([0xDEAD, 1], "<u4").tobytes()
BEFORE: tuple[Row, ...] = (
    write("SYS.SCRATCH", 0x11111111),
    write("SYS.ERROR", 3),
    write("BIAS", 0x00010002),
    block_write("CLAMP_MASK", 2),
    write("IRQ.TEST", 2),
    write("CORR.CTRL", 7),
    read("SYS.CYCLE"),
    delay(3),
)
AFTER: tuple[Row, ...] = (
    write("SEQ.CTRL", 2),
    write("SYS.SCRATCH", 0x22222222),
    write("COUPLING", 0x00030004),
    write("SYS.CTRL", 1),
)
"""Legal operations that each leave a mark, round the one that is not."""


@dataclass(frozen=True)
class Case:
    """A bad operation, and what the failure must name. `flags` and `chip` go into its record."""

    row: Row
    code: Code
    field: str | None
    says: str
    payloads: tuple[bytes, ...] = ()
    flags: int = 0
    chip: int = 0
    names_address: bool = True


def burst(name: str, values: list[int], dtype: str, index: int = 0) -> tuple[Row, tuple[bytes, ...]]:
    data = np.array(values, dtype).tobytes()
    return block_write(name, len(data) // 4, index), (data,)


def no_address(row: Row, says: str) -> Case:
    return Case(row, Code.BAD_OPERATION, None, says, names_address=False)


SPINS = PLANES * 2
BAD_ARG: dict[str, Row] = {
    "read with a value": (Op.READ, at("SYS.ID"), 1, 0, 0),
    "read with a mask": (Op.READ, at("SYS.ID"), 0, 1, 0),
    "read with an argument": (Op.READ, at("SYS.ID"), 0, 0, 1),
    "write with a mask": (Op.WRITE, at("SYS.ID"), 0, 1, 0),
    "write with an argument": (Op.WRITE, at("SYS.ID"), 0, 0, 1),
    "rmw with an argument": (Op.RMW, at("SYS.ID"), 0, 1, 1),
}

CASES: dict[str, Case] = {
    # BAD_OPERATION
    "operation 0": no_address((0, at("SYS.SCRATCH"), 0, 0, 0), "operation 0"),
    "operation 10": no_address((10, at("SYS.SCRATCH"), 0, 0, 0), "operation 10"),
    "operation 255": no_address((255, at("BIAS"), 0, 0, 0), "operation 255"),
    "flags": Case(read("SYS.SCRATCH"), Code.BAD_OPERATION, "SYS.SCRATCH", "READ", flags=1),
    **{name: Case(row, Code.BAD_OPERATION, "SYS.ID", Op(row[0]).name) for name, row in BAD_ARG.items()},
    "read with bit 63 of its argument": Case((Op.READ, at("SYS.ID"), 0, 0, 1 << 63), Code.BAD_OPERATION, "SYS.ID", "READ"),
    "write with bit 63 of its argument": Case(
        (Op.WRITE, at("SYS.SCRATCH"), 0, 0, 1 << 63), Code.BAD_OPERATION, "SYS.SCRATCH", "WRITE"
    ),
    "fence with bit 63 of its argument": no_address((Op.FENCE, 0, 0, 0, 1 << 63), "FENCE"),
    "burst read with a value": Case((Op.BLKRD, at("BIAS"), 1, 0, 1), Code.BAD_OPERATION, "BIAS", "BLKRD"),
    "burst read with a mask": Case((Op.BLKRD, at("BIAS"), 0, 1, 1), Code.BAD_OPERATION, "BIAS", "BLKRD"),
    "delay with an address": no_address((Op.DELAY, at("SYS.SCRATCH"), 0, 0, 1), "DELAY"),
    "delay with a value": no_address((Op.DELAY, 0, 1, 0, 1), "DELAY"),
    "delay until with a mask": no_address((Op.DELAY_UNTIL, 0, 0, 1, 1), "DELAY_UNTIL"),
    "fence with an argument": no_address((Op.FENCE, 0, 0, 0, 1), "FENCE"),
    "fence with an address": no_address((Op.FENCE, at("SYS.SCRATCH"), 0, 0, 0), "FENCE"),
    "burst read of a register": Case(block_read("SYS.SCRATCH", 1), Code.BAD_OPERATION, "SYS.SCRATCH", "BLKRD"),
    "burst write of a register": Case(block_write("SYS.SCRATCH", 1), Code.BAD_OPERATION, "SYS.SCRATCH", "BLKWR", (bytes(4),)),
    "rmw of a window": Case(rmw("BIAS", 1, 1), Code.BAD_OPERATION, "BIAS", "RMW"),
    "wait on a window": Case(wait("BIAS", 0, 1, 5), Code.BAD_OPERATION, "BIAS", "WAIT"),
    "wait for bits outside its mask": Case(wait("SEQ.STATUS", 3, 1, 5), Code.BAD_OPERATION, "SEQ.STATUS", "WAIT"),
    "rmw with value outside its mask": Case(rmw("SYS.SCRATCH", 2, 1), Code.BAD_OPERATION, "SYS.SCRATCH", "RMW"),
    # BAD_CHIP
    "chip 1": Case(read("SYS.SCRATCH"), Code.BAD_CHIP, "SYS.SCRATCH", "chip 1", chip=1),
    "chip 65535": Case(write("BIAS", 1), Code.BAD_CHIP, "BIAS", "chip 65535", chip=65535),
    # UNMAPPED
    "gap between registers": Case((Op.READ, 0x20, 0, 0, 0), Code.UNMAPPED, None, "0x00000020"),
    "write to a gap": Case((Op.WRITE, 0x42C, 1, 0, 0), Code.UNMAPPED, None, "0x0000042c"),
    "behind the last capability": Case((Op.READ, 0x1BC, 0, 0, 0), Code.UNMAPPED, None, "0x000001bc"),
    "behind the schedule": Case((Op.READ, 0x428, 0, 0, 0), Code.UNMAPPED, None, "0x00000428"),
    "behind the converters' registers": Case((Op.WRITE, 0x714, 0, 0, 0), Code.UNMAPPED, None, "0x00000714"),
    "behind the energy counters": Case((Op.READ, 0x840, 0, 0, 0), Code.UNMAPPED, None, "0x00000840"),
    "rmw of a gap": Case((Op.RMW, 0x540, 1, 1, 0), Code.UNMAPPED, None, "0x00000540"),
    "wait on a gap": Case((Op.WAIT, 0xFFFC, 1, 1, 1), Code.UNMAPPED, None, "0x0000fffc"),
    "between registers and windows": Case((Op.READ, 0x10000, 0, 0, 0), Code.UNMAPPED, None, "0x00010000"),
    "burst between registers and windows": Case((Op.BLKRD, 0x03FFFFFC, 0, 0, 2), Code.UNMAPPED, None, "0x03fffffc"),
    "behind the last window": Case((Op.READ, 0x7C000000, 0, 0, 0), Code.UNMAPPED, None, "0x7c000000"),
    "states of a chip of p-bits": Case(read("STATE"), Code.UNMAPPED, "STATE", "0x38000000"),
    "values of a chip of p-bits": Case(block_read("VALUE", 1), Code.UNMAPPED, "VALUE", "0x3c000000"),
    "pins of a chip of p-bits": Case(write("PIN", 1), Code.UNMAPPED, "PIN", "0x40000000"),
    "samples of a chip without converters": Case(read("ADC_DATA"), Code.UNMAPPED, "ADC_DATA", "0x44000000"),
    "trims of a chip without converters": Case(block_write("ADC_TRIM", 1), Code.UNMAPPED, "ADC_TRIM", "0x48000000", (bytes(4),)),
    "last word of all": Case((Op.WRITE, 0xFFFFFFFC, 0, 0, 0), Code.UNMAPPED, None, "0xfffffffc"),
    # MISALIGNED
    "register and a byte": Case((Op.READ, 0x1D, 0, 0, 0), Code.MISALIGNED, "SYS.SCRATCH", "0x0000001d"),
    "register and two bytes": Case((Op.WRITE, 0x1E, 0, 0, 0), Code.MISALIGNED, "SYS.SCRATCH", "0x0000001e"),
    "window and two bytes": Case((Op.BLKRD, at("BIAS") + 2, 0, 0, 1), Code.MISALIGNED, "BIAS", "0x0c000002"),
    "nothing and three bytes": Case((Op.READ, 0x23, 0, 0, 0), Code.MISALIGNED, None, "0x00000023"),
    # READ_ONLY
    "write of SYS.ID": Case(write("SYS.ID", 0), Code.READ_ONLY, "SYS.ID", "SYS.ID is read-only"),
    "write of SYS.BOOT by the host": Case(write("SYS.BOOT", 2), Code.READ_ONLY, "SYS.BOOT", "read-only"),
    "write of a capability": Case(write("CAP.CELLS", 5), Code.READ_ONLY, "CAP.CELLS", "read-only"),
    "write of a counter": Case(write("SYS.CYCLE", 5), Code.READ_ONLY, "SYS.CYCLE", "read-only"),
    "write of a counter's high word": Case((Op.WRITE, 0x14, 0, 0, 0), Code.READ_ONLY, "SYS.CYCLE", "read-only"),
    "write of the sensor": Case(write("TEMP.SENSOR", 1), Code.READ_ONLY, "TEMP.SENSOR", "read-only"),
    "rmw of the clipped conversions": Case(rmw("ADC.CLIPPED", 0, 1), Code.READ_ONLY, "ADC.CLIPPED", "read-only"),
    "write of an energy": Case(write("MON.ENERGY_WRITE", 0), Code.READ_ONLY, "MON.ENERGY_WRITE", "read-only"),
    "write of an energy's high word": Case((Op.WRITE, 0x80C, 0, 0, 0), Code.READ_ONLY, "MON.ENERGY", "read-only"),
    "rmw of the physical time": Case(rmw("MON.PHYS_TIME", 0, 1), Code.READ_ONLY, "MON.PHYS_TIME", "read-only"),
    "rmw of a status": Case(rmw("SEQ.STATUS", 0, 0xFF), Code.READ_ONLY, "SEQ.STATUS", "read-only"),
    "write of spins": Case(write("SPIN", 1), Code.READ_ONLY, "SPIN", "SPIN is read-only"),
    "burst write of correlations": Case(block_write("CORR_MEAN", 1), Code.READ_ONLY, "CORR_MEAN", "read-only", (bytes(4),)),
    "burst write of topology": Case(block_write("TOPO_ROW", 1), Code.READ_ONLY, "TOPO_ROW", "read-only", (bytes(4),)),
    # WRITE_ONLY
    "read of SYS.CTRL": Case(read("SYS.CTRL"), Code.WRITE_ONLY, "SYS.CTRL", "SYS.CTRL is write-only"),
    "rmw of SEQ.CTRL": Case(rmw("SEQ.CTRL", 1, 1), Code.WRITE_ONLY, "SEQ.CTRL", "write-only"),
    "wait on IRQ.TEST": Case(wait("IRQ.TEST", 0, 1, 5), Code.WRITE_ONLY, "IRQ.TEST", "write-only"),
    # RESERVED_BITS
    "bit outside the fields": Case(write("CORR.CTRL", 8), Code.RESERVED_BITS, "CORR.CTRL", "0x00000008"),
    "all bits of a clear": Case(write("IRQ.PENDING", 0xFFFFFFFF), Code.RESERVED_BITS, "IRQ.PENDING", "0xffffffff"),
    "bit above TDAC": Case(write("TEMP.TDAC", 0x1001), Code.RESERVED_BITS, "TEMP.TDAC", "0x00001001"),
    "error beyond those there are": Case(write("SYS.ERROR", 32), Code.RESERVED_BITS, "SYS.ERROR", "0x00000020"),
    "between source and converter": Case(write("ADC.MUX", 0x10), Code.RESERVED_BITS, "ADC.MUX", "0x00000010"),
    "bit beside the scan mode": Case(write("ADC.MODE", 2), Code.RESERVED_BITS, "ADC.MODE", "0x00000002"),
    "rmw mask between source and converter": Case(rmw("ADC.MUX", 0, 0xFF), Code.RESERVED_BITS, "ADC.MUX", "0x000000ff"),
    "rmw mask outside the fields": Case(rmw("SEQ.PC", 0, 0x1FFFF), Code.RESERVED_BITS, "SEQ.PC", "0x0001ffff"),
    "rmw without a mask": Case(rmw("SYS.SCRATCH", 0, 0), Code.RESERVED_BITS, "SYS.SCRATCH", "mask"),
    "plane beyond the chip": Case(
        write("FABRIC.PLANE_ENABLE", 1 << PLANES - 64, 2), Code.RESERVED_BITS, "FABRIC.PLANE_ENABLE", "0x00000040"
    ),
    "role plane beyond the chip": Case(write("CORR.DATA_PLANES", 0x80, 2), Code.RESERVED_BITS, "CORR.DATA_PLANES", "0x00000080"),
    "rmw of planes beyond the chip": Case(
        rmw("CORR.FREE_PLANES", 0, 0xFF, 2), Code.RESERVED_BITS, "CORR.FREE_PLANES", "0x000000ff"
    ),
    # OUT_OF_RANGE: registers
    "TDAC 0": Case(write("TEMP.TDAC", 0), Code.OUT_OF_RANGE, "TEMP.TDAC.CODE", "TEMP.TDAC.CODE = 0; 1 to 511 expected"),
    "TDAC wider than the DAC": Case(
        write("TEMP.TDAC", 512), Code.OUT_OF_RANGE, "TEMP.TDAC.CODE", "TEMP.TDAC.CODE = 512; 1 to 511 expected"
    ),
    "TDAC at the register's end": Case(write("TEMP.TDAC", 4095), Code.OUT_OF_RANGE, "TEMP.TDAC.CODE", "4095; 1 to 511 expected"),
    "TDAC 0 by rmw": Case(rmw("TEMP.TDAC", 0, 0xFFF), Code.OUT_OF_RANGE, "TEMP.TDAC.CODE", "TEMP.TDAC.CODE = 0"),
    "period 0": Case(write("CORR.PERIOD", 0), Code.OUT_OF_RANGE, "CORR.PERIOD.SWEEPS", "= 0; 1 to 65535 expected"),
    "alpha 0": Case(write("CORR.ALPHA_DATA", 0), Code.OUT_OF_RANGE, "CORR.ALPHA_DATA.A", "= 0; 1 to 65536 expected"),
    "alpha beyond 1": Case(
        write("CORR.ALPHA_FREE", 0x10001), Code.OUT_OF_RANGE, "CORR.ALPHA_FREE.A", "= 65537; 1 to 65536 expected"
    ),
    "source that there is not": Case(
        write("ADC.MUX", 7), Code.OUT_OF_RANGE, "ADC.MUX.SOURCE", "ADC.MUX.SOURCE = 7; 0 to 6 expected"
    ),
    "source that there is not by rmw": Case(rmw("ADC.MUX", 15, 15), Code.OUT_OF_RANGE, "ADC.MUX.SOURCE", "= 15; 0 to 6 expected"),
    # OUT_OF_RANGE: window elements
    "coupling code too large": Case(
        write("COUPLING", 128, 3), Code.OUT_OF_RANGE, "COUPLING", "COUPLING[6] = 128; -128 to 127 expected"
    ),
    "coupling code too small": Case(write("COUPLING", 0xFF7F0000, 3), Code.OUT_OF_RANGE, "COUPLING", "COUPLING[7] = -129"),
    "bias code in a burst": Case(
        burst("BIAS", [1, 2, 3, 4, 5, -129], "<i2", 2)[0],
        Code.OUT_OF_RANGE,
        "BIAS",
        "BIAS[9] = -129",
        burst("BIAS", [1, 2, 3, 4, 5, -129], "<i2")[1],
    ),
    "last bias, half a word": Case(write("BIAS", 200, CELLS // 2), Code.OUT_OF_RANGE, "BIAS", f"BIAS[{CELLS - 1}] = 200"),
    "plane temperature 0": Case(
        write("PLANE_TEMP", 0x00011000 & 0xFFFF), Code.OUT_OF_RANGE, "PLANE_TEMP", "PLANE_TEMP[1] = 0; 1 to 65535 expected"
    ),
    "plane temperature 0 in a burst": Case(
        block_write("PLANE_TEMP", 2, 1),
        Code.OUT_OF_RANGE,
        "PLANE_TEMP",
        "PLANE_TEMP[4] = 0",
        (np.array([1, 1, 0, 1], "<u2").tobytes(),),
    ),
    # OUT_OF_RANGE: time
    "delay beyond all time": Case(delay(TIME_MAX), Code.OUT_OF_RANGE, None, f"{TIME_MAX} cycles", names_address=False),
    "delay of 2^64 - 1": Case(delay((1 << 64) - 1), Code.OUT_OF_RANGE, None, "cycles", names_address=False),
    "delay until beyond all time": Case(
        (Op.DELAY_UNTIL, 0, 0, 0, TIME_MAX), Code.OUT_OF_RANGE, None, "cycle", names_address=False
    ),
    "wait beyond all time": Case(wait("SEQ.STATUS", 9, 0xFF, TIME_MAX), Code.OUT_OF_RANGE, "SEQ.STATUS", f"{TIME_MAX} cycles"),
    # SPLIT_FIELD
    "half of SCRATCH": Case(
        rmw("SYS.SCRATCH", 0, 0xFFFF), Code.SPLIT_FIELD, "SYS.SCRATCH.VALUE", "mask 0xffff cuts through SYS.SCRATCH.VALUE"
    ),
    "part of PC": Case(rmw("SEQ.PC", 1, 1), Code.SPLIT_FIELD, "SEQ.PC.INDEX", "mask 0x1"),
    "some of a converter's number": Case(rmw("ADC.MUX", 0, 1 << 16), Code.SPLIT_FIELD, "ADC.MUX.CONVERTER", "mask 0x10000"),
    "half of an element's number": Case(rmw("ADC.ELEMENT", 0, 0xFFFF), Code.SPLIT_FIELD, "ADC.ELEMENT.INDEX", "mask 0xffff"),
    "some planes": Case(rmw("FABRIC.PLANE_ENABLE", 1, 1), Code.SPLIT_FIELD, "FABRIC.PLANE_ENABLE.PLANES", "mask 0x1"),
    "some of the last planes": Case(
        rmw("FABRIC.PLANE_ENABLE", 1, 1, 2), Code.SPLIT_FIELD, "FABRIC.PLANE_ENABLE.PLANES", "mask 0x1"
    ),
    # BAD_PAYLOAD
    "payload too short": Case(block_write("BIAS", 2), Code.BAD_PAYLOAD, "BIAS", "payload of 4 bytes", (bytes(4),)),
    "payload too long": Case(block_write("BIAS", 2), Code.BAD_PAYLOAD, "BIAS", "payload of 12 bytes", (bytes(12),)),
    "payload of odd length": Case(block_write("BIAS", 2), Code.BAD_PAYLOAD, "BIAS", "payload of 7 bytes", (bytes(7),)),
    # UNPOPULATED
    "behind the last instruction": Case(read("PROGRAM", 32), Code.UNPOPULATED, "PROGRAM", "PROGRAM has 32 words; 1 from word 32"),
    "behind the last bias": Case(write("BIAS", 0, CELLS // 2 + 1), Code.UNPOPULATED, "BIAS", "BIAS has 21 words; 1 from word 21"),
    "plane beyond the chip's spins": Case(read("SPIN", SPINS), Code.UNPOPULATED, "SPIN", "SPIN has 140 words"),
    "plane temperature beyond": Case(write("PLANE_TEMP", 1, PLANES // 2), Code.UNPOPULATED, "PLANE_TEMP", "35 words"),
    "burst over the end": Case(block_read("SPIN", SPINS, 1), Code.UNPOPULATED, "SPIN", "140 from word 1 do not fit"),
    "burst write over the end": Case(
        block_write("CLAMP_VALUE", 2, SPINS - 1), Code.UNPOPULATED, "CLAMP_VALUE", "2 from word 139", (bytes(8),)
    ),
    "burst of no words": Case(block_read("SPIN", 0), Code.UNPOPULATED, "SPIN", "0 words"),
    "burst of 2^64 - 1 words": Case(block_read("SPIN", (1 << 64) - 1), Code.UNPOPULATED, "SPIN", f"{(1 << 64) - 1} from word 0"),
    "burst of 2^63 words": Case(block_read("SPIN", 1 << 63), Code.UNPOPULATED, "SPIN", f"{1 << 63} from word 0"),
    "burst of 2^63 + 1 words": Case(block_read("SPIN", (1 << 63) + 1), Code.UNPOPULATED, "SPIN", f"{(1 << 63) + 1} from word 0"),
    "last word of a window's address space": Case(
        (Op.READ, at("SPIN") + 0x03FFFFFC, 0, 0, 0), Code.UNPOPULATED, "SPIN", "word 16777215"
    ),
    # FREE_RUNNING
    "wait on the cycle counter": Case(wait("SYS.CYCLE", 0, 1, 5), Code.FREE_RUNNING, "SYS.CYCLE", "DELAY"),
    "wait on the cycle counter's high word": Case((Op.WAIT, 0x14, 0, 1, 5), Code.FREE_RUNNING, "SYS.CYCLE", "DELAY"),
    "wait on the energy": Case(wait("MON.ENERGY", 0, 1, 5), Code.FREE_RUNNING, "MON.ENERGY", "DELAY"),
    "wait on the standby energy's high word": Case((Op.WAIT, 0x834, 0, 1, 5), Code.FREE_RUNNING, "MON.ENERGY_STANDBY", "DELAY"),
    "wait on the sensor": Case(wait("TEMP.SENSOR", 0, 1, 5), Code.FREE_RUNNING, "TEMP.SENSOR", "DELAY"),
}


@pytest.fixture(scope="module")
def client() -> Client:
    """One chip for all cases, in the middle of a program: no refused list may change it."""
    client = Client(small_server())
    client.done(
        write("IRQ.ENABLE", 0x3F),
        *program_rows(Instruction(Opcode.RUN, 1000), Instruction(Opcode.HALT)),
        write("SEQ.CTRL", 1),
        delay(500),
    )
    assert client.value("SEQ.STATUS") == 1
    return client


def send(client: Client, case: Case) -> Reply:
    """The bad operation between legal ones."""
    records = records_of([*BEFORE, case.row, *AFTER])
    records[len(BEFORE)]["flags"], records[len(BEFORE)]["chip"] = case.flags, case.chip
    client.seq += 1
    return client.exchange(Request(Kind.OPERATE, client.session, client.seq, records, (CLAMP, *case.payloads)))


@pytest.mark.parametrize("name", CASES)
def test_bad_operation_is_named_and_nothing_of_its_list_is_executed(client: Client, name: str) -> None:
    case = CASES[name]
    before = fingerprint(client.server)
    reply = send(client, case)
    assert fingerprint(client.server) == before
    failure = reply.failure
    assert failure is not None
    assert (failure.code, failure.layer, failure.index) == (case.code, Layer.BUS, len(BEFORE))
    assert failure.field == case.field
    assert failure.address == (case.row[1] if case.names_address else None)
    assert case.says in failure.message
    assert (reply.executed, reply.values.tolist(), reply.data, reply.interrupts) == (0, [], (), ())


def test_every_code_of_the_bus_layer_is_among_the_cases() -> None:
    assert {c.code for c in CASES.values()} == {c for c in Code if c and c.layer is Layer.BUS}


def test_legal_operations_round_the_bad_one_are_carried_out_without_it() -> None:
    """So that the cases fail for their one bad operation, and these operations do leave marks."""
    client = Client(small_server())
    before = fingerprint(client.server)[0]
    client.done(*BEFORE, *AFTER, payloads=[CLAMP])
    assert fingerprint(client.server)[0] != before


@pytest.mark.parametrize("payloads", [(), (CLAMP, bytes(4)), (CLAMP, CLAMP, CLAMP)])
def test_number_of_payloads_other_than_that_of_bursts_is_refused(client: Client, payloads: tuple[bytes, ...]) -> None:
    before = fingerprint(client.server)
    reply = client.operate(*BEFORE, *AFTER, payloads=payloads)
    assert fingerprint(client.server) == before
    assert reply.failure is not None
    assert (reply.failure.code, reply.executed) == (Code.BAD_PAYLOAD, 0)
    assert f"{len(payloads)} payload frames for 1 BLKWR" in reply.failure.message


@pytest.mark.parametrize("swapped", [False, True])
def test_payloads_belong_to_bursts_in_their_order(client: Client, swapped: bool) -> None:
    """Two bursts of different lengths: payloads in the wrong order are refused at the first of them."""
    rows = (block_write("CLAMP_MASK", 2), write("SYS.SCRATCH", 5), block_write("CLAMP_VALUE", 1))
    payloads = [CLAMP, bytes(4)]
    reply = client.operate(*rows, payloads=payloads[::-1] if swapped else payloads)
    found = (reply.failure.code, reply.failure.index) if reply.failure else None
    assert found == ((Code.BAD_PAYLOAD, 0) if swapped else None)


def test_first_of_several_bad_operations_is_the_one_named(client: Client) -> None:
    reply = client.operate(read("SYS.ID"), read("SYS.CTRL"), write("SYS.ID", 1))
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.index) == (Code.WRITE_ONLY, 1)


def test_many_small_delays_that_together_pass_all_time_are_refused() -> None:
    client = Client(small_server())
    before = fingerprint(client.server)
    reply = client.operate(*[delay(1 << 60)] * 5)
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.index) == (Code.OUT_OF_RANGE, 3)
    assert fingerprint(client.server) == before


def test_chip_near_the_end_of_time_still_answers_and_refuses_more_of_it() -> None:
    client = Client(small_server())
    client.done((Op.DELAY_UNTIL, 0, 0, 0, TIME_MAX - (1 << 50)))
    assert client.value("SYS.ID") == 0x75500104
    reply = client.operate(delay(1))
    assert reply.failure is not None
    assert reply.failure.code is Code.OUT_OF_RANGE
    assert client.done(read("SYS.CYCLE"), (Op.READ, 0x14, 0, 0, 0)).values[1] == (TIME_MAX - (1 << 50)) >> 32


def test_read_only_windows_that_this_chip_has_can_all_be_read_whole() -> None:
    client = Client(small_server())
    sizes = {
        "SPIN": 140,
        "CORR_PAIR": 82,
        "CORR_MEAN": 82,
        "TOPO_ROW": 42,
        "TOPO_SOURCE": 82,
        "TOPO_COLOUR": 21,
        "TOPO_POSITION": 41,
    }
    reply = client.done(*[block_read(name, words) for name, words in sizes.items()])
    assert [len(d) // 4 for d in reply.data] == list(sizes.values())


def test_extremes_of_every_range_are_taken() -> None:
    """One step inside what the cases above refuse."""
    client = Client(small_server())
    client.done(
        write("TEMP.TDAC", 1),
        write("TEMP.TDAC", 511),
        write("CORR.PERIOD", 65535),
        write("CORR.ALPHA_DATA", 65536),
        write("FABRIC.PLANE_ENABLE", (1 << PLANES - 64) - 1, 2),
        write("COUPLING", 0x007FFF80),
        write("BIAS", 0x007FFF80),
        write("PLANE_TEMP", 0xFFFF0001),
        write("IRQ.PENDING", 0x1F),
        write("SYS.ERROR", 7),
        write("ADC.MUX", 0xFFFF0006),
        rmw("ADC.MUX", 6, 15),
        write("ADC.ELEMENT", 0xFFFFFFFF),
        write("ADC.PERIOD", 0xFFFFFFFF),
        write("ADC.MODE", 1),
        wait("MON.ENERGY_UPDATE", 0, 0xFFFFFFFF, 5),
        wait("MON.PHYS_TIME", 0, 0xFFFFFFFF, 5),
        rmw("SYS.SCRATCH", 5, 0xFFFFFFFF),
    )
