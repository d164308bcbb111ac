"""The chip as a sampler of dimod (docs.dwavequantum.com), for programs that minimise or sample binary quadratic models.

>>> sampler = TsuSampler(chip)
>>> answers = sampler.sample(bqm, num_reads=64)
>>> print(answers.first.sample, answers.info["embedding"])
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.mapping.annealing import Scaled, cooling, default_span, span
from tsu_apps.mapping.embedding import Embedding
from tsu_apps.mapping.embedding import chain_strength as default_strength
from tsu_apps.mapping.loading import headroom, require_spins
from tsu_apps.mapping.search import embed
from tsu_apps.models import Boltzmann
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip, Programmed, Schedule

try:
    dimod: Any = importlib.import_module("dimod")
except ImportError:
    raise ImportError("tsu_apps.mapping.dimod_sampler needs dimod: pip install 'tsu-driver[dimod]'") from None


class TsuSampler(dimod.Sampler):  # type: ignore[misc]
    """A chip of p-bits that anneals binary quadratic models, several reads at a time, one in each plane.

    Signs: dimod minimises E = sum h s + sum J s s; couplings and biases on the chip are those with the sign turned.
    """

    def __init__(self, chip: Chip) -> None:
        """ValueError if the chip's cells are no p-bits. The sampler changes what is programmed, clamped and enabled."""
        require_spins(chip)
        self._chip = chip
        self._last: tuple[bytes, Embedding] | None = None

    @property
    def parameters(self) -> dict[str, list[str]]:
        """Keyword arguments of `sample`, and the properties that bear on each."""
        return {
            "num_reads": ["planes"],
            "schedule": ["temperature_max"],
            "chain_strength": ["coupling_max"],
            "seed": [],
        }

    @property
    def properties(self) -> Mapping[str, Any]:
        """What the chip says of itself; ends of ranges in kT at T = 1."""
        c = self._chip.capabilities
        return {
            "name": self._chip.name,
            "cells": c.cells,
            "pairs": len(self._chip.topology.pairs),
            "planes": c.planes,
            "coupling_max": ((1 << c.coupling_bits - 1) - 1) * c.coupling_lsb * LSB_SCALE,
            "bias_max": ((1 << c.bias_bits - 1) - 1) * c.bias_lsb * LSB_SCALE,
            "temperature_max": self._code_max * self._lsb,
        }

    def sample(
        self,
        bqm: Any,
        *,
        num_reads: int = 1,
        schedule: Schedule | None = None,
        chain_strength: float | None = None,
        seed: int = 0,
    ) -> Any:
        """Anneal a `dimod.BinaryQuadraticModel`, SPIN or BINARY, `num_reads` times; gives a `dimod.SampleSet`.

        schedule : temperatures in the unit of the model's energy, so that reads at T are drawn from exp(-E / T) as far as chains
            hold and T is held long enough; None cools in 1,000 sweeps from where spins are free to where they are frozen
        chain_strength : coupling inside chains in the unit of the model's energy; None for `tsu_apps.mapping.chain_strength` at
            the last temperature
        seed : of the search for chains; chains are kept for the next model of the same graph
        Energies and temperatures are scaled together so that nothing is clipped and as many codes as possible are used.
        The set has the vector `chain_break_fraction`; info: `embedding` (its overhead), `chain_strength`, `temperature` (the last
        one), `scale` (chip over model), `clipped` (codes), `residual_rms_lsb`, `chip_seconds`, `energy_j`.
        ValueError or HostError name what is wrong with an argument; NoEmbedding if no chains were found.
        """
        if num_reads < 1:
            raise ValueError(f"num_reads = {num_reads}; at least 1 is expected")
        variables = list(bqm.variables)
        if not variables:
            return dimod.SampleSet.from_samples_bqm((np.empty((num_reads, 0), np.int8), []), bqm)
        model, before = _model_of(bqm, variables), self._chip.seconds
        embedding = self._embedding(model, seed)
        hot, cold = default_span(model) if schedule is None else span(schedule)
        strength = default_strength(model, cold) if chain_strength is None else float(chain_strength)
        (_, values), h = embedding.couplings(model, strength)
        scale = min(headroom(self._chip.capabilities, values, h), self._code_max * self._lsb / hot)
        if schedule is None:
            cold = max(cold, self._lsb / scale)
            schedule = cooling(hot, cold)
        scaled = Scaled(schedule, scale)
        scaled.steps(self._lsb, self._code_max)
        done = self._program(embedding, model, strength, scale)
        spins, energy_j = self._anneal(scaled, num_reads)
        voted, broken = embedding.unembed(spins)
        info = {
            "embedding": asdict(embedding.overhead),
            "chain_strength": strength,
            "temperature": cold,
            "scale": scale,
            "clipped": done.clipped,
            "residual_rms_lsb": done.residual_rms_lsb,
            "chip_seconds": self._chip.seconds - before,
            "energy_j": done.energy_j + energy_j,
        }
        answers = voted if bqm.vartype is dimod.SPIN else (voted + 1) // 2
        return dimod.SampleSet.from_samples_bqm((answers, variables), bqm, info=info, chain_break_fraction=broken)

    def _embedding(self, model: Boltzmann, seed: int) -> Embedding:
        graph = model.pairs.tobytes() + bytes(str((model.cells, seed)), "ascii")
        if self._last is None or self._last[0] != graph:
            self._last = graph, embed(model.pairs, self._chip.topology, variables=model.cells, seed=seed)
        return self._last[1]

    def _program(self, embedding: Embedding, model: Boltzmann, strength: float, scale: float) -> Programmed:
        c = self._chip.capabilities
        steps = c.coupling_lsb * LSB_SCALE / scale, c.bias_lsb * LSB_SCALE / scale
        (pairs, values), h = embedding.couplings(model, strength, steps)
        self._chip.unclamp()
        self._chip.plane_temperatures(1.0)
        return self._chip.program_couplings((pairs, values * scale), h * scale)

    def _anneal(self, schedule: Schedule, reads: int) -> tuple[NDArray[np.int8], float]:
        """(reads, cells) spins, and joules."""
        planes, spins, energy_j = self._chip.capabilities.planes, [], 0.0
        for first in range(0, reads, planes):
            count = min(planes, reads - first)
            self._chip.enable_planes(count)
            energy_j += self._chip.anneal(schedule).energy_j
            spins.append(self._chip.read()[:count])
        return np.concatenate(spins), energy_j

    @property
    def _lsb(self) -> float:
        return self._chip.capabilities.temp_lsb * LSB_SCALE

    @property
    def _code_max(self) -> int:
        return (1 << self._chip.capabilities.temp_bits) - 1


def _model_of(bqm: Any, variables: list[Any]) -> Boltzmann:
    """In spins, with this project's sign; variable k is variables[k]. Couplings of 0 need no coupler and are left out."""
    spins = bqm.change_vartype(dimod.SPIN, inplace=False)
    linear, (i, j, quadratic), _ = spins.to_numpy_vectors(variable_order=variables)
    weights = -np.asarray(quadratic, np.float64)
    used = weights != 0
    return Boltzmann(np.stack([i, j], axis=1)[used], weights[used], -np.asarray(linear, np.float64))
