"""Firmware on the host against a small chip behind a daemon."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from c_firmware.building import built
from serving import serving
from tsu_emu.chip import Chip
from tsu_emu.config import load
from tsu_firmware import firmware_of

SECONDS = 120


@contextmanager
def chip_at(**changes: Any) -> Iterator[tuple[Chip, str]]:
    """ideal-16 with these values (`cell_offset_sigma_kt` is cell.offset_sigma_kt), and its daemon's endpoint."""
    values = {key if "." in key else key.replace("_", ".", 1): str(value) for key, value in changes.items()}
    config = load("ideal-16", values)
    firmware = None if config.cpu.image else firmware_of(config.cpu.firmware, config.map.registers().hash_word)
    chip = Chip(config, firmware, threads=1)
    with serving(chip) as endpoint:
        yield chip, endpoint


def ran(endpoint: str, *commands: str, record: Path | None = None, trace: bool = False) -> subprocess.CompletedProcess[str]:
    """The firmware's run with these commands."""
    options = [*(["--record", str(record)] if record else []), *(["--trace"] if trace else [])]
    line = [str(built("tsu_firmware")), *options, endpoint, *commands]
    return subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)


def answers(endpoint: str, *commands: str) -> list[list[str]]:
    """Words of each answer; the run must succeed."""
    run = ran(endpoint, *commands)
    assert run.returncode == 0, run.stderr + run.stdout
    return [line.split() for line in run.stdout.splitlines()]
