"""The boot firmware inside a chip: what it leaves behind, how it fails, and that it can be saved between any two steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from server.harness import CELLS, Client, Row, at, block_read, delay, read, records_of, small_config, small_server, wait, write
from tsu_contract.errors import Code
from tsu_contract.firmware import Port
from tsu_contract.registers import access_table, value_of
from tsu_contract.wire import Interrupt
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.server.session import Server
from tsu_firmware import BootFirmware
from tsu_firmware.boot import PAUSE_CYCLES, SELF_TEST

RESET, SELFTEST, READY, FAILED = (value_of("SYS.BOOT.STAGE", s) for s in ("RESET", "SELFTEST", "READY", "FAILED"))
IRQ_BOOT = 1 << 4
BOOT_CYCLES = 2000
"""More than the self-test of any small chip takes."""
BOOTED: Row = wait("SYS.BOOT", READY, 0xFF, BOOT_CYCLES)


def booting(firmware: BootFirmware | None = None) -> Client:
    """A client of a chip at power-on with its boot firmware."""
    return Client(Server(Chip(small_config(), firmware or BootFirmware())))


# what a good boot does


def test_chip_reaches_ready_within_the_time_of_its_self_test() -> None:
    reply = booting().done(BOOTED)
    assert reply.values.tolist() == [READY]
    assert PAUSE_CYCLES * (len(SELF_TEST) - 1) < reply.t_end < BOOT_CYCLES


def test_boot_leaves_temperature_1_and_everything_else_at_power_on() -> None:
    """T = 1 is code 128: full scale 4 in 9 bits. The host finds no trace of the self-test but the interrupt."""
    client = booting()
    client.done(BOOTED)
    assert client.value("TEMP.TDAC") == 128
    assert client.value("SYS.SCRATCH") == 0
    assert client.value("SYS.ERROR") == 0
    assert client.value("IRQ.PENDING") == IRQ_BOOT
    assert client.value("SEQ.PC") == 0
    assert bytes(client.done(block_read("PROGRAM", 32)).data[0]) == bytes(128)
    assert bytes(client.done(block_read("BIAS", 21)).data[0]) == bytes(84)


@pytest.mark.parametrize(("bits", "full_scale", "code"), [(8, 4.0, 64), (12, 4.0, 1024), (8, 1.0, 255), (8, 64.0, 4)])
def test_temperature_code_is_the_nearest_that_the_dac_has(bits: int, full_scale: float, code: int) -> None:
    config = small_config(temperature={"dac": {"bits": bits, "full_scale": full_scale}})
    client = Client(Server(Chip(config, BootFirmware())))
    client.done(BOOTED)
    assert client.value("TEMP.TDAC") == code


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_smallest_chips_boot(cells: int) -> None:
    """One cell has half a word of BIAS; the least program memory is what the self-test needs."""
    topology = {"kind": "dense", "cells": cells}
    config = small_config(fabric={"planes": 1, "topology": topology}, sequencer={"program_words": 2})
    Client(Server(Chip(config, BootFirmware()))).done(BOOTED)


def test_bus_answers_while_the_self_test_is_under_way() -> None:
    client = booting()
    reply = client.done(
        read("SYS.BOOT"), delay(300), read("SYS.BOOT"), read("SYS.ID"), write("CORR.PERIOD", 5), read("CORR.PERIOD")
    )
    assert reply.values.tolist() == [SELFTEST, 0, SELFTEST, 0x75500104, 0, 5]
    client.done(BOOTED)
    assert client.value("CORR.PERIOD") == 5


def test_both_reports_raise_the_boot_interrupt() -> None:
    """SELFTEST comes at cycle 0, before a host can enable it; READY is told."""
    client = booting()
    first = client.done(read("IRQ.PENDING"), write("IRQ.ENABLE", IRQ_BOOT))
    assert first.values.tolist()[0] == IRQ_BOOT
    reply = client.done(BOOTED)
    assert reply.interrupts == (Interrupt(0, reply.t_end - 1, IRQ_BOOT),)


def test_host_cannot_write_the_boot_status() -> None:
    reply = booting().operate(write("SYS.BOOT", READY))
    assert reply.failure is not None
    assert reply.failure.code is Code.READ_ONLY


def test_chip_without_firmware_is_ready_at_power_on() -> None:
    client = Client(small_server())
    assert client.done(wait("SYS.BOOT", READY, 0xFFFFFFFF, 0), read("IRQ.PENDING")).values.tolist() == [READY, 0]


def test_reset_keeps_the_boot_status() -> None:
    client = booting()
    client.done(BOOTED, write("SYS.CTRL", 1), delay(50))
    assert client.value("SYS.BOOT") == READY
    assert client.value("TEMP.TDAC") == 0x40


class Watched(BootFirmware):
    """Notes when each step comes and what its accesses cost."""

    def __init__(self) -> None:
        self.now: Callable[[], int] = lambda: 0
        self.steps: list[tuple[int, int]] = []

    def step(self, state: NDArray[np.int64], bus: Port) -> int | None:
        counting = Tapped(bus, {})
        delay = super().step(state, counting)
        self.steps.append((self.now(), 4 * counting.reads + 3 * counting.writes))
        return delay


def test_each_step_waits_for_the_cost_of_the_one_before() -> None:
    """A read is issue + access + return = 4 cycles, a write 3; the walk through SCRATCH takes longer than a pause."""
    firmware = Watched()
    client = booting(firmware)
    firmware.now = lambda: int(client.server.chip.state.time[S.NOW])
    client.done(BOOTED)
    times = [t for t, _ in firmware.steps]
    assert times[0] == 0
    assert np.diff(times).tolist() == [max(PAUSE_CYCLES, cost) for _, cost in firmware.steps[:-1]]
    assert max(cost for _, cost in firmware.steps) > PAUSE_CYCLES


# broken chips


class Tapped:
    """The boot core's bus with a fault: `faults` maps an address to (bits stuck at 1 on reads, whether writes are lost)."""

    def __init__(self, bus: Port, faults: dict[int, tuple[int, bool]]) -> None:
        self._bus, self._faults = bus, faults
        self.reads = self.writes = 0

    def read(self, address: int) -> int:
        self.reads += 1
        return self._bus.read(address) | self._faults.get(address, (0, False))[0]

    def write(self, address: int, value: int) -> None:
        self.writes += 1
        if not self._faults.get(address, (0, False))[1]:
            self._bus.write(address, value)


class Broken(BootFirmware):
    """Firmware on a chip whose bus has faults."""

    def __init__(self, faults: dict[int, tuple[int, bool]]) -> None:
        self._faults = faults

    def step(self, state: NDArray[np.int64], bus: Port) -> int | None:
        return super().step(state, Tapped(bus, self._faults))


FAULTS: dict[str, tuple[dict[int, tuple[int, bool]], str]] = {
    "identity": ({at("SYS.ID"): (1 << 31, False)}, "check_identity"),
    "map hash": ({at("SYS.MAP_HASH"): (0xFFFFFFFF, False)}, "check_identity"),
    "scratch bit stuck at 1": ({at("SYS.SCRATCH"): (1 << 17, False)}, "check_bus"),
    "scratch that takes nothing": ({at("SYS.SCRATCH"): (0, True)}, "check_bus"),
    "program word stuck": ({at("PROGRAM", 3): (2, False)}, "check_program_memory"),
    "program that takes nothing": ({at("PROGRAM"): (0, True)}, "check_program_memory"),
    "sequencer that does not start": ({at("SEQ.CTRL"): (0, True)}, "start_sequencer"),
    "interrupt that does not clear": ({at("IRQ.PENDING"): (0, True)}, "check_sequencer"),
    "bias bit stuck": ({at("BIAS"): (1 << 20, False)}, "check_dac_codes"),
    "bias that takes nothing": ({at("BIAS"): (0, True)}, "check_dac_codes"),
    "temperature that takes nothing": ({at("TEMP.TDAC"): (0, True)}, "set_temperature"),
}


def expect_failure(client: Client, step: str) -> None:
    """FAILED with the number of the step; the firmware then sleeps for good."""
    word = int(client.done(wait("SYS.BOOT", FAILED, 0xFF, BOOT_CYCLES)).values[0])
    number = [test.__name__ for test in SELF_TEST].index(step) + 1
    assert (word & 0xFF, word >> 8) == (FAILED, number)
    assert client.value("IRQ.PENDING") & IRQ_BOOT
    assert int(client.server.chip.state.events[S.EVENT_FIRMWARE]) == S.NEVER
    reply = client.operate(delay(100_000), BOOTED)
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.field) == (Code.WAIT_TIMEOUT, "SYS.BOOT")


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_on_the_bus_fails_its_own_step(fault: str) -> None:
    faults, step = FAULTS[fault]
    expect_failure(booting(Broken(faults)), step)


def test_every_step_of_the_self_test_is_made_to_fail() -> None:
    """Each self-test can fail: none of them is there for show."""
    assert {step for _, step in FAULTS.values()} == {test.__name__ for test in SELF_TEST}


def test_program_that_decays_between_two_steps_fails_the_next() -> None:
    """No fault of the bus: HALT becomes a word that is no instruction before the sequencer fetches it."""
    client = booting()
    chip = client.server.chip
    while int(chip.state.core["firmware"][0, 0]) < 4:
        client.done(delay(1))
    chip.state.program[0] = np.uint64(0xFF << 56)
    expect_failure(client, "check_sequencer")
    assert client.value("SEQ.STATUS") & 0xFF == value_of("SEQ.STATUS.STATE", "FAULTED")


def test_failed_chip_still_answers_on_the_bus() -> None:
    client = booting(Broken(FAULTS["identity"][0]))
    expect_failure(client, "check_identity")
    client.done(write("SYS.SCRATCH", 77))
    assert client.value("SYS.SCRATCH") == 77


# saved and restored

FUTURE: tuple[Row, ...] = (
    read("SYS.CYCLE"),
    wait("SYS.BOOT", READY, 0xFF, BOOT_CYCLES),
    read("SYS.CYCLE"),
    read("IRQ.PENDING"),
    write("PROGRAM", 20),
    write("PROGRAM", 0x02000000, 1),
    write("PROGRAM", 0x03000000, 3),
    write("PROGRAM", 0, 5),
    write("BIAS", 0x0010FFF0),
    write("SEQ.PC", 0),
    write("SEQ.CTRL", 1),
    wait("SEQ.STATUS", 2, 0xFF, 100_000),
    block_read("SPIN", 140),
    read("TEMP.TDAC"),
)


def outcome(chip: Chip) -> tuple[list[int], list[bytes], str]:
    """What the rest of the boot and a program give, and the state after it."""
    result = chip.execute(records_of(FUTURE))
    assert result.failure is None
    return result.values.tolist(), result.data, S.digest(chip.state)


@pytest.mark.parametrize("cycles", [0, 1, 99, 100, 101, 300, 600, 656, 700, 760, 900, 954])
def test_state_saved_in_the_middle_of_a_boot_has_the_same_future(cycles: int) -> None:
    """At any cycle, in a chip and a firmware object that have never run: all memory is in the state."""
    chip = Chip(small_config(), BootFirmware())
    chip.execute(records_of([delay(cycles)]))
    saved = S.save(chip.state)
    assert saved["core"]["registers"][0][access_table().word("SYS.BOOT")] & 0xFF != READY
    other = Chip(small_config(), BootFirmware())
    other.restore(saved)
    assert S.digest(other.state) == S.digest(chip.state)
    assert outcome(other) == outcome(chip)


def test_restored_chip_forgets_what_it_had_done_itself() -> None:
    """Codes, clamps and what hangs on them are the saved ones: a chip far ahead goes back to the middle of a boot."""
    chip = Chip(small_config(), BootFirmware())
    chip.execute(records_of([delay(400)]))
    saved = S.save(chip.state)
    expected = outcome(chip)
    client = Client(Server(chip))
    codes = np.full(82, 99, "<i2").tobytes()
    client.done((5, at("COUPLING"), 0, 0, 41), (5, at("BIAS"), 0, 0, 20), payloads=[codes, codes[:80]])
    chip.restore(saved)
    assert outcome(chip) == expected


def test_saved_state_is_a_copy() -> None:
    chip = Chip(small_config(), BootFirmware())
    saved = S.save(chip.state)
    before = {name: array.tobytes() for name, array in saved.items()}
    chip.execute(records_of([delay(5000)]))
    assert {name: array.tobytes() for name, array in saved.items()} == before


@pytest.mark.parametrize("spoil", ["missing", "shape", "type"])
def test_state_that_does_not_fit_is_refused_by_name_and_changes_nothing(spoil: str) -> None:
    chip = Chip(small_config(), BootFirmware())
    chip.execute(records_of([delay(500)]))
    saved: dict[str, NDArray[Any]] = S.save(Chip(small_config(), BootFirmware()).state)
    if spoil == "missing":
        del saved["mean_latch"]
    elif spoil == "shape":
        saved["mean_latch"] = np.zeros((2, CELLS + 1), np.int32)
    else:
        saved["mean_latch"] = saved["mean_latch"].astype(np.int64)
    before = S.digest(chip.state)
    with pytest.raises(ValueError, match=f"state mean_latch: int32\\[2, {CELLS}\\] expected"):
        chip.restore(saved)
    assert S.digest(chip.state) == before
