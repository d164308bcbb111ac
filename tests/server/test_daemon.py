"""`python -m tsu_emu serve` as a process: sockets, files, signals, exit codes."""

from __future__ import annotations

import random
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
import zmq

from server.harness import Row, block_read, delay, program_rows, read, wait, write
from server.process import SMALL, SPREAD, Dealer, Process, finished, short_directory
from tsu_contract.errors import Code
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import value_of
from tsu_contract.wire import decode_reply, encode_request
from tsu_emu.server.daemon import endings
from tsu_emu.server.endpoints import EndpointError, default_endpoint, prepare

READY: Row = wait("SYS.BOOT", value_of("SYS.BOOT.STAGE", "READY"), 0xFF, 100_000)
HALTED: Row = wait("SEQ.STATUS", value_of("SEQ.STATUS.STATE", "HALTED"), 0xFF, 1_000_000)
MAGIC = 0x75500104


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture
def config(folder: Path) -> Path:
    path = folder / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def served() -> Iterator[Process]:
    """One daemon for the tests that leave it running."""
    with short_directory() as path:
        (path / "small.toml").write_text(SMALL)
        with Process(path / "small.toml", f"ipc://{path}/run/chip.sock", "--exit-with-stdin") as process:
            yield process


def socket_of(process: Process) -> Path:
    return Path(process.endpoint.removeprefix("ipc://"))


# the life of a daemon


def test_ready_line_tells_endpoint_pid_and_name(served: Process) -> None:
    assert set(served.ready) == {"event", "endpoint", "pid", "name"}
    assert (served.ready["name"], served.ready["pid"] > 0) == ("small", True)
    assert served.endpoint.startswith("ipc:///")


def test_lines_before_ready_are_progress(served: Process) -> None:
    """None at all if the chip was compiled before."""
    for line in served.lines[:-1]:
        assert line["event"] == "progress"
        assert 1 <= line["done"] <= line["total"]


def test_socket_is_the_users_alone(served: Process) -> None:
    path = socket_of(served)
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_hang_up_ends_a_daemon_unless_it_is_ignored(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGHUP, handler)
    try:
        assert (signal.SIGHUP in endings()) is (handler is signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("scheme", "ending"), [("ipc", signal.SIGTERM), ("ipc", "stdin"), ("tcp", signal.SIGINT)], ids=str)
def test_daemon_serves_a_plain_dealer_and_ends_cleanly(
    folder: Path, config: Path, scheme: str, ending: signal.Signals | str
) -> None:
    endpoint = f"ipc://{folder}/c.sock" if scheme == "ipc" else "tcp://127.0.0.1:*"
    with Process(config, endpoint, *(["--exit-with-stdin"] if ending == "stdin" else [])) as process:
        with Dealer(process.endpoint) as dealer:
            assert dealer.hello().body["name"] == "small"
            assert dealer.done(READY, read("SYS.ID")).values.tolist()[1] == MAGIC
            assert dealer.bye().failure is None
        assert ended(process, ending) == 0
    assert not (folder / "c.sock").exists()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, "stdin"], ids=str)
def test_daemon_ends_in_the_middle_of_a_long_operation(folder: Path, config: Path, ending: signal.Signals | str) -> None:
    """A program without end under a DELAY without end is legal; whoever started the daemon must still be able to end it."""
    endless = program_rows(Instruction(Opcode.RUN, 0xFFFFFFFF))
    with Process(config, f"ipc://{folder}/c.sock", "--exit-with-stdin") as process, Dealer(process.endpoint) as dealer:
        dealer.hello()
        dealer.done(READY, *endless, write("SEQ.CTRL", 1))
        dealer.send(_frames(dealer, delay(1 << 60)))
        assert dealer.nothing_comes(300)
        assert ended(process, ending) == 0
    assert not (folder / "c.sock").exists()


def ended(process: Process, ending: signal.Signals | str) -> int:
    """Exit code of a daemon that is asked to end by a signal or by the end of its standard input."""
    if isinstance(ending, signal.Signals):
        process.signal(ending)
    else:
        process.close_stdin()
    return process.end()


def _frames(dealer: Dealer, *rows: Row) -> list[bytes]:
    """Frames of the dealer's next request."""
    return [bytes(f) for f in encode_request(dealer.request(*rows))]


def test_without_the_option_the_daemon_outlives_its_standard_input(folder: Path, config: Path) -> None:
    with Process(config, f"ipc://{folder}/c.sock") as process, Dealer(process.endpoint) as dealer:
        process.close_stdin()
        dealer.hello()
        assert dealer.done(READY, read("SYS.ID")).values.tolist()[1] == MAGIC
        assert process.running


def test_socket_left_by_a_killed_daemon_is_taken_over(folder: Path, config: Path) -> None:
    with Process(config, f"ipc://{folder}/c.sock") as first:
        first.signal(signal.SIGKILL)
        first.end()
    assert (folder / "c.sock").exists()
    with Process(config, f"ipc://{folder}/c.sock") as second, Dealer(second.endpoint) as dealer:
        dealer.hello()
        assert dealer.done(read("SYS.ID")).values.tolist() == [MAGIC]


# endpoints that are refused


def refused(*arguments: str) -> str:
    """The one message of a run that must end with exit code 2 and without a traceback."""
    run = finished("serve", *arguments)
    assert run.returncode == 2, run.stderr
    assert "Traceback" not in run.stderr
    assert run.stderr.startswith("tsu-emu: ")
    return run.stderr


def test_second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on(served: Process, config: Path) -> None:
    message = refused(str(config), "--endpoint", served.endpoint)
    assert f"{served.endpoint}: another daemon listens there" in message
    with Dealer(served.endpoint) as dealer:
        dealer.hello()
        assert dealer.done(read("SYS.ID")).values.tolist() == [MAGIC]


def test_port_that_is_taken_is_refused(config: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as holder:
        port = holder.bind_to_random_port("tcp://127.0.0.1")
        message = refused(str(config), "--endpoint", f"tcp://127.0.0.1:{port}")
    assert f"tcp://127.0.0.1:{port}" in message


def test_address_that_is_not_loopback_is_refused(config: Path) -> None:
    assert "loopback" in refused(str(config), "--endpoint", "tcp://0.0.0.0:5555")


def test_socket_in_a_directory_that_cannot_be_made_is_refused(config: Path) -> None:
    assert f"{config}/c.sock" in refused(str(config), "--endpoint", f"ipc://{config}/c.sock")


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://0.0.0.0:5555",
        "tcp://*:5555",
        "tcp://[::]:5555",
        "tcp://10.0.0.1:5555",
        "tcp://128.0.0.1:5555",
        "tcp://127.0.0.1.example.org:5555",
        "tcp://localhost.example.org:5555",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:port",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:99999",
        "tcp://eth0:5555",
        "tcp://127.0.0.1:5555;tcp://0.0.0.0:5556",
        "tcp://127.0.0.1:5555\n",
        "udp://127.0.0.1:5555",
        "inproc://chip",
        "/tmp/chip.sock",
        "ipc://",
        "ipc://*",
        "ipc://@abstract",
        "",
    ],
)
def test_endpoint_is_refused_by_name(endpoint: str) -> None:
    with pytest.raises(EndpointError) as caught:
        prepare(endpoint)
    assert str(caught.value).startswith(endpoint)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5555", "tcp://127.1.2.3:65535", "tcp://localhost:0", "tcp://127.0.0.1:*"])
def test_loopback_is_allowed(endpoint: str) -> None:
    prepare(endpoint)


def test_path_that_is_too_long_for_a_socket_is_refused(folder: Path) -> None:
    with pytest.raises(EndpointError, match="longer than 107 bytes"):
        prepare(f"ipc://{folder}/{'x' * 107}")


def test_path_of_the_greatest_length_is_allowed_and_its_directory_made(folder: Path) -> None:
    base = f"{folder}/new/"
    prepare("ipc://" + base + "x" * (107 - len(base)))
    assert stat.S_IMODE((folder / "new").stat().st_mode) == 0o700


def test_default_endpoint_lies_in_the_run_time_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert default_endpoint("small") == "ipc:///run/user/7/tsu-emu/small.sock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("HOME", "/somewhere")
    assert default_endpoint("small") == "ipc:///somewhere/.cache/tsu-emu/small.sock"


# configurations that are refused


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (SMALL.replace("planes = 8", "planes = 257"), "fabric.planes"),
        (SMALL.replace("cells = 12", "cells = 0"), "fabric.topology.cells"),
        (SMALL + "word = 1\n", "sequencer.word"),
        (
            SMALL.replace('{ kind = "dense", cells = 12 }', '{ kind = "edges", cells = 4, pairs = [[0, 1], [2, 2]] }'),
            "fabric.topology.pairs.1",
        ),
        ("name = [", "small.toml"),
    ],
    ids=["range", "nested range", "unknown key", "graph", "no TOML"],
)
def test_bad_configuration_is_named_by_key_path(config: Path, folder: Path, text: str, names: str) -> None:
    config.write_text(text)
    message = refused(str(config), "--endpoint", f"ipc://{folder}/c.sock")
    assert names in message
    assert len(message.strip().splitlines()) <= 2
    assert not (folder / "c.sock").exists()


def test_unknown_configuration_names_the_shipped_ones(folder: Path) -> None:
    message = refused("nope", "--endpoint", f"ipc://{folder}/c.sock")
    assert "no configuration 'nope'" in message
    assert "digits-typical" in message


@pytest.mark.parametrize("option", ["--die-seed", "--run-seed"])
def test_seed_beyond_64_bits_is_refused_by_key_path(config: Path, option: str) -> None:
    message = refused(str(config), option, str(1 << 64))
    assert f"seeds.{option[2:5]}" in message
    assert "pydantic" not in message


# hostile and simultaneous clients


def garbage(rng: random.Random) -> list[list[bytes]]:
    deep = b"\x96\xa3TSU\x01" + b"\x91" * 1000 + b"\xc0\x00\x00\x80"
    fixed = [
        [b""],
        [b"", b""],
        [b"\xc1"],
        [deep],
        [b"\x00" * 5000],
        [b"\x96\xa3TSU\x01\x02\x01\x01\x80", b"x" * 23],
        [b""] * 5000,
    ]
    return fixed + [[rng.randbytes(rng.randrange(60)) for _ in range(rng.randrange(1, 5))] for _ in range(200)]


def test_garbage_over_the_socket_is_answered_and_the_next_good_message_carried_out(folder: Path, config: Path) -> None:
    with Process(config, f"ipc://{folder}/c.sock") as process, Dealer(process.endpoint) as dealer:
        dealer.hello()
        for frames in garbage(random.Random(5)):
            dealer.send(frames)
            reply = dealer.receive()
            assert reply[0].startswith(b"\x9c\xa3TSU\x01")
        assert dealer.done(read("SYS.ID")).values.tolist() == [MAGIC]


def test_client_that_leaves_before_its_reply_harms_nobody(served: Process) -> None:
    for _ in range(5):
        with Dealer(served.endpoint) as hasty:
            hasty.hello()
            hasty.send(_frames(hasty, block_read("TOPO_SOURCE", 132), delay(10)))
    with Dealer(served.endpoint) as dealer:
        dealer.hello()
        assert dealer.done(read("SYS.ID")).values.tolist() == [MAGIC]


def test_raw_bytes_on_the_port_harm_nobody(folder: Path, config: Path) -> None:
    """No ZeroMQ greeting at all: the connection goes, the daemon stays."""
    with Process(config, "tcp://127.0.0.1:*") as process:
        port = int(process.endpoint.rsplit(":", 1)[1])
        for data in (b"GET / HTTP/1.0\r\n\r\n", bytes(1000), b"\xff" * 1000):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.sendall(data)
        with Dealer(process.endpoint) as dealer:
            dealer.hello()
            assert dealer.done(READY, read("SYS.ID")).values.tolist()[1] == MAGIC


def test_two_clients_at_once_each_get_their_own_replies(served: Process) -> None:
    with Dealer(served.endpoint) as a, Dealer(served.endpoint) as b:
        assert a.hello().session != b.hello().session
        for k in range(20):
            for dealer, value in ((a, 1000 + k), (b, 2000 + k)):
                dealer.send(_frames(dealer, write("SYS.SCRATCH", value), read("SYS.SCRATCH")))
            replies = [decode_reply(d.receive()) for d in (a, b)]
            assert [r.values.tolist() for r in replies] == [[0, 1000 + k], [0, 2000 + k]]
            assert [(r.session, r.seq) for r in replies] == [(a.session, a.seq), (b.session, b.seq)]


def test_four_clients_in_threads_see_one_chip_time(served: Process) -> None:
    """Replies of all clients, put in order of chip time, leave no overlap: the chip does one list after another."""
    spans: list[tuple[int, int]] = []

    def talk() -> None:
        with Dealer(served.endpoint) as dealer:
            dealer.hello()
            for _ in range(25):
                reply = dealer.done(read("SYS.CYCLE"), delay(7))
                spans.append((reply.t_start, reply.t_end))

    threads = [threading.Thread(target=talk) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans.sort()
    assert len(spans) == 100
    assert all(a_end <= b_start for (_, a_end), (b_start, _) in pairwise(spans))


def test_repeat_over_the_socket_returns_the_same_bytes(served: Process) -> None:
    with Dealer(served.endpoint) as dealer:
        dealer.hello()
        frames = _frames(dealer, read("SYS.CYCLE"), delay(5))
        dealer.send(frames)
        first = dealer.receive()
        dealer.send(frames)
        assert dealer.receive() == first


def test_chip_time_does_not_pass_between_messages(served: Process) -> None:
    with Dealer(served.endpoint) as dealer:
        dealer.hello()
        end = dealer.done(READY, delay(100)).t_end
        time.sleep(0.05)
        assert dealer.done(read("SYS.CYCLE")).t_start == end


# seeds


def test_seeds_on_the_command_line_override_the_file(folder: Path) -> None:
    """`run` changes spins at power-on, `die` does not; both change what a leaning die samples; equal seeds give equal bits."""
    config = folder / "spread.toml"
    config.write_text(SPREAD)
    lives = {"file": (), "same": ("--die-seed", "1", "--run-seed", "1"), "die": ("--die-seed", "2"), "run": ("--run-seed", "2")}
    power_on, sampled, boots = {}, {}, set()
    with ExitStack() as stack:
        daemons = {n: stack.enter_context(Process(config, f"ipc://{folder}/{n}.sock", *options)) for n, options in lives.items()}
        for name, process in daemons.items():
            dealer = stack.enter_context(Dealer(process.endpoint))
            boots.add(dealer.hello().body["boot"])
            first = program_rows(Instruction(Opcode.STROBE), Instruction(Opcode.HALT))
            second = program_rows(Instruction(Opcode.RUN, 20), Instruction(Opcode.STROBE), Instruction(Opcode.HALT))
            start = (write("SEQ.PC", 0), write("SEQ.CTRL", 1), HALTED, block_read("SPIN", 8))
            power_on[name] = bytes(dealer.done(READY, *first, *start).data[0])
            sampled[name] = bytes(dealer.done(*second, *start).data[0])
    assert power_on["same"] == power_on["file"] == power_on["die"] != power_on["run"]
    assert sampled["same"] == sampled["file"]
    assert len({sampled["file"], sampled["die"], sampled["run"]}) == 3
    assert len(boots) == len(lives)


def test_unknown_session_over_the_socket_is_a_typed_error(served: Process) -> None:
    with Dealer(served.endpoint) as dealer:
        dealer.session = 123456
        reply = dealer.exchange(dealer.request(read("SYS.ID")))
        assert reply.failure is not None
        assert reply.failure.code is Code.UNKNOWN_SESSION
