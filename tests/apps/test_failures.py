"""The failure presets at a fifth of their size: each fails, raises its flag, and a healthy run raises none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsu_apps.learning import failures
from tsu_apps.learning.ctd import Ctd
from tsu_apps.learning.failures import PRESETS, Run, load_digits, main, rows, train
from tsu_apps.models import Likelihood

URL = "emu:digits-ideal?threads=1"
SIZES = {"healthy": 500, "erosion": 500, "deposition-noise": 300, "temperature-collapse": 300}
"""Ticks of each run; digits take about 400 to saturate at r = .5."""
HELD_OUT_ERROR = (0.25 / 360) ** 0.5
"""Greatest standard error of an accuracy on 360 digits."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Run], Path]]:
    """Every preset and a healthy run, 50 looks each; likelihoods and figures, which have tests of their own, are left out."""
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ctd, "likelihood", lambda *_: Likelihood(np.zeros(1), 0.0, 0.0, 0.0, np.inf, ()))
        patch.setattr("tsu_apps.learning.training.MOMENTS", 50)
        patch.setattr(failures.Report, "_figures", lambda *_: {})
        digits, found = load_digits(), {}
        for name, ticks in SIZES.items():
            changes: dict[str, Any] = dict(PRESETS[name].changes) if name in PRESETS else {}
            report = folder / name
            found[name] = train(URL, changes | {"ticks": ticks}, digits, seed=0, folder=report, progress=False)
        yield found, folder


@pytest.mark.parametrize("name", list(PRESETS))
def test_each_failure_raises_its_flag(runs: tuple[dict[str, Run], Path], name: str) -> None:
    """The accuracy is worse than the healthy run's by 5 standard errors, and the flag says why."""
    found, _ = runs
    failing, healthy = found[name], found["healthy"]
    assert PRESETS[name].flag in failing.flags
    assert failing.values["accuracy"] < healthy.values["accuracy"] - 5 * HELD_OUT_ERROR
    assert failing.values["flags raised"] == len(failing.flags) >= 1


def test_a_healthy_run_raises_none(runs: tuple[dict[str, Run], Path]) -> None:
    healthy = runs[0]["healthy"]
    assert healthy.flags == {}
    assert healthy.values["accuracy"] > 0.75


def test_each_failure_shows_in_its_numbers(runs: tuple[dict[str, Run], Path]) -> None:
    values = {name: run.values for name, run in runs[0].items()}
    assert values["erosion"]["targets kept"] < 0.1 < values["healthy"]["targets kept"]
    assert values["erosion"]["biases at an end of their range"] > 0.02
    assert values["deposition-noise"]["greatest noise field"] > 2 > 0.5 > values["healthy"]["greatest noise field"]
    assert values["temperature-collapse"]["mixing"] < 0.2 < 0.5 < values["healthy"]["mixing"]
    visits = {name: v["basins that a plane visits"] for name, v in values.items()}
    assert visits["temperature-collapse"] < 5 < 20 < visits["healthy"]


def test_each_run_has_a_report(runs: tuple[dict[str, Run], Path]) -> None:
    found, folder = runs
    for name, run in found.items():
        result = json.loads((folder / name / "result.json").read_text())
        stored = {row["name"]: row["value"] for row in result["rows"]}
        assert stored["accuracy"] == run.values["accuracy"]
        assert set(result["config"]["flags"]) == set(run.flags)
        assert "finished" in (folder / name / "index.html").read_text()


def run_of(flags: dict[str, str], **values: float) -> Run:
    """A run that meets the goals of healthy ones, but for some values."""
    names = {goal for preset in PRESETS.values() for goal in preset.goals}
    fine = dict.fromkeys(names, 0.0) | {"accuracy": 0.9, "targets kept": 0.9, "mixing": 0.6, "basins that a plane visits": 40.0}
    return Run(fine | {"flags raised": float(len(flags))} | {k.replace("_", " "): v for k, v in values.items()}, flags)


def test_rows_judge_both_runs() -> None:
    """A healthy run in place of the failing one, or a flag in the healthy one, misses goals."""
    preset = PRESETS["temperature-collapse"]
    healthy = run_of({})
    failing = run_of({"frozen": "still"}, accuracy=0.5, mixing=0.1, basins_that_a_plane_visits=2.0)
    good = rows(preset, failing, healthy)
    assert all(row.ok is not False for row in good)
    assert sum(row.goal is not None for row in good) == 1 + 3 + 4
    assert {row.name for row in rows(preset, healthy, healthy) if row.ok is False} == {
        "failing: flag 'frozen' is up",
        "failing: accuracy",
        "failing: mixing",
        "failing: basins that a plane visits",
    }
    assert [row.name for row in rows(preset, failing, run_of({"noisy": "!"})) if row.ok is False] == ["healthy: flags raised"]


@pytest.mark.parametrize(("accuracy", "code"), [(0.1, 0), (0.9, 1)])
def test_the_command_prints_and_writes_its_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, accuracy: float, code: int
) -> None:
    """Exit code 0 if all goals are met; both runs have one seed."""
    seeds: list[int] = []

    def fake(url: str, changes: Any, digits: Any, *, seed: int, folder: Path | None, progress: bool) -> Run:
        seeds.append(seed)
        worse = {"accuracy": accuracy, "couplings_at_an_end_of_their_range": 0.5, "targets_kept": 0.0}
        return run_of({"saturated": "half of them"}, **worse) if changes else run_of({})

    monkeypatch.setattr(failures, "train", fake)
    assert main(["erosion", "--json", str(tmp_path / "rows.json"), "--seed", "7"]) == code
    shown = capsys.readouterr()
    assert "flag 'saturated', half of them" in shown.out
    assert "healthy run on emu:digits-ideal" in shown.err
    assert seeds == [7, 7]
    data = json.loads((tmp_path / "rows.json").read_text())
    assert data["config"]["flags"] == {"saturated": "half of them"}
    assert data["seeds"] == {"host": 7}


def test_a_wrong_chip_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["erosion", "--url", "emu:ideal-16?threads=1"]) == 2
    assert "visible names cell 16; the chip has cells 0 .. 15" in capsys.readouterr().err
