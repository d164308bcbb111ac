"""Weight versions: were samples drawn under the weights that the chip holds now?

LEARN.VERSION counts writes of weights, by the host or by LEARN. A sweep takes the version at its start; a latch of spins or
of correlations keeps that of the last sweep, and the check sum of the codes of that moment.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tsu_contract.program import Instruction, Opcode
from tsu_driver.batch import Batch
from tsu_driver.bus import CODES, Bus
from tsu_driver.errors import ChipFault, StaleSamples
from tsu_driver.names import WORD_MAX
from tsu_driver.runner import Runner
from tsu_driver.tickets import Ticket

NEVER = WORD_MAX
"""SPIN_VERSION before the first sweep."""
REMEDY = "run a sweep first, or say stale_ok=True"

Tickets = tuple[Ticket[int], Ticket[int]]
"""Versions of what was latched and of what the chip holds."""


def spin_versions(batch: Batch) -> Tickets:
    """Ask for the versions of the latched spins and of the weights."""
    return batch.read("LEARN.SPIN_VERSION"), batch.read("LEARN.VERSION")


def check_spins(bus: Bus, versions: Tickets) -> None:
    """StaleSamples if weights were written after the last sweep; spins of power-on pass unless this session wrote weights."""
    drawn, held = (t.value for t in versions)
    if drawn == held or (drawn == NEVER and held == bus.opened_at):
        return
    when = "at power-on" if drawn == NEVER else f"under weight version {drawn}"
    raise StaleSamples(
        f"the cells were last swept {when}; since then weights were written, to version {held}: {REMEDY}", drawn=drawn, held=held
    )


def remember_codes(bus: Bus, couplings: NDArray[np.int16], biases: NDArray[np.int16]) -> None:
    """What the host has just written to all coupling and bias DACs."""
    bus.remember({"COUPLING": couplings.tobytes(), "BIAS": biases.tobytes()})


def weights_crc(bus: Bus) -> int:
    """CRC-32 of all codes as LEARN.SPIN_CRC has it: of those that the host wrote, read from the chip if it does not know."""
    if any(name not in bus.shadow for name in CODES):
        batch = bus.batch()
        couplings, biases = batch.read_window("COUPLING"), batch.read_window("BIAS")
        batch.execute()
        return crc32(biases.value.tobytes(), crc32(couplings.value.tobytes()))
    return crc32(bus.shadow["BIAS"], crc32(bus.shadow["COUPLING"]))


def verify(bus: Bus, runner: Runner) -> int:
    """The check sum of the weights of the last sweep; StaleSamples or ChipFault if it is not that of what the host wrote."""
    expected = weights_crc(bus)
    runner.execute([Instruction(Opcode.STROBE)])
    batch = bus.batch()
    (drawn, held), found = spin_versions(batch), batch.read("LEARN.SPIN_CRC")
    batch.execute()
    if drawn.value != held.value:
        raise StaleSamples(
            f"the last sweep had weight version {drawn.value}, the chip holds {held.value}: run a sweep first",
            drawn=drawn.value,
            held=held.value,
        )
    if found.value != expected:
        raise ChipFault(
            f"the codes that the last sweep used have the check sum {found.value:#010x}; what the host wrote has {expected:#010x}"
        )
    return expected
