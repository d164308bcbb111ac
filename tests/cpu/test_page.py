"""docs/core.md: its example runs and its figures are so."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from tsu_emu.cpu.state import HART

PAGE = (Path(__file__).resolve().parents[2] / "docs/core.md").read_text()


def test_the_example() -> None:
    (example,) = re.findall(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.S)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(example, {})
    assert out.getvalue() == "True 2 0x40000000 5\nTrue 7\n"


def test_the_size_of_the_state() -> None:
    assert f"({HART.itemsize} bytes)" in PAGE
