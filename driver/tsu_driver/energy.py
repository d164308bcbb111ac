"""The chip's ledger: what it spent, by cause, and how long its array was at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tsu_contract.capabilities import ENERGY_PARTS
from tsu_driver.batch import Batch
from tsu_driver.bus import Bus
from tsu_driver.tickets import Ticket

FEMTO = 1e-15
COUNT = 1 << 64
"""MON's counters are modulo this."""


@dataclass(frozen=True)
class Energy:
    """Energy since power-on, in joules.

    total_j : sum of the others
    update_j : updates of cells (of continuous cells: ticks); read_j : cells latched by STROBE
    write_j : coupling and bias codes written; adc_j : conversions; learn_j : updates of the learning engine's accumulators
    standby_j : standby power times chip time
    """

    total_j: float
    update_j: float
    read_j: float
    write_j: float
    adc_j: float
    learn_j: float
    standby_j: float


def read_energy(bus: Bus) -> Energy:
    """The ledger now, in one message."""
    batch = bus.batch()
    tickets = [batch.read(f"MON.ENERGY_{part}") for part in ENERGY_PARTS]
    batch.execute()
    spent = [t.value for t in tickets]
    joules = {f"{part.lower()}_j": n * FEMTO for part, n in zip(ENERGY_PARTS, spent, strict=True)}
    return Energy(total_j=sum(spent) * FEMTO, **joules)


class Meter:
    """MON.ENERGY and MON.PHYS_TIME at two places of what the host does: where it is made, and where `stop` is last called."""

    def __init__(self, batch: Batch) -> None:
        self._first = self._last = _counters(batch)

    def stop(self, batch: Batch) -> None:
        """The second place."""
        self._last = _counters(batch)

    @property
    def energy_j(self) -> float:
        """Energy in between, J."""
        return self._between(0) * FEMTO

    @property
    def physical_cycles(self) -> int:
        """Cycles in between in which the array was at work."""
        return self._between(1)

    def _between(self, counter: int) -> int:
        return (self._last[counter].value - self._first[counter].value) % COUNT


Tail = Callable[[Batch], None]
"""Adds to a batch what is to be read once a program has halted."""


def _counters(batch: Batch) -> tuple[Ticket[int], Ticket[int]]:
    return batch.read("MON.ENERGY"), batch.read("MON.PHYS_TIME")
