"""dwave-samplers: SimulatedAnnealingSampler with its Gibbs acceptance, every sweep at beta = 1.

It keeps no chains: every repetition starts from random spins. The time is the sampler's own `sampling_ns`.
"""

from __future__ import annotations

import dimod
import numpy as np
from dwave.samplers import SimulatedAnnealingSampler
from loop import Arrays, Sampler, serve


def prepare(problem: Arrays, options: dict) -> Sampler:
    """Arrays i, j, w, b; options chains, sweeps, seed."""
    cells = len(problem["b"])
    vectors = problem["i"], problem["j"], -problem["w"]
    model = dimod.BinaryQuadraticModel.from_numpy_vectors(-problem["b"], vectors, 0.0, dimod.SPIN)
    annealer, seed = SimulatedAnnealingSampler(), options["seed"]

    def sampler(sweeps: int) -> tuple[float, np.ndarray]:
        nonlocal seed
        seed += 1
        found = annealer.sample(
            model, num_reads=options["chains"], num_sweeps_per_beta=1, beta_schedule_type="custom",
            beta_schedule=np.ones(sweeps), seed=seed, proposal_acceptance_criteria="Gibbs",
        )  # fmt: skip
        column = [found.variables.index(k) for k in range(cells)]
        states = found.record.sample[:, column]
        return found.info["timing"]["sampling_ns"] / 1e9, states.astype(np.int8)

    return sampler


serve("dwave-samplers", prepare)
