"""The firmware as the host's and the cross compiler build it, once in a session; tests that need a compiler skip by its name."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tsu_contract.registers import MAP_HASH

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "firmware_models" / "c"
CROSS = "riscv64-unknown-elf-"


@cache
def _output() -> Path:
    path = tempfile.mkdtemp(prefix="tsu-firmware-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return Path(path)


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


def prebuilt() -> dict[str, str]:
    """What the image that is kept with the sources was made of: its sha256, the map's hash, the compiler."""
    lines = (SOURCES / "prebuilt" / "firmware.txt").read_text().splitlines()
    return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def cross_compiler() -> str:
    """The cross compiler's name and version; skips where it is not installed."""
    _need(f"{CROSS}gcc")
    _need("make")
    return subprocess.run([f"{CROSS}gcc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def built_for_the_core() -> Path:
    """Path of the image for the chip's own core: built where the cross compiler is installed, else the one that is kept."""
    if shutil.which(f"{CROSS}gcc") is None and prebuilt()["map"] == MAP_HASH:
        return SOURCES / "prebuilt" / "firmware.elf"
    cross_compiler()
    path = _output() / "firmware.elf"
    _make(str(path))
    return path
