"""docs/calibration.md: its examples run in order, its table has the procedures, their needs and their limits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tsu_apps.calibrate.graph import standard

PAGE = Path(__file__).parents[2].joinpath("docs/calibration.md").read_text(encoding="utf-8")
PRINTED = """True True
1 True 1.0
True False True True
['adc', 'offsets', 'slopes', 'temperature', 'couplers'] fresh
5 True
(400, 64, 16) True
True True
"""


def test_examples_run_in_order(tmp_path: Path) -> None:
    examples = re.findall(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.S)
    assert len(examples) == 8
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}
    command = [sys.executable, "-W", "error", "-c", "\n".join(examples)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, env=paths, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines(keepends=True)
    assert lines[0] == "[]\n"
    assert [line.split(":")[0] for line in lines[1:7]] == [*(p.name for p in standard()), "offsets"]
    before, left = zip(*(map(float, re.findall(r"([\d.e-]+) -> ([\d.e-]+)", line)[0]) for line in lines[1:7]), strict=True)
    assert all(b > a for k, (b, a) in enumerate(zip(before, left, strict=True)) if k != 3), "an ideal temperature DAC stays"
    assert "".join(lines[7:]) == PRINTED


def test_the_table_is_that_of_the_procedures() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.M))
    assert list(rows) == [p.name for p in standard()]
    for p in standard():
        needs, _, reaches = rows[p.name].split(" | ")
        limit = f"{100 * p.limit:g} %" if not p.unit else f"{p.limit:g}"
        assert reaches.endswith(f"({limit.removeprefix('0')})")
        assert all(f"`{name}`" in needs for name in p.needs if name != "adc")
