"""The command line without a chip: help, versions, configurations, and how little it loads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from server.process import environment, finished
from tsu_emu import __version__
from tsu_emu.config import shipped

COMMANDS = ("serve", "status", "record", "replay", "gateway", "keys", "oracle", "configs", "warmup", "doctor")


def test_help_lists_every_command() -> None:
    run = finished("--help")
    assert run.returncode == 0
    for name in (*COMMANDS, "--version"):
        assert name in run.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    run = finished(command, "--help")
    assert (run.returncode, run.stderr) == (0, "")
    assert f"tsu-emu {command}" in run.stdout


def test_version_is_that_of_the_package() -> None:
    run = finished("--version")
    assert (run.returncode, run.stdout) == (0, f"tsu-emu {__version__}\n")


def test_importing_the_command_line_loads_no_compiler() -> None:
    """`--help` answers in a tenth of a second only as long as Numba, NumPy and ZeroMQ stay out."""
    heavy = ("numba", "llvmlite", "numpy", "zmq", "pydantic", "tsu_emu.chip", "tsu_emu.config")
    code = f"import sys, tsu_emu.__main__; print([m for m in {heavy!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment(), check=True)
    assert run.stdout.strip() == "[]"


def test_listing_configurations_loads_no_compiler() -> None:
    code = "import sys, tsu_emu.config; tsu_emu.config.load('ideal-16'); print('numba' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment(), check=True)
    assert run.stdout.strip() == "False"


def test_configs_lists_each_shipped_file_on_a_line() -> None:
    run = finished("configs")
    assert run.returncode == 0
    assert [line.split()[0] for line in run.stdout.splitlines()] == list(shipped())
    assert {"digits-ideal", "digits-typical", "ideal-16", "z1-128"} <= set(shipped())


def test_configs_json_is_every_configuration_whole() -> None:
    listed = json.loads(finished("configs", "--json").stdout)
    assert [c["name"] for c in listed] == list(shipped())
    for c in listed:
        assert {
            "description",
            "seeds",
            "clock",
            "fabric",
            "coupling",
            "bias",
            "cell",
            "temperature",
            "sequencer",
            "timing",
        } <= set(c)
        assert "return" in c["timing"]


def test_one_configuration_is_printed_with_the_source_of_its_values() -> None:
    run = finished("configs", "ideal-16")
    assert run.returncode == 0
    lines = run.stdout.splitlines()
    assert lines[0].startswith("ideal-16 ")
    planes = next(line for line in lines if line.strip().startswith("fabric.planes "))
    assert any(word in planes for word in ("design:", "assumed:", "published:", "measured:"))
    typical = [line.split() for line in finished("configs", "digits-typical").stdout.splitlines()[1:]]
    assert ["coupling.dac.bits", "8", "assumed:"] in [words[:3] for words in typical], "a value has its table's source"
    assert not any(words[1].startswith("{") for words in typical), "each value has a line of its own"


def test_one_configuration_as_json_is_it_alone() -> None:
    listed = json.loads(finished("configs", "ideal-16", "--json").stdout)
    assert [c["name"] for c in listed] == ["ideal-16"]


def test_unknown_configuration_is_exit_code_2_and_one_line() -> None:
    run = finished("configs", "nope")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.count("\n") == 1
    assert f"no configuration 'nope'; there are {next(iter(shipped()))}, " in run.stderr


def test_unknown_command_is_exit_code_2() -> None:
    run = finished("fly")
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
