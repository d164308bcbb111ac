"""tools/run campaign: a small one, what it writes, and a fault again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tsu_testing.campaign import OUTCOMES
from tsu_testing.faults import KINDS
from tsu_testing.outcomes import wilson

pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytest.importorskip("matplotlib")
pytest.importorskip("scipy")

TOOL = Path(__file__).parents[2] / "tools" / "campaign.py"


def campaign(folder: Path, *arguments: str) -> str:
    """What the tool prints."""
    ran = subprocess.run([sys.executable, str(TOOL), *arguments], capture_output=True, text=True, timeout=300, cwd=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_a_campaign_and_one_of_its_faults(tmp_path: Path) -> None:
    """One fault of each kind, each with an outcome; the one that is repeated has the outcome and the cycle of the table."""
    printed = campaign(tmp_path, "--dies", "1", "--workers", "0", "--json", "rows.json")
    rows = {row["name"]: row for row in json.loads((tmp_path / "rows.json").read_text())["rows"]}
    assert rows["faults"]["value"] == len(KINDS)
    assert rows["faults without an outcome"]["ok"]
    assert sum(rows[f"{kind}: {outcome}"]["value"] for kind in KINDS for outcome in OUTCOMES) == len(KINDS)
    assert rows["stall: recovered"]["value"] == 1
    folder = tmp_path / "report" / "studies" / "defended"
    assert (folder / "campaign.png").stat().st_size > 10_000
    faults = json.loads((folder / "faults.json").read_text())["rows"]
    assert len(faults) == len(KINDS)
    name, cycle = faults[0]["name"], faults[0]["value"]
    kind, seed, outcome = name.split()
    again = campaign(tmp_path, "--repeat", kind, seed)
    assert f"at cycle {cycle:.0f}" in again
    assert f"outcome: {outcome}" in again
    listed = [line.split()[-2:] for line in printed.splitlines() if "--repeat" in line]
    assert listed == [f["name"].split()[:2] for f in faults if f["name"].endswith(("silent", "hang"))]


def test_intervals() -> None:
    """Wilson's for none of 100: 0 to z^2 / (n + z^2)."""
    assert wilson(0, 100) == pytest.approx((0.0, 1.96**2 / (100 + 1.96**2)), abs=1e-4)
    assert wilson(50, 100) == pytest.approx((0.404, 0.596), abs=1e-3)
