"""Compiled code of other versions: `tsu-emu warmup` removes what nobody has used for 30 days."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tsu_emu import code_cache, warmup
from tsu_emu.__main__ import app
from tsu_emu.commands.older import last_used, other_versions, remove_forgotten

OURS = "0" * 16
DAY_S = 86400


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of compiled code, with that of this version, which is old."""
    monkeypatch.setattr(code_cache, "cache_directory", lambda: tmp_path / OURS)
    version(tmp_path, OURS, 400)
    return tmp_path


def version(base: Path, name: str, days: float, read: float | None = None, noted: bool = True) -> Path:
    """Code of a version that was written so many days ago and read so many ago; noted : that it was used at the first."""
    (base / name / "part").mkdir(parents=True)
    now = time.time()
    for path in [base / name / "part/code.nbc", *([base / name / code_cache.IN_USE] if noted else [])]:
        path.write_bytes(b"x" * 1000)
        os.utime(path, (now - DAY_S * (days if read is None else read), now - DAY_S * days))
    return base / name


def test_what_is_forgotten_goes_and_nothing_else(base: Path) -> None:
    gone = [version(base, "a" * 16, 31), version(base, "b" * 16, 31, noted=False)]
    kept = [base / OURS, version(base, "c" * 16, 29), version(base, "d" * 16, 31, read=29, noted=False)]
    kept += [version(base, "peers-1234567890", 90), version(base, "e" * 15, 90)]
    assert len(other_versions()) == 4
    assert remove_forgotten() == (2, 3000)
    assert not any(path.exists() for path in gone)
    assert sorted(base.iterdir()) == sorted(kept)
    assert remove_forgotten() == (0, 0)


def test_what_a_process_holds_stays_however_long_ago_it_started(base: Path) -> None:
    place = version(base, "a" * 16, 31)
    code_cache.hold(place)
    (held,) = (int(fd.name) for fd in Path("/proc/self/fd").iterdir() if fd.resolve() == place / code_cache.IN_USE)
    assert abs(last_used(place) - time.time()) < 60
    os.utime(place / code_cache.IN_USE, (0, 0))
    assert remove_forgotten() == (0, 0)
    assert place.exists()
    os.close(held)
    assert remove_forgotten() == (1, 2000)


def test_a_directory_that_cannot_be_made_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code_cache.hold(tmp_path / "file" / OURS)


def test_warmup_says_so(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "warm_up", lambda progress, config: None)
    version(base, "a" * 16, 31)
    run = CliRunner().invoke(app, ["warmup", "ideal-16"])
    assert run.exit_code == 0
    assert "removed compiled code of 1 other versions" in run.output
    assert "removed" not in CliRunner().invoke(app, ["warmup", "ideal-16"]).output
