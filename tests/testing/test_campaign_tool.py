"""tools/run campaign: a small one, what it writes, and a fault again."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from tsu_testing.campaign import OUTCOMES
from tsu_testing.faults import KINDS
from tsu_testing.outcomes import draw, judge, wilson

pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytest.importorskip("matplotlib")
pytest.importorskip("scipy")

TOOL = Path(__file__).parents[2] / "tools" / "campaign.py"
sys.path.append(str(TOOL.parent))
OF_A_SCENARIO_THAT_IS_WRONG = """
from tsu_apps.study import Study
from tsu_emu.config import load
from tsu_testing.campaign import Campaign, Played
from tsu_testing.guarded import IMAGE
from tsu_testing.outcomes import KIND, QUANTITIES

class Wrong:
    config = load("ideal-16", {"cpu.image": str(IMAGE), "fabric.topology.cells": 2})
    def play(self, host):
        host.until(100)
        return Played(False)

CAMPAIGN = Campaign(Wrong())

def measure(point, die_seed):
    return CAMPAIGN.measure(point["kind"], die_seed)

STUDY = Study("wrong", "", measure, QUANTITIES, [KIND], dies=1)
"""


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeat", "gamma", "1"], "gamma is no kind of fault; there are ram, register,"),
        (["--repeat", "ram", "-1"], "-1 is no seed, a number of 0 or more"),
        (["--repeat", "ram", "1", "--coverage", "cov.info"], "not allowed with"),
        (["wrong.py"], "without faults the scenario is to come out right"),
    ],
)
def test_what_the_tool_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:  # fmt: skip
    (tmp_path / "wrong.py").write_text(OF_A_SCENARIO_THAT_IS_WRONG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["campaign", *arguments])
    with pytest.raises(SystemExit) as ended:
        sys.exit(import_module("campaign").main())
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_kind_without_an_outcome_is_counted_and_not_drawn() -> None:
    """As on a chip without converters, whose dead ones all raise."""
    xr = pytest.importorskip("xarray")
    outcome = np.array([[0.0, 4.0, 4.0], [np.nan] * 3])
    data = xr.Dataset({"outcome": (("kind", "die"), outcome)}, {"kind": ["ram", "dead-adc"]})
    rows = {row.name: row for row in judge(data)}
    assert rows["faults without an outcome"].value == 3
    assert rows["faults without an outcome"].ok is False
    left, right = draw(data)["campaign"].axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["ram"]
    assert len(right.containers) == 2
    assert not draw(data.sel(kind=["dead-adc"]))["campaign"].axes[0].get_yticklabels()


def test_intervals() -> None:
    """Wilson's for none of 100: 0 to z^2 / (n + z^2)."""
    assert wilson(0, 100) == pytest.approx((0.0, 1.96**2 / (100 + 1.96**2)), abs=1e-4)
    assert wilson(50, 100) == pytest.approx((0.404, 0.596), abs=1e-3)
