"""The doors as sockets: open when asked for, closed otherwise; programs and drivers that use them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import tsu_driver as tsu
from bench.harness import at, chain
from server.process import SMALL, Dealer, Process, environment, finished, short_directory
from tsu_contract.errors import Code
from tsu_driver import instruments as program
from tsu_driver.instruments import Instruments
from tsu_driver.opening import emulator_command
from tsu_emu.__main__ import app
from tsu_emu.bench.client import Oracle, OracleError
from tsu_emu.bench.instruments import Instruments as InstrumentsDoor
from tsu_emu.bench.oracle import Oracle as OracleDoor
from tsu_emu.chip import Chip
from tsu_emu.server.daemon import Daemon, EndpointError
from tsu_emu.server.session import Server
from tsu_firmware import BootFirmware

COMPILES_S = 150
"""Seconds that a first reply may take: it may have to wait for the compiler."""


@contextmanager
def served(chip: Chip) -> Iterator[Daemon]:
    """A daemon with both doors, in a thread."""
    with tempfile.TemporaryDirectory() as folder:
        doors = {"instruments": InstrumentsDoor(chip).handle, "oracle": OracleDoor(chip).handle}
        open_at = {name: (f"ipc://{folder}/c.{name}", handle) for name, handle in doors.items()}
        daemon = Daemon(Server(chip), f"ipc://{folder}/c", doors=open_at)
        thread = threading.Thread(target=daemon.run)
        thread.start()
        try:
            yield daemon
        finally:
            daemon.stop()
            thread.join()
        assert os.listdir(folder) == []


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with served(Chip(chain(), BootFirmware())) as daemon:
        yield daemon


@pytest.fixture
def lab(daemon: Daemon) -> Iterator[Instruments]:
    with Instruments(daemon.endpoints["instruments"], timeout_s=COMPILES_S) as lab:
        yield lab


@pytest.fixture
def oracle(daemon: Daemon) -> Iterator[Oracle]:
    with Oracle(daemon.endpoints["oracle"], timeout_s=COMPILES_S) as oracle:
        yield oracle
        oracle.clear()


# Clients


def test_verbs_of_the_instruments(lab: Instruments) -> None:
    assert (lab.identity["name"], lab.identity["clock_hz"], lab.identity["nominal_v"]) == ("test", 100_000_000, 0.8)
    assert lab.ambient(np.float32(310)).ambient_k == 310.0
    assert lab.supply(0.9).supply_v == 0.9
    reading = lab.source(0.1, amplitude=0.5, hz=1e4, phase=0.25)
    assert (reading.offset, reading.amplitude, reading.hz, reading.phase) == (0.1, 0.5, 1e4, 0.25)
    assert lab.source().amplitude == 0.0
    later = lab.skip(2)
    assert later.seconds - reading.seconds == 2
    assert lab.read() == later
    assert (later.ambient_k, later.supply_v) == (310.0, 0.9)


def test_what_is_wrong_is_raised_as_the_driver_does(daemon: Daemon, lab: Instruments, tmp_path: Path) -> None:
    before = lab.read()
    with pytest.raises(tsu.HostError, match=r"k = 500.0; a number of 200 to 450 expected") as error:
        lab.ambient(500)
    assert (error.value.code, error.value.field) == (Code.OUT_OF_RANGE, "k")
    for bad in ("310", None, True):
        with pytest.raises(tsu.HostError, match="a number expected"):
            lab.ambient(bad)
    assert lab.read() == before
    with pytest.raises(tsu.LinkTimeout, match=r"no reply .* to identify within 0\.1 s"):
        Instruments(f"ipc://{tmp_path}/none", timeout_s=0.1)
    with pytest.raises(tsu.LinkError, match="door of the oracle, not of instruments"):
        Instruments(daemon.endpoints["oracle"])
    with pytest.raises(tsu.LinkError, match="cannot connect to gopher:x"):
        Instruments("gopher:x")
    with pytest.raises(tsu.HostError, match="timeout_s = 0"):
        Instruments(daemon.endpoints["instruments"], timeout_s=0)
    lab.close()
    with pytest.raises(tsu.LinkError, match="closed"):
        lab.read()


def test_the_front_door_is_no_instrument(daemon: Daemon) -> None:
    with pytest.raises(tsu.LinkError):
        Instruments(daemon.endpoint, timeout_s=1.0)
    with tsu.open(daemon.endpoint) as chip:
        assert chip.read_register("SYS.BOOT.STAGE") == 2
        assert (chip.instruments_url, chip.oracle_url) == (None, None)


def test_a_bus_error_is_a_chip_fault_and_earlier_operations_stand(daemon: Daemon, oracle: Oracle) -> None:
    with tsu.open(daemon.endpoint) as chip:
        oracle.inject("bus-error", address=at("TEMP.TDAC"), accesses=1)
        batch = chip.batch()
        batch.write("SYS.SCRATCH", 5)
        batch.write("TEMP.TDAC", CODE=64)
        batch.write("SYS.SCRATCH", 6)
        with pytest.raises(tsu.ChipFault) as error:
            batch.execute()
        assert (error.value.code, error.value.index, error.value.address) == (Code.BUS_ERROR, 1, at("TEMP.TDAC"))
        assert chip.read_register("SYS.SCRATCH") == 5
        chip.set_temperature(1.0)
        assert oracle.faults() == []


def test_doors_are_answered_while_the_front_door_is_used(daemon: Daemon, lab: Instruments, oracle: Oracle) -> None:
    with tsu.open(daemon.endpoint) as chip:
        oracle.inject("stuck-cell", cell=1, at="down")
        for _ in range(20):
            chip.run(2)
            assert set(chip.read()[:, 1].tolist()) == {-1}
            assert lab.read().cycle == chip.time_cycles
        chip.program_couplings(np.zeros((4, 4)), [0.5, 0, 0, 0])
        assert oracle.truth("h").tolist() == [0.5, 0, 0, 0]
        assert oracle.truth("bias_dac", 0).shape == (256,)
        digest = oracle.digest()
        assert oracle.digest() == digest
        chip.run(1)
        assert oracle.digest() != digest


def test_the_oracles_client_says_why(oracle: Oracle, tmp_path: Path) -> None:
    with pytest.raises(OracleError, match="kind is 'gremlin'; stuck-cell, ") as error:
        oracle.inject("gremlin")
    assert error.value.failure is not None
    assert error.value.failure.field == "kind"
    assert oracle.upset(at("SYS.SCRATCH"), 0x81) ^ oracle.upset(at("SYS.SCRATCH"), 0x81) == 0x81
    assert set(oracle.identify()) == {"door", "name", "faults", "truths"}
    with Oracle(f"ipc://{tmp_path}/none", timeout_s=0.05) as nobody, pytest.raises(OracleError, match="no reply"):
        nobody.digest()
    with pytest.raises(OracleError, match="cannot connect"):
        Oracle("gopher:x")


@pytest.mark.parametrize("door", ["instruments", "oracle"])
def test_hostile_bytes_over_a_socket(daemon: Daemon, door: str) -> None:
    with Dealer(daemon.endpoints[door]) as dealer:
        for frames in ([b""], [b"\xff" * 5000], [b"x", b"y"], [os.urandom(100)], [b"\x91" * 4000]):
            dealer.send(frames)
            assert dealer.receive()
    with Instruments(daemon.endpoints["instruments"]) as lab:
        assert lab.read().cycle >= 0


def test_two_doors_at_one_place_are_refused_and_leave_nothing_behind() -> None:
    chip = Chip(chain())
    with tempfile.TemporaryDirectory() as folder:
        for second, message in (
            (f"ipc://{folder}/c", "another daemon"),
            ("tcp://0.0.0.0:1", "loopback alone"),
            ("x", "expected"),
        ):
            with pytest.raises(EndpointError, match=message):
                Daemon(Server(chip), f"ipc://{folder}/c", doors={"oracle": (second, OracleDoor(chip).handle)})
            assert os.listdir(folder) == []


# Programs


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
        (["--endpoint", "tcp://127.0.0.1:*", "--bench"], "--bench needs an ipc endpoint"),
        (["--oracle", "tcp://1.2.3.4:5"], "loopback alone"),
    ],
)
def test_doors_that_cannot_be(arguments: list[str], message: str) -> None:
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
    code = "import sys, tsu_apps.ctd; print([m for m in sys.modules if m.endswith(('instruments', '.bench'))])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment(), check=True)
    assert run.stdout == "[]\n"
