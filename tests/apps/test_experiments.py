"""The experiments' tool: it measures, keeps what it measured, goes on where it was, and names what it does not know."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "experiments"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(TOOL), *arguments], capture_output=True, text=True, cwd=ROOT, timeout=300)


def test_a_quick_run_is_kept_and_goes_on(tmp_path: Path) -> None:
    """One experiment of one case: a teacher is learnt; the second time, with a seed more, only that one is measured."""
    store, out = ("--quick", "--workers", "1", "--store", str(tmp_path)), tmp_path / "rows.json"
    first = run("teacher", "--seeds", "1", *store, "--json", str(out))
    assert first.returncode == 0, first.stderr
    assert "0 of 1 runs are in the store, 1 to do" in first.stderr
    rows = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    assert rows["teacher: KL"]["value"] < 0.1 * rows["teacher: KL of a machine that knows nothing"]["value"]
    second = run("teacher", "--seeds", "2", *store)
    assert "1 of 2 runs are in the store, 1 to do" in second.stderr
    assert " ± " in second.stdout
    assert "2 of 2 runs are in the store, 0 to do" in run("teacher", "--seeds", "2", *store).stderr


def test_a_broken_result_is_measured_again(tmp_path: Path) -> None:
    """A file that is no JSON, or another case's, is as good as none."""
    sys.path.insert(0, str(TOOL))
    try:
        from experiment import Case
        from store import Store
    finally:
        sys.path.remove(str(TOOL))
    store, case = Store(tmp_path), Case("a", dict, {"x": 1})
    store.save("e", case, 0, {"y": 2.0}, 1.0)
    assert store.load("e", case, 0) == {"y": 2.0}
    assert store.load("e", Case("a", dict, {"x": 2}), 0) is None
    file = next(tmp_path.rglob("*.json"))
    file.write_text(file.read_text()[:-5])
    assert store.load("e", case, 0) is None


def test_every_experiment_is_listed_and_an_unknown_one_is_named() -> None:
    listed = run("--list")
    assert listed.returncode == 0
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert {"digits", "bars", "precision", "imperfect", "table1"} <= set(names)
    wrong = run("digit")
    assert wrong.returncode == 2
    assert "no experiment 'digit'" in wrong.stderr
