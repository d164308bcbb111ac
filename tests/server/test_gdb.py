"""The GDB server: stops at exact instructions, looks without side effects, and leaves the chip's future as it is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from server.debugging import BUS, COUNTED, HANDLER, LOOP, PENDING, RAM, Bench, Rsp, debugged, waiting
from server.harness import Row, delay, read, wait, write
from server.process import Dealer
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import REGISTERS, WINDOWS, register
from tsu_contract.wire import encode_request
from tsu_emu import state as S
from tsu_emu.server.commands import CHUNK
from tsu_emu.server.target import NAMES, PC

X9, EXTERNAL_CAUSE = 9, 0x8000_000B


def at(name: str) -> int:
    """A register as the core sees it."""
    return BUS + register(name).at()


def number(name: str) -> bytes:
    return b"%x" % NAMES.index(name)


def stopped_at(address: int, signal: int = 5) -> bytes:
    return b"T%02x20:%b;thread:1;" % (signal, address.to_bytes(4, "little").hex().encode())


def digest(bench: Bench) -> str:
    return S.digest(bench.chip.state)


def test_it_stops_where_a_debugger_attaches_and_goes_on_when_it_leaves(tmp_path: Path) -> None:
    """The chip stands still meanwhile: a host's request waits, and is carried out afterwards."""
    with debugged(tmp_path) as bench, bench.dealer() as host:
        host.done(delay(1000))
        with bench.attach() as gdb:
            before = digest(bench)
            assert gdb.register(PC) in (LOOP, COUNTED, COUNTED + 4)
            with waiting(host, delay(500)) as done:
                assert not done.wait(0.3)
                assert digest(bench) == before
                assert gdb.ask(b"D") == b"OK"
        assert bench.chip.state.time[S.NOW] >= 1500


def test_a_break_in_the_handler(tmp_path: Path) -> None:
    """Before its first instruction: what is pending is seen at its register, where the loop was interrupted in mepc."""
    with debugged(tmp_path) as bench, bench.dealer() as host:
        host.done(delay(1000))
        with bench.attach() as gdb:
            assert gdb.ask(b"Z1,%x,4" % HANDLER) == b"OK"
            gdb.send(b"c")
            with waiting(host, write("IRQ.TEST", 1), delay(100)):
                assert gdb.receive() == stopped_at(HANDLER)
                assert gdb.word(PENDING) == 1
                assert gdb.register(NAMES.index("mcause")) == EXTERNAL_CAUSE
                assert gdb.register(NAMES.index("mepc")) in (LOOP, COUNTED, COUNTED + 4)
                assert gdb.register(NAMES.index("mip")) == 1 << 11
                assert "SEQ_DONE" in gdb.monitor("irq")
                entered = gdb.register(NAMES.index("mcycle"))
                assert gdb.monitor("time").startswith(f"cycle {entered} ")
                gdb.send(b"c")
        t = bench.chip.config.timing
        assert host.done(read("MAILBOX.FROM_CORE")).values[0] == entered + 3 + t.issue + t.access
        assert host.done(read("IRQ.PENDING")).values[0] == 0x80


def test_a_step_is_one_instruction(tmp_path: Path) -> None:
    """Round the loop of three: pc, the cycle, and the count in RAM once its store is done."""
    with debugged(tmp_path) as bench, bench.dealer() as host, bench.attach() as gdb:
        assert gdb.ask(b"Z0,%x,4" % LOOP) == b"OK"
        gdb.send(b"c")
        with waiting(host, delay(1000)):
            assert gdb.receive() == stopped_at(LOOP)
            cycle, retired = gdb.register(NAMES.index("mcycle")), gdb.register(NAMES.index("minstret"))
            for k in range(1, 10):
                assert gdb.ask(b"s" if k % 2 else b"vCont;s:1") == stopped_at(LOOP + 4 * (k % 3))
                assert gdb.register(NAMES.index("mcycle")) == cycle + k
                assert gdb.register(NAMES.index("minstret")) == retired + k
                assert gdb.word(RAM) == (k + 1) // 3
                assert bench.chip.state.time[S.NOW] == cycle + k
            assert gdb.ask(b"z0,%x,4" % LOOP) == b"OK"
            gdb.send(b"vCont;c")


def test_a_step_waits_for_chip_time(tmp_path: Path) -> None:
    """A debugger moves no time: when the host asks for none the step is not done, until somebody stops it or grants cycles.
    It is told so, once."""
    with debugged(tmp_path) as bench, bench.dealer() as host:
        host.done(delay(1000))
        with bench.attach() as gdb:
            first, before = gdb.register(PC), digest(bench)
            gdb.send(b"s")
            assert "monitor advance CYCLES" in gdb.shown()
            assert gdb.nothing_comes(0.3)
            gdb.raw(b"\x03")
            assert gdb.receive() == stopped_at(first, 2)
            assert digest(bench) == before
            assert gdb.monitor("advance 5") == "5 cycles when the core is continued\n"
            assert gdb.ask(b"s") == stopped_at(LOOP + (first - LOOP + 4) % 12)
            gdb.send(b"c")
            assert gdb.nothing_comes(0.3)
        assert bench.chip.link_time == host.done(read("SYS.SCRATCH")).t_start
        assert host.done(delay(1)).t_start > 1005


def test_ctrl_c_stops_a_core_at_work_and_one_that_is_held(tmp_path: Path) -> None:
    """In the midst of a request that would take hours."""
    with debugged(tmp_path) as bench, bench.dealer() as host:
        with bench.attach() as gdb:
            gdb.send(b"c")
            assert gdb.shown()
            with waiting(host, delay(10**10), write("CPU.CTRL", 1), delay(10**10)):
                assert gdb.nothing_comes(0.3)
                gdb.raw(b"\x03")
                assert gdb.receive()[:3] == b"T02"
                assert 0 < bench.chip.state.time[S.NOW] < 10**10
                gdb.raw(b"\x03")
                assert gdb.ask(b"?")[:3] == b"T02"
                assert gdb.ask(b"P%b=%b" % (number("mstatus"), b"00000000")) == b"OK"
                assert gdb.ask(b"M%x,4:01000000" % at("CPU.CTRL")) == b"OK"
                gdb.send(b"c")
        with bench.attach() as gdb:
            assert gdb.register(PC) == 0
            assert gdb.ask(b"M%x,4:00000000" % at("CPU.CTRL")) == b"OK"
            assert gdb.ask(b"Z1,%x,4" % LOOP) == b"OK"
            gdb.send(b"c")
            with waiting(host, delay(1000)):
                assert gdb.receive() == stopped_at(LOOP)
                assert gdb.ask(b"D") == b"OK"


READ = [
    *(b"p%x" % k for k in range(len(NAMES))),
    b"g",
    b"m0,800",
    b"m%x,100" % RAM,
    *(b"m%x,4" % (BUS + r.address) for r in REGISTERS.values()),
    *(b"m%x,4" % (BUS + w.address) for w in WINDOWS.values()),
    b"qRcmd," + b"time".hex().encode(),
    b"qRcmd," + b"irq".hex().encode(),
]


def test_looking_has_no_side_effects(tmp_path: Path) -> None:
    """All registers, all memory, every register of the chip, a word of each window. The core's own load of a counter has one."""
    with debugged(tmp_path) as bench, bench.dealer() as host:
        host.done(delay(1000), write("MAILBOX.TO_CORE", 5))
        with bench.attach() as gdb:
            before = digest(bench)
            answers = [gdb.ask(packet) for packet in READ]
            assert sum(not answer.startswith(b"E") for answer in answers) > 0.8 * len(answers)
            assert digest(bench) == before
            assert gdb.word(at("SYS.CYCLE")) == bench.chip.state.time[S.NOW]
            bench.chip.state.time[S.NOW] += 1 << 32
            bench.chip.firmware_bus().read(register("SYS.CYCLE").at())
            bench.chip.state.time[S.NOW] -= 1 << 32
            assert digest(bench) != before


def host_program(host: Dealer) -> list[list[int]]:
    """A sequencer's run whose end interrupts the core, the timer of the host between; values of all reads."""
    words = assemble([Instruction(Opcode.RUN, 7), Instruction(Opcode.STROBE), Instruction(Opcode.HALT)]).view("u4").tolist()
    lists: list[list[Row]] = [
        [*(write("PROGRAM", word, k) for k, word in enumerate(words)), write("FABRIC.PLANE_ENABLE", 3), write("SEQ.CTRL", 1)],
        [wait("SEQ.STATUS", 2, 0xFF, 100_000), read("SPIN"), read("SPIN", 1), read("IRQ.PENDING")],
        [wait("MAILBOX.STATUS", 2, 2, 100_000), read("MAILBOX.FROM_CORE"), delay(333)],
        [read("SYS.CYCLE"), read("MON.ENERGY"), delay(100)],
    ]
    return [host.done(*rows).values.tolist() for rows in lists]


def undisturbed(folder: Path) -> tuple[list[list[int]], str]:
    folder.mkdir()
    with debugged(folder) as bench, bench.dealer() as host:
        return host_program(host), digest(bench)


def test_the_future_is_the_same_with_a_debugger(tmp_path: Path) -> None:
    """One that breaks, steps, looks at everything and goes away: the same samples, and the same state to the last bit. One that
    writes a register makes another state."""
    plain = undisturbed(tmp_path / "a")
    for wrote in (False, True):
        folder = tmp_path / f"b{wrote}"
        folder.mkdir()
        with debugged(folder, wait=True) as bench, Dealer(bench.endpoint) as host:
            found: list[list[list[int]]] = []

            def run(host: Dealer = host, found: list[list[list[int]]] = found) -> None:
                host.hello()
                found.append(host_program(host))

            with waiting(host, call=run), bench.attach() as gdb:
                stops_and_steps(gdb, wrote)
            assert (found == [plain[0]], digest(bench) == plain[1]) == (True, not wrote)


def stops_and_steps(gdb: Rsp, wrote: bool) -> None:
    """From the first instruction through the loop and the handler; then the debugger leaves."""
    assert gdb.ask(b"?") == stopped_at(0, 2)
    for address in (LOOP, COUNTED, HANDLER):
        assert gdb.ask(b"Z1,%x,4" % address) == b"OK"
    for k in range(30):
        for packet in READ[:5] + READ[-12:]:
            gdb.ask(packet)
        gdb.ask(b"c" if k % 3 else b"s")
    for address in (LOOP, COUNTED):
        assert gdb.ask(b"z1,%x,4" % address) == b"OK"
    assert gdb.ask(b"c") == stopped_at(HANDLER)
    for _ in range(20):
        gdb.ask(b"s")
    if wrote:
        assert gdb.ask(b"P9=78563412") == b"OK"
    assert gdb.ask(b"D") == b"OK"


def test_it_may_wait_for_a_debugger(tmp_path: Path) -> None:
    """Before the first instruction, at cycle 0; until then hosts wait, also for their greeting."""
    with debugged(tmp_path, wait=True) as bench, Dealer(bench.endpoint) as host, waiting(host, call=host.hello) as done:
        assert not done.wait(0.3)
        with bench.attach() as gdb:
            assert (gdb.register(PC), gdb.register(NAMES.index("minstret"))) == (0, 0)
            assert gdb.monitor("time").startswith("cycle 0 ")
        assert done.wait(10)


def test_four_breakpoints(tmp_path: Path) -> None:
    """Of either kind; one more is refused, one that is there is not counted twice, and watchpoints are not known."""
    with debugged(tmp_path) as bench, bench.attach() as gdb:
        for k in range(4):
            assert gdb.ask(b"Z%d,%x,2" % (k % 2, 4 * k)) == b"OK"
        assert gdb.ask(b"Z1,10,4") == b"E0e"
        assert gdb.ask(b"Z1,c,4") == b"OK"
        assert gdb.ask(b"z1,8,4") == b"OK"
        assert gdb.ask(b"Z1,13,4") == b"E0e"
        assert gdb.ask(b"Z1,10,4") == b"OK"
        assert gdb.ask(b"Z2,20000000,4") == b""
        assert gdb.ask(b"D") == b"OK"
        assert (bench.chip.state.hart["breakpoints"] == 0xFFFF_FFFF).all()


def test_it_stops_once_more_before_the_same_instruction(tmp_path: Path) -> None:
    """A loop's breakpoint is hit in each round, and going on from it makes progress."""
    with debugged(tmp_path) as bench, bench.dealer() as host, bench.attach() as gdb:
        assert gdb.ask(b"Z1,%x,4" % COUNTED) == b"OK"
        gdb.send(b"c")
        with waiting(host, delay(1000)):
            for k in range(1, 6):
                assert gdb.receive() == stopped_at(COUNTED)
                assert gdb.register(X9) == k
                gdb.send(b"c")
            gdb.receive()
            gdb.ask(b"D")


def test_registers_are_written(tmp_path: Path) -> None:
    """One, all, and CSRs, which take what they may hold; not x0, counters or what does not exist."""
    with debugged(tmp_path) as bench, bench.attach() as gdb:
        assert gdb.ask(b"P9=78563412") == b"OK"
        assert gdb.register(9) == 0x12345678
        assert gdb.ask(b"P0=01000000") == b"OK"
        assert gdb.register(0) == 0
        values = b"".join((k * 0x01010101 & 0xFFFFFFFC).to_bytes(4, "little").hex().encode() for k in range(33))
        assert gdb.ask(b"G" + values) == b"OK"
        assert gdb.ask(b"g") == b"0" * 8 + values[8:]
        assert gdb.ask(b"P%b=ffffffff" % number("mstatus")) == b"OK"
        assert gdb.register(NAMES.index("mstatus")) == 0x1888
        for wrong in (b"P%b=00000000" % number("mcycle"), b"P%x=00000000" % len(NAMES), b"p%x" % len(NAMES)):
            assert gdb.ask(wrong) == b"E0e"
        assert gdb.ask(b"G00") == gdb.ask(b"P9=00") == b"E16"


def test_memory_is_written(tmp_path: Path) -> None:
    """RAM by bytes, also in binary; ROM never; of the chip whole words, which act as a store of the core."""
    with debugged(tmp_path) as bench, bench.attach() as gdb:
        assert gdb.ask(b"M%x,3:aabbcc" % (RAM + 1)) == b"OK"
        assert gdb.ask(b"X%x,2:}\x03\x07" % (RAM + 5)) == b"OK"
        assert gdb.ask(b"X%x,0:" % RAM) == b"OK"
        assert gdb.ask(b"m%x,8" % RAM) == b"00aabbcc00230700"
        assert gdb.ask(b"M0,4:00000000") == b"E0e"
        assert gdb.ask(b"M%x,4:01000000" % at("IRQ.TEST")) == b"OK"
        assert gdb.word(PENDING) == 1
        bias = BUS + WINDOWS["BIAS"].address
        assert gdb.ask(b"M%x,4:f9ff0500" % bias) == b"OK"
        assert bench.chip.state.bias_code[:2].tolist() == [-7, 5]
        assert gdb.ask(b"m%x,2" % (bias + 2)) == b"0500"
        for wrong in (b"M%x,2:0000" % bias, b"M%x,4:00000000" % (BUS + 0xFFC), b"M%x,4:00000000" % (BUS + 0xFFFFFFF0 - BUS)):
            assert gdb.ask(wrong) == b"E0e"
        assert gdb.ask(b"M%x,4:00" % RAM) == b"E16"
        assert gdb.ask(b"m%x,20" % (RAM + 0xF8)) == b"00" * 8
        assert gdb.ask(b"m10000000,4") == b"E0e"


def test_the_watchdog_takes_what_a_debugger_writes(tmp_path: Path) -> None:
    """As from the core; the step in which it bites ends after the entry's instruction."""
    with debugged(tmp_path) as bench, bench.dealer() as host:
        host.done(delay(1000))
        with bench.attach() as gdb:
            now = int(bench.chip.state.time[S.NOW])
            assert gdb.ask(b"M%x,4:0a000000" % at("WATCHDOG.PERIOD")) == b"OK"
            assert gdb.ask(b"Z1,4,4") == b"OK"
            gdb.send(b"c")
            with waiting(host, delay(100)):
                assert gdb.receive() == stopped_at(4)
                assert bench.chip.state.time[S.NOW] == now + 11
                assert gdb.word(at("CPU.STATUS")) & 4
                assert gdb.ask(b"D") == b"OK"


def test_documents(tmp_path: Path) -> None:
    """The registers in GDB's order and the memories, in pieces of any size."""
    with debugged(tmp_path) as bench, bench.attach() as gdb:
        found = {}
        for name in (b"features:read:target.xml", b"memory-map:read:"):
            whole, more = b"", True
            while more:
                part = gdb.ask(b"qXfer:%b:%x,%x" % (name, len(whole), 300))
                whole, more = whole + part[1:], part[:1] == b"m"
            found[name] = ET.fromstring(whole)
            assert gdb.ask(b"qXfer:%b:0,%x" % (name, CHUNK + 1))[1:] == whole[:CHUNK]
        registers = found[b"features:read:target.xml"].findall("feature/reg")
        assert [(r.get("name"), int(r.get("regnum", ""))) for r in registers] == list(zip(NAMES, range(len(NAMES)), strict=True))
        regions = found[b"memory-map:read:"].findall("memory")
        assert [(r.get("type"), int(r.get("start", ""), 0), int(r.get("length", ""), 0)) for r in regions] == [
            ("rom", 0, 2048), ("ram", RAM, 256), ("ram", BUS, 0x8000_0000),
        ]  # fmt: skip
        assert gdb.ask(b"qXfer:features:read:other.xml:0,100") == b"E00"
        assert gdb.ask(b"qSupported:multiprocess+").startswith(b"PacketSize=")


def test_monitor(tmp_path: Path) -> None:
    """Reset begins anew and keeps RAM; what is not known is answered with what is."""
    with debugged(tmp_path) as bench, bench.dealer() as host:
        host.done(delay(1000))
        with bench.attach() as gdb:
            counted = gdb.word(RAM)
            assert counted > 300
            assert "0x00000000" in gdb.monitor("reset")
            assert (gdb.register(PC), gdb.register(X9), gdb.word(RAM)) == (0, 0, counted)
            assert gdb.register(NAMES.index("mcycle")) == 0
            for wrong in ("dance", "", "advance", "advance x", "advance 1 2", "advance 99999999999999"):
                assert gdb.monitor(wrong).startswith("commands:")
            assert gdb.monitor("advance 0").startswith("1 to")
        host.done(delay(100))
        assert 0 < host.done(read("CPU.PC")).values[0] < 0x44


@pytest.mark.parametrize("leave", [b"k", None])
def test_a_debugger_that_leaves_lets_the_core_go(tmp_path: Path, leave: bytes | None) -> None:
    """Whether it says so or not; nothing of it is left, and another may attach."""
    with debugged(tmp_path) as bench, bench.dealer() as host:
        for _ in range(2):
            with bench.attach() as gdb:
                assert gdb.ask(b"Z1,%x,4" % LOOP) == b"OK"
                if leave:
                    gdb.send(leave)
                    with pytest.raises(EOFError):
                        gdb.receive()
            host.done(delay(100))
            assert (bench.chip.state.hart["breakpoints"] == 0xFFFF_FFFF).all()


def test_a_second_debugger_is_turned_away(tmp_path: Path) -> None:
    with debugged(tmp_path) as bench, bench.attach() as gdb:
        with pytest.raises(EOFError):
            Rsp(bench.address)
        assert gdb.ask(b"qC") == b"QC1"


def test_a_daemon_may_end_while_the_core_is_stopped(tmp_path: Path) -> None:
    """With a debugger there, and a request under way."""
    with debugged(tmp_path) as bench, bench.dealer() as host, bench.attach() as gdb:
        assert gdb.ask(b"Z1,%x,4" % LOOP) == b"OK"
        gdb.send(b"c")
        host.send(encode_request(host.request(delay(1000))))
        assert gdb.receive() == stopped_at(LOOP)
