"""How likely data are under what a chip does, by its own samples; also where J_ij and J_ji differ, or change in time."""

from __future__ import annotations

import numpy as np
from effective import fields_of
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tsu_apps.models.exact import log_2cosh
from tsu_driver import Chip, Linear

HOT, COOLING, BURN = 3.0, 300, 200
"""Planes are cooled from this temperature over so many sweeps, and left alone for so many, before the first look."""
EVERY = 60
"""Sweeps between looks, .1 ms of chip time with 64 planes and the look itself."""


def sampled_log_likelihood(chip: Chip, cells: NDArray[np.int64], X: NDArray[np.int8], looks: int) -> float:
    """Mean over (n, cells) examples of log P(x), nats: log of the mean over samples s of all other cells of P(x | s).

    The conservative sampling-based estimate of Bengio, Yao and Cho ("Bounding the test log-likelihood of generative models",
    ICLR 2014): its expectation lies below the truth, by less the more samples there are; here looks x planes. P(x | s) is the
    law by which the chip draws these cells, with the errors that it has at that look, which the oracle tells.
    It needs no symmetric couplings, and mixes over what changes from look to look.

    The couplings are those that are programmed. The chip was opened with `bench=1`, and is asked at T = 1. ValueError if two of
    the cells are coupled to each other: given the others they are then not independent.
    """
    row, source, all_cells = np.asarray(chip.topology.row), np.asarray(chip.topology.source), chip.capabilities.cells
    if csr_array((np.ones(len(source)), source, row), shape=(all_cells, all_cells))[cells][:, cells].nnz:
        raise ValueError("two of the cells asked about are coupled to each other, so that their joint law has no closed form")
    examples = X.astype(np.float64)
    chip.enable_planes(chip.capabilities.planes)
    chip.unclamp()
    chip.anneal(Linear(HOT, 1.0, COOLING))
    chip.run(BURN)
    total = np.full(len(X), -np.inf)
    for _ in range(looks):
        chip.run(EVERY)
        spins = chip.read().astype(np.float64)
        couplings, h = fields_of(chip)
        J = csr_array((couplings, source, row), shape=(all_cells, all_cells))
        fields = (J[cells] @ spins.T).T + h[cells]
        given = examples @ fields.T - log_2cosh(fields).sum(axis=1)
        total = np.logaddexp(total, np.logaddexp.reduce(given, axis=1))
    return float(total.mean() - np.log(looks * chip.capabilities.planes))
