"""Policies of the digital side: what a reset clears, who wins a race for a pending bit, what a full write queue does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chip.pins import Desk
from chip.test_core import FOREVER, desk, li, put, to
from serving import config, opened
from tsu_contract.errors import Code
from tsu_contract.operations import Op
from tsu_contract.program import Opcode
from tsu_contract.registers import WINDOWS, register
from tsu_contract.wire import Reply
from tsu_emu.chip.capability import serial_of
from tsu_emu.config import ConfigError, load, parse

THREE = {"kind": "dense", "cells": 3}
RESET, BITTEN, SEQ_DONE = 1, 4, 1
SETTINGS = {
    "COUPLING": [5] * 6, "BIAS": [127, 127, 127], "CLAMP_MASK": [1, 1], "PLANE_TEMP": [1000, 1000], "TEMP_TABLE": [7, 7],
    "HOSTMEM": [9, 9], "LADDER": [1, 0], "NVM": [3, 4], "LEARN_PAIR": [8, 8, 8], "PROGRAM": [1 << 56 | 64],
}  # fmt: skip
TRIMS = {"TRIM_OFFSET": [100, 100, 100], "TRIM_SLOPE": [-100, 50, 50], "ADC_TRIM": [4, 4]}
KEPT = {"digital": {*SETTINGS, *TRIMS}, "keep-trims": {"NVM", *TRIMS}, "chip": {"NVM"}}


def programmed(d: Desk) -> None:
    """Everything differs from power-on."""
    for name, values in {**SETTINGS, **TRIMS}.items():
        d.fill(name, values)
    d.write("TEMP.TDAC", 100)


def as_at_power_on(d: Desk, fresh: Desk) -> set[str]:
    """Windows, of those programmed, that are as a fresh chip has them."""
    return {name for name in {**SETTINGS, **TRIMS} if np.array_equal(d.dump(name), fresh.dump(name))}


def rich(**policy: str) -> Desk:
    """Three cells with everything that a reset may clear."""
    more = {"learning": {"bits": 12, "hostmem_words": 2}, "trim": {"bits": 8}, "nvm": {"words": 2}, "adc": {"count": 1}}
    return Desk(config(THREE, planes=2, policy=policy, **more))


@pytest.mark.parametrize("domain", KEPT)
def test_a_reset_clears_its_domain(domain: str) -> None:
    d, fresh = rich(reset=domain), rich()
    programmed(d)
    assert as_at_power_on(d, fresh) == set()
    d.write("SYS.CTRL", RESET)
    assert as_at_power_on(d, fresh) == {*SETTINGS, *TRIMS} - KEPT[domain]
    assert d.read("TEMP.TDAC") == 64, "registers in any case"


@pytest.mark.parametrize("domain", KEPT)
def test_what_a_reset_clears_no_longer_acts(domain: str) -> None:
    """A bias of 4 kT, or a trim's offset, holds every cell up: 3,200 samples of a free cell have a mean of 0 within .09, five
    standard errors."""
    for window, acts in (("BIAS", domain == "digital"), ("TRIM_OFFSET", domain != "chip")):
        d = Desk(config(THREE, policy={"reset": domain}, trim={"bits": 8, "offset_full_scale_kt": 4.0}))
        d.fill(window, [127, 127, 127])
        d.write("SYS.CTRL", RESET)
        spins = []
        for _ in range(50):
            d.run(Opcode.WAIT_SETTLE, (Opcode.RUN, 2), Opcode.STROBE)
            spins.append(d.spins())
        mean = np.mean(spins, axis=(0, 1))
        assert (mean > 0.9).all() if acts else (abs(mean) < 0.09).all()


@pytest.mark.parametrize("domain", ["digital", "chip"])
def test_the_driver_remembers_nothing_over_a_reset(domain: str) -> None:
    """Clamps are written by the word, so that it has to know those that are there."""
    with opened(config(THREE, planes=2, policy={"reset": domain})) as (chip, host):
        host.clamp([0], [1])
        host.write_register("SYS.CTRL", RESET=1)
        host.clamp([1], [1])
        clamped = (chip.state.clamp_mask_next != 0).any(axis=0).tolist()
    assert clamped == [domain == "digital", True, False]


@pytest.mark.parametrize("domain", ["core", *KEPT])
def test_a_bite_of_the_watchdog_clears_its_domain(tmp_path: Path, domain: str) -> None:
    """The core sets its watchdog and sleeps; 1,000 cycles later it bites, and the core sets it anew and sleeps."""
    more = {"policy": {"watchdog": domain}, "trim": {"bits": 8}}
    d = desk(tmp_path, [*li(6, 100_000), *put("WATCHDOG.PERIOD", 6), *FOREVER], **more)
    d.write("TEMP.TDAC", 100)
    d.fill("BIAS", [9, 9, 9])
    d.fill("TRIM_OFFSET", [5, 5, 5])
    to(d, 90_000)
    assert (d.read("CPU.STATUS") & BITTEN, d.read("TEMP.TDAC")) == (0, 100)
    to(d, 150_000)
    assert d.read("CPU.STATUS") & BITTEN
    assert d.read("TEMP.TDAC") == (100 if domain == "core" else 64)
    assert d.dump("BIAS").any() == (domain in ("core", "digital"))
    assert d.dump("TRIM_OFFSET").any() == (domain != "chip")


def halting(policy: str) -> tuple[Desk, int]:
    """A chip whose program is under way, and the cycle at which it will halt."""

    def start() -> Desk:
        d = Desk(config(THREE, planes=2, policy={"pending": policy}))
        d.write("IRQ.ENABLE", SEQ_DONE)
        d.load((Opcode.DELAY, 1000), Opcode.HALT)
        d.start()
        return d

    reply = start().operate([(Op.DELAY, 0, 0, 0, 5000)])
    return start(), reply.interrupts[0].cycle


@pytest.mark.parametrize(("policy", "left"), [("clear-wins", (1, 0, 0)), ("set-wins", (1, 1, 0))])
def test_a_race_for_a_pending_bit(policy: str, left: tuple[int, ...]) -> None:
    """The host's clear acts in the cycle before that of the event, in it, and in the one after."""
    found = []
    for offset in (-1, 0, 1):
        d, cycle = halting(policy)
        timing = d.chip.config.timing
        issued = cycle + offset - timing.issue - timing.access
        d.operate([(Op.DELAY_UNTIL, 0, 0, 0, issued), (Op.WRITE, register("IRQ.PENDING").at(), SEQ_DONE, 0, 0)])
        d.delay(100)
        found.append(d.read("IRQ.PENDING"))
    assert tuple(found) == left


def test_only_the_bits_of_that_cycle_are_set() -> None:
    """A bit that was pending before is cleared in the cycle in which another is set."""
    d, cycle = halting("set-wins")
    d.write("IRQ.TEST", 2)
    issued = cycle - d.chip.config.timing.issue - d.chip.config.timing.access
    d.operate([(Op.DELAY_UNTIL, 0, 0, 0, issued), (Op.WRITE, register("IRQ.PENDING").at(), 3, 0, 0)])
    assert d.read("IRQ.PENDING") == SEQ_DONE


WRITES = 12
ISSUE, ACCESS, RETURN, BUFFER = 1, 6, 1, 32


def writing(depth: int, full: str, read_at: int = WRITES) -> tuple[Desk, Reply]:
    """Writes of SCRATCH, one after the other, on a chip whose bus is six times as slow as its link, and then a DELAY of 0."""
    timing = {"issue": ISSUE, "access": ACCESS, "return": RETURN, "write_buffer": BUFFER}
    d = Desk(config(THREE, planes=2, timing=timing, policy={"write_queue": depth, "write_queue_full": full}))
    rows = [(Op.WRITE, register("SYS.SCRATCH").at(), k + 1, 0, 0) for k in range(WRITES)]
    return d, d.pins.operate(rows)


def link_after(depth: int) -> int:
    """The link's clock after them, by docs/theory-of-operation.md."""
    link = drained = 0
    acts: list[int] = []
    for k in range(WRITES):
        link += ISSUE
        if 0 < depth <= k:
            link = max(link, acts[k - depth])
        drained = max(link, drained) + ACCESS
        acts.append(drained)
        link = max(link, drained - BUFFER)
    return link


@pytest.mark.parametrize("depth", [0, 1, 2, 4, 64])
def test_a_full_queue_stalls_the_link(depth: int) -> None:
    d, reply = writing(depth, "stall")
    assert reply.failure is None
    assert reply.t_end == link_after(depth)
    assert d.read("SYS.SCRATCH") == WRITES


def test_the_depths_differ() -> None:
    assert len({link_after(depth) for depth in (0, 1, 2, 4)}) == 4
    assert link_after(0) == link_after(64)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_full_queue_refuses(depth: int) -> None:
    """Write k is issued at cycle k + 1 and the first acts at 7: so many as the queue takes, and then no more."""
    d, reply = writing(depth, "fail")
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.index, reply.executed) == (Code.BUS_ERROR, depth, depth)
    assert f"queue of {depth}" in reply.failure.message
    assert reply.t_end == depth + ISSUE + RETURN
    assert d.read("SYS.SCRATCH") == depth, "what was taken is carried out, and the queue is empty again"
    d.write("SYS.SCRATCH", 77)
    assert d.read("SYS.SCRATCH") == 77


def test_a_window_written_word_by_word_is_refused_in_its_place() -> None:
    """Writes on words one after the other are carried out together; those before the one that fails are."""
    timing = {"access": ACCESS}
    d = Desk(
        config({"kind": "dense", "cells": 8}, planes=2, timing=timing, policy={"write_queue": 2, "write_queue_full": "fail"})
    )
    base = WINDOWS["BIAS"].address
    reply = d.pins.operate([(Op.WRITE, base + 4 * k, 3 << 16 | 3, 0, 0) for k in range(4)])
    assert reply.failure is not None
    refused = reply.failure.index
    assert refused in (2, 3), "a word of BIAS takes two cycles more to send"
    assert d.dump("BIAS").tolist() == [3] * (2 * refused) + [0] * (8 - 2 * refused)


def test_policies_are_no_part_of_the_die() -> None:
    plain = load("ideal-16")
    assert plain.policy.model_dump() == {
        "reset": "digital", "watchdog": "core", "pending": "clear-wins", "write_queue": 0, "write_queue_full": "stall"
    }  # fmt: skip
    assert serial_of(load("ideal-16", {"policy.reset": "chip", "policy.write_queue": "3"})) == serial_of(plain)
    with pytest.raises(ConfigError, match=r"policy\.write_queue"):
        parse({"name": "x", "fabric": {"topology": THREE}, "policy": {"write_queue": 65}})
