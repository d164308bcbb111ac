"""The on-chip correlator: means and pair correlations of two roles, averaged over planes and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_driver.bus import Bus
from tsu_driver.errors import HostError, StaleSamples
from tsu_driver.kinds import has_spins, require
from tsu_driver.names import integer
from tsu_driver.planes import ENABLE, Planes, plane_numbers, planes_in, write_planes
from tsu_driver.versions import REMEDY

UNIT = 1 << 16
"""CORR.ALPHA code of weight 1."""

ROLES = ("CORR.DATA_PLANES", "CORR.FREE_PLANES")


@dataclass(frozen=True)
class Correlations:
    """Averages over the planes of a role and time; NaN where a role has no enabled plane.

    data_pairs, free_pairs : (pairs,) float64, mean of s_i s_j in the order of `chip.topology.pairs`
    data_means, free_means : (cells,) float64, mean of s_i
    updates : correlation updates since the correlator was configured
    versions : weight versions of the first and of the last of them, as LEARN.VERSION counts; None if there was none
    """

    data_pairs: NDArray[np.float64]
    data_means: NDArray[np.float64]
    free_pairs: NDArray[np.float64]
    free_means: NDArray[np.float64]
    updates: int
    versions: tuple[int, int] | None


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
    bus.remember(roles)


def role_counts(bus: Bus) -> tuple[int, int]:
    """Enabled planes of the data and of the free role; swaps of temperatures do not change how many there are."""
    enabled = planes_in(bus, ENABLE)
    data, free = (int(np.isin(planes_in(bus, name), enabled).sum()) for name in ROLES)
    return data, free


def read(bus: Bus, stale_ok: bool, same_weights: bool) -> Correlations:
    """Latch the accumulators and read them, in one message."""
    counts = role_counts(bus)
    batch = bus.batch()
    batch.update("CORR.CTRL", LATCH=1)
    updates = batch.read("CORR.COUNT")
    first, last, held = (batch.read(f"LEARN.{name}") for name in ("CORR_FIRST", "CORR_VERSION", "VERSION"))
    pairs, means = batch.read_window("CORR_PAIR"), batch.read_window("CORR_MEAN")
    batch.execute()
    versions = (first.value, last.value) if updates.value else None
    if versions is not None:
        _check(bus, versions, held.value, stale_ok, same_weights)
    units = [float(n << bus.capabilities.corr_fraction) if n else np.nan for n in counts]
    data, free = range(2)
    return Correlations(
        data_pairs=pairs.value[data] / units[data],
        data_means=means.value[data] / units[data],
        free_pairs=pairs.value[free] / units[free],
        free_means=means.value[free] / units[free],
        updates=updates.value,
        versions=versions,
    )


def _check(bus: Bus, versions: tuple[int, int], held: int, stale_ok: bool, same_weights: bool) -> None:
    """StaleSamples if the averages are not what was asked for; of those that the learning engine follows, all versions are."""
    first, last = versions
    if same_weights and not first == last == held:
        raise StaleSamples(
            f"the averages are of the weight versions {first} to {last}, the chip holds {held}: configure the correlator anew "
            "and run, or do without same_weights=True",
            drawn=first,
            held=held,
        )
    if last != held and not (stale_ok or bus.learnt):
        raise StaleSamples(
            f"the averages end with weight version {last}; since then weights were written, to version {held}: {REMEDY}",
            drawn=last,
            held=held,
        )
