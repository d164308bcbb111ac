"""Mean spins of loose cells, and what they tell of offsets and slopes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.lab import Lab
from tsu_contract.capabilities import LSB_SCALE

Real = NDArray[np.float64]
KINDS = frozenset({"pbit", "async-pbit"})
ALIVE = 0.98
"""Mean spins beyond which a cell is taken as stuck, or too far off to be measured."""
CHUNK_BYTES = 1 << 26


def half_means(lab: Lab, sweeps: int) -> Real:
    """(2, cells) mean spins over so many sweeps of every second plane and of the others: one cell, noise of their own.

    With one plane it is every second sweep.
    """
    chip, cap = lab.chip, lab.chip.capabilities
    chunk = max(1, min(sweeps, CHUNK_BYTES // (cap.cells * cap.planes)))
    total, count = np.zeros((2, cap.cells)), np.zeros((2, 1))
    for first in range(0, sweeps, chunk):
        spins = chip.sample(min(chunk, sweeps - first), burn=4 if first == 0 else 0).reshape(-1, cap.cells)
        for half in (0, 1):
            total[half] += spins[half::2].sum(axis=0, dtype=np.int64)
            count[half] += len(spins[half::2])
    return total / count


def sweeps_within(lab: Lab, updates: int, readings: int, most: int) -> int:
    """Sweeps of each of so many readings, that all of them do about so many updates of cells at effort 1."""
    cap = lab.chip.capabilities
    return int(np.clip(lab.samples(updates) // (readings * cap.cells * cap.planes), 4, most))


def drive(lab: Lab, h: float) -> float:
    """Bias all cells alike; returns the bias of the code, kT."""
    done = lab.chip.program_couplings(h=np.full(lab.chip.capabilities.cells, h))
    return float(done.bias_codes.flat[0]) * lab.chip.capabilities.bias_lsb * LSB_SCALE


def slopes(lab: Lab, h: float, sweeps: int) -> Real:
    """(cells,) of what cells hear of a bias h over their temperature, by h: half the difference of atanh <s> at h and -h.

    Offsets drop out. NaN for cells that do not follow.
    """
    fields = []
    for sign in (1, -1):
        given = drive(lab, sign * h)
        mean = half_means(lab, sweeps).mean(axis=0)
        fields.append(np.arctanh(np.where(np.abs(mean) < ALIVE, mean, np.nan)) / abs(given))
    out: Real = (fields[0] - fields[1]) / 2
    out[np.abs(out) < 0.02] = np.nan
    return out
