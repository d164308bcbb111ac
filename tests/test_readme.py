"""The README's example runs and prints what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_readme_example_runs_and_is_right() -> None:
    """<s0 s1> = tanh 1 within 5 standard errors of 32,000 samples that count for a quarter because they are correlated."""
    code = re.search(r"<!-- example.*?```python\n(.*?)```", README.read_text(), re.S)
    assert code is not None
    ran = subprocess.run([sys.executable, "-c", code[1]], capture_output=True, text=True, timeout=300, check=True)
    printed = re.search(r"<s0 s1> = (\S+) theory (\S+)", ran.stdout)
    assert printed is not None
    exact = np.tanh(1.0)
    error = np.sqrt((1 - exact**2) / (500 * 64 / 4))
    assert abs(float(printed[1]) - exact) < 5 * error
    assert float(printed[2]) == exact
    assert "0 couplings clipped" in ran.stdout
