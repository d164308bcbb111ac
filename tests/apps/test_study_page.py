"""docs/studies.md: its example runs, as a user's file, and its names are those that there are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytest.importorskip("matplotlib")

from tsu_apps.study import Study, load

PAGE = Path(__file__).parents[2].joinpath("docs/studies.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path: Path) -> None:
    """Two dies. Without a spread of slopes the rms error of 16 means of 32,000 samples is about sqrt(.79 / 32000) = .005, its own
    spread 1 / sqrt(2 * 32) = 13 %; a spread of 10 % adds h (1 - tanh^2 h) .1 = .04."""
    example = re.search(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.S)
    assert example is not None
    (tmp_path / "my_study.py").write_text(example[1])
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}
    command = [sys.executable, "-W", "error", "-m", "tsu_apps.study", "my_study.py", "--dies", "2", "--workers", "2"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, env=paths, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "written to report/studies/slopes" in ran.stdout
    data = load(tmp_path / "report/studies/slopes/slopes.nc")
    exact, spread = (float(np.sqrt((data["error"].sel(slope_sigma=s) ** 2).mean())) for s in (0.0, 0.1))
    assert 0.35 * 0.005 < exact < 1.65 * 0.005
    assert spread > 3 * exact


def test_every_part_of_a_study_is_told() -> None:
    told = set(re.findall(r"`(\w+)`", PAGE.split("| of a `Study` |")[1].split("\n\n")[0]))
    assert {field.name for field in fields(Study)} - {"measure"} <= told
