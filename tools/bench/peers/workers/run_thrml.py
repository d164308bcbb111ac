"""thrml: block Gibbs over the colours, chains by vmap, compiled by JAX, which uses as many threads as it likes."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
from loop import Arrays, Sampler, serve
from thrml import Block, SamplingSchedule, SpinNode, sample_states
from thrml.models import IsingEBM, IsingSamplingProgram


def prepare(problem: Arrays, options: dict) -> Sampler:
    """Arrays i, j, w, b, colour; options chains, sweeps, seed."""
    nodes = [SpinNode() for _ in problem["b"]]
    edges = [(nodes[i], nodes[j]) for i, j in zip(problem["i"], problem["j"], strict=True)]
    groups = [np.flatnonzero(problem["colour"] == c) for c in range(int(problem["colour"].max()) + 1)]
    blocks = [Block([nodes[k] for k in group]) for group in groups]
    b, w = jnp.asarray(problem["b"], jnp.float32), jnp.asarray(problem["w"], jnp.float32)
    program = IsingSamplingProgram(IsingEBM(nodes, edges, b, w, jnp.array(1.0)), blocks, [])
    schedule = SamplingSchedule(n_warmup=options["sweeps"], n_samples=1, steps_per_sample=1)
    rng = np.random.default_rng(options["seed"])
    states = [jnp.asarray(rng.random((options["chains"], len(group))) < 0.5) for group in groups]
    sweep = jax.jit(jax.vmap(lambda key, state: [s[0] for s in sample_states(key, program, schedule, state, [], blocks)]))
    key = jax.random.key(options["seed"])

    def sampler(sweeps: int) -> tuple[float, np.ndarray]:
        nonlocal states, key
        assert sweeps == options["sweeps"]
        key, here = jax.random.split(key)
        keys = jax.block_until_ready(jax.random.split(here, options["chains"]))
        begin = time.perf_counter()
        states = jax.block_until_ready(sweep(keys, states))
        seconds = time.perf_counter() - begin
        spins = np.empty((options["chains"], len(nodes)), np.int8)
        for group, state in zip(groups, states, strict=True):
            spins[:, group] = np.where(np.asarray(state), 1, -1)
        return seconds, spins

    return sampler


serve("thrml", prepare)
