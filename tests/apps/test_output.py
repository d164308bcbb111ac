"""What a person sees: progress, figures, reports."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from tsu_apps.learning import Bar, Moment, figures
from tsu_apps.report import Row, format_rows, write_json


def moment(tick: int, accuracy: float = math.nan, saturation: float = 0.0) -> Moment:
    return Moment(tick, 100, -10.0, 4.0, -9.5, 5.0, 1e-3, saturation, 0.0, 0.1, accuracy)


def history() -> tuple[Moment, ...]:
    return tuple(moment(tick, 0.5 + tick / 250 if tick % 20 == 0 else math.nan) for tick in range(10, 101, 10))


def test_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        bar(moment(1, accuracy=0.5))
        bar(moment(2))
        bar(moment(100, saturation=0.25))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["1/100", "100/100"]
    assert "E data -10.0 free -9.5 kT" in lines[0]
    assert "validation 0.500" in lines[1]
    assert "SATURATED 25%" in lines[1]


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    with Bar() as bar:
        bar(moment(40, accuracy=0.8))
        bar(moment(100))
    shown = capsys.readouterr().err
    assert "100/100" in shown
    assert "validation 0.800" in shown


def test_a_run_without_energies_shows_none(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        bar(dataclasses.replace(moment(1, accuracy=0.5), energy_data=math.nan, change=math.nan))
    assert capsys.readouterr().err.endswith("validation 0.500\n")


def test_hidden_weights_find_their_cells() -> None:
    pairs = np.array([[0, 2], [0, 3], [0, 4], [1, 2], [1, 3], [1, 4]], np.int32)
    weights = np.random.default_rng(0).normal(size=6)
    shown = figures.hidden_weights(weights, pairs, np.array([1, 0]), np.array([2, 3, 4]))
    np.testing.assert_array_equal(shown[:, 0], weights[3:])
    np.testing.assert_array_equal(shown[:, 1], weights[:3])


def test_panels_without_data_are_left_out() -> None:
    bare = [dataclasses.replace(m, energy_data=math.nan, saturation=math.nan) for m in history()]
    for moments, panels in ((history(), 4), (bare, 2), ([moment(1), moment(2)], 3)):
        assert sum(axis.axison for axis in figures.learning_curves(moments, "").axes) == panels


def test_figures_are_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    spins = rng.choice(np.array([-1, 1], np.int8), (2, 3, 4))
    truth = rng.integers(2, size=20)
    for number, figure in enumerate(
        [
            figures.learning_curves(history(), "learning"),
            figures.learning_curves([moment(tick) for tick in (1, 2)], "three panels"),
            figures.dreams(spins, spins[:, :1], (2, 2), "dreams"),
            figures.receptive_fields(rng.normal(size=(5, 4)), (2, 2), "fields"),
            figures.confusion(truth, truth[::-1], 2, "confusion"),
        ]
    ):
        path = tmp_path / f"{number}.png"
        figure.savefig(path)
        assert path.stat().st_size > 5000


def test_report(tmp_path: Path) -> None:
    rows = [Row.at_least("accuracy", np.float64(0.9), 0.91, spread=0.01), Row("ticks", 6000), Row("lost", math.nan, "s")]
    path = tmp_path / "deep" / "result.json"
    write_json(path, rows, config={"ticks": 6000}, seeds={"host": 0}, packages=("matplotlib", "no-such-package"))
    data = json.loads(path.read_text(encoding="utf-8"))
    assert set(data) == {"rows", "config", "seeds", "versions"}
    assert data["rows"][0] == {"name": "accuracy", "value": 0.9, "unit": "", "spread": 0.01, "goal": ">= 0.91", "ok": False}
    assert data["rows"][2]["value"] is None
    assert {"python", "numpy", "matplotlib"} <= set(data["versions"])
    assert "no-such-package" not in data["versions"]
    assert "MISSED" in format_rows(rows)
