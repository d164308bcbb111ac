"""Sessions: HELLO, numbers, time-outs, interrupts, the end."""

from __future__ import annotations

import pytest

import tsu_driver as tsu
from driver.fake import FakeChip, FakeDaemon, FakeLink
from tsu_contract import PROTOCOL_MAJOR
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind


def test_hello_comes_first(chip: tsu.Chip, link: FakeLink) -> None:
    hello = link.requests[0]
    assert (hello.kind, hello.session, hello.seq) == (Kind.HELLO, 0, 0)
    assert hello.body == {"client": f"tsu-driver {tsu.__version__}", "map_hash": MAP_HASH}
    assert [(r.session, r.seq) for r in link.requests[1:]] == [(42, k) for k in range(1, len(link.requests))]
    assert PROTOCOL_MAJOR == 1
    assert chip.name == "fake"
    assert "9 cells" in repr(chip)
    assert "9" in chip._repr_html_()


def test_other_register_map_is_refused() -> None:
    link = FakeLink(FakeDaemon(map_hash="abc"))
    with pytest.raises(tsu.LinkError, match=f"abc.*{MAP_HASH}"):
        tsu.Chip(link)
    assert link.closed


def test_chip_of_another_map_is_refused() -> None:
    fake = FakeChip()
    fake["SYS.MAP_HASH"] = 1
    with pytest.raises(tsu.LinkError, match="0x00000001"):
        tsu.Chip(FakeLink(FakeDaemon(fake)))


def test_failed_boot() -> None:
    with pytest.raises(tsu.ChipFault, match="self-test failed at step 7") as caught:
        tsu.Chip(FakeLink(FakeDaemon(FakeChip(boot="FAILED"))))
    assert caught.value.cause == "FAILED"


@pytest.mark.parametrize("loss", ["drop", "lose"])
def test_a_timed_out_batch_is_carried_out_once(chip: tsu.Chip, link: FakeLink, loss: str) -> None:
    setattr(link, loss, 1)
    batch = chip.batch()
    ticket = batch.update("SYS.SCRATCH", VALUE=3)
    messages = chip.stats.messages
    with pytest.raises(tsu.LinkTimeout):
        batch.execute()
    with pytest.raises(tsu.HostError, match="not been executed"):
        _ = ticket.value
    batch.execute()
    assert ticket.value == 0
    assert link.requests[-1].seq == link.requests[-2].seq
    batch.execute()
    assert ticket.value == 3
    assert link.requests[-1].seq == link.requests[-2].seq + 1
    assert link.daemon.carried_out == list(range(1, link.requests[-1].seq + 1))
    assert chip.stats.messages == messages + 2


@pytest.mark.parametrize("loss", ["drop", "lose"])
def test_another_batch_settles_a_timed_out_one(chip: tsu.Chip, link: FakeLink, loss: str) -> None:
    setattr(link, loss, 2)
    first, second = chip.batch(), chip.batch()
    before, after = first.update("SYS.SCRATCH", VALUE=9), second.read("SYS.SCRATCH")
    for batch in (first, second):
        with pytest.raises(tsu.LinkTimeout):
            batch.execute()
    second.execute()
    assert after.value == 9
    count = len(link.requests)
    first.execute()
    assert before.value == 0
    assert len(link.requests) == count


def test_interrupts_come_in_band(chip: tsu.Chip) -> None:
    chip.execute_program([tsu.Instruction(tsu.Opcode.IRQ), tsu.Instruction(tsu.Opcode.IRQ)])
    assert len(chip.interrupts) == 2
    assert chip.interrupts[0].pending == 2
    assert [type(e) for e in chip.interrupts.drain()] == [tsu.Interrupt] * 2
    assert list(chip.interrupts) == []


def test_close(link: FakeLink) -> None:
    closed = []
    chip = tsu.Chip(link, closed=lambda: closed.append(1))
    chip.close()
    chip.close()
    assert link.daemon.said_bye
    assert link.closed
    assert closed == [1]
    with pytest.raises(tsu.LinkError, match="closed"):
        chip.read_register("SYS.SCRATCH")


def test_stats_and_time(chip: tsu.Chip, link: FakeLink) -> None:
    before = chip.stats.operations
    chip.read_register("SYS.CYCLE")
    assert chip.stats.operations == before + 2
    assert chip.time_cycles == link.chip.time
    assert chip.seconds == link.chip.time / 1e6
