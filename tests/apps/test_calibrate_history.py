"""A chip's calibrations are kept over time and come back as they were; another chip's, or a damaged file, is refused."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

import tsu_driver as tsu
from apps.calibrating import DENSE, flawed
from serving import opened, serving
from tsu_apps import command
from tsu_apps.calibrate import Calibrator, Work
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig
from tsu_firmware import BootFirmware

pytest.importorskip("xarray")

from tsu_apps.calibrate import history

FEW = 0.05


def other() -> ChipConfig:
    return flawed(DENSE, seeds={"die": 2, "run": 1})


def test_calibrations_come_back_as_they_were(tmp_path: Path) -> None:
    with opened(flawed(DENSE)) as (_, chip):
        calibrator = Calibrator.of(Work.of(chip, FEW))
        history.append(tmp_path, calibrator)
        calibrator.calibrate_all()
        calibrator.work.adopt(stuck=np.array([[3, 6, 2], [7, 1, 1]], np.uint32), good=np.arange(6) != 4)
        kept = [calibrator.work.calibration.encode()]
        history.append(tmp_path, calibrator)
        calibrator.work.adopt(offset_trims=calibrator.work.calibration.offset_trims + np.int16(1))
        kept.append(calibrator.work.calibration.encode())
        path = history.append(tmp_path, calibrator)
        assert path == history.file_of(tmp_path, chip.capabilities.serial)
        data = history.read(path)
        assert data.sizes["time"] == 3
        assert [history.calibration_at(data, k).encode() for k in (1, 2)] == kept
        assert history.calibration_at(data).encode() == kept[-1]
        assert not history.calibration_at(data, 0).offset_trims.any()
        offsets = calibrator.results["offsets"]
    assert (np.diff(data["time"].to_numpy()) > np.timedelta64(0)).all()
    assert (np.diff(data["chip_s"].to_numpy()) > 0).all()
    assert np.array_equal(data["offset_trim"][2] - data["offset_trim"][1], np.ones(6))
    left = data["offsets_left"].isel(time=1).to_numpy()
    assert np.array_equal(np.isnan(left), ~offsets.ok)
    assert np.array_equal(left[offsets.ok], offsets.values[offsets.ok])
    assert np.isnan(data["offsets_left"].isel(time=0)).all()
    assert data["left"].sel(procedure="offsets").isel(time=1) == offsets.left
    assert data["took_s"].sel(procedure="couplers").isel(time=1) > 0
    assert np.isnan(data["left"].isel(time=0)).all()
    assert data["coupler_offset"].attrs["units"] == "kT"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", path.name]


def test_a_chip_that_lacks_trims_couplers_and_converters_has_a_history(tmp_path: Path) -> None:
    bare = flawed({"kind": "edges", "cells": 3, "pairs": []}, trim={"bits": 0}, adc={"count": 0})
    with opened(bare) as (_, chip):
        calibrator = Calibrator.of(Work.of(chip, FEW))
        path = [history.append(tmp_path, calibrator) for _ in range(2)][1]
        data = history.read(path)
        assert data.sizes["time"] == 2
        assert history.calibration_at(data).encode() == calibrator.work.calibration.encode()


def test_chips_have_files_of_their_own_and_others_are_refused(tmp_path: Path) -> None:
    with opened(flawed(DENSE)) as (_, chip), opened(other()) as (_, second):
        mine, theirs = (Calibrator.of(Work.of(c, FEW)) for c in (chip, second))
        first, another = history.append(tmp_path, mine), history.append(tmp_path, theirs)
        assert first != another
        before = another.read_bytes()
        another.write_bytes(first.read_bytes())
        with pytest.raises(tsu.HostError, match=f"is the history of chip {chip.capabilities.serial:016x}; this one is"):
            history.append(tmp_path, theirs)
        assert another.read_bytes() == first.read_bytes()
        another.write_bytes(before[: len(before) // 2])
        with pytest.raises(tsu.HostError, match="no history of calibrations"):
            history.append(tmp_path, theirs)


def add(folder: Path, times: int) -> None:
    with opened(flawed(DENSE)) as (_, chip):
        for _ in range(times):
            history.append(folder, Calibrator.of(Work.of(chip, FEW)))


def test_two_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=add, args=(tmp_path, 4)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    (path,) = tmp_path.glob("*.nc")
    assert history.read(path).sizes["time"] == 8


def test_the_command_keeps_a_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--effort", "0.05", "--only", "adc", "--no-self-test", "--history", str(tmp_path)]
    with serving(Chip(flawed(DENSE), BootFirmware())) as endpoint:
        assert [command.main(["calibrate", endpoint, *few]) for _ in range(2)] == [0, 0]
        (path,) = tmp_path.glob("*.nc")
        data = history.read(path)
        assert data.sizes["time"] == 2
        assert (data["left"].sel(procedure="adc") < 0.2).all()
        assert history.calibration_at(data).adc_trims.any()
        path.write_bytes(b"nothing")
        assert command.main(["calibrate", endpoint, *few]) == 2
    assert "no history of calibrations" in capsys.readouterr().err
