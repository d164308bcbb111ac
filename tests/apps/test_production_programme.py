"""A test programme on an emulated chip: what it measures is what the chip is; limits, bins, files and exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))

from tsu_apps.command import main
from tsu_apps.production import STANDARD, Limit, Programme, as_toml, bench_of, judged, load, lot_rows
from tsu_apps.production.values import STEPS
from tsu_testing.in_process import open_in_process

SMALL = {"fabric.topology.visible": 8, "fabric.topology.hidden": 8}
"""digits-typical with 16 cells and 128 couplers."""


def test_limits_come_back_from_their_file_and_wrong_ones_are_told(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(as_toml(STANDARD), encoding="utf-8")
    assert load(file) == STANDARD
    for text, why in (
        ("", "at least one"),
        ('[[test]]\nnumber = 5\nname = "a"\nupper = 1\nlower = 2\n', "lower <= upper"),
        ('[[test]]\nnumber = 5\nname = "a"\n', "a lower or an upper limit"),
        ('[[test]]\nnumber = 1\nname = "a"\nupper = 1\n', "numbers of 2"),
        ('[[test]]\nnumber = 5\nname = "a"\nhigher = 1\n', "higher"),
        ('[[test]]\nnumber = 5\nname = "a"\nupper = 1\n' * 2, "of its own"),
        ('[[test]]\nnumber = 5.5\nname = "a"\nupper = 1\n', "number is 5.5; a whole number"),
        ('[[test]]\nnumber = 5\nname = "a"\nupper = "1"\n', "upper is '1'; a number"),
        ('[[test]]\nnumber = 5\nname = "a"\nunit = 3\nupper = 1\n', "unit is 3; a text"),
        ('[[test]]\nname = "a"\nupper = 1\n', "with a number, a name"),
        ('[test]\nnumber = 5\nname = "a"\nupper = 1\n', "tables \\[\\[test]] with"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=f"limits.toml: .*{why}"):
            load(file)
    with pytest.raises(ValueError, match="nothing measures sound"):
        Programme((Limit(5, "sound", upper=1),))


def test_a_part_shows_what_it_is() -> None:
    """Offsets of 16 cells, whose truth lies beside what is measured by the couplers' and converters' own offsets; each value has
    its tolerance beside it. A dead cell and a stuck bit are counted."""
    with open_in_process("digits-typical", die_seed=5, run_seed=5, changes=SMALL) as chip:
        part = Programme(STANDARD).run(chip, chip.instruments)
        rms = float(np.sqrt(np.mean(chip.oracle.truth("offset") ** 2)))
        assert part.values["offset-rms"] == pytest.approx(rms, rel=0.15)
        assert part.values["cells-bad"] == 0
        assert part.values["standby-power"] == pytest.approx(0.1, rel=0.01)
        assert part.values["update-energy"] == pytest.approx(7.0, rel=1e-6)
        assert 8.5 < part.values["adc-enob"] < 10
        assert 0 < part.values["trim-used"] <= 1
        assert part.values["offset-left"] < 0.02
        assert part.skipped == ()
        assert set(part.seconds) == {step.name for step in STEPS}
        assert not chip.trims()[0].any()
        assert chip.calibration is None

        def interrupted(name: str, share: float) -> None:
            if chip.trims()[0].any():
                raise KeyboardInterrupt

        trims = [step for step in STEPS if step.name == "trims"]
        with pytest.raises(KeyboardInterrupt):
            Programme(STANDARD).repeat(bench_of(chip, 0.1), trims, interrupted)
        assert not chip.trims()[0].any()
        chip.oracle.inject("stuck-cell", cell=3, at="up")
        worse = Programme(STANDARD).run(chip)
        assert worse.values["cells-bad"] == 1
        assert worse.bin == 2
        assert worse.skipped == ("adc-enob",)
        assert worse.values["offset-rms"] == pytest.approx(part.values["offset-rms"], rel=0.3)


def test_repeats_know_what_the_self_test_found_and_ask_for_no_more_than_the_limits() -> None:
    limits = (Limit(10, "offset-rms", "kT", upper=0.5),)
    programme = Programme(limits, effort=0.2)
    assert [step.name for step in programme.steps] == ["self-test", "offsets"]
    with open_in_process("digits-typical", die_seed=5, run_seed=5, changes=SMALL) as chip:
        chip.oracle.inject("stuck-cell", cell=3, at="up")
        bench = bench_of(chip, 0.2)
        first = programme.repeat(bench, programme.steps)
        again = programme.repeat(bench, programme.steps[1:])
        assert list(first.values) == list(again.values) == ["offset-rms"]
        assert not bench.work.calibration.good[3]
        assert again.values["offset-rms"] < 1.0
        with pytest.raises(ValueError, match="effort 0"):
            bench_of(chip, 0.0)


def test_a_lot_has_its_yield_bins_and_capability() -> None:
    limits = (Limit(10, "offset-rms", "kT", upper=0.3, bin=2), Limit(20, "slope-mean", lower=0.9, upper=1.1, bin=3))
    rng = np.random.default_rng(1)
    parts = [
        judged(str(k), limits, {"offset-rms": 0.2 + 0.05 * x, "slope-mean": 1.0}, {"offsets": 2.0})
        for k, x in enumerate(rng.normal(size=40))
    ]
    rows = {row.name: row for row in lot_rows(limits, parts, cost_per_s=0.5)}
    passed = sum(part.passed for part in parts)
    assert rows["yield"].value == passed / 40
    assert rows["yield, lower end of its 95 % interval"].value < passed / 40
    assert rows["parts in bin 2"].value == 40 - passed
    assert rows["cost of a part at 0.5 a second"].value == 1.0
    assert rows["cost of a part that passes"].value == pytest.approx(40 / passed)
    (cpk,) = [row for name, row in rows.items() if name.startswith("10 offset-rms: Cpk")]
    assert abs(cpk.value - 2 / 3) < 4 * 0.1
    assert not any("20 slope-mean: Cpk" in name for name in rows)


URL = "emu:digits-typical?die_seed=5&run_seed=5&threads=1&fabric.topology.visible=8&fabric.topology.hidden=8"


def test_the_program_tests_a_chip_and_writes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit codes: 0 for a part that passes, 1 for one that does not, 2 for a wrong request."""
    files = {name: tmp_path / f"part.{name}" for name in ("json", "stdf", "toml")}
    limits = (
        Limit(10, "offset-rms", "kT", upper=1.0),
        Limit(20, "adc-enob", lower=1.0),
        Limit(30, "standby-power", "W", upper=1.0),
    )
    files["toml"].write_text(as_toml(limits), encoding="utf-8")
    common = ["test", URL, "--limits", str(files["toml"]), "--effort", "0.1"]
    assert main([*common, "--json", str(files["json"]), "--stdf", str(files["stdf"])]) == 0
    out = capsys.readouterr().out
    assert "passed, bin 1" in out
    assert "for want of instruments or of what they test: adc-enob" in out
    found = json.loads(files["json"].read_text(encoding="utf-8"))
    assert found["config"]["bin"] == 1
    assert found["config"]["limits"][0]["lower"] is None
    assert files["stdf"].read_bytes()[:6] == bytes([2, 0, 0, 10, 2, 4])
    files["toml"].write_text(as_toml((Limit(10, "standby-power", "W", upper=0.01, bin=7),)), encoding="utf-8")
    assert main(common) == 1
    assert "FAILED, bin 7" in capsys.readouterr().out
    assert main([*common[:3], str(tmp_path / "none.toml")]) == 2
    assert main([*common, "--stdf", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith(f".toml: No such file or directory\ntsu test: {tmp_path}: Is a directory\n")
    with pytest.raises(SystemExit, match="2"):
        main(["test", URL, "--lot", "L\u00e4"])
    with pytest.raises(SystemExit, match="0"):
        main(["test", "--list"])
    assert "[[test]]" in capsys.readouterr().out
