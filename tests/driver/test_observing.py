"""Observers, status and leases of the driver, on real sockets before an emulated chip."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

import tsu_driver as tsu
from server.harness import Clock
from serving import config, serving
from tsu_contract.errors import Code
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_firmware import BootFirmware


@pytest.fixture
def served() -> Iterator[tuple[Chip, str]]:
    """A chip, and its daemon's endpoint."""
    chip = Chip(config({"kind": "dense", "cells": 6}, planes=4), BootFirmware())
    with serving(chip) as url:
        yield chip, url


def test_observer_reads_what_the_operator_wrote_and_changes_nothing(served: tuple[Chip, str]) -> None:
    emulated, url = served
    with tsu.open(url) as chip:
        chip.program_couplings(None, np.linspace(-1, 1, 6))
        chip.run(5)
        before = S.digest(emulated.state)
        with tsu.observe(url) as observer:
            assert observer.capabilities == chip.capabilities
            codes = observer.read_window("BIAS")
            looks = [observer.read_register("SYS.CYCLE"), observer.read_register("SEQ.STATUS.STATE")]
            batch = observer.batch()
            tickets = batch.read("SYS.CYCLE"), batch.read_field("SYS.BOOT.STAGE")
            batch.execute()
            assert tickets[0].value == looks[0]
        assert S.digest(emulated.state) == before
        assert looks[0] <= chip.read_register("SYS.CYCLE")
        assert codes.reshape(-1).tolist() == emulated.state.bias_code.tolist()
        assert len(set(codes.reshape(-1).tolist())) == 6


def test_observer_may_not_write_nor_wait(served: tuple[Chip, str]) -> None:
    with tsu.observe(served[1]) as observer:
        for change in ("write", "wait"):
            batch = observer.batch()
            if change == "write":
                batch.write("SYS.SCRATCH", 1)
            else:
                batch.wait("SEQ.STATUS", value=2, max_cycles=5)
            with pytest.raises(tsu.LinkError) as caught:
                batch.execute()
            assert (caught.value.code, caught.value.index) == (Code.FORBIDDEN, 0)
        assert observer.read_register("SYS.SCRATCH") == 0


def test_observer_says_bye(served: tuple[Chip, str]) -> None:
    url = served[1]
    with tsu.observe(url) as observer:
        observer.read_register("SYS.ID")
        assert observer.status()["sessions"] == {"open": 1, "observers": 1, "subscribers": 0}
    assert tsu.status(url)["sessions"]["open"] == 0


def test_status_of_nobody_is_a_timeout(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(tsu.LinkTimeout, match="STATUS"):
        tsu.status("ipc:///tmp/tsu-nobody-there.sock", timeout_s=0.2)


@pytest.mark.parametrize("url", ["emu:digits-ideal", "http://x", ""])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(tsu.HostError, match="cannot look at"):
        tsu.status(url)
    with pytest.raises(tsu.HostError, match="cannot look at"):
        tsu.observe(url)


def test_lease_keeps_others_out_for_its_block(served: tuple[Chip, str]) -> None:
    url = served[1]
    with tsu.open(url) as chip, tsu.open(url) as other:
        for seconds in (0, -1, 3601, float("nan")):
            with pytest.raises(tsu.HostError, match="more than 0 and at most 3600 expected"), chip.lease(seconds):
                pass
        with chip.lease(seconds=30):
            chip.run(2)
            assert 20 < tsu.status(url)["lease"]["seconds"] <= 30
            for _ in range(2):
                with pytest.raises(tsu.LinkError, match="tsu-driver") as caught:
                    other.write_register("SYS.SCRATCH", 1)
                assert caught.value.code is Code.LEASED
            with pytest.raises(tsu.LinkError), other.lease():
                pass
        other.write_register("SYS.SCRATCH", 7)
        assert chip.read_register("SYS.SCRATCH") == 7


def test_lease_of_a_silent_session_runs_out() -> None:
    clock, chip = Clock(), Chip(config({"kind": "dense", "cells": 6}, planes=4), BootFirmware())
    with serving(chip, clock) as url, tsu.open(url) as holder, tsu.open(url) as other, holder.lease(seconds=30):
        clock.now += 29.9
        with pytest.raises(tsu.LinkError):
            other.read_register("SYS.ID")
        clock.now += 0.2
        other.read_register("SYS.ID")
        holder.read_register("SYS.ID")


@pytest.mark.parametrize("every_s", [0, 0.09, 3601, float("nan")])
def test_updates_too_often_or_too_seldom_are_refused(served: tuple[Chip, str], every_s: float) -> None:
    with tsu.observe(served[1]) as observer, pytest.raises(tsu.HostError, match=r"every_s = .*; 0.1 to 3600 seconds expected"):
        next(iter(observer.updates(every_s)))


def test_updates_come_also_while_others_work(served: tuple[Chip, str]) -> None:
    stop = threading.Event()

    def work() -> None:
        with tsu.open(served[1]) as chip:
            while not stop.is_set():
                chip.run(50)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with tsu.observe(served[1]) as observer:
            seen = []
            for update in observer.updates(every_s=0.1):
                seen.append(update)
                if len(seen) == 25:
                    break
            assert [u.number for u in seen] == list(range(1, 26))
            assert seen[-1].status["cycles"] > seen[0].status["cycles"]
            assert observer.status()["sessions"]["subscribers"] == 0
            assert observer.read_register("SYS.SCRATCH") == 0
    finally:
        stop.set()
        worker.join()
