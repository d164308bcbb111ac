"""URLs, ZeroMQ, and private daemons as programs of their own."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import selectors
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
import tsu_driver.daemon
from tsu_driver import links
from tsu_driver.daemon import Daemon
from tsu_driver.instruments import Instruments
from tsu_driver.opening import emulator_command

PROGRAM = [sys.executable, str(Path(__file__).with_name("fake_daemon.py"))]


@pytest.fixture(autouse=True)
def find_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_over_ipc() -> None:
    daemon = Daemon([*PROGRAM, "serves"])
    directory = Path(daemon.endpoint.removeprefix("ipc://")).parent
    assert directory.stat().st_mode & 0o777 == 0o700
    with tsu.open(daemon.endpoint, timeout_s=5) as chip:
        chip.program_couplings(np.zeros((9, 9)))
        assert chip.sample(3).shape == (3, 3, 9)
        batch = chip.batch()
        batch.write_window("COUPLING", np.arange(24, dtype=np.int16))
        ticket = batch.read_window("COUPLING")
        batch.execute()
        assert ticket.value.tolist() == list(range(24))
    pid = daemon._process.pid
    assert alive(pid)
    daemon.close()
    daemon.close()
    assert not alive(pid)
    assert not directory.exists()


def test_late_replies_are_dropped() -> None:
    daemon = Daemon([*PROGRAM, "slow"])
    with tsu.open(daemon.endpoint, timeout_s=5) as chip:
        chip.timeout_s = 0.05
        batch = chip.batch()
        ticket = batch.update("SYS.SCRATCH", VALUE=1)
        with pytest.raises(tsu.LinkTimeout, match=r"within 0.05 s; raise timeout_s"):
            batch.execute()
        chip.timeout_s = 5
        batch.execute()
        assert ticket.value == 0
        assert [chip.read_register(r) for r in ("SYS.SCRATCH", "SYS.BOOT.STAGE", "SYS.SCRATCH")] == [1, 2, 1]
    daemon.close()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(tsu.LinkTimeout, match=f"HELLO .* there is no socket {tmp_path}/none"):
        tsu.open(f"ipc://{tmp_path}/none", timeout_s=0.05)
    with pytest.raises(tsu.LinkTimeout, match="is a daemon serving there"):
        tsu.open(f"ipc://@{tmp_path}/none", timeout_s=0.05)


def test_a_daemon_that_comes_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Who opens is told that there is no socket, once, and then has the chip."""
    monkeypatch.setattr(links, "UNMET_S", 0.05)
    daemon, late = Daemon([*PROGRAM, "serves"]), tmp_path / "late"

    class Comes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            late.symlink_to(daemon.endpoint.removeprefix("ipc://"))

    comes = Comes()
    links.LOG.addHandler(comes)
    try:
        with tsu.open(f"ipc://{late}", timeout_s=30) as chip:
            assert chip.name
    finally:
        links.LOG.removeHandler(comes)
        daemon.close()
    (record,) = caplog.records
    said = re.fullmatch(r"there is no socket (.*); waiting for a daemon there for (\d+) s more", record.message)
    assert said is not None
    assert (said[1], 20 < int(said[2]) <= 30) == (str(late), True)


@pytest.mark.parametrize(
    ("mode", "timeout_s", "message"),
    [
        ("error", 30.0, "did not start: no configuration 'nope'"),
        ("silent", 30.0, "ended with code 2 before it was ready; what it said is on standard error"),
        ("dies", 30.0, r"ended with code 3 before it was ready; it said last: compiling \(1/2\)"),
        ("hangs", 1.0, r"not ready, and said nothing for 1 s; it said last: (compiling \(1/2\)|nothing)"),
    ],
)
def test_daemons_that_do_not_start(monkeypatch: pytest.MonkeyPatch, mode: str, timeout_s: float, message: str) -> None:
    monkeypatch.setattr(tsu_driver.daemon, "STOP_TIMEOUT_S", 0.5)
    with pytest.raises(tsu.LinkError, match=message):
        Daemon([*PROGRAM, mode], timeout_s)


def test_time_of_a_start_counts_from_the_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float | None] = []

    class Patient(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            given.append(timeout)
            return super().select(30.0)

    monkeypatch.setattr(tsu_driver.daemon.selectors, "DefaultSelector", Patient)
    with pytest.raises(tsu.LinkError, match=r"ended with code 3 before it was ready; it said last: compiling \(8/9\)"):
        Daemon([*PROGRAM, "toils"], timeout_s=1.0)
    assert len(given) > 2
    assert set(given) == {1.0}


def test_daemon_that_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsu_driver.daemon, "STOP_TIMEOUT_S", 0.2)
    daemon = Daemon([*PROGRAM, "lingers"])
    pid = daemon._process.pid
    daemon.close()
    assert not alive(pid)


def test_progress_of_slow_starts_only(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a second, and then a line every three."""
    now = [0.0]
    monkeypatch.setattr(tsu_driver.daemon, "time", SimpleNamespace(monotonic=lambda: now[0]))
    Daemon([*PROGRAM, "serves"]).close()
    assert capfd.readouterr().err == ""
    progress = tsu_driver.daemon.Progress()
    for done, at in enumerate((0.9, 1.1, 4.0, 4.2), 1):
        now[0] = at
        progress.show({"text": "compiling", "done": done, "total": 4})
    assert capfd.readouterr().err == "tsu: compiling (2/4)\ntsu: compiling (4/4)\n"


def test_daemon_ends_with_its_owner(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    source = (
        "import os, sys; from tsu_driver.daemon import Daemon; d = Daemon(sys.argv[2:]);"
        "open(sys.argv[1], 'w').write(str(d._process.pid)); os._exit(0)"
    )
    os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", source, str(note), *PROGRAM, "serves"])
    pid = int(note.read_text())
    for _ in range(400):
        if not alive(pid) or "Z" in Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1][:3]:
            return
        time.sleep(0.05)
    pytest.fail("the daemon outlived its owner")


def test_emulator_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    command = emulator_command("emu:my chips/a.toml?die_seed=3&threads=2")
    assert command[1:] == ["-m", "tsu_emu", "serve", "my chips/a.toml", "--die-seed", "3", "--threads", "2"]
    assert emulator_command("emu:x?coupling.dac.bits=6")[4:] == ["x", "--set", "coupling.dac.bits=6"]
    for url, message in (
        ("emu:x?seed=3", "has the option 'seed'; there are die_seed, run_seed, threads, bench, and keys of the configuration"),
        ("emu:x?threads=two", "threads is 'two'; a whole number from 1 on is expected"),
        ("emu:x?threads=0", "threads is '0'; a whole number from 1 on is expected"),
        ("emu:x?die_seed=-1", "die_seed is '-1'; a whole number from 0 on is expected"),
        ("emu:x?bench=2", "bench is '2'; 0 or 1 is expected"),
        (None, "url = None; a string expected, such as 'emu:ideal-16'"),
        ("emu:", "names no configuration"),
        ("http://x", r"a URL is ipc://path, tcp://host:port, tcp\+curve://\.\.\. or emu:NAME"),
    ):
        with pytest.raises(tsu.HostError, match=message):
            tsu.open(url)  # type: ignore[arg-type]
    with pytest.raises(tsu.HostError, match=r"^/no/file\.tsucal: No such file or directory$"):
        tsu.open("emu:x", calibration="/no/file.tsucal")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(tsu.LinkError, match="pip install tsu-emu"):
        tsu.open("emu:x")


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "5", None])
def test_times_that_are_none_are_refused_and_any_other_may_be_waited(seconds: Any) -> None:
    for look in (tsu.open, tsu.observe, tsu.status, Instruments):
        with pytest.raises(tsu.HostError, match=f"timeout_s = {seconds}; a positive number of seconds expected"):
            look("ipc:///tmp/none", timeout_s=seconds)


def test_time_without_end() -> None:
    daemon = Daemon([*PROGRAM, "serves"])
    for without_end in (float("inf"), 1e300):
        with tsu.open(daemon.endpoint, timeout_s=without_end) as chip:
            assert chip.read_register("SYS.BOOT.STAGE") == 2
            with pytest.raises(tsu.HostError, match="timeout_s = 0"):
                chip.timeout_s = 0
    daemon.close()
