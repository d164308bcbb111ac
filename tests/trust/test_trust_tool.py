"""`tools/run trust`: figures by name, rows with goals, and what is missing or breaks down is not passed over."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trust.trusting import module
from tsu_apps.report import Row

ROOT = Path(__file__).resolve().parents[2]
Effort = module("effort").Effort


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools/trust"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_effort_says_what_repeats_it() -> None:
    assert Effort(True, 7).again("F3", cycle=12) == "tools/run trust --figures F3 --seed 7 --long, cycle 12"
    assert (Effort(False, 0).size(3, 9), Effort(True, 0).size(3, 9)) == (3, 9)


def test_module_that_is_not_there_or_breaks_down_is_a_missed_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = module("__main__")
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "breaks_down_here.py").write_text("def measure(effort):\n    raise ValueError('no')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(tool, "FIGURES", {"X1": ("not_there_at_all", ""), "X2": ("breaks_down_here", "")})
    for figure, said in (("X1", "not_there_at_all.py is not there"), ("X2", "broke down: ValueError")):
        (row,) = tool.measured(figure, Effort(False, 5))
        assert isinstance(row, Row)
        assert row.ok is False
        assert said in row.name
    assert "--seed 5" in row.name


def test_unknown_figures_are_refused_and_known_ones_listed() -> None:
    refused = run("--figures", "F99")
    assert refused.returncode == 2
    assert "no figure F99; there are F1, F2" in refused.stderr
    shown = run("--help").stdout
    assert all(f"F{k} " in shown for k in range(1, 17))


def test_rows_are_written_with_the_seed(tmp_path: Path) -> None:
    """F12 is quick: it needs no daemon."""
    done = run("--figures", "F12", "--seed", "3", "--json", str(tmp_path / "rows.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads((tmp_path / "rows.json").read_text())
    assert data["seeds"] == {"trust": 3}
    assert data["rows"]
    assert all(row["name"].startswith("F12 ") and row["ok"] is not False for row in data["rows"])
