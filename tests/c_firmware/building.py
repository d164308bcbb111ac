"""The firmware as the host's and the cross compiler build it, once in a session; tests that need a compiler skip by its name."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "firmware_models" / "c"
CROSS = "riscv64-unknown-elf-"


@cache
def _output() -> Path:
    return Path(tempfile.mkdtemp(prefix="tsu-firmware-"))


@cache
def _make(target: str) -> None:
    made = subprocess.run(
        ["make", "-s", "-C", str(SOURCES), f"OUT={_output()}", target], capture_output=True, text=True, timeout=300
    )
    assert made.returncode == 0, made.stdout + made.stderr


@cache
def _compiles(header: str) -> bool:
    """Whether the host's compiler finds a header."""
    ran = subprocess.run([_compiler(), "-E", "-"], input=f"#include <{header}>\n", capture_output=True, text=True)
    return ran.returncode == 0


def _compiler() -> str:
    return os.environ.get("CC", "cc")


def _need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def built(target: str) -> Path:
    """Path of what the host's compiler makes; skips where compiler, make or libzmq's header are not installed."""
    _need(_compiler())
    _need("make")
    if target == "tsu_firmware" and not _compiles("zmq.h"):
        pytest.skip("zmq.h is not installed (Debian: libzmq3-dev)")
    path = _output() / target
    _make(str(path))
    return path
