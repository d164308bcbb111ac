"""Batches: what goes out, what comes back, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import tsu_driver as tsu
from driver.fake import FakeDaemon, FakeLink
from tsu_contract.errors import Code
from tsu_contract.operations import Op
from tsu_contract.registers import REGISTERS, WINDOWS


def last(link: FakeLink) -> list[tuple[int, ...]]:
    """Records of the last request: (op, flags, chip, addr, value, mask, arg)."""
    return link.requests[-1].records.tolist()


def test_records_of_every_operation(chip: tsu.Chip, link: FakeLink) -> None:
    batch = chip.batch()
    batch.read("SEQ.STATUS")
    batch.write("TEMP.TDAC", 64)
    batch.update("CORR.CTRL", LATCH=1)
    batch.read_window("SPIN")
    batch.write_window("PLANE_TEMP", np.array([1, 2, 3], np.uint16))
    batch.wait("SYS.SCRATCH", value=0, mask=0xF0, max_cycles=9)
    batch.delay(7)
    batch.delay_until(1 << 40)
    batch.fence()
    batch.read("CORR.FREE_PLANES", 3)
    batch.execute()
    at = {n: r.address for n, r in REGISTERS.items()} | {n: w.address for n, w in WINDOWS.items()}
    assert last(link) == [
        (Op.READ, 0, 0, at["SEQ.STATUS"], 0, 0, 0),
        (Op.WRITE, 0, 0, at["TEMP.TDAC"], 64, 0, 0),
        (Op.RMW, 0, 0, at["CORR.CTRL"], 4, 4, 0),
        (Op.BLKRD, 0, 0, at["SPIN"], 0, 0, 3),
        (Op.BLKWR, 0, 0, at["PLANE_TEMP"], 0, 0, 2),
        (Op.WAIT, 0, 0, at["SYS.SCRATCH"], 0, 0xF0, 9),
        (Op.DELAY, 0, 0, 0, 0, 0, 7),
        (Op.DELAY_UNTIL, 0, 0, 0, 0, 0, 1 << 40),
        (Op.FENCE, 0, 0, 0, 0, 0, 0),
        (Op.READ, 0, 0, at["CORR.FREE_PLANES"] + 12, 0, 0, 0),
    ]
    assert bytes(link.requests[-1].payloads[0]) == bytes([1, 0, 2, 0, 3, 0, 0, 0])


def test_tickets(chip: tsu.Chip) -> None:
    batch = chip.batch()
    batch.write("SYS.SCRATCH", 0xDEADBEEF)
    word, before = batch.read("SYS.SCRATCH"), batch.update("SYS.SCRATCH", VALUE=5)
    field, wide, rows = batch.read_field("SYS.BOOT.STAGE"), batch.read("SYS.CYCLE"), batch.read_window("TOPO_ROW", 2, 3)
    whole = batch.read_window("TOPO_POSITION")
    with pytest.raises(tsu.HostError, match="not been executed"):
        _ = word.value
    outcome = batch.execute()
    assert (word.value, before.value, field.value) == (0xDEADBEEF, 0xDEADBEEF, 2)
    assert outcome.t_start < wide.value < outcome.t_end
    assert outcome.executed == 8
    assert rows.value.tolist() == [5, 7, 10]
    assert rows.value.dtype == np.uint32
    assert whole.value.shape == (9, 2)
    late = batch.read("SYS.SCRATCH")
    with pytest.raises(tsu.HostError, match="added later"):
        _ = late.value
    batch.execute()
    assert late.value == 5


def test_64_bit_counter_is_read_low_word_first(chip: tsu.Chip, link: FakeLink) -> None:
    link.chip.time = (5 << 32) - 5
    assert chip.read_register("SYS.CYCLE") == (5 << 32) + 5
    assert [r[3] for r in last(link)] == [0x10, 0x14]


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("CORR.CTRL", {"ENABEL": 1}, "has no field 'ENABEL'; fields to write: ENABLE, CLEAR, LATCH"),
        ("TEMP.TDAC", {"CODE": 4096}, r"TEMP.TDAC.CODE = 4096 is not in 1 .. 4095"),
        ("SEQ.STATUS", {"STATE": 1}, "cannot be written in 'STATE'; fields to write: none"),
        ("SEQ.CTRL", {"START": "YES"}, "has no value 'YES'"),
        ("SEQ.CTRL", {"START": 1.0}, "1.0; an integer expected"),
        ("SEQ.CTL", {"START": 1}, "no register 'SEQ.CTL'; there are SEQ.CTRL"),
        ("SEQ.CTRL", {}, "nothing to write; fields are"),
    ],
)
def test_bad_field_writes(chip: tsu.Chip, name: str, fields: dict[str, object], message: str) -> None:
    with pytest.raises(tsu.HostError, match=message):
        chip.batch().write(name, **fields)


def test_other_bad_operations(chip: tsu.Chip) -> None:
    batch = chip.batch()
    for call, message in (
        (lambda: batch.write("SYS.SCRATCH", 1 << 32), "not in 0 .. 0xffffffff"),
        (lambda: batch.write("SYS.SCRATCH", 1.5), "an integer expected"),
        (lambda: batch.write("CORR.CTRL", 1, ENABLE=1), "not both"),
        (lambda: batch.read("CORR.DATA_PLANES", 8), "8 elements"),
        (lambda: batch.read_field("SEQ.STATUS"), "name one of its fields: FAULT, STATE|STATE, FAULT"),
        (lambda: batch.read_field("SEQ.STATUS.STAT"), "has no field 'STAT'"),
        (lambda: batch.read_field("STATE"), "no register 'STATE'; there are ADC, CAL, CAP"),
        (lambda: batch.read_window("SPINS"), "no window 'SPINS'"),
        (lambda: batch.read_window("BIAS", 8, 2), "elements 0 .. 8; 2 from 8"),
        (lambda: batch.read_window("BIAS", 3), "element 3 does not begin a 32-bit word; 2 does"),
        (lambda: batch.read_window("BIAS", 2, 3), "element 4 does not end a 32-bit word; with count 4 one ends"),
        (lambda: batch.write_window("COUPLING", np.zeros(24)), "quantise first"),
        (lambda: batch.write_window("COUPLING", np.full(24, 128)), "element 0 = 128 is not in -128 .. 127"),
        (lambda: batch.write_window("CLAMP_MASK", np.zeros((1, 3), np.uint32)), r"has shape \(3, 1\)"),
        (lambda: batch.delay(-1), "cycles = -1"),
        (lambda: batch.wait_field("SEQ.STATUS.STATE", "HALT", max_cycles=1), "there are IDLE, RUNNING, HALTED"),
    ):
        with pytest.raises(tsu.HostError, match=message):
            call()
    assert len(batch) == 0


def test_window_of_its_own_type_is_not_copied(chip: tsu.Chip, link: FakeLink) -> None:
    codes = np.zeros(24, np.int16)
    batch = chip.batch()
    batch.write_window("COUPLING", codes)
    codes[5] = -7
    batch.execute()
    assert link.chip.windows["COUPLING"][5] == -7
    assert np.shares_memory(np.frombuffer(link.requests[-1].payloads[0], np.int16), codes)


def test_odd_end_is_legal(chip: tsu.Chip, link: FakeLink) -> None:
    batch = chip.batch()
    batch.write_window("BIAS", np.array([5, -6, 7]), start=6)
    ticket = batch.read_window("BIAS")
    batch.execute()
    assert ticket.value.tolist() == [0] * 6 + [5, -6, 7]


def test_limits_are_named() -> None:
    link = FakeLink(FakeDaemon(limits={"operations": 50, "payload_bytes": 100}))
    chip = tsu.Chip(link)
    for times, add, message in (
        (51, lambda b: b.fence(), "51 operations in one batch; at most 50"),
        (2, lambda b: b.read_window("TOPO_SOURCE"), "192 bytes read from windows in one batch; at most 100"),
        (3, lambda b: b.write_window("COUPLING", np.zeros(24, np.int16)), "144 bytes written to windows"),
    ):
        batch = chip.batch()
        for _ in range(times):
            add(batch)
        with pytest.raises(tsu.HostError, match=message):
            batch.execute()


def test_bus_failure_says_where(chip: tsu.Chip) -> None:
    batch = chip.batch()
    batch.fence()
    batch.write("SYS.CYCLE", 1)
    with pytest.raises(tsu.HostError, match="READ_ONLY") as caught:
        batch.execute()
    error = caught.value
    assert (error.code, error.index, error.address, error.field) == (Code.READ_ONLY, 1, 0x10, "COUNT")


def test_wait_that_runs_out(chip: tsu.Chip) -> None:
    batch = chip.batch()
    before = batch.read_field("SYS.BOOT.STAGE")
    batch.wait("SYS.SCRATCH", value=1, max_cycles=100)
    after = batch.read("SYS.SCRATCH")
    with pytest.raises(tsu.ChipFault) as caught:
        batch.execute()
    assert caught.value.code is Code.WAIT_TIMEOUT
    assert caught.value.index == 1
    assert before.value == 2
    with pytest.raises(tsu.HostError, match="not carried out"):
        _ = after.value
    assert batch.outcome is not None
    assert batch.outcome.cycles == 120


def test_named_access(chip: tsu.Chip, link: FakeLink) -> None:
    chip.write_register("SYS.SCRATCH", 7)
    assert chip.read_register("SYS.SCRATCH.VALUE") == 7
    chip.write_register("CORR.CTRL", ENABLE=1)
    chip.write_register("CORR.CTRL.LATCH", 1)
    assert link.chip.log[-1] == (Op.RMW, "CORR.CTRL")
    assert chip.read_register("CORR.CTRL.ENABLE") == 1
    with pytest.raises(tsu.HostError, match="no register"):
        chip.read_register("NOPE.NOPE")
