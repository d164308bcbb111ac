"""thrml: ticks of training of a bipartite machine in one `jit`: pinned and free chains, averages after each sweep."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
from loop import Arrays, Sampler, serve
from thrml import Block, SamplingSchedule, SpinNode, sample_states
from thrml.models import IsingEBM, IsingSamplingProgram


def prepare(problem: Arrays, options: dict) -> Sampler:
    """Array examples (n, visible) of -1 and 1; options hidden, chains of each role, tick_sweeps, sweeps (ticks at once), seed."""
    examples, chains, hidden = jnp.asarray(problem["examples"] > 0), options["chains"], options["hidden"]
    visible = examples.shape[1]
    nodes = [SpinNode() for _ in range(visible + hidden)]
    seen, hid = Block(nodes[:visible]), Block(nodes[visible:])
    edges = [(a, b) for a in nodes[:visible] for b in nodes[visible:]]
    schedule = SamplingSchedule(n_warmup=1, n_samples=options["tick_sweeps"], steps_per_sample=1)

    def signs(states: jax.Array) -> jax.Array:
        return 2 * states.astype(jnp.float32) - 1

    def averaged(average: tuple, v: jax.Array, h: jax.Array) -> tuple:
        pairs, means = average
        for k in range(options["tick_sweeps"]):
            pairs += 0.4 * (v[:, k].T @ h[:, k] / chains - pairs)
            means += 0.4 * (jnp.concatenate([v[:, k].mean(0), h[:, k].mean(0)]) - means)
        return pairs, means

    def tick(carry: tuple, key: jax.Array) -> tuple:
        w, b, v, h, data_h, data, free = carry
        model = IsingEBM(nodes, edges, b, w.ravel(), jnp.array(1.0))
        both, pinned = IsingSamplingProgram(model, [hid, seen], []), IsingSamplingProgram(model, [hid], [seen])
        keys = jax.random.split(key, 2 * chains + 1)
        shown = examples[jax.random.randint(keys[-1], (chains,), 0, len(examples))]
        hs, vs = jax.vmap(lambda k, x, y: sample_states(k, both, schedule, [x, y], [], [hid, seen]))(keys[:chains], h, v)
        (ds,) = jax.vmap(lambda k, x, y: sample_states(k, pinned, schedule, [x], [y], [hid]))(keys[chains:-1], data_h, shown)
        still = jnp.repeat(signs(shown)[:, None], options["tick_sweeps"], 1)
        data, free = averaged(data, still, signs(ds)), averaged(free, signs(vs), signs(hs))
        w += 0.01 * (data[0] - free[0] - 1e-3 * w)
        b += 0.01 * (data[1] - free[1])
        return (w, b, vs[:, -1], hs[:, -1], ds[:, -1], data, free), None

    run = jax.jit(lambda carry, keys: jax.lax.scan(tick, carry, keys)[0])
    rng, key = np.random.default_rng(options["seed"]), jax.random.key(options["seed"])
    zeros = jnp.zeros((visible, hidden)), jnp.zeros(visible + hidden)
    drawn = [jnp.asarray(rng.random((chains, n)) < 0.5) for n in (visible, hidden, hidden)]
    w = jnp.asarray(rng.normal(0, 0.02, (visible, hidden)), jnp.float32)
    carry = (w, jnp.zeros(visible + hidden), *drawn, zeros, zeros)

    def sampler(ticks: int) -> tuple[float, np.ndarray]:
        nonlocal carry, key
        key, here = jax.random.split(key)
        keys = jax.block_until_ready(jax.random.split(here, ticks))
        begin = time.perf_counter()
        carry = jax.block_until_ready(run(carry, keys))
        return time.perf_counter() - begin, np.asarray(carry[2])

    return sampler


serve("thrml", prepare)
