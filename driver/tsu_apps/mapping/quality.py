"""How well an embedded model samples the model: by enumeration, and on a chip."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_apps.mapping.embedding import Embedding
from tsu_apps.mapping.loading import load, plan
from tsu_apps.models import Boltzmann, exact, state_numbers, state_spins
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

HOT_SWEEPS = 20
"""At the highest temperature before each run, so that none begins where the last one ended."""


class Quality(NamedTuple):
    """How a law differs from that of the model; total variation is half the sum of |p - q| over the model's states.

    majority : total variation of majority votes; whole : of looks without a broken chain, NaN if there is none
    broken : mean fraction of broken chains; kept : fraction of looks without one
    """

    majority: float
    whole: float
    broken: float
    kept: float


def exact_quality(embedding: Embedding, model: Boltzmann, strength: float | None = None, chip: Chip | None = None) -> Quality:
    """Of the embedded model at equilibrium, by enumeration; ValueError if it has more cells than `exact` can enumerate.

    chip : with the values that its DACs can have; None for those of the model
    """
    if chip is None:
        (pairs, couplings), biases = embedding.couplings(model, strength)
        temperature = 1.0
    else:
        pairs, couplings, biases, temperature = plan(chip, embedding, model, strength)
    cells = np.sort(np.concatenate(embedding.chains))
    law = exact(Boltzmann(np.searchsorted(cells, pairs), couplings / temperature, biases[cells] / temperature)).probabilities
    spins = np.zeros((len(law), embedding.topology.cells), np.int8)
    spins[:, cells] = state_spins(np.arange(len(law)), len(cells))
    voted, broken = embedding.unembed(spins)
    return _compare(model, voted, broken, law)


def sampled_quality(
    chip: Chip,
    embedding: Embedding,
    model: Boltzmann,
    strength: float | None = None,
    *,
    looks: int,
    every: int = 1,
    burn: int = 0,
) -> Quality:
    """Of what the chip samples: from a hot start `burn` sweeps, then `looks` times `every` sweeps and a look at all planes."""
    temperature, _ = load(chip, embedding, model, strength)
    c = chip.capabilities
    chip.unclamp()
    chip.enable_planes(c.planes)
    chip.set_temperature(((1 << c.temp_bits) - 1) * c.temp_lsb * LSB_SCALE)
    chip.run(HOT_SWEEPS)
    chip.set_temperature(temperature)
    voted, broken = embedding.unembed(chip.sample(looks, every=every, burn=burn).reshape(-1, c.cells))
    return _compare(model, voted, broken, np.full(len(broken), 1 / len(broken)))


def _compare(model: Boltzmann, voted: NDArray[np.int8], broken: NDArray[np.float64], weight: NDArray[np.float64]) -> Quality:
    """voted : (k, variables), broken : (k,), weight : (k,) of sum 1."""
    law, number, whole = exact(model).probabilities, state_numbers(voted), broken == 0
    kept = float(weight[whole].sum())

    def distance(which: NDArray[np.bool_], total: float) -> float:
        return float(np.abs(np.bincount(number[which], weight[which] / total, len(law)) - law).sum() / 2) if total > 0 else np.nan

    return Quality(distance(np.ones(len(weight), bool), 1.0), distance(whole, kept), float(broken @ weight), kept)
