"""The on-chip correlator: means and pair correlations of two roles, averaged over planes and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_driver.bus import Bus
from tsu_driver.errors import HostError
from tsu_driver.kinds import has_spins, require
from tsu_driver.names import integer
from tsu_driver.planes import ENABLE, Planes, plane_numbers, planes_in, write_planes

UNIT = 1 << 16
"""CORR.ALPHA code of weight 1."""

ROLES = ("CORR.DATA_PLANES", "CORR.FREE_PLANES")


@dataclass(frozen=True)
class Correlations:
    """Averages over the planes of a role and time; NaN where a role has no enabled plane.

    data_pairs, free_pairs : (pairs,) float64, mean of s_i s_j in the order of `chip.topology.pairs`
    data_means, free_means : (cells,) float64, mean of s_i
    updates : correlation updates since the correlator was configured
    """

    data_pairs: NDArray[np.float64]
    data_means: NDArray[np.float64]
    free_pairs: NDArray[np.float64]
    free_means: NDArray[np.float64]
    updates: int


def weight(tau: float, what: str) -> int:
    """Code of 1 / tau; HostError if tau, in updates, is out of range."""
    if not tau >= 1 or round(UNIT / tau) < 1:
        raise HostError(f"{what} = {tau} updates is not in 1 .. {2 * UNIT - 1}")
    return round(UNIT / tau)


def configure(bus: Bus, data_planes: Planes, free_planes: Planes, tau_data: float, tau_free: float, period: int) -> None:
    """Set roles and averaging times, clear the accumulators, enable."""
    require(has_spins(bus.capabilities), bus.capabilities, "correlators average spins")
    total = bus.capabilities.planes
    roles = {name: np.sort(plane_numbers(p, total)) for name, p in zip(ROLES, (data_planes, free_planes), strict=True)}
    batch = bus.batch()
    for name, numbers in roles.items():
        write_planes(batch, name, numbers, total)
    batch.write("CORR.PERIOD", SWEEPS=integer(period, "period"))
    batch.write("CORR.ALPHA_DATA", A=weight(tau_data, "tau_data"))
    batch.write("CORR.ALPHA_FREE", A=weight(tau_free, "tau_free"))
    batch.write("CORR.CTRL", ENABLE=1, CLEAR=1)
    batch.execute()
    bus.shadow |= roles


def read(bus: Bus) -> Correlations:
    """Latch the accumulators and read them, in one message."""
    enabled = planes_in(bus, ENABLE)
    counts = [int(np.isin(planes_in(bus, name), enabled).sum()) for name in ROLES]
    batch = bus.batch()
    batch.update("CORR.CTRL", LATCH=1)
    updates = batch.read("CORR.COUNT")
    pairs, means = batch.read_window("CORR_PAIR"), batch.read_window("CORR_MEAN")
    batch.execute()
    units = [float(n << bus.capabilities.corr_fraction) if n else np.nan for n in counts]
    data, free = range(2)
    return Correlations(
        data_pairs=pairs.value[data] / units[data],
        data_means=means.value[data] / units[data],
        free_pairs=pairs.value[free] / units[free],
        free_means=means.value[free] / units[free],
        updates=updates.value,
    )
