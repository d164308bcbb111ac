"""The graph of procedures: what is looked at, what is redone, in which order, what is told; and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from apps.calibrating import DENSE, Floats, flawed
from serving import opened, serving
from tsu_apps import command
from tsu_apps.calibrate import CalibrationFailed, Calibrator, Procedure, Result, Verdict, Work
from tsu_apps.calibrate.__main__ import main
from tsu_apps.calibrate.graph import standard
from tsu_driver import Calibration
from tsu_emu.chip import Chip
from tsu_firmware import BootFirmware
from tsu_testing.in_process import open_in_process

TOOK = 5000
"""Cycles of every look and calibration, far more than setting a workload aside takes."""


class Made(Procedure):
    """A procedure that finds what the test says: `state` is what is left."""

    title, unit, limit, validity_s = "made up", "kT", 0.1, 100.0

    def __init__(self, name: str, needs: tuple[str, ...] = (), mends: bool = True) -> None:
        self.name, self.needs, self.mends = name, needs, mends
        self.state, self.looked, self.done = 1.0, 0, 0

    def look(self, work: Work) -> tuple[Floats, Floats]:
        self.looked += 1
        work.chip.delay(TOOK)
        return np.array([self.state, -self.state]), np.zeros(2)

    def find(self, work: Work) -> Result:
        self.done += 1
        work.chip.delay(TOOK)
        before, self.state = self.state, 0.01 if self.mends else self.state
        return Result(np.full(2, self.state), np.zeros(2), np.full(2, before), np.ones(2, bool), "kT")


@pytest.fixture(scope="module")
def chip() -> Iterator[tsu.Chip]:
    with opened(flawed(DENSE)) as (_, driver):
        yield driver


def made(chip: tsu.Chip, **more: Any) -> tuple[Calibrator, Made, Made, Made]:
    """A chain c needs b needs a."""
    a, b, c = Made("a"), Made("b", ("a",)), Made("c", ("b",))
    return Calibrator(Work.of(chip), {p.name: p for p in (a, b, c)}, **more), a, b, c


def cycles_of(calibrator: Calibrator, name: str) -> float:
    age = calibrator.age_s(name)
    assert age is not None
    return age * calibrator.work.chip.capabilities.clock_hz


def happened(calibrator: Calibrator, first: int = 0) -> list[tuple[str, str]]:
    return [(e.name, e.action) for e in calibrator.events[first:]]


def test_what_is_off_is_calibrated_and_what_holds_is_only_looked_at(chip: tsu.Chip) -> None:
    calibrator, a, b, c = made(chip)
    a.state = b.state = c.state = 0.5
    b.state = 0.1
    calibrator.maintain()
    assert happened(calibrator) == [
        ("a", "checked"),
        ("a", "calibrated"),
        ("b", "checked"),
        ("c", "checked"),
        ("c", "calibrated"),
    ]
    assert (a.done, b.done, c.done) == (1, 0, 1)
    assert [e.verdict for e in calibrator.events if e.action == "checked"] == [Verdict.OUT, Verdict.IN, Verdict.OUT]
    told = calibrator.events[1]
    assert (told.left, told.before, told.ok, told.chip_s) == (0.01, 0.5, 1.0, TOOK / chip.capabilities.clock_hz)


def test_what_is_young_is_fresh_until_it_is_old_or_has_drifted(chip: tsu.Chip) -> None:
    drift = {"b": lambda seconds: seconds * 1e2}
    calibrator, a, b, c = made(chip, drift=drift)
    assert calibrator.age_s("a") is None
    events = calibrator.calibrate_all()
    assert [(e.name, e.action) for e in events] == [("a", "calibrated"), ("b", "calibrated"), ("c", "calibrated")]
    assert (a.looked, b.looked, c.looked) == (0, 0, 0)
    assert TOOK <= cycles_of(calibrator, "c") < 1.5 * TOOK, "from its beginning"
    assert 3 * TOOK <= cycles_of(calibrator, "a") < 3.5 * TOOK
    assert [e.action for e in calibrator.maintain()] == ["fresh"] * 3
    chip.delay(round(0.6e-3 * chip.capabilities.clock_hz))
    assert [(e.name, e.action) for e in calibrator.maintain()] == [("a", "fresh"), ("b", "checked"), ("c", "fresh")]
    for p in (a, b, c):
        p.validity_s = 0.0
    assert [e.action for e in calibrator.maintain()] == ["checked"] * 3
    assert TOOK <= cycles_of(calibrator, "c") < 1.5 * TOOK


def test_ages_are_by_the_clock_of_the_chip_also_when_nobody_asked_it() -> None:
    """Two hours of chip time that this host had no part in make all that was young old."""
    with open_in_process("ideal-16") as chip:
        calibrator, *_ = made(chip)
        calibrator.calibrate_all()
        chip.instruments.skip(7200.0)
        assert calibrator.age_s("c") == pytest.approx(7200, abs=0.1)
        assert [e.action for e in calibrator.maintain()] == ["checked"] * 3
        assert [e.action for e in calibrator.maintain()] == ["fresh"] * 3


def test_what_hangs_on_something_new_is_looked_at(chip: tsu.Chip) -> None:
    calibrator, a, _, _ = made(chip)
    calibrator.calibrate_all()
    chip.delay(1000)
    a.validity_s, a.state = 0.0, 0.5
    first = len(calibrator.events)
    calibrator.maintain()
    assert happened(calibrator, first) == [("a", "checked"), ("a", "calibrated"), ("b", "checked"), ("c", "fresh")]
    a.validity_s = 100.0
    assert [e.action for e in calibrator.maintain()] == ["fresh"] * 3


def test_what_is_far_off_is_diagnosed_downwards(chip: tsu.Chip) -> None:
    """c is far off because a, which counted as fresh, has moved: a is redone first, then c; b was seen to hold."""
    calibrator, a, b, c = made(chip)
    calibrator.calibrate_all()
    c.validity_s, c.state, a.state = 0.0, 5.0, 0.5
    first = len(calibrator.events)
    calibrator.maintain()
    assert happened(calibrator, first)[2:] == [
        ("c", "checked"), ("a", "checked"), ("a", "calibrated"), ("b", "checked"), ("c", "calibrated")]  # fmt: skip
    assert calibrator.events[first + 2].verdict is Verdict.BAD
    assert b.done == 1
    assert cycles_of(calibrator, "b") < cycles_of(calibrator, "a"), "it was looked at after a was redone"
    c.mends, c.state = False, 5.0
    for _ in range(2):
        with pytest.raises(CalibrationFailed, match=r"made up stays far out of its limit of 0\.1 kT"):
            calibrator.maintain()
        assert calibrator.age_s("c") is None
        c.validity_s = 100.0


def test_verdicts_are_beyond_the_noise_of_the_look(chip: tsu.Chip) -> None:
    work, p = Work.of(chip), Made("a")
    for state, verdict in ((0.149, Verdict.IN), (0.151, Verdict.OUT), (0.99, Verdict.OUT), (1.01, Verdict.BAD)):
        p.state = state
        assert p.check_data(work) is verdict
    assert p.check_state(99.0, 0.049)
    assert not any((p.check_state(None, 0.0), p.check_state(100.0, 0.0), p.check_state(1.0, 0.05)))


def test_names_bring_what_they_need_in_order(chip: tsu.Chip) -> None:
    every = [p.name for p in standard()]
    assert list(Calibrator.of(Work.of(chip)).procedures) == every
    assert all(every.index(n) < every.index(p.name) for p in standard() for n in p.needs)
    assert list(Calibrator.of(Work.of(chip), ["slopes"]).procedures) == ["adc", "offsets", "slopes"]
    assert list(Calibrator.of(Work.of(chip), ["adc"]).procedures) == ["adc"]
    with pytest.raises(ValueError, match="no procedure 'size' for this chip; there are adc, offsets, slopes, temp"):
        Calibrator.of(Work.of(chip), ["adc", "size"])
    with opened(flawed({"kind": "edges", "cells": 3, "pairs": []}, trim={"bits": 0}, adc={"count": 0})) as (_, bare):
        assert list(Calibrator.of(Work.of(bare)).procedures) == ["temperature"]
        assert list(Calibrator.of(Work.of(bare), ["temperature"]).procedures) == ["temperature"]


@pytest.mark.parametrize("name", ["offsets", "slopes", "temperature"])
def test_what_is_broken_off_leaves_the_chip_as_it_was_known(chip: tsu.Chip, name: str) -> None:
    """Amid a procedure, as soon as trims or the correction of T are others."""
    fives = np.full(chip.capabilities.cells, 5, np.int16)
    known = Calibration.nominal(chip.capabilities).but(offset_trims=fives, temperature=(1.1, -0.1))
    chip.apply_calibration(known)

    def there() -> bool:
        offsets, slopes = chip.trims()
        assert chip.calibration is not None
        return (offsets == 5).all() and not slopes.any() and chip.calibration.temperature == known.temperature

    def interrupted(share: float) -> None:
        if not there():
            raise KeyboardInterrupt

    calibrator = Calibrator.of(Work.of(chip, 0.05), [name])
    calibrator.procedures = {name: calibrator.procedures[name]}
    calibrator.work.step = interrupted
    with pytest.raises(KeyboardInterrupt):
        calibrator.calibrate_all()
    assert there()
    chip.apply_calibration(None)


def test_offsets_are_redone_after_slopes(chip: tsu.Chip) -> None:
    calibrator = Calibrator.of(Work.of(chip, 0.01), ["slopes"])
    events = calibrator.calibrate_all()
    assert [e.name for e in events] == ["adc", "offsets", "slopes", "offsets"]
    assert calibrator.work.calibration.date_cycles > 0
    assert chip.calibration is calibrator.work.calibration


# The command


@pytest.fixture
def endpoint() -> Iterator[str]:
    with serving(Chip(flawed(DENSE), BootFirmware())) as at:
        yield at


def test_a_calibration_from_the_shell_is_kept_and_then_only_checked(
    endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, report = tmp_path / "chip.tsucal", tmp_path / "report.json"
    few = ["--effort", ".3", "--only", "offsets"]
    assert main([endpoint, "--only", "adc", "--no-self-test"]) == 0
    with tsu.open(endpoint) as chip:
        assert not chip.calibration_age().stamped, "nobody looked at the trims of cells"
    capsys.readouterr()
    assert (
        command.main(["calibrate", endpoint, *few, "--output", str(image), "--json", str(report), "--nvm", "--limit", "60"]) == 0
    )
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "self-test: everything works"
    assert [line.split(":")[0] for line in shown[1:]] == ["adc", "offsets"]
    assert " kT, 100.0% of elements, " in shown[2]
    told = json.loads(report.read_text())
    assert [(e["name"], e["action"], e["verdict"]) for e in told["events"]] == [
        ("adc", "calibrated", None), ("offsets", "calibrated", None)]  # fmt: skip
    assert told["events"][1]["left"] < 0.01 < 0.1 < told["events"][1]["before"]
    assert told["faults"] == []

    with tsu.open(endpoint, calibration="nvm") as chip:
        kept = Calibration.load(image)
        assert f"{kept.serial:016x}" == told["serial"] == f"{chip.capabilities.serial:016x}"
        assert chip.calibration is not None
        assert chip.calibration.encode() == kept.encode()
        assert kept.offset_trims.any()
        age = chip.calibration_age()
        assert (age.stamped, age.stale) == (True, False)

    again = [endpoint, *few, "--check", "--no-self-test", "--json", str(report)]
    assert main([*again, "--from", str(image)]) == 0
    assert capsys.readouterr().out.splitlines() == ["adc: within its limit", "offsets: within its limit"]
    assert json.loads(report.read_text())["faults"] is None
    kept.but(offset_trims=np.zeros_like(kept.offset_trims)).save(image)
    assert main([*again, "--from", str(image)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == ["adc: within its limit", "offsets: far out of its limit", "adc: within its limit"]
    assert shown[3].startswith("offsets: 0.")


def test_what_is_left_beyond_a_limit_or_stays_far_off_is_exit_code_1(
    endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tsu_apps.calibrate.cells import Offsets

    monkeypatch.setattr(Offsets, "limit", 1e-4)
    few = ["--effort", ".05", "--only", "offsets", "--no-self-test"]
    assert main([endpoint, *few]) == 1
    assert capsys.readouterr().err.endswith("\noffsets: more is left than its limit\n")
    monkeypatch.setattr(Offsets, "calibrate", lambda self, work: Made("x", mends=False).calibrate(work))
    monkeypatch.setattr(Offsets, "limit", 1e-3)
    with tsu.open(endpoint) as chip:
        chip.apply_calibration(None)
    assert main([endpoint, *few, "--check"]) == 1
    assert capsys.readouterr().err.endswith("\ntsu calibrate: offset servo stays far out of its limit of 0.001 kT\n")


def test_a_chip_that_is_calibrated_is_operated_by_nobody_else(
    endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tsu_apps.calibrate.converters import Adc

    def find(self: Adc, work: Work) -> Result:
        with pytest.raises(tsu.LinkError, match="LEASED"):
            tsu.open(endpoint)
        return Made("x").find(work)

    monkeypatch.setattr(Adc, "find", find)
    few = [endpoint, "--only", "adc", "--no-self-test"]
    assert main(few) == 0
    with tsu.open(endpoint) as chip, chip.lease():
        assert main(few) == 2
    assert capsys.readouterr().err.endswith("holds the chip, for 30.0 s more if it stays silent [LEASED]\n")


def test_what_cannot_be_is_exit_code_2(endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"nothing")
    for arguments, message in (
        ([endpoint, "--only", "size"], "tsu calibrate: no procedure 'size'"),
        ([endpoint, "--from", str(wrong)], f"tsu calibrate: {wrong}: no calibration"),
        ([endpoint, "--from", "nvm"], "tsu calibrate: the chip's memory holds no calibration"),
        (["what:ever"], "tsu calibrate: cannot open 'what:ever'"),
        ([endpoint, "--json", f"{wrong}/found.json"], f"tsu calibrate: {wrong}: "),
        ([endpoint, "--output", str(tmp_path)], f"tsu calibrate: {tmp_path}: Is a directory"),
    ):
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(message), "before anything was calibrated"
    for arguments, message in (
        ([], "required: url"),
        (["x", "--effort", "0"], "--effort 0; .05 to 10 expected"),
        (["x", "--limit", "nan"], "--limit nan; seconds, more than 0, expected"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert message in capsys.readouterr().err


def test_help_and_lists(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["-h"], ["--help"]):
        assert command.main(arguments) == 0
        out = capsys.readouterr().out
        assert out.startswith("usage: tsu JOB")
        assert all(job in out for job in ("calibrate", "characterise"))
    assert command.main(["dance"]) == 2
    assert capsys.readouterr().err.startswith("tsu: no job 'dance'\n\nusage: tsu JOB")
    for job in ("calibrate", "characterise"):
        with pytest.raises(SystemExit) as ended:
            command.main([job, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: tsu {job}")
    with pytest.raises(SystemExit, match="0"):
        command.main(["calibrate", "--list"])
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [p.name for p in standard()]
    assert listed[1].endswith("offset servo; to 0.01 kT")
