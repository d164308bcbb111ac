"""Whether the mean loss over dies is tolerable, on as few dies as it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

DIES = (6, 10, 16, 25, 40)
"""Numbers of dies after which a decision is tried."""
ALPHA = 0.05
"""Probability of a wrong decision, at most, in either direction, over all tries together (Bonferroni)."""


@dataclass(frozen=True)
class Verdict:
    """passes : whether the mean loss was shown to be tolerable; sure : or that it is not; if neither, dies ran out.

    losses : of the dies; mean, bound : their mean, and what the true mean is below with the confidence of one try
    """

    passes: bool
    sure: bool
    losses: tuple[float, ...]
    mean: float
    bound: float


def verdict(
    losses: Callable[[Sequence[int]], Sequence[float]], dies: Sequence[int], tolerated: float, tries: Sequence[int] = DIES
) -> Verdict:
    """Measure dies until Student's t decides at ALPHA over the number of tries; a point that stays undecided does not pass.

    losses : of these dies; it is called with ones that are new each time
    """
    from scipy.stats import t

    seen: list[float] = []
    for n in tries:
        seen += [float(x) for x in losses(dies[len(seen) : n])]
        values = np.array(seen)
        if not np.isfinite(values).all():
            raise ValueError(f"a loss of {values[~np.isfinite(values)][0]}")
        margin = float(t.ppf(1.0 - ALPHA / len(tries), n - 1) * values.std(ddof=1) / np.sqrt(n))
        mean = float(values.mean())
        passes, fails = mean + margin <= tolerated, mean - margin > tolerated
        if passes or fails:
            break
    return Verdict(passes, passes or fails, tuple(seen), mean, mean + margin)
