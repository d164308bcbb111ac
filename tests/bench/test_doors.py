"""The doors as sockets, and their clients."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import tsu_driver as tsu
from bench.harness import at, chain
from server.process import Dealer
from tsu_contract.errors import Code
from tsu_driver.instruments import Instruments
from tsu_emu.bench.client import Oracle, OracleError
from tsu_emu.bench.instruments import Instruments as InstrumentsDoor
from tsu_emu.bench.oracle import Oracle as OracleDoor
from tsu_emu.chip import Chip
from tsu_emu.server.daemon import Daemon
from tsu_emu.server.endpoints import EndpointError
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
