"""The programmer's guide's examples run, in order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[1] / "docs/programmers-guide.md"


def test_the_guides_examples_run_in_order() -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    assert len(blocks) >= 12
    ran = subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(blocks)], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert "174 cells, 14800 directed couplers, 64 planes, 8 bit couplings" in ran.stdout
    assert "0 clipped" in ran.stdout
    assert "TEMP.TDAC" in ran.stdout
    assert "pdit ('h0', 'h1', 'h2', 'h3')" in ran.stdout
    assert "[0, 10000, 20000]" in ran.stdout
    assert "update_j=" in ran.stdout
