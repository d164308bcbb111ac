"""docs/production.md: its examples run in order, its table has the values and their standard limits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("scipy")

from tsu_apps.production import STANDARD

PAGE = Path(__file__).parents[2].joinpath("docs/production.md").read_text(encoding="utf-8")
PRINTED = """True 1 ('adc-enob',)
0.13 True True
0.94 0.838 0.979
1.4 0.63 2.17 True
0.011 0.012 0.18 True
7 0.18
0.0120 0.0193 0.104 0.150
"""


def test_examples_run_in_order(tmp_path: Path) -> None:
    examples = re.findall(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.S)
    assert len(examples) == 5
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}
    command = [sys.executable, "-W", "error", "-c", "\n".join(examples)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, env=paths, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    serial, rest = ran.stdout.split(" ", 1)
    assert re.fullmatch("[0-9a-f]{16}", serial)
    assert rest == PRINTED
    assert (tmp_path / "part.stdf").read_bytes()[4:6] == bytes([2, 4])


def test_the_table_has_the_standard_limits() -> None:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", PAGE, re.M))
    assert list(rows) == [limit.name for limit in STANDARD]
    for limit in STANDARD:
        _, shown, hard = rows[limit.name].split(" | ")
        ends = [float(number) for number in re.findall(r"[\d.]+", shown)]
        assert ends == [end for end in (limit.lower, limit.upper) if abs(end) < float("inf")]
        assert int(hard) == limit.bin
