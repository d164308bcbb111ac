"""The peers' own virtual environment, under the user's cache directory, with versions pinned in constraints.txt."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

PEERS = ("thrml", "ferrotherm", "dwave-samplers", "thermox")
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
PATIENCE_S = 1200
"""How long one installation may take."""


def folder() -> Path:
    """Where the environment of these versions lies, whether it is there or not (XDG_CACHE_HOME, else ~/.cache)."""
    digest = hashlib.sha256(platform.python_version().encode() + CONSTRAINTS.read_bytes()).hexdigest()[:16]
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tsu-emu" / f"peers-{digest}"


def python() -> Path:
    """The environment's interpreter."""
    return folder() / "bin" / "python"


def installed(peer: str) -> bool:
    """Whether the environment holds a peer."""
    return (folder() / f".installed-{peer}").exists()


def prepare(report: Callable[[str], None], peers: Sequence[str] = PEERS) -> dict[str, str]:
    """Make the environment as far as it can be had; returns why not, for each of `peers` that is missing.

    report : told what is under way, a line each
    """
    missing = [peer for peer in peers if not installed(peer)]
    if not missing:
        return {}
    try:
        _make(report)
    except (OSError, subprocess.SubprocessError) as error:
        return dict.fromkeys(missing, f"no virtual environment in {folder()}: {error}")
    reasons = {}
    for k, peer in enumerate(missing):
        report(f"installing {peer} for comparison ({k + 1} of {len(missing)}) ...")
        reason = _install(peer)
        if reason is None:
            (folder() / f".installed-{peer}").touch()
        else:
            reasons[peer] = reason
            report(f"{peer} cannot be had: {reason}")
    return reasons


def _make(report: Callable[[str], None]) -> None:
    if (folder() / ".made").exists():
        return
    shutil.rmtree(folder(), ignore_errors=True)
    report(f"making {folder()} ...")
    subprocess.run([sys.executable, "-m", "venv", str(folder())], check=True, capture_output=True, timeout=PATIENCE_S)
    (folder() / ".made").touch()


def _install(peer: str) -> str | None:
    """None if it worked, else pip's last complaint."""
    command = [
        str(python()),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-c",
        str(CONSTRAINTS),
        "numpy",
        peer,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return f"pip took more than {PATIENCE_S} s"
    complaints = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [f"pip ended with {done.returncode}"]
    return None if done.returncode == 0 else complaints[-1]
