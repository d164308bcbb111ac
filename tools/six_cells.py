"""Six p-bits, all coupled, whose law is counted out: a problem, chips that have errors, and how far what they do is from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from tsu_apps.models import Boltzmann, exact

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tsu_testing.in_process import InProcessChip

SIX: Mapping[str, object] = {
    "fabric.topology.cells": 6, "fabric.planes": 256, "coupling.dac.bits": 10, "bias.dac.bits": 10, "coupling.gain_sigma": 0.05,
    "cell.slope_sigma": 0.1, "cell.offset_sigma_kt": 0.2, "trim.bits": 9, "trim.offset_full_scale_kt": 0.8,
    "trim.slope_full_scale": 0.4, "trim.element_sigma": 0.05, "trim.gain_sigma": 0.02,
}  # fmt: skip
STRENGTH = 0.5
"""Standard deviation of couplings and biases of the six cells' problem, kT."""


@lru_cache
def problem() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(J, h, probabilities of the 64 states) of six cells."""
    rng, pairs = np.random.default_rng(20), np.array(list(combinations(range(6), 2)))
    values, h = (np.clip(STRENGTH * rng.standard_normal(n), -1.9, 1.9) for n in (len(pairs), 6))
    J = np.zeros((6, 6))
    J[pairs[:, 0], pairs[:, 1]] = J[pairs[:, 1], pairs[:, 0]] = values
    return J, h, exact(Boltzmann(pairs, values, h)).probabilities


def fields_of(chip: InProcessChip) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """((couplers,) J, (cells,) h) that the chip's cells have at T = 1, by the truth."""
    J, h, slope, offset, gain, dac = (
        chip.oracle.truth(name) for name in ("J", "h", "slope", "offset", "noise_temperature", "temperature_dac")
    )
    temperature = gain[0] * dac[chip.read_register("TEMP.TDAC")] + gain[1]
    return J * slope[chip.topology.target.astype(np.int64)] / temperature, (h + offset) * slope / temperature


def stationary(J: NDArray[np.float64], h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Law of the states of cells updated one after the other, J (cells, cells) being what each hears: the stationary vector of
    the sweep. State k has cell i up where bit i is set."""
    cells = len(h)
    states = np.where(np.arange(1 << cells)[:, None] >> np.arange(cells) & 1, 1.0, -1.0)
    sweep = np.eye(len(states))
    for i in range(cells):
        up = 1.0 / (1.0 + np.exp(-2.0 * (states @ J[i] + h[i])))
        step = np.zeros_like(sweep)
        high, low = np.arange(len(states)) | 1 << i, np.arange(len(states)) & ~(1 << i)
        step[np.arange(len(states)), high], step[np.arange(len(states)), low] = up, 1.0 - up
        sweep = sweep @ step
    values, vectors = np.linalg.eig(sweep.T)
    law = np.real(vectors[:, np.argmax(np.real(values))])
    return np.asarray(law / law.sum())


def distance(chip: InProcessChip) -> float:
    """Total variation distance of what the chip does with the six cells' problem from the law that was asked for."""
    J, h, wanted = problem()
    chip.program_couplings(J, h)
    got_J, got_h = fields_of(chip)
    matrix = np.zeros((6, 6))
    matrix[chip.topology.target.astype(np.int64), chip.topology.source.astype(np.int64)] = got_J
    return float(0.5 * np.abs(stationary(matrix, got_h) - wanted).sum())
