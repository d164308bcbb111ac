"""`tsu-emu doctor` and its checks, on machines that lack something."""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.process import finished, short_directory
from tsu_emu.commands import checks
from tsu_emu.commands.checks import CHECKS, Check, Verdict, checked


@pytest.fixture
def own_run_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A run-time directory of the test's own, wherever that of the machine is."""
    with short_directory() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        yield


@pytest.mark.usefixtures("own_run_time")
def test_doctor_finds_nothing_to_fail_here() -> None:
    run = finished("doctor", "--json")
    assert run.returncode == 0, run.stdout
    found = [Check(c["name"], Verdict(c["verdict"]), c["found"], c["advice"]) for c in json.loads(run.stdout)]
    assert len(found) == len(CHECKS)
    for check in found:
        assert check.found
        assert bool(check.advice) == (check.verdict is not Verdict.OK)


@pytest.mark.usefixtures("own_run_time")
def test_table_has_a_row_for_each() -> None:
    run = finished("doctor")
    assert run.returncode == 0
    assert sum(run.stdout.count(f"\n  {v}  ") for v in Verdict) == len(CHECKS)


def test_directories_of_others_and_open_ones_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert checks.runtime_directory().verdict is Verdict.OK
    (tmp_path / "tsu-emu").mkdir(mode=0o700)
    assert checks.runtime_directory().verdict is Verdict.OK
    (tmp_path / "tsu-emu").chmod(0o770)
    assert "chmod 700" in checks.runtime_directory().advice
    (tmp_path / "tsu-emu").chmod(0o755)
    assert checks.runtime_directory().verdict is Verdict.OK
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert checks.runtime_directory().verdict is Verdict.FAIL


def test_long_paths_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    assert checks.socket_paths().verdict is Verdict.OK
    monkeypatch.setattr("tempfile.tempdir", "/tmp/" + "x" * 80)
    assert "TMPDIR" in checks.socket_paths().advice
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/" + "x" * 100)
    assert "XDG_RUNTIME_DIR" in checks.socket_paths().advice


def test_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file where the directory should be, as no permission stops root."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert checks.compiled_code().verdict is Verdict.FAIL
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new"))
    assert "warmup" in checks.compiled_code().advice


def test_what_is_scarce_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "DISK_BYTES", 1 << 70)
    monkeypatch.setattr(checks, "MEMORY_BYTES", 1 << 70)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 1024))
    assert [look().verdict for look in (checks.disk, checks.memory, checks.descriptors)] == [Verdict.WARN] * 3


def test_restricted_processor_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert "NUMBA_CPU_NAME=generic" in checks.processor().found


def test_socket_that_nobody_answers_at_is_told(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("/tmp") / f"tsu-doctor-{os.getpid()}"
    (folder / "tsu-emu").mkdir(parents=True, mode=0o700)
    try:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        assert checks.daemons().verdict is Verdict.OK
        (folder / "tsu-emu" / "left.sock").touch()
        assert "nobody listens at left.sock" in checks.daemons().found
        with socket.socket(socket.AF_UNIX) as busy:
            busy.bind(str(folder / "tsu-emu" / "busy.sock"))
            busy.listen()
            assert "no reply within 1 s at busy.sock" in checks.daemons().found
    finally:
        (folder / "tsu-emu" / "busy.sock").unlink(missing_ok=True)
        (folder / "tsu-emu" / "left.sock").unlink(missing_ok=True)
        (folder / "tsu-emu").rmdir()
        folder.rmdir()


def test_check_that_breaks_down_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def odd_machine() -> Check:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(checks, "CHECKS", (odd_machine,))
    (check,) = checked()
    assert (check.name, check.verdict) == ("odd machine", Verdict.FAIL)
    assert "no such thing" in check.found
