"""Insertions of one chip, hot and cold: each with the ambient set and the die settled, as its own sensor shows.

>>> with insertions(chip, instruments, (233.0, 298.0, 398.0), soak_s=2.0) as visits:
...     for visit in visits:
...         result = characterise(chip, instruments)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from tsu_driver import Chip, HostError
from tsu_driver.device import SENSOR_STEPS
from tsu_driver.instruments import Instruments

LOOKS = 16
"""At the sensor, during a soak."""
SETTLED_K = 0.1
"""Most by which means of half a soak may differ, beyond what noise does."""
SOAKS = 60
"""After so many the die counts as one that does not settle."""


class Insertion(NamedTuple):
    """ambient_k : as set; sensor_k : mean of the last half of the soak; seconds : chip time since the ambient was set"""

    ambient_k: float
    sensor_k: float
    seconds: float


@contextmanager
def insertions(chip: Chip, instruments: Instruments, kelvins: Sequence[float], soak_s: float) -> Iterator[Iterator[Insertion]]:
    """Give an iterator that sets one ambient after the other and waits until the die has settled. The ambient is restored.

    kelvins : ambient temperatures, K; soak_s : chip time between decisions, s. A die counts as settled if the halves of its last
    two soaks agree; where a soak is no shorter than the slowest time constant, some .05 K are left then.
    HostError: an ambient out of range, a program that runs, or a die that has not settled after SOAKS soaks.
    """
    if not soak_s > 0:
        raise HostError(f"soak_s = {soak_s}; a positive number of seconds expected")
    before = instruments.read().ambient_k
    try:
        yield (_settled(chip, instruments, kelvin, soak_s) for kelvin in kelvins)
    finally:
        instruments.ambient(before)


def _settled(chip: Chip, instruments: Instruments, kelvin: float, soak_s: float) -> Insertion:
    begin, spread = instruments.ambient(kelvin), np.inf
    looks = np.empty((SOAKS, 2, LOOKS // 2))
    for soak in range(SOAKS):
        for look in looks[soak].reshape(-1, 1):
            now = instruments.skip(soak_s / LOOKS)
            look[:] = chip.die_temperature()
        last = looks[max(soak - 1, 0) : soak + 1]
        spread = float(np.ptp(last.mean(axis=2)))
        noise = float(np.sqrt(np.mean(np.diff(last, axis=2) ** 2) / LOOKS))
        if soak > 0 and spread < SETTLED_K + 1 / SENSOR_STEPS + 3 * noise:
            return Insertion(kelvin, float(looks[soak, 1].mean()), now.seconds - begin.seconds)
    raise HostError(
        f"after {SOAKS} soaks of {soak_s:g} s at {kelvin:g} K the sensor still moves, by {spread:.2g} K; longer ones may do"
    )
