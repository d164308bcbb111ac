"""Figures about many clients, status and clocks in their small size. What a busy machine delays has wider bounds here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from server.process import environment
from trust.trusting import missed, module

Effort = module("effort").Effort


@pytest.mark.parametrize(
    ("name", "timed"),
    [
        ("clients", ("p99",)),
        ("subscribers", ("slower", "cut after")),
        ("status", ("at the most",)),
        ("clocks", ("off by",)),
    ],
)
def test_figure_in_its_small_size(name: str, timed: tuple[str, ...]) -> None:
    rows = module(name).measure(Effort(False, 1))
    assert len(rows) >= 4
    assert missed(rows, timed) == []


def test_module_that_reads_the_systems_time_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row about it can miss: two of these four read it."""
    clocks = module("clocks")
    (tmp_path / "a.py").write_text("import time\nx = time.monotonic()\n")
    (tmp_path / "b.py").write_text("import time\nx = time.time()\n")
    (tmp_path / "c.py").write_text("from datetime import datetime\nx = datetime.now()\n")
    (tmp_path / "events.py").write_text("import time\nx = time.time()\n")
    monkeypatch.setattr(clocks, "tsu_emu", type(sys)("odd"))
    clocks.tsu_emu.__path__ = [str(tmp_path)]
    assert [Path(p).name for p in clocks.readers()] == ["b.py", "c.py"]


def test_clock_that_jumps_does_jump() -> None:
    """Else the comparison of two daemons shows nothing."""
    code = "import time; print(len({int(time.time() / 1e6) for _ in range(50)}))"
    with module("clocks")._clock(5):
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert int(run.stdout) > 20
