"""docs/twin.md: its examples run in order; the program writes what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tsu_apps.command import main
from tsu_apps.twin import Fit
from tsu_emu.config import load

PAGE = Path(__file__).parents[2].joinpath("docs/twin.md").read_text(encoding="utf-8")
CHIP = "emu:ideal-16?fabric.topology.cells=4&cell.offset_sigma_kt=0.2&threads=1"


def test_examples_run_in_order(tmp_path: Path) -> None:
    examples = re.findall(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.S)
    assert len(examples) == 3
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}
    command = [sys.executable, "-W", "error", "-c", "\n".join(examples)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, env=paths, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "[True, False]\nTrue 6\n"


def test_the_program_writes_a_twin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, found = tmp_path / "twin.toml", tmp_path / "found.json"
    assert main(["twin", CHIP, "--output", str(out), "--effort", ".05", "--json", str(found)]) == 0
    fit, config = Fit.load(tmp_path / "twin.npz"), load(str(out))
    assert config.die.slope == pytest.approx(fit.bias_gain, rel=1e-6)
    assert 0.02 < json.loads(found.read_text())["offset_kt"]["value"] < 1.0
    assert "coupler_gain_less_1" in capsys.readouterr().out


def test_the_program_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twin", "emu:potts-36", "--output", str(tmp_path / "twin.toml")]) == 2
    assert "tsu twin: cells of this chip are of kind pdit" in capsys.readouterr().err
    for more in (["--output", "twin.txt"], ["--output", "twin.toml", "--effort", "99"], ["--output", "a.toml", "--watch", "nan"]):
        with pytest.raises(SystemExit) as end:
            main(["twin", CHIP, *more])
        assert end.value.code == 2
