"""Replica exchange on the chip: ladders of planes at rising temperatures, whose neighbours SWAP exchanges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_driver.bus import Bus
from tsu_driver.errors import HostError
from tsu_driver.kinds import has_spins, require
from tsu_driver.planes import TEMPERATURES, UNIT, multiplier_codes, plane_numbers

LADDERS, RUNGS, LADDER, COUNTS = "TEMPERING.LADDERS", "TEMPERING.RUNGS", "LADDER", "SWAP_COUNT"


@dataclass(frozen=True)
class SwapStatistics:
    """Swaps of neighbouring rungs r and r + 1 since the ladders were set, modulo 2^32.

    tried, accepted : (ladders, rungs - 1) uint32; acceptance : their quotient, NaN where none was tried
    """

    tried: NDArray[np.uint32]
    accepted: NDArray[np.uint32]

    @property
    def acceptance(self) -> NDArray[np.float64]:
        """(ladders, rungs - 1) accepted / tried."""
        tried = np.where(self.tried > 0, self.tried, np.nan)
        return self.accepted / tried


def set_ladders(bus: Bus, planes: ArrayLike, multipliers: ArrayLike) -> NDArray[np.float64]:
    """Put planes on the rungs of ladders, with their temperatures, and clear the counts, in one message."""
    total = bus.capabilities.planes
    _require(bus)
    rungs = np.asarray(planes)
    if rungs.ndim != 2 or rungs.shape[0] < 1 or rungs.shape[1] < 2:
        raise HostError(f"ladders of shape {rungs.shape}; (ladders, rungs) of plane numbers with 2 rungs or more is expected")
    numbers = plane_numbers(rungs.ravel(), total)
    wanted = np.asarray(multipliers, np.float64)
    if wanted.shape not in (rungs.shape, rungs.shape[1:]):
        raise HostError(f"multipliers of shape {wanted.shape}; {rungs.shape[1:]} or {rungs.shape} is expected, rung 0 first")
    codes = multiplier_codes(np.broadcast_to(wanted, rungs.shape).ravel(), numbers)
    temperatures = _temperatures(bus).copy()
    temperatures[numbers] = codes
    batch = bus.batch()
    batch.write(LADDERS, rungs.shape[0])
    batch.write(RUNGS, rungs.shape[1])
    batch.write_window(LADDER, np.concatenate([numbers, np.setdiff1d(np.arange(total), numbers)]))
    batch.write_window(COUNTS, np.zeros((total, 2), np.uint32))
    batch.write_window(TEMPERATURES, temperatures)
    batch.execute()
    bus.remember({TEMPERATURES: temperatures})
    set_: NDArray[np.float64] = codes.reshape(rungs.shape) / UNIT
    return set_


def clear_ladders(bus: Bus) -> None:
    """No ladders; T of their planes is no longer multiplied, in one message."""
    planes = read_ladders(bus).ravel()
    temperatures = _temperatures(bus).copy()
    temperatures[planes] = UNIT
    batch = bus.batch()
    batch.write(LADDERS, 0)
    batch.write(RUNGS, 0)
    batch.write_window(LADDER, np.arange(bus.capabilities.planes))
    batch.write_window(TEMPERATURES, temperatures)
    batch.execute()
    bus.remember({TEMPERATURES: temperatures})


def read_ladders(bus: Bus) -> NDArray[np.int64]:
    """(ladders, rungs) plane that is at each rung now; (0, 0) if there are no ladders."""
    _require(bus)
    batch = bus.batch()
    ladders, rungs, window = batch.read(LADDERS), batch.read(RUNGS), batch.read_window(LADDER)
    batch.execute()
    return window.value[: ladders.value * rungs.value].reshape(ladders.value, rungs.value).astype(np.int64)


def read_statistics(bus: Bus) -> SwapStatistics:
    """The counts, in one message."""
    _require(bus)
    batch = bus.batch()
    ladders, rungs, window = batch.read(LADDERS), batch.read(RUNGS), batch.read_window(COUNTS)
    batch.execute()
    counts = window.value[: ladders.value * rungs.value].reshape(ladders.value, rungs.value, 2)[:, :-1]
    return SwapStatistics(counts[..., 0].copy(), counts[..., 1].copy())


def _temperatures(bus: Bus) -> NDArray[np.uint16]:
    """(planes,) codes of PLANE_TEMP, from the chip unless the host knows them."""
    if TEMPERATURES not in bus.shadow:
        batch = bus.batch()
        ticket = batch.read_window(TEMPERATURES)
        batch.execute()
        return ticket.value
    known: NDArray[np.uint16] = bus.shadow[TEMPERATURES]
    return known


def _require(bus: Bus) -> None:
    """HostError if the chip has no swap engine."""
    require(has_spins(bus.capabilities), bus.capabilities, "the swap engine serves p-bits")
