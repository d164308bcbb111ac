"""A laboratory for tests: an emulated chip behind a daemon with both doors of its bench."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import tsu_driver as tsu
from tsu_apps.characterise import Lab, Measurement
from tsu_apps.characterise.measurement import Outcome
from tsu_apps.characterise.procedure import Procedure
from tsu_driver.instruments import Instruments
from tsu_emu.bench.client import Oracle
from tsu_emu.bench.instruments import Instruments as InstrumentsDoor
from tsu_emu.bench.oracle import Oracle as OracleDoor
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig
from tsu_emu.server.daemon import Daemon
from tsu_emu.server.session import Server
from tsu_firmware import BootFirmware


@contextmanager
def bench(chip_config: ChipConfig) -> Iterator[dict[str, str]]:
    """Endpoints "chip", "instruments" and "oracle"."""
    chip = Chip(chip_config, BootFirmware())
    with tempfile.TemporaryDirectory() as folder:
        at = {name: f"ipc://{Path(folder) / name}" for name in ("chip", "instruments", "oracle")}
        doors = {
            "instruments": (at["instruments"], InstrumentsDoor(chip).handle),
            "oracle": (at["oracle"], OracleDoor(chip).handle),
        }
        daemon = Daemon(Server(chip), at["chip"], doors=doors)
        thread = threading.Thread(target=daemon.run)
        thread.start()
        try:
            yield at
        finally:
            daemon.stop()
            thread.join()


@contextmanager
def laboratory(chip_config: ChipConfig, effort: float = 1.0) -> Iterator[tuple[Lab, Oracle]]:
    """(a lab with instruments, the oracle of its chip)."""
    with bench(chip_config) as at, ExitStack() as stack:
        driver = stack.enter_context(tsu.open(at["chip"], timeout_s=300.0))
        instruments = stack.enter_context(Instruments(at["instruments"], timeout_s=300.0))
        yield Lab(driver, instruments, effort), stack.enter_context(Oracle(at["oracle"]))


def run(lab: Lab, procedures: tuple[Procedure, ...], name: str) -> Outcome:
    """One procedure from a quiet chip; what it measured is known to those after it."""
    procedure = next(p for p in procedures if p.name == name)
    assert procedure.lacks(lab) is None
    lab.quiet()
    outcome = procedure.run(lab)
    lab.known.update((m.key, m) for m in outcome.measurements)
    return outcome


def by_key(outcome: Outcome) -> dict[str, Measurement]:
    """Measurements by key."""
    return {m.key: m for m in outcome.measurements}


def share_off(measurement: Measurement, truth: Any) -> float:
    """Deviation from the truth in tolerances: what agrees is at most 1."""
    return measurement.deviation(truth) / measurement.tolerance


def told_apart(measurement: Measurement, truth: Any, without: Any = 0.0) -> bool:
    """Whether it agrees with the truth, and neither with no effect nor with twice the effect."""
    twice = 2 * np.asarray(truth) - np.asarray(without)
    return measurement.agrees(truth) and not measurement.agrees(without) and not measurement.agrees(twice)
