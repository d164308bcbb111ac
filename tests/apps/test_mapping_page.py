"""The examples of docs/mapping.md run in order and give what the page promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/mapping.md"


def test_the_pages_examples_run_in_order() -> None:
    """The least energy of 8 variables is found among 64 reads of which each finds it with a probability of more than .1."""
    pytest.importorskip("minorminer")
    pytest.importorskip("dimod")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 2
    ran = subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(blocks)], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert "Overhead(variables=6, cells=20, " in ran.stdout
    assert "with 0 values clipped" in ran.stdout
    kept = re.search(r"(\S+) of the looks have whole chains", ran.stdout)
    assert kept is not None
    assert 0.5 < float(kept[1]) < 1
    least = re.search(r"(\S+) least; (\S+) exact", ran.stdout)
    assert least is not None
    assert float(least[1]) == pytest.approx(float(least[2]))


def test_the_pages_figure_is_there() -> None:
    names = re.findall(r"\]\((figures/[^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert names
    assert all((PAGE.parent / name).stat().st_size > 10_000 for name in names)
