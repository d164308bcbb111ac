"""A calibration in a chip's own memory, trims and their age are there when the chip's daemon was killed and started anew."""

from __future__ import annotations

import signal

import pytest

import tsu_driver as tsu
from server.process import SMALL, Process, short_directory
from tsu_apps.calibrate.__main__ import main

CONFIG = (
    SMALL
    + """
[cell]
kind = "pbit"
offset_sigma_kt = 0.2
[trim]
bits = 9
offset_full_scale_kt = 0.8
[nvm]
words = 256
"""
)
OFFSETS = ["--only", "offsets", "--effort", ".05", "--no-self-test"]


def test_the_next_daemon_has_the_calibration_and_its_age_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with short_directory() as folder:
        (folder / "small.toml").write_text(CONFIG)

        def started() -> Process:
            return Process(folder / "small.toml", f"ipc://{folder}/c.sock", "--state", str(folder / "state"))

        with started() as daemon:
            assert main([daemon.endpoint, *OFFSETS, "--nvm", "--limit", "60"]) == 0
            with tsu.open(daemon.endpoint, calibration="nvm") as chip:
                chip.delay(round(2.5 * chip.capabilities.clock_hz))
                trims, age, kept = chip.trims()[0].tolist(), chip.calibration_age(), chip.stored_calibration()
            assert any(trims)
            assert 2.5 < age.seconds < 60
            daemon.signal(signal.SIGKILL)
            daemon.end()
        with started() as daemon:
            with tsu.open(daemon.endpoint) as chip:
                assert chip.trims()[0].tolist() == trims, "as they were, before anything is applied"
                again = chip.calibration_age()
                assert (again.stamped, again.stale) == (True, False)
                assert age.seconds <= again.seconds < age.seconds + 0.1
            with tsu.open(daemon.endpoint, calibration="nvm") as chip:
                assert chip.calibration is not None
                assert chip.calibration.encode() == kept.encode()
            capsys.readouterr()
            assert main([daemon.endpoint, *OFFSETS, "--check", "--from", "nvm", "--limit", "1"]) == 0
            assert capsys.readouterr().out.splitlines() == ["offsets: within its limit"]
            with tsu.open(daemon.endpoint, calibration="nvm") as chip:
                assert chip.calibration_age().seconds < 1, "it was found to hold, and stamped"
                chip.delay(round(1.01 * chip.capabilities.clock_hz))
                assert chip.calibration_age().stale
