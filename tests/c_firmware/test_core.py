"""The C firmware on the chip's own core: the same commands, by the mailbox."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tsu_driver as tsu
from c_firmware.building import SOURCES, built_for_the_core, cross_compiler, prebuilt
from c_firmware.runs import answers, chip_at
from c_firmware.test_control import Q16, SPREAD, offsets, rms
from tsu_contract.registers import MAP_HASH

COMMANDS = ("boot", "servo", "look", "temp", "watch", "anneal", "safe")
CYCLES = 400_000_000
"""More than any command takes here."""


def command(host: tsu.Chip, name: str, *arguments: int) -> tuple[int, list[int]]:
    """Status and words of the answer, signed, of a command by the mailbox."""
    for word in (COMMANDS.index(name) | len(arguments) << 8, *arguments):
        batch = host.batch()
        batch.wait_field("MAILBOX.STATUS.TO_CORE", 0, max_cycles=CYCLES)
        batch.write("MAILBOX.TO_CORE", word & 0xFFFFFFFF)
        batch.execute()
    header = answer_word(host)
    assert header & 0xFF == COMMANDS.index(name)
    return header >> 16 & 0xFF, [int(np.int32(np.uint32(answer_word(host)))) for _ in range(header >> 8 & 0xFF)]


def answer_word(host: tsu.Chip) -> int:
    batch = host.batch()
    batch.wait_field("MAILBOX.STATUS.FROM_CORE", 1, max_cycles=CYCLES)
    word = batch.read("MAILBOX.FROM_CORE")
    batch.write("MAILBOX.STATUS", FROM_CORE=1)
    batch.execute()
    return int(word.value)


def test_it_boots_and_sleeps() -> None:
    with chip_at(cpu_image=built_for_the_core()) as (_, endpoint), tsu.open(endpoint) as host:
        assert host.read_register("SYS.BOOT.STAGE") == 2
        assert host.read_register("TEMP.TDAC") == 64
        host.delay(1000)
        assert host.read_register("CPU.STATUS.ASLEEP") == 1


def test_commands_are_answered_as_on_the_host() -> None:
    """What does not depend on how long an access takes is the same."""
    with chip_at() as (_, endpoint):
        on_host = [[int(w) for w in a[2:]] for a in answers(endpoint, "boot", "temp 19200 0", "safe")]
    with chip_at(cpu_image=built_for_the_core()) as (_, endpoint), tsu.open(endpoint) as host:
        on_core = [command(host, "boot"), command(host, "temp", 19200, 0), command(host, "safe")]
        assert command(host, "anneal", 192) == (2, [])
        assert command(host, "anneal", 0, 20)[0] == 5, "SET_T 0 faults"
        assert command(host, "servo") == (3, []), "no trims"
        assert host.read_register("SYS.BOOT.STAGE") == 2
    assert on_core == [(0, words) for words in on_host]


def test_the_servo_runs_on_the_core() -> None:
    with chip_at(cpu_image=built_for_the_core(), **SPREAD) as (_, endpoint), tsu.open(endpoint) as host:
        before = offsets(host)
        status, words = command(host, "servo")
        after = offsets(host)
    assert status == 0
    assert rms(before) > 0.1
    assert rms(after) < 0.01
    assert abs(words[1] * Q16 - rms(after)) < 0.002


def image_of(folder: Path, source: Path) -> Path:
    """An image whose commands are those of another source."""
    own = shutil.copy(source, folder)
    needs = [f"firmware/{name}.c" for name in ("safe", "sequencer", "windows")]
    line = ["make", "-s", "-C", str(SOURCES), f"OUT={folder}", f"FIRMWARE={own} {' '.join(needs)}", "core"]
    made = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    return folder / "firmware.elf"


def test_an_access_that_the_chip_refuses_ends_in_the_safe_state(tmp_path: Path) -> None:
    """A load where nothing is mapped is an access fault, cause 5; one of SYS.ID is not."""
    cross_compiler()
    image = image_of(tmp_path, Path(__file__).with_name("wrong_address.c"))
    for address, stage, detail in ((0, 2, 0), (0x3FFFFC0, 3, 0x105)):
        with chip_at(cpu_image=image) as (_, endpoint), tsu.open(endpoint) as host:
            host.program_couplings(([[0, 1]], [0.5]), [0.25] * 16)
            batch = host.batch()
            batch.write("MAILBOX.TO_CORE", address)
            batch.delay(100_000)
            codes = batch.read_window("COUPLING")
            batch.execute()
            assert host.read_register("SYS.BOOT.STAGE") == stage
            assert host.read_register("SYS.BOOT.DETAIL") == detail
            assert codes.value.any() == (stage == 2)


def test_firmware_that_hangs_is_reset_by_its_watchdog(tmp_path: Path) -> None:
    """2^24 cycles without a sleep; it starts anew from the safe state."""
    cross_compiler()
    image = image_of(tmp_path, Path(__file__).with_name("wrong_address.c"))
    with chip_at(cpu_image=image) as (_, endpoint), tsu.open(endpoint) as host:
        host.program_couplings(([[0, 1]], [0.5]), [0.25] * 16)
        bitten = []
        for word, cycles in ((1, 16_000_000), (1, 1_000_000)):
            batch = host.batch()
            batch.write("MAILBOX.TO_CORE", word)
            batch.delay(cycles)
            codes = batch.read_window("COUPLING")
            batch.execute()
            bitten.append((host.read_register("CPU.STATUS.BITTEN"), bool(codes.value.any())))
    assert bitten == [(0, True), (1, False)]


def test_a_core_that_hears_no_more_is_brought_back() -> None:
    """While it waits for a word it wakes every 2^24 cycles and listens anew, so a lost line of mie costs that long; a core that
    nothing wakes is reset by its watchdog after twice as long, and boots."""
    with chip_at(cpu_image=built_for_the_core()) as (chip, endpoint), tsu.open(endpoint) as host:
        host.delay(1000)
        chip.state.hart["mie"][0] &= ~np.uint32(1 << 3)
        begin = host.time_cycles
        assert command(host, "safe")[0] == 0
        assert 1 << 23 < host.time_cycles - begin < (1 << 24) + 10_000
        host.delay(100_000_000)
        assert host.read_register("CPU.STATUS") == 3, "a second without a command does it no harm"
        chip.state.hart["mie"][0] = 0
        host.delay(40_000_000)
        assert host.read_register("CPU.STATUS.BITTEN") == 1
        assert command(host, "boot") == (0, [0])


def test_the_image_that_is_kept_is_that_of_the_sources() -> None:
    """`make prebuilt` makes it anew. Another version of the compiler makes other code."""
    kept = (SOURCES / "prebuilt" / "firmware.elf").read_bytes()
    assert hashlib.sha256(kept).hexdigest() == prebuilt()["sha256"]
    version = cross_compiler()
    assert prebuilt()["map"] == MAP_HASH
    if version != prebuilt()["compiler"]:
        pytest.skip(f"{version} is installed, not {prebuilt()['compiler']}")
    assert built_for_the_core().read_bytes() == kept


def test_the_image_is_the_same_wherever_it_is_built(tmp_path: Path) -> None:
    cross_compiler()
    folder = tmp_path / "elsewhere"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("build"))
    contract = shutil.copytree(SOURCES.parents[1] / "driver/tsu_contract", tmp_path / "contract")
    line = ["make", "-s", "-C", str(folder), f"OUT={tmp_path}/out", f"CONTRACT={contract}", "core"]
    subprocess.run(line, check=True, timeout=300)
    assert (tmp_path / "out/firmware.elf").read_bytes() == built_for_the_core().read_bytes()
