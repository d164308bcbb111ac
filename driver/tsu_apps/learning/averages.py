"""How good the averages are that move the weights: their noise, and how far the free planes get between looks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tsu_apps.learning.forces import Rates
from tsu_apps.learning.history import Snapshot
from tsu_apps.learning.loop import Seen
from tsu_apps.learning.masters import Floats

WINDOW = 8
"""Looks that are kept."""


@dataclass(frozen=True)
class Quality:
    """Of the averages over the last WINDOW looks. NaN where it cannot be told.

    signal_to_noise : of the averages <s_i s_j> themselves, those of the worse role: mean square over the pairs, less the
        noise's, over the variance of the noise, which is half the mean square change from look to look
    noise_field : over T; what the noise does to the weights. Their steps have the variance S^2, eta+^2 and eta-^2 times the
        variances of the roles' averages, and are undone at the rate X (eta+ + eta-) / 2T, where X / T is how averages answer
        weights, with X = 1 - <s_i s_j>^2 of the free role. So the weights come to shake by the variance V = S^2 T / X (eta+ +
        eta-), and the field of a cell with k couplings by the square root of k V + V of its bias. Pairs count by their mean.
        Ticks are taken to be independent; averages that are correlated from tick to tick make more of it.
    mixing : fraction of the free planes' spins that flip from tick to tick, over that of spins which are drawn anew from their
        own means over planes and looks: 1 for free planes that forget all within a tick, 0 for frozen ones
    """

    signal_to_noise: float = np.nan
    noise_field: float = np.nan
    mixing: float = np.nan


class Recent:
    """The averages and the free planes' spins of the last WINDOW looks."""

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque(maxlen=WINDOW)
        self._flips: deque[float] = deque(maxlen=WINDOW)

    def add(self, snapshot: Snapshot) -> None:
        """Take a look."""
        self._seen.append(snapshot.seen)
        self._flips.append(snapshot.moment.flips)

    def quality(self, rates: Rates | None, temperature: float, degree: float) -> Quality:
        """What the looks so far tell; rates are those of the rule, degree the mean number of couplings of a cell."""
        square, noise = self._noise("data_pairs", "free_pairs")
        ratio = float(np.min([_ratio(s - n, n) for s, n in zip(square, noise, strict=True)]))
        field = np.nan
        if rates is not None and rates.plus + rates.minus > 0:
            steps = degree * self._shake(rates, noise, "free_pairs")
            steps += self._shake(rates, self._noise("data_means", "free_means")[1], "free_means")
            field = float(np.sqrt(steps / temperature / (rates.plus + rates.minus)))
        return Quality(ratio, field, self._mixing())

    def _noise(self, *names: str) -> tuple[list[float], list[float]]:
        """(mean squares, variances of the noise) of averages."""
        squares, variances = [], []
        for name in names:
            values = self._values(name)
            squares.append(float(np.mean([np.mean(np.square(v)) for v in values])))
            changes = [float(np.mean(np.square(now - before))) for before, now in pairwise(values)]
            variances.append(float(np.mean(changes)) / 2 if changes else np.nan)
        return squares, variances

    def _shake(self, rates: Rates, noise: list[float], free: str) -> float:
        """S^2 / X."""
        answer = 1 - float(np.mean(np.square(np.mean(self._values(free), axis=0))))
        variance = rates.plus**2 * noise[0] + rates.minus**2 * noise[1]
        return variance / answer if answer else variance

    def _values(self, name: str) -> list[Floats]:
        return [getattr(seen, name) for seen in self._seen]

    def _mixing(self) -> float:
        flips = [flip for flip in self._flips if np.isfinite(flip)]
        spins = [seen.free_spins for seen in self._seen if seen.free_spins is not None]
        if not flips or not spins:
            return np.nan
        independent = float(np.mean(1 - np.square(np.concatenate(spins).mean(axis=0)))) / 2
        return min(1.0, _ratio(float(np.mean(flips)), independent)) if any(flips) else 0.0


def _ratio(signal: float, noise: float) -> float:
    """Signal over noise; infinite without noise."""
    return signal / noise if noise else np.inf
