"""The firmware core in its chip: interrupts at exact cycles, mailbox, timer, watchdog, windows; the same however it is driven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chip.pins import Desk, Step
from cpu.images import elf
from cpu.pair import addi, csrr, csrw, imm, op, stw
from serving import config
from tsu_contract.operations import Op
from tsu_contract.program import Opcode
from tsu_contract.registers import WINDOWS, register
from tsu_emu import state as S
from tsu_emu.chip.core_loop import SLICE
from tsu_emu.config import ConfigError

BUS, HANDLER = 0x4000_0000, 0x100
WFI, MRET = 0x10500073, 0x30200073
SOFTWARE, TIMER, EXTERNAL = 1 << 3, 1 << 7, 1 << 11
PRESENT, ASLEEP, BITTEN = 1, 2, 4
TO_CORE, FROM_CORE = 1, 2


def lui(rd: int, value: int) -> int:
    return op(0x37, rd) | value & 0xFFFFF000


def lw(rd: int, rs1: int, offset: int) -> int:
    return imm(0x03, rd, 2, rs1, offset)


def li(rd: int, value: int) -> list[int]:
    """A constant, always in two instructions."""
    return [lui(rd, value + 0x800), addi(rd, rd, value)]


def put(name: str, rs: int) -> list[int]:
    """Register rs to a register of the chip, by x30; three cycles before its store begins."""
    return [*li(30, BUS + register(name).at()), stw(rs, 30, 0)]


def get(name: str, rd: int) -> list[int]:
    return [*li(30, BUS + register(name).at()), lw(rd, 30, 0)]


def listen(lines: int) -> list[int]:
    """Interrupts of these lines go to HANDLER."""
    return [*li(5, HANDLER), csrw(0x305, 5), *li(5, lines), csrw(0x304, 5), imm(0x73, 0, 6, 8, 0x300)]


FOREVER = [WFI, 0xFFDFF06F]


def desk(folder: Path, main: list[int], handler: list[int] | None = None, **more: Any) -> Desk:
    """A chip of three cells whose core has `main` at 0 and `handler` at HANDLER."""
    words = [*main, *[0x13] * (HANDLER // 4 - len(main)), *(handler or [MRET])]
    image = folder / "image.elf"
    image.write_bytes(elf([(0, np.array(words, np.uint32).tobytes(), 4 * len(words))]))
    cells = {"kind": "dense", "cells": 3}
    return Desk(config(cells, planes=2, cpu={"image": str(image), "rom_words": 512, "ram_words": 64}, **more))


def to(d: Desk, cycle: int) -> None:
    """The link's clock goes to a cycle."""
    d.operate([(Op.DELAY_UNTIL, 0, 0, 0, cycle)])


def hart(d: Desk, name: str) -> int:
    return int(d.chip.state.hart[name][0])


def reply_at(mcycle: int) -> list[int]:
    """Sends a CSR to the host."""
    return [csrr(7, mcycle), *put("MAILBOX.FROM_CORE", 7)]


def test_the_core_boots_the_chip(tmp_path: Path) -> None:
    """SYS.BOOT is READY at the cycle of its store: the fifth instruction begins at cycle 4."""
    d = desk(tmp_path, [*li(6, 2), *put("SYS.BOOT", 6), *FOREVER])
    timing = d.chip.config.timing
    to(d, 1000)
    assert d.read("SYS.BOOT") == 2
    assert d.read("CPU.STATUS") == PRESENT | ASLEEP
    assert d.read("CPU.PC") == 4 * 6
    assert (hart(d, "retired"), hart(d, "cycle")) == (6, 5 + timing.issue + timing.access)


def test_the_timer_interrupts_at_its_cycle(tmp_path: Path) -> None:
    """COMPARE 1000: the entry takes cycle 1000, so that the handler's first instruction begins at 1001."""
    main = [*li(6, 1000), *put("TIMER.COMPARE_LOW", 6), *put("TIMER.COMPARE_HIGH", 0), *listen(TIMER), *FOREVER]
    d = desk(tmp_path, main, [*reply_at(0xB00), csrw(0x304, 0), MRET])
    to(d, 900)
    assert d.read("CPU.STATUS") == PRESENT | ASLEEP
    to(d, 5000)
    assert d.read("MAILBOX.FROM_CORE") == 1001
    assert d.read("MAILBOX.STATUS") == FROM_CORE
    assert d.read("CPU.STATUS") == PRESENT | ASLEEP


def test_the_timer_interrupts_a_core_at_work(tmp_path: Path) -> None:
    """As above, out of a loop, while the host waits far beyond."""
    main = [*li(6, 1000), *put("TIMER.COMPARE_LOW", 6), *put("TIMER.COMPARE_HIGH", 0), *listen(TIMER), 0x13, 0xFFDFF06F]
    d = desk(tmp_path, main, [*reply_at(0xB00), csrw(0x304, 0), MRET])
    to(d, 5000)
    assert d.read("MAILBOX.FROM_CORE") == 1001


ECHO = [
    *get("MAILBOX.TO_CORE", 7),
    addi(7, 7, 1),
    *put("MAILBOX.FROM_CORE", 7),
    addi(8, 0, TO_CORE),
    *put("MAILBOX.STATUS", 8),
    MRET,
]


def echoing(folder: Path) -> Desk:
    d = desk(folder, [*listen(SOFTWARE), *FOREVER], ECHO)
    d.set(IRQ__ENABLE=0x80)
    return d


def test_the_mailbox(tmp_path: Path) -> None:
    """A word comes back plus one; the host hears of it as many cycles after its write as the handler takes until its store."""
    d = echoing(tmp_path)
    t = d.chip.config.timing
    until_store = 1 + 2 + (t.issue + t.access + t.return_) + 1 + 2
    for n, cycle in enumerate((500, 1003, 2222)):
        to(d, cycle)
        d.set(MAILBOX__TO_CORE=41 + n)
        written = int(d.chip.state.time[S.DRAINED])
        to(d, cycle + 300)
        assert d.read("MAILBOX.FROM_CORE") == 42 + n
        assert d.read("MAILBOX.STATUS") == FROM_CORE
        assert d.chip.state.core["irq_log"][0, n, 1] == written + until_store
        d.set(MAILBOX__STATUS=FROM_CORE, IRQ__PENDING=0x80)
        assert d.read("MAILBOX.STATUS") == 0


def test_the_chips_interrupts_reach_the_core(tmp_path: Path) -> None:
    """The end of a program is an external interrupt one cycle before the handler's first instruction."""
    handler = [*reply_at(0xB00), addi(8, 0, 1), *put("IRQ.PENDING", 8), MRET]
    d = desk(tmp_path, [addi(6, 0, 1), *put("CPU.IRQ_ENABLE", 6), *listen(EXTERNAL), *FOREVER], handler)
    d.set(IRQ__ENABLE=1)
    steps: list[Step | Opcode] = [(Opcode.RUN, 3), Opcode.HALT]
    d.load(*steps)
    d.set(SEQ__CTRL=1)
    to(d, 20_000)
    done = int(d.chip.state.core["irq_log"][0, 0, 1])
    assert d.read("MAILBOX.FROM_CORE") == done + 1
    assert d.read("IRQ.PENDING") == 0x80


def test_the_watchdog_resets_the_core(tmp_path: Path) -> None:
    """A core that does not write in time starts anew at the end of its period, once, and finds BITTEN."""
    main = [*get("CPU.STATUS", 7), imm(0x13, 7, 7, 7, BITTEN), op(0x63, 28, 1, 7, 0)]
    main += [*li(6, 500), *put("WATCHDOG.PERIOD", 6), 0x0000006F]
    main += [*reply_at(0xB00), *FOREVER]
    d = desk(tmp_path, main)
    t = d.chip.config.timing
    started = 2 + (t.issue + t.access + t.return_) + 2 + 2 + 2 + (t.issue + t.access)
    to(d, started + 300)
    assert d.read("MAILBOX.STATUS") == 0
    to(d, 3000)
    assert d.read("CPU.STATUS") == PRESENT | ASLEEP | BITTEN
    assert d.read("WATCHDOG.PERIOD") == 0
    assert -int(d.chip.state.hart["counted"][0, 0]) == started + 500
    assert d.read("MAILBOX.STATUS") == FROM_CORE


def test_the_host_holds_the_core(tmp_path: Path) -> None:
    """Held, it does nothing; released, it starts anew."""
    d = desk(tmp_path, [*reply_at(0xB02), addi(9, 9, 1), 0xFFDFF06F])
    to(d, 1000)
    assert hart(d, "retired") > 500
    d.set(CPU__CTRL=1)
    to(d, 2000)
    assert (hart(d, "retired"), hart(d, "pc"), d.read("CPU.STATUS")) == (0, 0, PRESENT)
    d.set(CPU__CTRL=0)
    to(d, 3000)
    assert 500 < hart(d, "retired") < 1001


def test_the_core_may_hold_itself(tmp_path: Path) -> None:
    """What follows the write of HOLD is not executed."""
    main = [addi(7, 0, 1), *put("CPU.CTRL", 7), lui(8, 0x2000_0000), stw(7, 8, 0), *FOREVER]
    d = desk(tmp_path, main)
    to(d, 1000)
    assert d.read("CPU.STATUS") == PRESENT
    assert d.chip.state.core_ram[0] == 0


@pytest.mark.parametrize(
    ("access", "cause", "offset"),
    [
        (stw(0, 6, 0), 7, 0x0FFC),
        (lw(7, 6, 0), 5, 0x0FFC),
        (imm(0x03, 7, 0, 6, 0), 5, register("SYS.ID").at()),
        (lw(7, 6, 0), 5, WINDOWS["BIAS"].address + 4 * 1000),
        (stw(0, 6, 0), 7, WINDOWS["SPIN"].address),
        (stw(0, 6, 0), 7, register("TEMP.TDAC").at()),
    ],
)
def test_what_is_not_there_traps(tmp_path: Path, access: int, cause: int, offset: int) -> None:
    """Unmapped registers, bytes of registers, past a window's end, what is read-only, and a field out of its range."""
    d = desk(tmp_path, [*li(5, HANDLER), csrw(0x305, 5), *li(6, BUS + offset), access], FOREVER)
    to(d, 500)
    assert (hart(d, "mcause"), hart(d, "mtval"), hart(d, "mepc")) == (cause, BUS + offset, 20)


def test_a_store_to_what_nobody_writes_does_nothing(tmp_path: Path) -> None:
    """It is no fault, and CAP is as before."""
    d = desk(tmp_path, [*li(5, HANDLER), csrw(0x305, 5), *put("CAP.CELLS", 5), *FOREVER], FOREVER)
    to(d, 500)
    assert d.read("CPU.STATUS") == PRESENT | ASLEEP
    assert (hart(d, "mcause"), d.read("CAP.CELLS")) == (0, 3)


def test_the_core_uses_windows(tmp_path: Path) -> None:
    """It writes two bias codes and reads them back, and the chip has them."""
    d = desk(tmp_path, [*li(6, BUS + WINDOWS["BIAS"].address), *li(7, 0x0005FFF9), stw(7, 6, 0), lw(8, 6, 0), *FOREVER])
    to(d, 500)
    assert d.dump("BIAS").ravel()[:2].tolist() == [-7, 5]
    assert d.chip.state.hart["x"][0, 8] == 0x0005FFF9


def digest(d: Desk) -> str:
    return S.digest(d.chip.state)


def test_it_is_the_same_however_the_host_waits(tmp_path: Path) -> None:
    """One long DELAY, and many short ones, around the same writes; a chip saved in a handler goes on alike."""
    found = set()
    for step in (2000, 400, 7):
        d = echoing(tmp_path)
        for n in range(2):
            for cycle in range(600 + 2000 * n, 2600 + 2000 * n, step):
                to(d, cycle)
            to(d, 2600 + 2000 * n)
            d.set(MAILBOX__TO_CORE=n)
            if n == 0:
                to(d, 2600 + 8)
                other = echoing(tmp_path)
                other.chip.restore(S.save(d.chip.state))
                d = other
        to(d, 6000)
        found.add(digest(d))
    assert len(found) == 1


POLL = [
    *listen(SOFTWARE),
    *get("SYS.CYCLE", 10),
    op(0x33, 11, 4, 11, 10),
    *get("SEQ.STATUS", 12),
    op(0x33, 11, 0, 11, 12),
    *put("SYS.SCRATCH", 11),
    op(0x33, 13, 0, 13, 11, 1),
    addi(13, 13, 7),
]


def polling(folder: Path) -> Desk:
    """A core that never sleeps: it hashes what it reads of the clock and the sequencer."""
    back = -4 * (len(POLL) - len(listen(0)))
    return desk(folder, [*POLL, (back & 0x7FE) << 20 | (back >> 11 & 1) << 20 | back & 0xFF000 | 1 << 31 | 0x6F], ECHO)


def test_a_polling_core_is_the_same_however_the_host_waits(tmp_path: Path) -> None:
    """As above; what it hashes holds the cycle of each access, and the sequencer's state then."""
    found = []
    for step in (3000, 100, 7):
        d = polling(tmp_path)
        d.load((Opcode.LOOP, 9), (Opcode.RUN, 3), Opcode.STROBE, Opcode.END, Opcode.HALT)
        to(d, 500)
        d.set(SEQ__CTRL=1)
        for cycle in range(600, 3600, step):
            to(d, cycle)
        to(d, 3600)
        d.set(MAILBOX__TO_CORE=5)
        to(d, 4000)
        found.append((digest(d), d.read("SYS.SCRATCH"), d.read("MAILBOX.FROM_CORE"), hart(d, "retired")))
    assert len(set(found)) == 1
    assert found[0][2] == 6
    assert found[0][3] > 500


def test_wait_ends_at_the_cycle_of_the_cores_store(tmp_path: Path) -> None:
    """WAIT on SYS.BOOT is met when the store at cycle 606 acts, though the core goes on at once."""
    main = [*li(7, 300), addi(7, 7, -1), op(0x63, 0x1D, 1, 7, 0, 0x7F), *li(6, 2), *put("SYS.BOOT", 6), *put("SYS.SCRATCH", 6)]
    d = desk(tmp_path, [*main, 0x0000006F])
    reply = d.operate([(Op.WAIT, register("SYS.BOOT").at(), 2, 0xFF, 10_000)])
    t = d.chip.config.timing
    assert reply.t_end == 2 + 600 + 2 + 2 + t.return_


def test_a_core_at_work_does_not_run_ahead_of_a_wait_that_is_met(tmp_path: Path) -> None:
    """The sequencer's end both meets the host's WAIT and interrupts the core; the WAIT ends at that cycle, not at the handler's
    store, and what the host then writes interrupts the core after the instruction of that cycle, though it never makes an access
    by itself."""
    handler = [addi(8, 0, 1), *put("IRQ.PENDING", 8), *reply_at(0xB00), MRET]
    main = [addi(6, 0, 1), *put("CPU.IRQ_ENABLE", 6), *listen(EXTERNAL), 0x0000006F]
    d = desk(tmp_path, main, handler)
    d.set(IRQ__ENABLE=1)
    steps: list[Step | Opcode] = [(Opcode.RUN, 3), Opcode.HALT]
    d.load(*steps)
    to(d, 500)
    d.set(SEQ__CTRL=1)
    reply = d.operate([(Op.WAIT, register("SEQ.STATUS").at(), 2, 0xFF, 1_000_000)])
    t, log = d.chip.config.timing, d.chip.state.core["irq_log"][0]
    assert reply.t_end == log[0, 1] + t.return_
    d.operate([(Op.DELAY, 0, 0, 0, 50), (Op.WRITE, register("IRQ.TEST").at(), 1, 0, 0), (Op.DELAY, 0, 0, 0, 50)])
    assert d.read("MAILBOX.FROM_CORE") == log[1, 1] + 1 + 1 + 3 + t.issue + t.access


def test_a_bad_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"nothing")
    for name, message in (("image", "not an ELF file"), ("missing", "No such file")):
        with pytest.raises(ConfigError, match=message):
            Desk(config({"kind": "dense", "cells": 3}, cpu={"image": str(tmp_path / name)}))


def test_a_wait_is_met_by_an_access_to_a_window(tmp_path: Path) -> None:
    """The store of BIAS begins at cycle 54, and many loads follow at once; the link goes on a return later."""
    store = [*li(30, BUS + WINDOWS["BIAS"].address), *li(6, 3), *[0x13] * 50, stw(6, 30, 0)]
    for name, wanted, mask in (("LEARN.VERSION", 1, 0xFFFFFFFF), ("FABRIC.STATUS", 0, 1)):
        d = desk(tmp_path, [*store, lw(7, 30, 0), 0xFFDFF06F])
        reply = d.operate([(Op.WAIT, register(name).at(), wanted, mask, 10_000)])
        assert reply.t_end == 54 + d.chip.config.timing.return_
        assert d.chip.state.bias_code[0] == 3


def test_how_the_host_waits_makes_no_difference_to_a_core_on_windows(tmp_path: Path) -> None:
    """20,000 cycles of loads of a window: in a DELAY, in a WAIT for what does not come, in one that sees every access."""
    found = set()
    for row in (
        (Op.DELAY, 0, 0, 0, 20_000),
        (Op.WAIT, register("SYS.SCRATCH").at(), 1, 1, 20_000),
        (Op.WAIT, register("CPU.STATUS").at(), 4, 4, 20_000),
    ):
        d = desk(tmp_path, [*li(30, BUS + WINDOWS["BIAS"].address), lw(7, 30, 0), addi(8, 8, 1), 0xFF9FF06F])
        d.pins.operate([row])
        to(d, 30_000)
        found.add((digest(d), hart(d, "cycle"), int(d.chip.state.hart["x"][0, 8])))
    assert len(found) == 1


def test_a_core_on_windows_is_interrupted_now_and_then(tmp_path: Path) -> None:
    """A load every 2,000,000 cycles, for 60 million: somebody may look in after each SLICE of 10 million, and the next access."""
    loop = [lw(7, 30, 0), *li(6, 1_000_000), addi(6, 6, -1), 0xFE031EE3, 0xFEDFF06F]
    d = desk(tmp_path, [*li(30, BUS + WINDOWS["BIAS"].address), *loop])
    seen = [0]
    d.chip.between_calls = lambda: seen.append(hart(d, "cycle"))
    to(d, 60_000_000)
    assert hart(d, "retired") > 59_000_000, "it computes nearly all the time"
    assert max(np.diff([*seen, 60_000_000])) <= SLICE + 2_100_000
