"""The page for those who operate daemons: its examples run, and it lists what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from server.process import Process, environment, short_directory
from tsu_emu.server.sessions import Decision

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/operations.md").read_text()


def test_examples_run_beside_a_daemon() -> None:
    blocks = re.findall(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.S)
    assert len(blocks) == 2
    with short_directory() as folder, Process(Path("ideal-16"), f"ipc://{folder}/c.sock") as process:
        code = "\n".join(blocks)
        told = re.search(r'url = "(.*?)"', code)
        assert told is not None
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", code.replace(told[1], process.endpoint)],
            capture_output=True, text=True, timeout=300, env=environment(),
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("None\n")


def test_every_event_and_decision_is_listed() -> None:
    sources = [*(ROOT / "tsu_emu/server").rglob("*.py"), *(ROOT / "tsu_emu/commands").rglob("*.py")]
    told = {name for path in sources for name in re.findall(r'events\.tell\("([a-z ]+)"', path.read_text())}
    assert len(told) >= 7
    table = PAGE[PAGE.index("| event | level |") : PAGE.index("`cycle` is chip time")]
    assert {name for name in told if f"`{name}`" not in table} == set()
    assert {d.value for d in Decision if f"`{d.value}`" not in table} == set()
