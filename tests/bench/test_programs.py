"""Programs with the doors: the emulator's command line, that of the instruments, and private emulators."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tsu_driver as tsu
from server.process import SMALL, Process, environment, finished, short_directory
from tsu_driver import instruments as program
from tsu_driver.instruments import Instruments
from tsu_driver.opening import emulator_command
from tsu_emu.__main__ import app
from tsu_emu.bench.client import Oracle


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    with short_directory() as folder:
        (folder / "small.toml").write_text(SMALL)
        with Process(folder / "small.toml", f"ipc://{folder}/c", "--bench", "--exit-with-stdin") as process:
            yield process
            process.close_stdin()
            assert process.end() == 0
        assert sorted(os.listdir(folder)) == ["small.toml"]


def test_bench_opens_both_doors_beside_the_front_door(process: Process) -> None:
    for door in ("instruments", "oracle"):
        assert process.ready[door] == f"{process.endpoint}.{door}"
        mode = Path(process.ready[door].removeprefix("ipc://")).stat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)


def test_doors_are_closed_unless_asked_for() -> None:
    with short_directory() as folder:
        (folder / "small.toml").write_text(SMALL)
        with Process(folder / "small.toml", f"ipc://{folder}/c", "--exit-with-stdin") as process:
            assert set(process.ready) == {"event", "endpoint", "pid", "name"}
            assert sorted(os.listdir(folder)) == ["c", "small.toml"]


def test_one_door_alone_and_over_tcp() -> None:
    with short_directory() as folder:
        (folder / "small.toml").write_text(SMALL)
        where = "tcp://127.0.0.1:*"
        with Process(folder / "small.toml", where, "--instruments", where, "--exit-with-stdin") as process:
            assert "oracle" not in process.ready
            with Instruments(process.ready["instruments"]) as lab:
                assert lab.identity["name"] == "small"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep", "durable"], "--keep goes with --state DIR"),
        (["--endpoint", "tcp://127.0.0.1:*", "--bench"], "--bench needs an ipc endpoint"),
        (["--oracle", "tcp://1.2.3.4:5"], "loopback alone"),
    ],
)
def test_doors_and_keeping_that_cannot_be(arguments: list[str], message: str) -> None:
    with short_directory() as folder:
        endpoint = [] if "--endpoint" in arguments else ["--endpoint", f"ipc://{folder}/c"]
        run = CliRunner().invoke(app, ["serve", "ideal-16", *endpoint, *arguments])
    assert run.exit_code == 2
    assert message in run.stderr


def test_the_oracles_command_line(process: Process) -> None:
    def asked(*arguments: str) -> dict[str, object]:
        run = CliRunner().invoke(app, ["oracle", process.ready["oracle"], *arguments, "--json"])
        assert (run.exit_code, run.stderr) == (0, "")
        return dict(json.loads(run.stdout))

    assert asked("inject", "kind=stuck-cell", "cell=3", "at=up")["fault"] == 0
    assert asked("list")["faults"] == [{"fault": 0, "kind": "stuck-cell", "cell": 3, "at": "up"}]
    assert asked("upset", "address=SYS.SCRATCH", "bits=0x10")["value"] == 0x10
    assert asked("truth", "name=dead")["dead"] == [0, 0, 0, 2] + [0] * 8
    assert asked("clear", "fault=0")["faults"] == []
    plain = CliRunner().invoke(app, ["oracle", process.ready["oracle"], "list"])
    assert plain.stdout == "no faults\n"
    for arguments in (["oracle", process.endpoint, "list"], ["status", process.ready["oracle"]]):
        wrong = CliRunner().invoke(app, arguments)
        assert (wrong.exit_code, f"{arguments[1]} answers, but not as" in wrong.stderr) == (2, True)
    run = finished("oracle", process.ready["oracle"], "truth", "name=bias_dac", "element=0")
    assert "bias_dac [256] float64" in run.stdout
    for arguments, message in (
        (["fly"], "no verb 'fly'"),
        (["clear", "1"], "'1' is not KEY=VALUE"),
        (["clear", "verb=1"], "'verb' is no value"),
        (["clear", f"fault={1 << 64}"], "64 bits"),
    ):
        refused = CliRunner().invoke(app, ["oracle", process.ready["oracle"], *arguments])
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert message in refused.stderr


def test_the_instruments_command_line(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    url = process.ready["instruments"]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tsu_driver.instruments", url, "ambient", "310", "--json"],
        capture_output=True, text=True, timeout=60, env=environment(),
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["ambient_k"] == 310.0
    for arguments, shown in (
        ([url, "source", "--amplitude", "0.5", "--hz", "1e3"], "amplitude    0.5"),
        ([url, "supply", "0.7"], "supply_v     0.7"),
        ([url, "read"], "supply_v     0.7"),
        (["--json", url, "identify"], '"door": "instruments"'),
        ([url, "skip", "1.5"], "seconds      1.5"),
    ):
        assert program.main(arguments) == 0
        assert shown in capsys.readouterr().out
    assert program.main([process.endpoint, "read"]) == 2
    assert f"{process.endpoint} answers, but not as a door of instruments does" in capsys.readouterr().err
    with pytest.raises(tsu.LinkError, match="answers, but not as a chip does"):
        tsu.open(url, timeout_s=20)
    assert program.main([url, "ambient", "9"]) == 2
    assert "k = 9.0; a number of 200 to 450 expected" in capsys.readouterr().err
    for usage in ([url], [url, "fly"], [url, "ambient", "warm"]):
        with pytest.raises(SystemExit) as ended:
            program.main(usage)
        assert ended.value.code == 2
    with pytest.raises(SystemExit):
        program.main(["--help"])
    assert "let chip time pass while nothing happens" in capsys.readouterr().out


# Opening


def test_a_private_emulator_with_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    with tsu.open("emu:ideal-16?bench=1") as chip:
        assert chip.instruments_url is not None
        assert chip.oracle_url is not None
        with Instruments(chip.instruments_url) as lab, Oracle(chip.oracle_url) as oracle:
            assert lab.skip(1.0).seconds > 1
            assert oracle.identify()["name"] == chip.name == "ideal-16"
    assert emulator_command("emu:ideal-16?bench=0") == emulator_command("emu:ideal-16")
    with pytest.raises(tsu.HostError, match="bench is '2'; 0 or 1"):
        tsu.open("emu:ideal-16?bench=2")


def test_learning_loads_no_bench() -> None:
    """The app that trains, and all that it imports."""
    code = "import sys, tsu_apps.learning; print([m for m in sys.modules if m.endswith(('instruments', '.bench'))])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment(), check=True)
    assert run.stdout == "[]\n"
