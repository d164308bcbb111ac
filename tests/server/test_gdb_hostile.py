"""What is no debugger gets an error or a closed connection, and the daemon lives on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from server.debugging import RAM, Rsp, debugged, waiting
from server.harness import delay
from tsu_emu.server.rsp import PACKET_BYTES, Interrupt, Packet, Resend, RspError, Stream, packet, unescaped


def test_packets_come_in_any_pieces() -> None:
    """Of one byte and more; acknowledgements are passed over."""
    data = b"+" + packet(b"m0,4") + b"\x03-" + b"$g#00" + b"$?#zz" + packet(b"")
    expected = [Packet(b"m0,4"), Interrupt(), Resend(), Packet(b"g", False), Packet(b"?", False), Packet(b"")]
    for size in range(1, len(data) + 1):
        stream = Stream()
        for begin in range(0, len(data), size):
            stream.feed(data[begin : begin + size])
        assert list(stream.events) == expected


def test_any_bytes_can_be_packed() -> None:
    everything = bytes(range(256)) + b"}}##$$**"
    stream = Stream()
    stream.feed(packet(everything))
    (event,) = stream.events
    assert isinstance(event, Packet)
    assert event.sound
    assert unescaped(event.contents) == everything
    with pytest.raises(RspError):
        unescaped(b"ab}")


def test_a_bad_checksum(tmp_path: Path) -> None:
    """Is asked for again; without acknowledgements it is an error. What was not understood is sent again."""
    with debugged(tmp_path) as bench:
        with bench.attach(acknowledge=True) as gdb:
            gdb.raw(b"$qC#00")
            assert gdb.socket.recv(1) in b"+-"
            assert gdb.ask(b"qC") == b"QC1"
            gdb.raw(b"-")
            assert gdb.receive() == b"QC1"
        with bench.attach() as gdb:
            gdb.raw(b"$qC#00")
            assert gdb.receive() == b"E01"
            assert gdb.ask(b"qC") == b"QC1"


@pytest.mark.parametrize(
    "data",
    [b"POST / HTTP/1.1\r\n\r\n$k#6b", b"\xff\xf4", b"$" + b"a" * (PACKET_BYTES + 1), b"$" + b"b" * (1 << 20), b"$qC#b4garbage"],
)
def test_another_protocol_is_hung_up_on(tmp_path: Path, data: bytes) -> None:
    """Also a browser that a page makes send a request, and packets without end; the next debugger finds all as it should be."""
    with debugged(tmp_path) as bench:
        with Rsp(bench.address, acknowledge=True) as gdb, pytest.raises((EOFError, ConnectionError)):
            _read_to_the_end(gdb, data)
        with bench.attach() as gdb:
            assert gdb.ask(b"qC") == b"QC1"


def _read_to_the_end(gdb: Rsp, data: bytes) -> None:
    """Sends, and reads until the connection is closed: EOFError or ConnectionError."""
    gdb.raw(data)
    while True:
        gdb.receive()


def _send_for_ever(gdb: Rsp, data: bytes) -> None:
    """Sends up to 20 MB without reading; ConnectionError when the connection is closed."""
    for _ in range(20_000_000 // len(data)):
        gdb.raw(data)


WRONG = [
    b"m", b"m0", b"m,", b"mzz,4", b"m0,-4", b"m100000000,4", b"M0", b"M20000000,2:0", b"M20000000,2:zzzz", b"X20000000,9:a",
    b"X20000000,1:}", b"p", b"pffffffff", b"P", b"P1", b"P1=", b"P1=0", b"G", b"Gzz", b"Z", b"Z1", b"Z1,", b"Z1,zz,4", b"z1",
    b"vCont;", b"vCont;x", b"cxyz", b"sxyz", b"qRcmd,zz", b"qRcmd,0", b"qXfer:features:read:target.xml:zz", b"qXfer:", b"P1=\xff",
    b"qXfer:memory-map:read::0", b"m%x,ffffffff" % (RAM + 255), b"mffffffff,ffffffff", b"P1=0000000000",
]  # fmt: skip


def test_packets_that_make_no_sense(tmp_path: Path) -> None:
    """Each is answered, and those here with an error, but for a read that says how far it came."""
    with debugged(tmp_path) as bench, bench.attach() as gdb:
        for contents in WRONG:
            answer = gdb.ask(contents)
            assert answer.startswith(b"E") or contents.startswith(b"m2") or contents == b"Z", contents
        for unknown in (b"", b"!", b"R00", b"vRun;a", b"qSymbol::", b"QNonStop:1", b"bc", b"\x80\xff", b"Z9,0,0"):
            assert gdb.ask(unknown) == b""


def test_random_packets(tmp_path: Path) -> None:
    """Two thousand, of letters that mean something, none of which lets the core go on: each gets one reply."""
    rng = np.random.default_rng(7)
    letters = np.frombuffer(b"gGpPmMXZzvqQHT?,;:=0123456789abcdefRS}", np.uint8)
    with debugged(tmp_path) as bench, bench.dealer() as host:
        with bench.attach() as gdb:
            for _ in range(2000):
                contents = rng.choice(letters, rng.integers(0, 12)).tobytes()
                if contents[:1] not in (b"c", b"S"):
                    assert len(gdb.ask(contents)) <= PACKET_BYTES
        host.done(delay(10))


def test_a_core_that_runs_answers_nothing_but_a_stop(tmp_path: Path) -> None:
    """Packets that come meanwhile are errors, whatever they are."""
    with debugged(tmp_path) as bench, bench.dealer() as host, bench.attach() as gdb:
        gdb.send(b"c")
        for contents in (b"g", b"c", b"D", b"m0,4"):
            assert gdb.ask(contents) == b"E01"
        with waiting(host, delay(10)):
            pass
        gdb.raw(b"\x03")
        assert gdb.receive().startswith(b"T02")


def test_a_debugger_that_never_reads_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system holds no more of its replies."""
    monkeypatch.setattr("tsu_emu.server.gdb.SEND_SECONDS", 0.2)
    with debugged(tmp_path) as bench, bench.dealer() as host:
        with bench.attach() as gdb, pytest.raises(ConnectionError):
            _send_for_ever(gdb, 1000 * packet(b"m0,800"))
        host.done(delay(10))
