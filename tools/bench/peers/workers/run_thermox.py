"""thermox: exact steps of an Ornstein-Uhlenbeck process dx = -A x dt + sqrt(2) dW, chains by vmap, compiled by JAX."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
import thermox
from loop import Arrays, Sampler, serve


def prepare(problem: Arrays, options: dict) -> Sampler:
    """Array A; options chains, sweeps (steps), seed, step (in units of time). A's eigenvectors are found here."""
    cells, chains = len(problem["A"]), options["chains"]
    diffusion = 2 * jnp.eye(cells)
    drift, noise = jax.block_until_ready(thermox.utils.preprocess(jnp.asarray(problem["A"]), diffusion))
    times = options["step"] * jnp.arange(options["sweeps"] + 1)
    # The scan, step by step, is faster on a few cores than thermox's default.
    walk = jax.jit(jax.vmap(lambda key, x: thermox.sample(key, times, x, drift, jnp.zeros(cells), noise, False)[-1]))
    key, states = jax.random.key(options["seed"]), jnp.zeros((chains, cells))

    def sampler(sweeps: int) -> tuple[float, np.ndarray]:
        nonlocal states, key
        assert sweeps == options["sweeps"]
        key, here = jax.random.split(key)
        keys = jax.block_until_ready(jax.random.split(here, chains))
        begin = time.perf_counter()
        states = jax.block_until_ready(walk(keys, states))
        return time.perf_counter() - begin, np.asarray(states, np.float64)

    return sampler


serve("thermox", prepare)
