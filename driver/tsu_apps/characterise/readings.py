"""How a chip is looked at: samples in several goes, values of analog cells, means with their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.captures import REFERENCES
from tsu_apps.characterise.lab import Lab
from tsu_contract.capabilities import RANGE_SCALE
from tsu_driver import Chip

Floats = NDArray[np.float64]
Planes = NDArray[np.int64]
SIGMAS = 5.0
"""Standard errors in a tolerance."""
PAUSE_S = 0.0137
"""So that what changes in some milliseconds, such as stored levels and the supply, is averaged over."""


def over_planes(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard error over axis 0, the planes, whose lives are independent; correlation in time is in it."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


def rms(errors: Floats) -> float:
    """Error of a usual element, about which estimates of single errors scatter."""
    return float(np.sqrt(np.mean(errors**2))) if errors.size else 0.0


def ordinary(errors: Floats) -> NDArray[np.int64]:
    """Elements that were measured about as well as most: those of an error below thrice the median. The others, such as
    saturated cells, would widen a tolerance that holds for all."""
    return np.flatnonzero(errors <= 3.0 * np.median(errors))


def pause(chip: Chip) -> None:
    """PAUSE_S of chip time."""
    batch = chip.batch()
    batch.delay(round(PAUSE_S * chip.capabilities.clock_hz))
    batch.execute()


def look(lab: Lab, n: int, every: int, burn: int, share: float) -> NDArray[Any]:
    """(n, planes, cells) samples, taken in several goes, each of which makes a part of the `share` of the procedure's work.

    Between goes the array is gated for PAUSE_S, which its cells do not notice, but levels are written anew meanwhile.
    """
    parts, goes = [], max(1, min(8, n // 32))
    for k in range(goes):
        size = n * (k + 1) // goes - n * k // goes
        pause(lab.chip)
        parts.append(lab.chip.sample(size, every, burn if k == 0 else 0))
        lab.step(share / goes)
    return np.concatenate(parts)


def memory(lab: Lab) -> tuple[int, int]:
    """(ticks between samples, ticks to forget a past) for cells of a kind: a sweep of clocked cells forgets at once."""
    return (1, 50) if lab.chip.kind in ("pbit", "pdit") else (2, 60)


def correction(chip: Chip) -> Callable[[Floats], Floats]:
    """What takes the offset and gain of each cell's converter, as its references show them, out of values (..., cells)."""
    converters = range(chip.capabilities.adc_count)
    low, high = (
        np.array([np.mean(chip.adc_value(chip.convert(f"reference-{end}", n=256, adc=k).codes, "external")) for k in converters])
        for end in ("low", "high")
    )
    cells = np.arange(chip.capabilities.cells) % len(converters)
    gain = ((high - low) / (REFERENCES[1] - REFERENCES[0]))[cells]
    middle = 0.5 * (low + high)[cells] * (chip.capabilities.range_cell * RANGE_SCALE)
    return lambda values: np.asarray((values - middle) / gain)


def values(lab: Lab, n: int, every: int, burn: int, share: float) -> Floats:
    """(n, planes, cells) values of analog cells, corrected; otherwise as `look`."""
    correct = correction(lab.chip)
    return correct(look(lab, n, every, burn, share))


def jackknife(planes: int, of: Callable[[Planes], Floats]) -> tuple[Floats, Floats]:
    """(value, error) of what `of` makes of a set of planes, leaving out one of 16 groups after the other.

    Bias of order 1 / planes, which fits to noisy autocovariances have, is taken out (Quenouille).
    """
    groups = np.array_split(np.arange(planes), min(16, planes))
    left = np.stack([of(np.setdiff1d(np.arange(planes), group)) for group in groups])
    n = len(groups)
    value = n * of(np.arange(planes)) - (n - 1) * left.mean(axis=0)
    return np.asarray(value), np.asarray(left.std(axis=0) * np.sqrt(n - 1))


def autocovariances(x: Floats, lags: int) -> Floats:
    """(lags + 1, planes, cells) of paths (n, planes, cells), about each cell's mean over all planes."""
    d = x - x.mean(axis=(0, 1))
    return np.stack([(d[: len(d) - k] * d[k:]).mean(axis=0) for k in range(lags + 1)])


def rings(c: Floats) -> bool:
    """Whether autocovariances (lags, planes, cells) swing to the other side."""
    return bool((c.mean(axis=(1, 2)) < -0.2 * c[0].mean()).any())
