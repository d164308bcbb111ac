"""Planes: which ones are meant, which are enabled, how warm each one is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.registers import register
from tsu_driver.batch import Batch
from tsu_driver.bus import Bus
from tsu_driver.errors import HostError

Planes = int | Iterable[int]
"""Planes by number, or the first n of them."""

ENABLE, TEMPERATURES = "FABRIC.PLANE_ENABLE", "PLANE_TEMP"
UNIT = 4096
"""PLANE_TEMP code of the multiplier 1."""
CODE_MAX = 0xFFFF


def plane_numbers(planes: Planes, total: int) -> NDArray[np.int64]:
    """Planes as numbers in the order given; an int n means 0 .. n - 1.

    HostError names a plane that the chip lacks or that is given twice.
    """
    if isinstance(planes, (int, np.integer)) and not isinstance(planes, bool):
        if not 0 <= planes <= total:
            raise HostError(f"{planes} planes asked for; the chip has {total}")
        return np.arange(int(planes))
    if isinstance(planes, (bool, int)) or not isinstance(planes, Iterable):
        raise HostError(f"planes are a count or a list of numbers; got {planes!r}")
    out = np.asarray(planes if isinstance(planes, np.ndarray) else list(planes))
    if out.size == 0:
        return np.empty(0, np.int64)
    if out.dtype.kind not in "iu" or out.ndim != 1:
        raise HostError(f"planes are a count or a list of numbers; got {out.dtype} of shape {out.shape}")
    wrong = (out < 0) | (out >= total)
    if wrong.any():
        raise HostError(f"there is no plane {out[int(np.argmax(wrong))]}; the chip has planes 0 .. {total - 1}")
    if len(np.unique(out)) != len(out):
        raise HostError(f"a plane is named twice in {out.tolist()}")
    return out.astype(np.int64)


def write_planes(batch: Batch, name: str, numbers: NDArray[np.int64], total: int) -> None:
    """Write a register array of one bit per plane."""
    for index in range((total + 31) // 32):
        inside = numbers[numbers // 32 == index] % 32
        batch.write(name, sum(1 << int(k) for k in inside), index)


def planes_in(bus: Bus, name: str) -> NDArray[np.int64]:
    """Planes, ascending, whose bit is set in a register array; the chip is asked unless the host knows."""
    if name not in bus.shadow:
        batch = bus.batch()
        tickets = [batch.read(name, k) for k in range((bus.capabilities.planes + 31) // 32)]
        batch.execute()
        bits = [tickets[p // 32].value >> p % 32 & 1 for p in range(bus.capabilities.planes)]
        found = np.flatnonzero(bits)
        bus.remember({name: found})
        return found
    known: NDArray[np.int64] = bus.shadow[name]
    return known


def enable(bus: Bus, planes: Planes) -> None:
    """Enable these planes and no others."""
    numbers = np.sort(plane_numbers(planes, bus.capabilities.planes))
    batch = bus.batch()
    write_planes(batch, ENABLE, numbers, bus.capabilities.planes)
    batch.execute()
    bus.shadow[ENABLE] = numbers


def set_scan_order(bus: Bus, order: str) -> None:
    """Choose the order of the colour phases by its label in FABRIC.SCAN, in lower case."""
    labels = [label.lower() for label in register("FABRIC.SCAN").fields["ORDER"].values]
    if order not in labels:
        raise HostError(f"scan order {order!r}; there are {', '.join(labels)}")
    batch = bus.batch()
    batch.write("FABRIC.SCAN", ORDER=order.upper())
    batch.execute()


def set_multipliers(bus: Bus, multipliers: ArrayLike) -> NDArray[np.float64]:
    """Write the temperature multiplier of every plane; returns those that the codes stand for, (planes,)."""
    total = bus.capabilities.planes
    wanted = np.asarray(multipliers, np.float64)
    if wanted.shape not in ((), (total,)):
        raise HostError(f"multipliers of shape {wanted.shape}; one number or ({total},) is expected")
    codes = multiplier_codes(np.broadcast_to(wanted, (total,)), np.arange(total))
    batch = bus.batch()
    batch.write_window(TEMPERATURES, codes)
    batch.execute()
    bus.remember({TEMPERATURES: codes})
    return codes / UNIT


def multiplier_codes(multipliers: NDArray[np.float64], planes: NDArray[np.int64]) -> NDArray[np.uint16]:
    """(n,) codes of temperature multipliers of planes; HostError names one that cannot be set."""
    codes = np.rint(multipliers * UNIT)
    good = (codes >= 1) & (codes <= CODE_MAX)
    if not good.all():
        at = int(np.argmin(good))
        reach = f"{1 / UNIT:g} .. {CODE_MAX / UNIT:g} can"
        raise HostError(f"multiplier {multipliers[at]:g} of plane {planes[at]} cannot be set; {reach}")
    return codes.astype(np.uint16)
