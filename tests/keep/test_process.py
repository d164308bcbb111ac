"""A real daemon with a directory: killed, ended, started anew, and refused where it must be."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.harness import delay, program_rows, read, records_of, wait, write
from server.process import SMALL, Dealer, Process, command, environment, finished, short_directory
from tsu_contract.errors import Code
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import value_of
from tsu_contract.wire import encode_request
from tsu_driver.links import ZmqLink
from tsu_driver.session import Session
from tsu_emu.keep.disk import OsDisk
from tsu_emu.keep.store import load
from tsu_emu.server.daemon import DRAIN_SECONDS

READY = wait("SYS.BOOT", value_of("SYS.BOOT.STAGE", "READY"), 0xFF, 100_000)
ENDLESS = program_rows(Instruction(Opcode.RUN, 0xFFFFFFFF))
REQUESTS = 52


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_directory() as path:
        (path / "small.toml").write_text(SMALL)
        yield path


def started(folder: Path, *arguments: str) -> Process:
    return Process(folder / "small.toml", f"ipc://{folder}/c.sock", "--state", str(folder / "state"), *arguments)


def in_snapshot(state: Path) -> int:
    """Requests that the newest snapshot has: it is taken by processor time, so how many there are is the machine's."""
    disk = OsDisk(state)
    kept = load(disk)
    disk.close()
    assert kept is not None
    return kept.snapshot.number


def killed(process: Process) -> None:
    process.signal(signal.SIGKILL)
    process.end()


@pytest.mark.parametrize("keep", ["fast", "durable"])
def test_killed_daemon_goes_on_and_clients_notice_nothing(folder: Path, keep: str) -> None:
    with started(folder, "--keep", keep) as first, Dealer(first.endpoint) as dealer:
        hello = dealer.hello().body
        dealer.done(READY)
        for k in range(REQUESTS - 2):
            dealer.done(write("SYS.SCRATCH", k))
        killed(first)
        since = REQUESTS - in_snapshot(folder / "state")
        with started(folder, "--keep", keep) as second:
            assert second.lines[-2] == {"event": "recovered", "requests": since, "cut": 0, "first": False}
            assert dealer.done(read("SYS.SCRATCH")).values.tolist() == [REQUESTS - 3]
            with Dealer(second.endpoint) as other:
                again = other.hello().body
            assert hello["keeps"] == again["keeps"] == keep
            assert hello["boot"] != again["boot"]
            assert hello["epoch"] == again["epoch"] == 0
            assert hello["session"] != again["session"]


def test_driver_gets_the_reply_of_a_request_whose_daemon_was_killed_and_it_was_done_once(folder: Path) -> None:
    with started(folder) as first:
        session = Session(ZmqLink(first.endpoint), 60.0)
        rows = program_rows(Instruction(Opcode.RUN, 200_000_000), Instruction(Opcode.HALT))
        session.finish(session.start(records_of([READY, *rows, write("SEQ.CTRL", 1)]), ()))
        replies = []
        exchange = session.start(records_of([delay(40_000_000), read("SYS.CYCLE")]), ())
        thread = threading.Thread(target=lambda: replies.append(session.finish(exchange)))
        thread.start()
        time.sleep(0.3)
        killed(first)
        with started(folder):
            thread.join(60)
            (reply,) = replies
            assert reply.failure is None
            assert reply.t_end - reply.t_start < 41_000_000
            session.close()


def test_request_without_end_is_broken_off_by_sigterm_and_leaves_nothing(folder: Path) -> None:
    with started(folder) as first, Dealer(first.endpoint) as dealer:
        dealer.hello()
        cycle = dealer.done(READY, *ENDLESS, write("SEQ.CTRL", 1)).t_end
        frames = [bytes(f) for f in encode_request(dealer.request(delay(1 << 60)))]
        dealer.send(frames)
        dealer.until_busy()
        begun = time.monotonic()
        first.signal(signal.SIGTERM)
        assert first.end() == 0
        assert time.monotonic() - begun > DRAIN_SECONDS
        with started(folder):
            dealer.seq -= 1
            assert dealer.done(read("SYS.CYCLE")).t_start == cycle


def test_request_without_end_that_was_killed_is_left_out_by_sigterm_at_the_next_start(folder: Path) -> None:
    with started(folder) as first, Dealer(first.endpoint) as dealer:
        dealer.hello()
        cycle = dealer.done(READY, *ENDLESS, write("SEQ.CTRL", 1)).t_end
        dealer.send([bytes(f) for f in encode_request(dealer.request(delay(1 << 60)))])
        dealer.until_busy()
        killed(first)
        config, state = str(folder / "small.toml"), str(folder / "state")
        again = subprocess.Popen(
            command("serve", config, "--endpoint", first.endpoint, "--state", state), env=environment(), stdout=subprocess.PIPE
        )
        assert again.stdout is not None
        try:
            while b"carrying out again" not in (line := again.stdout.readline()):
                assert line
            assert dealer.nothing_comes(500)
            again.terminate()
            out, _ = again.communicate(timeout=60)
        finally:
            again.kill()
        assert (again.returncode, b'"stopped"' in out) == (0, True)
        with started(folder):
            dealer.seq -= 1
            assert dealer.done(read("SYS.CYCLE")).t_start == cycle


def test_daemon_without_a_directory_knows_no_earlier_session(folder: Path) -> None:
    endpoint = f"ipc://{folder}/c.sock"
    with Process(folder / "small.toml", endpoint) as first:
        session = Session(ZmqLink(endpoint), 20.0)
        killed(first)
    with Process(folder / "small.toml", endpoint):
        reply = session.finish(session.start(records_of([read("SYS.ID")]), ()))
        assert reply.failure is not None
        assert reply.failure.code is Code.UNKNOWN_SESSION
        assert "started anew and kept nothing" in reply.failure.message
        session.close()


def test_what_cannot_be_kept_is_refused_in_words(folder: Path) -> None:
    state = ("--state", str(folder / "state"))
    with started(folder):
        run = finished("serve", str(folder / "small.toml"), "--endpoint", f"ipc://{folder}/d.sock", *state)
        assert "another daemon keeps its chip there" in run.stderr
    run = finished("serve", str(folder / "small.toml"), "--endpoint", f"ipc://{folder}/d.sock", *state, "--run-seed", "9")
    assert (run.returncode, "Traceback" in run.stderr) == (2, False)
    assert "seeds.run was 1, is 9" in run.stderr
