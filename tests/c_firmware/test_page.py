"""docs/firmware.md: its example runs, its tables have the commands and statuses of the sources."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from c_firmware.building import ROOT, SOURCES, cross_compiler

PAGE = (ROOT / "docs" / "firmware.md").read_text(encoding="utf-8")


def test_commands_and_statuses() -> None:
    source = (SOURCES / "firmware" / "commands.c").read_text()
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.M)
    assert listed == [(str(k), name) for k, name in enumerate(re.findall(r'^    \{"(\w+)", "', source, re.M))]
    names = re.search(r"STATUS_NAMES.*?\{(.*?)\}", source, re.S)
    assert names is not None
    described = re.findall(r"(\d) ([\w-]+)", "".join(re.findall(r"^(\| \d [^|]*\|)", PAGE, re.M)))
    assert [name for _, name in described] == re.findall(r'"([\w-]+)"', names[1])


def test_the_example_runs() -> None:
    cross_compiler()
    example, _ = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}
    command = [sys.executable, "-W", "error", "-c", example]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, env=paths, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    words = [int(w) for w in re.findall(r"\d+", run.stdout)]
    assert words[0] == 1 | 7 << 8
    assert words[1] > 6554 > 655 > words[2], "from more than .1 kT to less than .01"
