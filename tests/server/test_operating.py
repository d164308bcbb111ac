"""What is told to those who operate a daemon: events, metrics, and words with a service manager."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import struct
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.harness import Client, Clock, block_read, delay, program_rows, read, small_server, wait, write
from server.process import SMALL, Dealer, Process, finished, short_directory
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import value_of
from tsu_contract.wire import Kind, Request, encode_request
from tsu_emu.server import metrics
from tsu_emu.server.counters import BUCKETS
from tsu_emu.server.events import ALL, LOGGER, OFTEN, WITHIN_SECONDS, Events, JsonLines, PlainLines, tell_stderr
from tsu_emu.server.metrics import MetricsPage
from tsu_emu.server.notify import STATUS_SECONDS, Notifier
from tsu_emu.server.sessions import Decision


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_directory() as path:
        yield path


class Told(logging.Handler):
    """Lines as they would be written."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def told() -> Iterator[Told]:
    handler = Told(JsonLines())
    before = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    yield handler
    LOGGER.removeHandler(handler)
    LOGGER.setLevel(before)


# events


def test_events_of_a_session_with_chip_time_and_without_its_number(told: Told) -> None:
    server = small_server()
    server.sessions.next_number = lambda: 0x123456789ABCDEF
    client = Client(server, "alice 1.0")
    client.numbered(Kind.LEASE, seconds=5)
    client.operate(delay(500), read("SYS.CTRL"))
    client.exchange(Request(Kind.BYE, client.session, 77))
    server.decide(Decision.UNREAD, client.session)
    lines = [json.loads(line) for line in told.lines]
    assert [line["event"] for line in lines] == ["session opened", "lease", "failed", "refused", "decided"]
    assert [line["level"] for line in lines] == ["info"] * 4 + ["warning"]
    assert lines[0] | {"client": "alice 1.0", "session": "abcdef", "cycle": 0} == lines[0]
    assert (lines[3]["code"], lines[4]["what"]) == ("BAD_SEQUENCE", "unread")
    assert all(time.strptime(line["time"][:19], "%Y-%m-%dT%H:%M:%S") for line in lines)
    assert not any("123456789" in line for line in told.lines)


def test_no_flood(told: Told) -> None:
    """Ten of a kind in ten seconds, then silence, then how many were left out; other events are told all the while."""
    clock = Clock()
    events = Events(lambda: 7, clock)
    for _ in range(1000):
        events.tell("often")
        clock.now += 0.001
    events.tell("seldom")
    assert len(told.lines) == OFTEN + 1
    clock.now += WITHIN_SECONDS
    events.tell("often")
    assert json.loads(told.lines[-1])["left_out"] == 1000 - OFTEN
    events.tell("often")
    assert "left_out" not in json.loads(told.lines[-1])


def test_plain_lines_are_one_line_each(told: Told) -> None:
    told.setFormatter(PlainLines())
    Events(lambda: 7).tell("lease", session=5, client="bob")
    assert told.lines[0].endswith("info: lease cycle=7 session=5 client=bob")


def test_hostile_names_stay_within_their_line(told: Told) -> None:
    Client(small_server(), 'x"\n{"event": "forged"}\x1b[31m')
    assert "\n" not in told.lines[0]
    assert json.loads(told.lines[0])["event"] == "session opened"


def test_what_keeps_the_chip_tells_the_same_log(capsys: pytest.CaptureFixture[str]) -> None:
    handlers, level, propagate = ALL.handlers[:], ALL.level, ALL.propagate
    try:
        tell_stderr(logging.INFO, as_json=True)
        logging.getLogger("tsu_emu.keep").warning("the journal cannot be written: %s", "No space")
        Events(lambda: 7).tell("started")
    finally:
        ALL.handlers[:], ALL.propagate = handlers, propagate
        ALL.setLevel(level)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = [(line["level"], line["event"]) for line in lines]
    assert told == [("warning", "the journal cannot be written: No space"), ("info", "started")]


# metrics


def scraped(url: str) -> dict[str, float]:
    """Values by name and labels, as Prometheus' own parser reads them."""
    with urllib.request.urlopen(url, timeout=20) as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    return {s.name + (f"{{{s.labels['le']}}}" if "le" in s.labels else ""): s.value for f in families for s in f.samples}


def test_metrics_are_the_servers_numbers() -> None:
    server = small_server()
    client = Client(server)
    client.done(*program_rows(Instruction(Opcode.RUN, 50), Instruction(Opcode.HALT)), write("SEQ.CTRL", 1), delay(100_000))
    client.numbered(Kind.LEASE, seconds=60)
    low, high = client.done(read("MON.ENERGY")).values[0], client.server.chip.link_time
    page = MetricsPage(server, 0)
    try:
        seen = scraped(page.address)
    finally:
        page.close()
    assert page.address.startswith("http://127.0.0.1:")
    counts = {"tsu_requests_total": 4, "tsu_sessions": 1, "tsu_leased": 1, "tsu_leases_total": 1, "tsu_under_way": 0}
    assert {name: seen[name] for name in counts} == counts
    assert seen["tsu_operations_total"] == server.counters.operations
    assert seen["tsu_chip_seconds_total"] == pytest.approx(high / server.chip.capabilities.clock_hz, rel=1e-3)
    assert seen["tsu_energy_joules_total"] == pytest.approx(int(low) * 1e-15, rel=1e-3)
    assert seen["tsu_request_seconds_count"] == seen["tsu_request_seconds_bucket{+Inf}"] == 2
    buckets = [seen[f"tsu_request_seconds_bucket{{{bound:g}}}"] for bound in BUCKETS]
    assert buckets == sorted(buckets)
    assert seen["tsu_memory_bytes"] > 10 << 20


def test_page_is_told_after_connections_that_say_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They take no threads of the daemon's, and end soon; who goes before the reply leaves no line in the log."""
    monkeypatch.setattr(metrics, "CONNECTION_SECONDS", 0.05)
    page = MetricsPage(small_server(), 0)
    at, before = ("127.0.0.1", int(page.address.split(":")[2].split("/")[0])), threading.active_count()
    try:
        silent = [socket.create_connection(at, 20) for _ in range(4)]
        silent[1].sendall(b"GET /met")
        assert threading.active_count() <= before + 1
        assert [one.recv(1) for one in silent] == [b""] * 4
        monkeypatch.setattr(metrics, "CONNECTION_SECONDS", 20.0)
        silent[0].close()
        with socket.create_connection(at, 20) as hasty:
            hasty.sendall(b"GET / HTTP/1.0\r\n\r\n")
            hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert scraped(page.address)["tsu_sessions"] == 0
    finally:
        page.close()
        for one in silent:
            one.close()
    assert capfd.readouterr().err == ""


# a service manager


class Manager:
    """The other side of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(20)

    def hears(self) -> str:
        return self.socket.recv(4096).decode()

    def silence(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(20)
        return False


@pytest.mark.parametrize("abstract", [False, True])
def test_words_go_to_the_managers_socket(folder: Path, abstract: bool) -> None:
    address = f"@tsu-test-{os.getpid()}" if abstract else str(folder / "notify")
    manager, clock = Manager(address), Clock()
    notifier = Notifier(lambda: "all is\nwell", {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}, clock)
    assert notifier.every_s == 0.5
    notifier.ready()
    notifier.beat()
    assert [manager.hears() for _ in range(3)] == ["READY=1", "WATCHDOG=1", "STATUS=all is well"]
    notifier.beat()
    assert manager.silence()
    clock.now += 0.5
    notifier.beat()
    assert manager.hears() == "WATCHDOG=1"
    assert manager.silence()
    clock.now += STATUS_SECONDS
    notifier.beat()
    notifier.stopping()
    assert [manager.hears() for _ in range(3)] == ["WATCHDOG=1", "STATUS=all is well", "STOPPING=1"]
    manager.socket.close()


@pytest.mark.parametrize(
    ("environment", "every", "watchdog"),
    [
        ({}, None, None),
        ({"NOTIFY_SOCKET": "/nowhere"}, STATUS_SECONDS, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}, STATUS_SECONDS, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "x"}, STATUS_SECONDS, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "400000000"}, STATUS_SECONDS, 400.0),
    ],
)
def test_who_does_not_listen_is_not_waited_for(environment: dict[str, str], every: float | None, watchdog: float | None) -> None:
    notifier = Notifier(lambda: "", environment)
    assert (notifier.every_s, notifier.watchdog_s) == (every, watchdog)
    notifier.ready()
    notifier.beat()
    notifier.stopping()


# a daemon with all of it


def test_daemon_tells_its_log_metrics_manager_and_waveforms(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the midst of a long request too: the watchdog is fed from the loop that does the work."""
    (folder / "small.toml").write_text(SMALL)
    manager = Manager(str(folder / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    arguments = ("--metrics", "0", "--log-json", "--vcd", str(folder / "w.vcd"), "--trace", str(folder / "t.json"))
    with Process(folder / "small.toml", f"ipc://{folder}/c.sock", *arguments) as process:
        assert manager.hears() == "READY=1"
        with Dealer(process.endpoint) as dealer:
            dealer.hello()
            dealer.done(wait("SYS.BOOT", value_of("SYS.BOOT.STAGE", "READY"), 0xFF, 100_000), block_read("SPIN", 1))
            assert scraped(process.ready["metrics"])["tsu_sessions"] == 1
            heard = [manager.hears() for _ in range(4)]
            assert {"WATCHDOG=1"} < set(heard)
            assert any(word.startswith("STATUS=small: ") for word in heard)
            dealer.done(*program_rows(Instruction(Opcode.RUN, 0xFFFFFFFF)), write("SEQ.CTRL", 1))
            dealer.send(encode_request(dealer.request(delay(1 << 40))))
            dealer.until_busy()
            assert scraped(process.ready["metrics"])["tsu_under_way"] == 1
            while not manager.silence():
                pass
            assert "WATCHDOG=1" in [manager.hears() for _ in range(2)]
        process.signal(signal.SIGTERM)
        assert process.end() == 0
        assert process._process.stderr is not None
        lines = [json.loads(line) for line in process._process.stderr.read().splitlines()]
    words = []
    while "STOPPING=1" not in words:
        words.append(manager.hears())
    manager.socket.close()
    assert [line["event"] for line in lines] == ["started", "session opened", "ended"]
    assert lines[-1]["cycle"] > 100
    assert (folder / "w.vcd").read_text().count("$var") > 10
    assert json.loads((folder / "t.json").read_text())


def test_port_of_metrics_that_is_taken_is_said_in_one_line(folder: Path) -> None:
    (folder / "small.toml").write_text(SMALL)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = finished("serve", str(folder / "small.toml"), "--endpoint", f"ipc://{folder}/c.sock", "--metrics", port)
    assert run.returncode == 2
    assert f"--metrics {port}" in run.stderr
    assert not (folder / "c.sock").exists()
