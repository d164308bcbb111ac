"""The pytest plugin, in sessions of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tsu_testing.guarded import IMAGE

pytest_plugins = ["pytester"]
PLUGIN = () if entry_points(group="pytest11", name="tsu") else ("-p", "tsu_testing.pytest_plugin")
WITH_IMAGE = f"@pytest.mark.tsu(image={str(IMAGE)!r}, adc__count=1, adc__bits=10, cpu__rom_words=4096, cpu__ram_words=1024)"


def run(pytester: pytest.Pytester, body: str, *arguments: str) -> pytest.RunResult:
    """A session with one file of tests; in a process of its own, since compiled code cannot be imported twice in one."""
    pytester.makepyfile("import pytest\n" + body)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *PLUGIN, *arguments, timeout=300)


def test_a_chip_for_host_programs(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_default(tsu_chip):
    assert tsu_chip.capabilities.cells == 16

@pytest.mark.tsu("ideal-16", die_seed=5, fabric__topology__cells=3)
def test_changed(tsu_chip, tsu_bench):
    assert tsu_chip.capabilities.cells == 3
    assert tsu_bench.seeds == {"die": 5, "run": 1}
    tsu_bench.oracle.inject("stuck-cell", cell=1, at="up")
    tsu_chip.run(1)
    assert set(tsu_chip.read()[:, 1].tolist()) == {1}
    tsu_bench.instruments.ambient(310.0)
    assert tsu_bench.instruments.read().ambient_k == 310.0
""",
    )
    result.assert_outcomes(passed=2)


def test_a_firmware(pytester: pytest.Pytester) -> None:
    """Mailbox, variables by name, functions entered, faults of the campaign; with the driver's chip, booted."""
    pytest.importorskip("elftools")
    result = run(
        pytester,
        f"""
{WITH_IMAGE}
def test_boots(tsu_firmware, tsu_bench):
    assert tsu_firmware.read("SYS.BOOT") == 0
    assert tsu_firmware.ready(400_000)
    assert tsu_firmware.entered("sample") == 2
    header, *rest = tsu_firmware.ask(0x51000028, answer=18)
    assert header == 0x10000010 and sum(rest[:-1]) + header == rest[-1]
    assert tsu_firmware.word("commands") == 1
    assert tsu_bench.strike("stall", 1)
    with pytest.raises(TimeoutError):
        tsu_firmware.ask(0x51000028, answer=1, patience=10_000)

{WITH_IMAGE}
def test_booted(tsu_chip, tsu_firmware):
    assert tsu_firmware.read("SYS.BOOT") == 2
    assert tsu_chip.emulated is tsu_firmware.chip
""",
        "--tsu-coverage=c.info",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*coverage of firmware*", "*guarded.c: lines * of *", "written to c.info"])
    assert "SF:" in (pytester.path / "c.info").read_text()


def test_a_failure_says_how_to_repeat_it(pytester: pytest.Pytester) -> None:
    """And repeating it so gives the same chip."""
    body = f"""
{WITH_IMAGE}
def test_it(tsu_firmware, tsu_bench):
    tsu_firmware.until(5000)
    tsu_bench.oracle.inject("stuck-cell", cell=2, at="up")
    assert tsu_bench.seeds == {{"die": 9, "run": 4}}
"""
    result = run(pytester, body, "--tsu-die-seed=7")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*tsu chip*",
            "ideal-16*cpu.image=*guarded.elf",
            "seeds: die 7, run 1",
            "cycle 50*",
            "1 injected faults:*",
            "last instructions*",
            "repeat with: python -m pytest *::test_it --tsu-die-seed=7 --tsu-run-seed=1",
        ]
    )
    run(pytester, body, "--tsu-die-seed=9", "--tsu-run-seed=4").assert_outcomes(passed=1)


def test_a_failure_leaves_a_recording_of_what_the_chip_did(pytester: pytest.Pytester) -> None:
    """Not if something was done to the chip that no recording has."""
    body = """
def test_it(tsu_chip, tsu_bench):
    tsu_bench.oracle.inject("stuck-cell", cell=2, at="up")
    tsu_bench.instruments.ambient(310.0)
    tsu_chip.run(100)
    assert tsu_chip.read() is None

def test_struck(tsu_chip, tsu_bench):
    tsu_bench.strike("stuck-cell", 1)
    assert False
"""
    result = run(pytester, body, "--tsu-recordings=takes")
    result.assert_outcomes(failed=2)
    lines = [line for line in result.outlines if line.startswith("or replay what its chip did: tsu-emu replay takes/")]
    assert len(lines) == 1
    take = pytester.path / lines[0].rsplit(" ", 1)[1]
    assert [path.name for path in take.parent.iterdir()] == [take.name]
    replayed = subprocess.run(
        [sys.executable, "-m", "tsu_emu", "replay", str(take)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (replayed.returncode, "and so is the state at the end" in replayed.stdout) == (0, True), replayed.stderr


def test_what_is_refused(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_without(tsu_firmware):
    pass

@pytest.mark.tsu("ideal-16", cell__kindd=3)
def test_key(tsu_chip):
    pass

@pytest.mark.tsu(image="none.elf")
def test_image(tsu_firmware):
    pass
        """,
    )
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*tsu_firmware needs an image*", "@pytest.mark.tsu: *", "*kindd*", "*cpu.image *none.elf*"])
    assert "def tsu_bench" not in result.stdout.str()
    assert "During handling" not in result.stdout.str()
    nowhere = run(pytester, "def test_it(): pass", "--tsu-coverage=nowhere/firmware.info")
    nowhere.stderr.fnmatch_lines(["ERROR: --tsu-coverage nowhere/firmware.info: nowhere is no directory"])


def test_collection_loads_no_compiler(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(tsu_chip):\n    pass\n")
    code = f"import pytest, sys; pytest.main({['--collect-only', '-q', *PLUGIN, str(tmp_path)]!r}); print('numba' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert ran.stdout.splitlines()[-1] == "False", ran.stdout + ran.stderr
